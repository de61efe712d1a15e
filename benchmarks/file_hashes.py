"""Hashing the files of a competition: all of them once, then again when none has changed.

    python benchmarks/file_hashes.py [--files 12000] [--kilobytes 150] [--folder FOLDER]

The second pass is what every command costs on unchanged data: finding the files and looking each
up in the memory. The files are of random bytes, and lie in the page cache of the system when they
are hashed, so the first pass measures hashing; on a disk that reads more slowly, the disk decides.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from goldfold import file_hashes
from goldfold.competitions.input_files import input_files
from goldfold.settings import CompetitionSettings

SETTLED_SECONDS = file_hashes.SETTLED_NS / 1e9


def make_files(folder: Path, count: int, size: int) -> None:
    """Write so many files of random bytes, each in a folder of its own as in SIIM-ACR."""
    for number in range(count):
        path = folder / "train" / f"{number % 1000:03d}" / f"{number:06d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))


def measure(settings: CompetitionSettings, memory: Path, workers: int) -> tuple[float, Any]:
    """Return the seconds that a pass over all files takes, and its hashes."""
    began = time.perf_counter()
    hashes = input_files(settings, memory=memory, workers=workers)
    return time.perf_counter() - began, hashes


def read_options() -> argparse.Namespace:
    """Return the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--files", type=int, default=12_000)
    parser.add_argument("--kilobytes", type=int, default=150, help="of each file")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="where the files are written and removed")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        data, memory = Path(name) / "data", Path(name) / "memory"
        make_files(data, options.files, options.kilobytes * 1000)
        settings = CompetitionSettings.model_validate(
            {"data": data, "images": {"train": ["train/**/*.dcm"], "test": []},
             "labels": {"files": []}}
        )  # fmt: skip
        time.sleep(SETTLED_SECONDS)  # files that have just been written are not remembered
        first, hashes = measure(settings, memory, options.workers)
        second, again = measure(settings, memory, options.workers)
        assert again == hashes
        size = memory.stat().st_size
    megabytes = options.files * options.kilobytes / 1000
    print(f"{options.files:,} files, {megabytes:,.0f} MB; the memory takes {size / 1e6:.1f} MB")
    print("\n| pass | seconds | MB/s | ratio |\n|---|---:|---:|---:|")
    print(f"| first | {first:.2f} | {megabytes / first:,.0f} | 1 |")
    print(f"| second, nothing changed | {second:.2f} | | {second / first:.2f} |")


if __name__ == "__main__":
    main()
