"""`import goldfold as gf`: every name is there, and none costs anything before it is used."""

import subprocess
import sys

import pytest

import goldfold as gf

HOMES = {
    "FoldSampler": "goldfold.training.fold_sampler",
    "InputError": "goldfold.errors",
    "LineProgress": "goldfold.progress_lines",
    "ProbabilityRule": "goldfold.ensemble.probability_rule",
    "Run": "goldfold.pipeline.run",
    "build_folds": "goldfold.folds.frame",
    "choose_rule": "goldfold.ensemble.rule_choice",
    "honest_score": "goldfold.ensemble.own_predictions",
    "read_model": "goldfold.pipeline.model_folder",
    "write_submission": "goldfold.submissions.fill_sample",
}


def test_the_names_are_listed_before_they_are_used():
    code = "import goldfold as gf; print(*[name for name in gf.__all__ if name in dir(gf)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["__version__", *sorted([*HOMES, "rle"])]


@pytest.mark.parametrize("name", HOMES)
def test_a_name_is_that_of_its_package(name):
    value = getattr(gf, name)
    assert value.__module__ == HOMES[name]
    package = sys.modules[HOMES[name].rpartition(".")[0]]
    assert getattr(package, name) is value


def test_rle_is_the_module():
    import goldfold.competitions.rle

    assert gf.rle is goldfold.competitions.rle


def test_another_name_is_an_error():
    with pytest.raises(AttributeError, match="module 'goldfold' has no attribute 'bild_folds'"):
        _ = gf.bild_folds


def test_importing_goldfold_loads_next_to_nothing():
    code = (
        "import sys; before = set(sys.modules); import goldfold\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name != "collections.abc"}
    assert loaded == {"goldfold", "goldfold.lazy_imports"}
