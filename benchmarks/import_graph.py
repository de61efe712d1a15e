"""The house in figures: lines and imports of each package, circles, and what one run touches.

    python benchmarks/import_graph.py            # the packages, their lines, and what they import
    python benchmarks/import_graph.py --visited  # and the modules that a whole tiny run executes

Imports inside functions count, those for type checkers do not. A module is visited when one of its
functions runs; the run goes from DICOM files to submission.csv on one small synthetic competition.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "competitions", "folds", "training", "inference", "ensemble", "submissions",
            "tasks", "pipeline", "commands")  # fmt: skip
TINY = (
    'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]}, '
    "stages=[{epochs=1, image_size=64, batch_size=8}]}]",
    "competition.images.shape=[96,96]",
    "folds.count=2",
    "ensemble.bootstrap_samples=100",
)


def files_of(package: str) -> list[Path]:
    """Return the modules of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def packages_imported(file: Path) -> set[str]:
    """Return the packages of goldfold that a module imports."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    names = [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in skipped
    ]
    parts = [name.split(".") for name in names if name.split(".")[0] == "goldfold"]
    return {part[1] if len(part) > 1 and part[1] in PACKAGES else "core" for part in parts}


def print_packages() -> None:
    """Print one row per package: modules, lines, and how many of its modules import which other."""
    print("| package | modules | lines | imports (modules that do) |\n|---|---:|---:|---|")
    for package in PACKAGES:
        files = files_of(package)
        lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
        imports = Counter(other for file in files for other in packages_imported(file))
        told = ", ".join(f"{other} {imports[other]}" for other in PACKAGES if imports[other])
        print(f"| {package} | {len(files)} | {lines:,} | {told} |")


def visited_modules() -> set[Path]:
    """Return the modules of which a function runs, from DICOM files to submission.csv."""
    seen: set[str] = set()

    def note(frame: FrameType, _event: str, _argument: Any) -> None:
        if frame.f_code.co_name != "<module>":
            seen.add(frame.f_code.co_filename)

    from goldfold.commands.app import app

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        commands = (
            ["competition", "synthesize", "data", "--train", "24", "--test", "8", "--size", "96"],
            ["init", "siim-acr-pneumothorax", "--data", "data", "-o", "run", "--recipe", "quick",
             *(word for setting in TINY for word in ("--set", setting))],
            ["run", "run"],
        )  # fmt: skip
        for words in commands:
            if words[0] == "run":
                sys.setprofile(note)
            try:
                app(words)
            except SystemExit as end:
                if end.code:
                    raise
            finally:
                sys.setprofile(None)
        os.chdir(ROOT)
    return {
        Path(name) for name in seen if Path(name).is_relative_to(ROOT / "") and ".venv" not in name
    }


def print_visited() -> None:
    """Print how many modules of each package a run executes on its main thread."""
    visited = visited_modules()
    counts = Counter(path.relative_to(ROOT).parts[0] for path in visited)
    modules = {package: len(files_of(package)) for package in PACKAGES}
    print("\n| package | visited | modules |\n|---|---:|---:|")
    for package in PACKAGES:
        print(f"| {package} | {counts[package]} | {modules[package]} |")
    total = sum(counts[package] for package in PACKAGES)
    print(f"| all | {total} | {sum(modules.values())} |")


def main() -> None:
    """Run the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--visited", action="store_true", help="run a tiny competition")
    options = parser.parse_args()
    print_packages()
    if options.visited:
        print_visited()


if __name__ == "__main__":
    main()
