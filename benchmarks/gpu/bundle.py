"""One archive with all that the real training of gpu_check.py needs, for machines without data.

    python benchmarks/gpu/bundle.py TGS_FOLDER ENCODER.safetensors bundle.tar

TGS_FOLDER is the unpacked competition (train.csv, train/images ...), ENCODER the ImageNet weights
of tf_efficientnet_lite0. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from pathlib import Path

COMPETITION, WEIGHTS = "tgs", "lite0.safetensors"
NEEDED = ("train.csv", "depths.csv", "sample_submission.csv", "train/images", "test/images")


def write_bundle(competition: Path, weights: Path, archive: Path) -> None:
    """Write the archive; PNGs and weights do not shrink, so it is not compressed."""
    missing = [name for name in NEEDED if not (competition / name).exists()]
    if missing or not weights.is_file():
        sys.exit(f"error: {competition} lacks {', '.join(missing)}" if missing else
                 f"error: {weights} is not a file")  # fmt: skip
    with tarfile.open(archive, "w") as tar:
        for path in sorted(each for each in competition.rglob("*") if each.is_file()):
            _add(tar, path, f"{COMPETITION}/{path.relative_to(competition).as_posix()}")
        _add(tar, weights, WEIGHTS)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = path.stat().st_size, 0o644
    with path.open("rb") as content:
        tar.addfile(entry, content)


def open_bundle(path: Path, scratch: Path) -> Path:
    """Return the folder of a bundle: itself, or the archive's content below a scratch folder."""
    folder = path
    if path.is_file():
        folder = scratch / "bundle"
        with tarfile.open(path) as tar:
            tar.extractall(folder, filter="data")
    lacking = [name for name in (COMPETITION, WEIGHTS) if not (folder / name).exists()]
    if lacking:
        sys.exit(f"error: {path} lacks {' and '.join(lacking)}; make it with bundle.py")
    return folder


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("competition", type=Path, help="folder of the TGS competition")
    parser.add_argument("weights", type=Path, help=".safetensors file of the encoder")
    parser.add_argument("archive", type=Path, help="where to write the archive")
    options = parser.parse_args()
    write_bundle(options.competition, options.weights, options.archive)
    print(f"{options.archive}: {options.archive.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
