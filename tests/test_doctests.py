"""The examples in docstrings do what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "competitions", "folds", "training", "inference", "ensemble", "submissions")
FILES = [
    file
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in file.read_text(encoding="utf-8")
]


def module_name(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "core" else parts
    return ".".join(["goldfold", *parts]).removesuffix(".__init__")


def test_there_are_examples():
    assert len(FILES) > 50


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_examples(file):
    module = importlib.import_module(module_name(file))
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
