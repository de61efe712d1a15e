"""Plants faults into copies of the tree, one at a time, and says which tests notice.

    python benchmarks/mutation_check.py
    python benchmarks/mutation_check.py --only "decoded masks are transposed" --whole-suite
    python benchmarks/mutation_check.py --jobs 2 --markdown > table.md

The faults are listed in faults.toml: what each would cost, where it is planted, and the tests that
should notice, files or FILE::NAME. A test that fails without any fault would notice everything, so
all of them run on an unchanged copy first. A fault that its tests let pass survives, unless
`--whole-suite` is given and another test notices. The checkout itself is never changed.

Exit code 1: more than two faults survive, or a test fails without a fault.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAULTS = Path(__file__).with_name("faults.toml")
MOST_SURVIVORS = 2
SUITE = ("tests",)
LIMIT_SECONDS = 1800.0  # of one run of pytest; a fault may make it hang

_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis", "site", "build", "demo"
)


@dataclass(frozen=True)
class Fault:
    """A fault: what it costs the user, the text that is replaced, and who should notice."""

    name: str
    costs: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def problems(self, root: Path) -> list[str]:
        """Return why it cannot be planted into a tree; nothing if it can."""
        path = root / self.file
        if not path.is_file():
            return [f"{self.name}: there is no {self.file}"]
        count = path.read_text(encoding="utf-8").count(self.old)
        found = [f"{self.name}: old text occurs {count} times in {self.file}"] if count != 1 else []
        missing = [test for test in self.tests if not _there_is(root, test)]
        return found + [f"{self.name}: there is no {test}" for test in missing]

    def plant(self, root: Path) -> str:
        """Plant it into a tree and return the text that was there before.

        Raises:
            ValueError: the old text is not there, or several times.
        """
        if problems := self.problems(root):
            raise ValueError("; ".join(problems))
        path = root / self.file
        before = path.read_text(encoding="utf-8")
        path.write_text(before.replace(self.old, self.new), encoding="utf-8")
        return before


def _there_is(root: Path, test: str) -> bool:
    """Return whether a tree has a test file, or a test of a file (FILE::NAME)."""
    file, _, name = test.partition("::")
    path = root / file
    return path.is_file() and f"def {name}" in path.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Noticed:
    """What came of one fault: the test that failed ("" for none), and seconds."""

    fault: Fault
    test: str
    seconds: float


def read_faults(path: Path = FAULTS) -> list[Fault]:
    """Return the faults of a file.

    Raises:
        ValueError: two have one name.
    """
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
    faults = [Fault(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]
    if len({fault.name for fault in faults}) < len(faults):
        raise ValueError(f"{path}: two faults have one name")
    return faults


def copy_tree(root: Path, folder: Path) -> Path:
    """Copy a tree, and lay out beside it the packages under the names that are imported.

    An installed goldfold would be imported from the checkout. A folder of links to the copy, put on
    PYTHONPATH, comes before it.

    Returns:
        The folder for PYTHONPATH.
    """
    shutil.copytree(root, folder, ignore=_NOT_COPIED, dirs_exist_ok=True)
    setup = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    packages = setup["tool"]["setuptools"]["package-dir"]
    site = folder / ".packages"
    (site / "goldfold").mkdir(parents=True)
    for entry in (folder / packages.pop("goldfold")).iterdir():
        (site / "goldfold" / entry.name).symlink_to(entry)
    for name, place in packages.items():
        (site / Path(*name.split("."))).symlink_to(folder / place)
    return site


class Tree:
    """A copy of the checkout in which tests are run."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        """Make the copy."""
        self.folder = folder
        site = copy_tree(root, folder)
        paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",  # a file changed twice in a second looks unchanged
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "passive",
        }
        code = "import goldfold.folds.build as module; print(module.__file__)"
        command = [sys.executable, "-c", code]
        where = subprocess.run(
            command, cwd=folder, env=self.environment, check=True, capture_output=True, text=True
        ).stdout.strip()
        if not Path(where).resolve().is_relative_to(folder.resolve()):
            raise RuntimeError(f"the copy in {folder} imports {where}")

    def first_failure(self, tests: Sequence[str]) -> str:
        """Return the first test that fails, "" if all pass."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=self.environment, timeout=LIMIT_SECONDS,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"no end after {LIMIT_SECONDS:.0f} s"
        if done.returncode == 0:
            return ""
        failed = _FAILED.findall(done.stdout)
        return failed[0] if failed else f"pytest ended with {done.returncode}"

    def try_fault(self, fault: Fault, *, whole_suite: bool) -> Noticed:
        """Plant a fault, run the tests, and take it out again."""
        began, before = time.monotonic(), fault.plant(self.folder)
        try:
            test = self.first_failure(fault.tests)
            if not test and whole_suite:
                test = self.first_failure(SUITE)
        finally:
            (self.folder / fault.file).write_text(before, encoding="utf-8")
        return Noticed(fault, test, time.monotonic() - began)


def try_all(
    faults: Sequence[Fault], trees: Sequence[Tree], whole_suite: bool, tell: Callable[[str], None]
) -> list[Noticed]:
    """Return what came of each fault, several at a time if there are several trees."""
    free: queue.Queue[Tree] = queue.Queue()
    for tree in trees:
        free.put(tree)

    def one(fault: Fault) -> Noticed:
        tree = free.get()
        try:
            noticed = tree.try_fault(fault, whole_suite=whole_suite)
        finally:
            free.put(tree)
        tell(f"{noticed.seconds:6.1f} s  {fault.name}: {noticed.test or 'SURVIVES'}")
        return noticed

    with ThreadPoolExecutor(len(trees)) as pool:
        return list(pool.map(one, faults))


def markdown(results: Sequence[Noticed]) -> str:
    """Return the results as a table."""
    rows = ["| fault | what it would cost | noticed by | s |", "|---|---|---|---:|"]
    rows += [
        f"| {one.fault.name} | {one.fault.costs} | "
        f"{f'`{_short(one.test)}`' if one.test else '**nobody**'} | {one.seconds:.0f} |"
        for one in results
    ]
    return "\n".join(rows)


def _short(test: str) -> str:
    """Return a test's name without its parameters.

    >>> _short("tests/folds/test_build.py::test_groups[3-True]")
    'folds/test_build.py::test_groups'
    """
    return test.removeprefix("tests/").split("[")[0]


def main(words: Sequence[str] | None = None) -> int:
    """Run the check and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="faults to plant")
    parser.add_argument("--jobs", type=int, default=1, help="copies in which tests run at once")
    parser.add_argument(
        "--whole-suite", action="store_true", help="run all tests where the expected ones pass"
    )
    parser.add_argument(
        "--no-first-run", action="store_true", help="trust that all tests pass without a fault"
    )
    parser.add_argument("--markdown", action="store_true", help="print a table at the end")
    chosen = parser.parse_args(words)

    faults = read_faults()
    if unknown := set(chosen.only or []) - {fault.name for fault in faults}:
        parser.error(f"there are no faults {', '.join(sorted(unknown))}")
    faults = [fault for fault in faults if not chosen.only or fault.name in chosen.only]
    if problems := [line for fault in faults for line in fault.problems(ROOT)]:
        parser.error("\n".join(problems))

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="goldfold-faults-") as folder:
        trees = [Tree(Path(folder) / str(number)) for number in range(max(1, chosen.jobs))]
        expected = sorted({test for fault in faults for test in fault.tests})
        failed = "" if chosen.no_first_run else trees[0].first_failure(expected)
        if failed:
            tell(f"{failed} fails without any fault")
            return 1
        results = try_all(faults, trees, chosen.whole_suite, tell)
    if chosen.markdown:
        print(markdown(results))
    survivors = [one.fault.name for one in results if not one.test]
    print(f"{len(results) - len(survivors)} of {len(results)} faults are noticed")
    for name in survivors:
        print(f"survives: {name}")
    return int(len(survivors) > MOST_SURVIVORS)


if __name__ == "__main__":
    sys.exit(main())
