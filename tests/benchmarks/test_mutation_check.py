"""The list of planted faults is kept alive, and the script that plants them tells the truth."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def check(benchmark_module):
    return benchmark_module("mutation_check.py")


def test_there_are_thirty_faults_with_names_of_their_own(check):
    assert len(check.read_faults()) >= 30


def test_every_fault_can_be_planted_once_and_names_tests_that_exist(check):
    problems = [line for fault in check.read_faults() for line in fault.problems(ROOT)]
    assert problems == []


def test_a_planted_fault_is_still_python(check):
    for fault in check.read_faults():
        text = (ROOT / fault.file).read_text(encoding="utf-8")
        compile(text.replace(fault.old, fault.new), fault.file, "exec")
        assert fault.old != fault.new


def test_every_package_has_faults(check):
    setup = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = {fault.file.split("/")[0] for fault in check.read_faults()}
    for package in ("core", "competitions", "folds", "training", "inference", "ensemble",
                    "submissions", "tasks", "pipeline"):  # fmt: skip
        assert f'= "{package}"' in setup
        assert package in packages


def small_tree(folder, answer="42"):
    """A tree with one package, one test that holds its answer, and one that passes always."""
    for name in ("core", "folds", "tests"):
        (folder / name).mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[tool.setuptools.package-dir]\n"goldfold" = "core"\n"goldfold.folds" = "folds"\n'
        '[tool.pytest.ini_options]\naddopts = "-ra"\n'
    )
    (folder / "core/__init__.py").write_text("")
    (folder / "folds/__init__.py").write_text("")
    (folder / "folds/build.py").write_text(f"ANSWER = {answer}\n")
    (folder / "tests/test_answer.py").write_text(
        "from goldfold.folds.build import ANSWER\n\n\ndef test_answer():\n    assert ANSWER == 42\n"
    )
    (folder / "tests/test_nothing.py").write_text("def test_nothing():\n    pass\n")
    return folder


def fault_of(check, tests, old="42"):
    return check.Fault("wrong", "all", "folds/build.py", old, "43", tests)


@pytest.mark.parametrize(
    ("tests", "whole_suite", "noticed"),
    [
        (("tests/test_answer.py",), False, "tests/test_answer.py::test_answer"),
        (("tests/test_nothing.py",), False, ""),
        (("tests/test_nothing.py",), True, "tests/test_answer.py::test_answer"),
    ],
)
def test_a_fault_is_planted_in_the_copy_noticed_and_taken_out(
    check, tmp_path, tests, whole_suite, noticed
):
    root = small_tree(tmp_path / "root")
    tree = check.Tree(tmp_path / "copy", root)
    (result,) = check.try_all([fault_of(check, tests)], [tree], whole_suite, lambda _: None)
    assert result.test == noticed
    assert (root / "folds/build.py").read_text() == "ANSWER = 42\n"
    assert (tree.folder / "folds/build.py").read_text() == "ANSWER = 42\n"
    assert ("**nobody**" in check.markdown([result])) is (noticed == "")


def test_a_fault_that_no_longer_matches_is_an_error(check, tmp_path):
    root = small_tree(tmp_path / "root", answer="42 if True else 42")
    with pytest.raises(ValueError, match="old text occurs 2 times"):
        fault_of(check, ("tests/test_answer.py",)).plant(root)
    assert fault_of(check, ("tests/test_gone.py",), old="24").problems(root) == [
        "wrong: old text occurs 0 times in folds/build.py",
        "wrong: there is no tests/test_gone.py",
    ]
