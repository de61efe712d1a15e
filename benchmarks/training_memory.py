"""Resident memory of a training on a large image cache, over workers and epochs.

    python benchmarks/training_memory.py [--images 12000] [--size 512] [--workers 1 2 8]

Writes the files of a cache of noise (about 3.3 GB at the defaults) and trains a tiny network on
it with goldfold's own loop, once for each number of workers, each time in a fresh process. A
twentieth of the images has a mask, and as many empty ones join them in an epoch, others each time.

Prints what the process holds, from /proc/self/status. Anonymous memory is what a training needs:
it must not grow with epochs, and with workers only by the batches that they make ahead, whose
size is printed beside. File-backed memory is mostly pages of the cache that were read; all
processes share it, and the system takes it back as it likes, so it may grow up to the cache's size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

SHARE = 20  # one image of so many has a mask
VALIDATED = 16
MEBIBYTE = 1024.0


def write_synthetic_cache(folder: Path, images: int, size: int) -> None:
    """Write the three files of the cache train-SIZE-gray, without ever holding them."""
    from goldfold.files import write_json

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (size, size), dtype=np.uint8)
    mask = np.zeros((size, size), np.uint8)
    mask[size // 4 : size // 2, size // 4 : size // 2] = 1
    folder.mkdir(parents=True, exist_ok=True)
    masks = -(-images // SHARE)
    name = f"train-{size}-gray"
    with (folder / f"{name}.pixels.npy").open("wb") as file:
        _header(file, (images, size, size))
        for row in range(images):
            file.write(np.roll(noise, 7 * row).data)
    with (folder / f"{name}.masks.npy").open("wb") as file:
        _header(file, (masks, size, size))
        for row in range(masks):
            file.write(np.roll(mask, row, axis=1).data)
    facts = {
        "fingerprint": "synthetic",
        "image_ids": [f"i{row:06d}" for row in range(images)],
        "size": size,
        "channels": 1,
        "labelled": True,
        "sizes": [[size, size]] * images,
        "mask_rows": [-1 if row % SHARE else row // SHARE for row in range(images)],
    }
    write_json(folder / f"{name}.json", facts)


def _header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    form = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, form)


def resident() -> dict[str, float]:
    """Return the resident memory of this process by kind, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="ignore")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {
        kind: int(fields[f"Rss{kind}"].split()[0]) / MEBIBYTE for kind in ("Anon", "File", "Shmem")
    }


class Meter:
    """A Progress that measures after every step."""

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self.steps: list[dict[str, float]] = []

    def task(self, description: str, total: int) -> Meter:
        """Return itself as the task."""
        return self

    def __enter__(self) -> Meter:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing."""

    def advance(self, steps: int = 1, **fields: object) -> None:
        """Measure."""
        self.steps += [resident()] * steps

    def say(self, text: str) -> None:
        """Pass the line on."""
        print(text, file=sys.stderr, flush=True)

    warn = say


def train(folder: Path, options: argparse.Namespace, workers: int) -> list[dict[str, float]]:
    """Train in this process; return for each epoch the last and the highest values in MiB."""
    from goldfold.competitions.rle import encode, get_dialect
    from goldfold.settings import ModelSettings, StageSettings
    from goldfold.training.cache import ImageCache
    from goldfold.training.device import choose_device
    from goldfold.training.fold_run import FoldData, FoldRun, train_fold
    from goldfold.training.runtime import Machine
    from goldfold.training.validation import ValidationImages

    cache = ImageCache(folder, f"train-{options.size}-gray")
    rows, held_out = np.split(np.arange(len(cache), dtype=np.int64), [len(cache) - VALIDATED])
    siim = get_dialect("siim")
    validation = ValidationImages(
        rows=held_out,
        sizes=[(options.size, options.size)] * VALIDATED,
        masks=[encode(cache.mask(row), siim) if cache.non_empty[row] else "" for row in held_out],
        dialect=siim,
    )
    data = FoldData(cache, rows, cache.non_empty[rows], validation, "dice")
    model = ModelSettings(encoder="tu-test_resnet", options={"decoder_channels": [16, 8, 8, 8, 8]})
    stage = StageSettings.model_validate(
        {
            "epochs": options.epochs,
            "image_size": options.size,
            "batch_size": options.batch,
            "sampling": {"schedule": "constant", "start": 0.5},
            "augmentation": options.augmentation,
        }
    )
    meter = Meter()
    with tempfile.TemporaryDirectory() as name:
        run = FoldRun(Path(name) / "models/memory/seed-0/fold-0/stage-1", 0, {})
        machine = Machine(choose_device(), workers)
        train_fold(run, model, stage, data, machine=machine, progress=meter)
    steps = len(meter.steps) // options.epochs
    epochs = [meter.steps[first : first + steps] for first in range(0, len(meter.steps), steps)]
    return [{**steps[-1], "Highest": max(step["Anon"] for step in steps)} for steps in epochs]


def measure(folder: Path, workers: int) -> list[dict[str, float]]:
    """Return what `train` does in a fresh process."""
    command = [
        sys.executable,
        __file__,
        *sys.argv[1:],
        "--folder",
        str(folder),
        "--one",
        str(workers),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    epochs: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return epochs


def print_table(by_count: dict[int, list[dict[str, float]]], options: argparse.Namespace) -> None:
    """Print a row for each number of workers and epoch, and the growth."""
    print("\n| workers | epoch | anonymous, MiB | highest | file-backed, MiB | batches ahead, MiB |"
          "\n|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for workers, epochs in by_count.items():
        ahead = (workers + 2) * options.batch * 2 * options.size**2 / MEBIBYTE**2
        for epoch, measured in enumerate(epochs, 1):
            print(f"| {workers} | {epoch} | {measured['Anon']:.0f} | {measured['Highest']:.0f} | "
                  f"{measured['File']:.0f} | {ahead:.0f} |")  # fmt: skip
    for workers, epochs in by_count.items():
        if len(epochs) > 1:
            growth = epochs[-1]["Anon"] - epochs[1 if len(epochs) > 2 else 0]["Anon"]
            since = 2 if len(epochs) > 2 else 1
            print(f"{workers} workers: anonymous memory from epoch {since} to {len(epochs)}: "
                  f"{growth:+.0f} MiB")  # fmt: skip
    fewest, most = min(by_count), max(by_count)
    growth = by_count[most][-1]["Anon"] - by_count[fewest][-1]["Anon"]
    print(f"from {fewest} to {most} workers, after the last epoch: {growth:+.0f} MiB")


def read_options() -> argparse.Namespace:
    """Return the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--augmentation", default="light")
    parser.add_argument("--folder", type=Path, help="where the cache is kept; else it is removed")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = read_options()
    if options.one is not None:
        print(json.dumps(train(options.folder, options, options.one)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        if not (folder / f"train-{options.size}-gray.json").is_file():
            write_synthetic_cache(folder, options.images, options.size)
        print(f"{options.images:,} images of {options.size} px, batches of {options.batch}, "
              f"augmentation {options.augmentation}")  # fmt: skip
        print_table({workers: measure(folder, workers) for workers in options.workers}, options)


if __name__ == "__main__":
    main()
