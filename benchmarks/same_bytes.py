"""Whether two versions of goldfold write the same bytes: six small runs through every command.

    python benchmarks/same_bytes.py before.csv                  # at one commit
    python benchmarks/same_bytes.py after.csv --against before.csv    # at another

Each of six synthetic competitions (one mask, salt, several masks, objects, exclusive classes,
labels) is run twice with tiny networks on one thread, then every verb is called: views, average,
blend, pseudo-label, compare, select, explain, export, predict image. The table has one row for each
kind of result with the number of its files and one SHA-256 of them all. Printed JSON counts without
its times. The figures belong to one machine: another processor rounds otherwise. About ten minutes.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loops.processor import processor

MASKS = (
    '[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]}, '
    "channels=CHANNELS, stages=[{epochs=2, image_size=EXTENT, batch_size=8, learning_rate=5e-3, "
    "ema=0.9, validate_from=1}]}]"
)
CLASSES = (
    '[{name="tiny", architecture="Classifier", encoder="test_resnet", channels=CHANNELS, '
    "stages=[{epochs=2, image_size=EXTENT, batch_size=8, learning_rate=1e-3, ema=0.9, loss=LOSS}]}]"
)


@dataclass(frozen=True)
class Competition:
    """A synthetic competition and the network that is trained on it."""

    preset: str
    size: int
    extent: str = "64"
    channels: int = 1
    loss: str = ""
    more: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    """Verbs that are not for this competition."""

    def models(self, seed: int) -> str:
        """Return the setting of the run's models."""
        text = CLASSES if self.loss else MASKS
        named = {"CHANNELS": str(self.channels), "EXTENT": self.extent, "LOSS": self.loss}
        for name, value in named.items():
            text = text.replace(name, value)
        return "models=" + text.replace("}]}]", f"}}], seeds=[{seed}]}}]")


COMPETITIONS = (
    Competition("siim-acr-pneumothorax", 96, more=("competition.images.shape=[96,96]",)),
    Competition("tgs-salt", 101),
    Competition("severstal-steel", 320, "[32, 160]", more=("competition.images.shape=SHAPE",)),
    Competition(
        "airbus-ship",
        96,
        channels=3,
        more=("competition.images.shape=SHAPE",),
        refused=("ensemble blend",),
    ),
    Competition("chest-xray-pneumonia", 96, channels=3, loss="{bce=0, dice=0, cross_entropy=1}"),
    Competition("rsna-intracranial-hemorrhage", 96, channels=3, loss="{bce=1, dice=0}"),
)

FILES = {
    "images.csv": ("images.csv",),
    "folds.csv": ("folds.csv",),
    "weights": ("models/**/checkpoints/*.safetensors",),
    "predictions": ("predictions/**/*.maps", "predictions/**/*.csv"),
    "ensemble.json": ("ensemble.json",),
    "submission.csv": ("submission.csv",),
}
TIMES = re.compile(r"second|milliseconds|_ms$|time")

Row = tuple[str, str, int, str]


class Runner:
    """Calls goldfold in a folder, on one thread."""

    def __init__(self, folder: Path) -> None:
        """Take the folder that every path is relative to."""
        self.folder = folder
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._environment = {**os.environ, **threads, "GOLDFOLD_PROGRESS": "none"}

    def __call__(self, *words: str) -> str:
        """Return what a command prints; end the script where it fails."""
        command = [sys.executable, "-m", "goldfold", *words]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(
                f"error: goldfold {' '.join(words)} ended with {done.returncode}:\n{done.stderr}"
            )
        return done.stdout

    def json_bytes(self, *words: str) -> bytes:
        """Return the JSON that a command prints, without its times, as bytes."""
        return json.dumps(_timeless(json.loads(self(*words, "--json"))), sort_keys=True).encode()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not TIMES.search(k)}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def results(competition: Competition, folder: Path) -> Iterator[Row]:
    """Yield one row for each kind of result of a competition."""
    goldfold = Runner(folder)
    name = competition.preset
    goldfold("competition", "synthesize", "data", "--like", name, "--train", "40", "--test", "10",
             "--size", str(competition.size))  # fmt: skip
    for seed, run in enumerate(("first", "second")):
        goldfold("init", name, "--data", "data", "-o", run, "--recipe", "quick",
                 *_settings(competition, folder / "data", seed))  # fmt: skip
        goldfold("run", run)
        for kind, globs in FILES.items():
            yield _row(name, f"{run}: {kind}", _files(folder / run, globs))
    yield from _verbs(competition, goldfold, folder)


def _verbs(competition: Competition, goldfold: Runner, folder: Path) -> Iterator[Row]:
    """Yield one row for each verb that compares, combines or explains what was run."""
    name = competition.preset
    listed = list(csv.DictReader((folder / "first" / "images.csv").open(encoding="utf-8")))
    tested = [row for row in listed if row["split"] == "test"]
    image = tested[0]
    printed = {
        "predict views": ("predict", "views", "first", "--view", "none", "--view", "hflip"),
        "ensemble average": ("ensemble", "average", "first"),
        "ensemble blend": ("ensemble", "blend", "first", "--with", "second"),
        "submit compare": ("submit", "compare", "first/submission.csv", "second/submission.csv",
                           "--competition", "first"),
        "submit select": ("submit", "select", "first", "second", "--tolerance", "1"),
        "submit explain": ("submit", "explain", "first", image["image_id"], "-o", "explained.png"),
    }  # fmt: skip
    for verb, words in printed.items():
        if verb in competition.refused:
            continue
        yield _row(name, verb, {"printed": goldfold.json_bytes(*words)})
    yield _row(name, "submit explain: picture", _files(folder, ("explained.png",)))
    goldfold("train", "pseudo-label", "first")
    labels = _files(folder / "first" / "pseudo-labels", ("**/*.maps", "**/*.csv"))
    yield _row(name, "pseudo-labels", labels)
    goldfold("export", "first", "-o", "model")
    yield _row(name, "export", _files(folder / "model", ("**/*",)))
    told = goldfold.json_bytes("predict", "image", "model", f"data/{image['path']}", "-o", "seen")
    yield _row(name, "predict image", {"printed": told, **_files(folder / "seen", ("**/*",))})
    both = ("--set", 'ensemble.runs=["../second"]')
    goldfold("ensemble", "run", "first", *both)
    goldfold("submit", "write", "first", *both, "--overwrite")
    for kind in ("ensemble.json", "submission.csv"):
        yield _row(name, f"both: {kind}", _files(folder / "first", FILES[kind]))


def _settings(competition: Competition, data: Path, seed: int) -> list[str]:
    settings = [
        competition.models(seed),
        "folds.count=2",
        "folds.train=[0,1]",
        "inference.checkpoints=2",
        "ensemble.bootstrap_samples=100",
        "workers=1",
        *(_with_shape(setting, data) for setting in competition.more),
    ]
    return [word for setting in settings for word in ("--set", setting)]


def _with_shape(setting: str, data: Path) -> str:
    """Return a setting with the height and width of the JPEGs, which are all of one size."""
    if "SHAPE" not in setting:
        return setting
    import cv2

    height, width = cv2.imread(str(next(data.rglob("*.jpg")))).shape[:2]
    return setting.replace("SHAPE", f"[{height},{width}]")


def _files(folder: Path, globs: Sequence[str]) -> dict[str, bytes]:
    paths = sorted({path for glob in globs for path in folder.glob(glob) if path.is_file()})
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _row(competition: str, result: str, files: dict[str, bytes]) -> Row:
    if not files:
        sys.exit(f"error: {competition} has no files of {result}")
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return competition, result, len(files), digest.hexdigest()


def compare(rows: Sequence[Row], before: Path) -> bool:
    """Print each row that differs from another table's, and return whether none does."""
    with before.open(encoding="utf-8", newline="") as file:
        old = {(row["competition"], row["result"]): row["sha256"] for row in csv.DictReader(file)}
    new = {(competition, result): digest for competition, result, _, digest in rows}
    named = {name for name, _ in new}
    differing = [key for key in {**old, **new} if key[0] in named and old.get(key) != new.get(key)]
    for competition, result in differing:
        print(f"DIFFERENT {competition}: {result}")
    print(f"{len(new) - len(differing)} of {len(new)} results have the same bytes")
    return not differing


def main() -> None:
    """Run the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("table", type=Path, help="CSV to write")
    parser.add_argument("--against", type=Path, help="CSV of another commit")
    parser.add_argument("--only", nargs="*", default=[], help="names of presets")
    options = parser.parse_args()
    print(processor())
    rows: list[Row] = []
    for competition in COMPETITIONS:
        if options.only and competition.preset not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for row in results(competition, Path(folder)):
                rows.append(row)
                print(f"{row[0]:<30} {row[1]:<28} {row[2]:>4} files  {row[3][:16]}", flush=True)
    with options.table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("competition", "result", "files", "sha256"))
        writer.writerows(rows)
    if options.against is not None:
        sys.exit(not compare(rows, options.against))


if __name__ == "__main__":
    main()
