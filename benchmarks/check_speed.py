"""Time and memory of `goldfold check` on many small files: PNG and DICOM, a wide label table.

    python benchmarks/check_speed.py [--count 30000] [--headers-only]

Makes files of 256 x 256, every fifth a DICOM and the others PNG, and a table of 60 columns: id,
patient, labels, and numbers that nobody asks for. Then `check` runs in a process of its own on a
tenth of them and on all. Prints seconds, images per second and the peak
of the resident memory, each for a first check and for one that finds the networks tried before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from layouts.drawing import Pen, save, save_dicom

SIDE = 256
LABELS = ["effusion", "mass", "nodule", "edema", "fracture"]
OTHERS = 53  # columns
IMAGES_OF_A_PATIENT = 3
TOML = f"""
[competition]
title = "many files"
task = "classification"
classes = {LABELS!r}
metric = "auroc"
data = "data"

[competition.images]
train = ["train/*.png", "train/*.dcm"]

[competition.labels]
kind = "wide"
files = ["train.csv"]
id_column = "image_id"

[folds]
group = "patient_id"

[[competition.tables]]
file = "train.csv"
id_column = "image_id"
columns = {{ patient_id = "patient_id" }}

[[models]]
name = "tiny"
architecture = "Classifier"
encoder = "test_resnet"
[[models.stages]]
image_size = 64
loss = {{ bce = 1.0, dice = 0.0 }}
"""


def make_files(folder: Path, count: int) -> None:
    """Write a run directory with goldfold.toml and the data."""
    pen = Pen(0)
    backgrounds = [pen.noise(SIDE, SIDE) for _ in range(16)]
    others = [f"feature_{number}" for number in range(OTHERS)]
    lines = [",".join(["image_id", "patient_id", *LABELS, *others])]
    for place in range(count):
        pixels = np.roll(backgrounds[place % 16], place, axis=(0, 1))
        pixels[: SIDE // 8] = pixels[: SIDE // 8] // 8 * 8  # compresses as real margins do
        name = f"{place:06d}"
        if place % 5:
            save(folder / f"data/train/{name}.png", pixels, compress_level=1)
        else:
            save_dicom(folder / f"data/train/{name}.dcm", pixels)
        labels = [str(int((place // 7 + number) % 5 == 0)) for number in range(len(LABELS))]
        numbers = [f"{value:.4f}" for value in pen.random.random(OTHERS)]
        patient = f"p{place // IMAGES_OF_A_PATIENT:06d}"
        lines.append(",".join([name, patient, *labels, *numbers]))
    (folder / "data/train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "goldfold.toml").write_text(TOML, encoding="utf-8")


def measured(words: list[str]) -> tuple[float, float]:
    """Return the seconds and the peak memory in MiB of a command of goldfold.

    Raises:
        SystemExit: it failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "goldfold", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        sys.exit(f"goldfold {' '.join(words)} failed:\n{text[-2000:]}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=30_000, help="files of the larger run")
    parser.add_argument("--headers-only", action="store_true", help="decode no pixels")
    parser.add_argument("--files", type=Path, help="folder in which files are kept for next time")
    parser.add_argument("--make-only", action="store_true", help="write the files, measure nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folders = {
            count: (given.files or Path(temporary)) / str(count)
            for count in (given.count // 10, given.count)
        }
        for count, folder in folders.items():
            if not (folder / "goldfold.toml").is_file():
                make_files(folder, count)
        if given.make_only:
            return
        print("| files | check | seconds | images/s | peak MiB |\n|---|---|---|---|---|")
        for count, folder in folders.items():
            shutil.rmtree(folder / "stages", ignore_errors=True)
            ways = ["--headers-only"] if given.headers_only else []
            for when in ("first", "again"):
                seconds, peak = measured(["check", str(folder), *ways])
                speed = count / seconds
                print(f"| {count:,} | {when} | {seconds:.1f} | {speed:,.0f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
