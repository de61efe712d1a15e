from pathlib import Path

import pytest

from goldfold.errors import InputError, OutputError
from goldfold.rundirectory import RunDirectory


def test_where_everything_is():
    run = RunDirectory(Path("runs/a"))
    places = {
        "goldfold.toml": run.settings,
        "run.json": run.facts,
        "images.csv": run.images,
        "folds.csv": run.folds,
        "cache": run.cache,
        "ensemble.json": run.ensemble,
        "submission.json": run.submission_facts,
        "out.csv": run.submission("out.csv"),
        "models/m/seed-0/fold-3": run.fold("m", 0, 3),
        "predictions/m/seed-1/fold-0": run.predictions("m", 1, 0),
        "stages/folds.json": run.stage("folds").path,
    }
    assert {name: path.as_posix() for name, path in places.items()} == {
        name: f"runs/a/{name}" for name in places
    }


def test_what_is_missing_names_the_command_that_makes_it(tmp_path):
    run = RunDirectory(tmp_path)
    with pytest.raises(InputError, match=r"folds\.csv does not exist yet\. Run `goldfold folds"):
        run.require(run.folds, "goldfold folds build")
    run.folds.write_text("")
    assert run.require(run.folds, "") == run.folds


def test_a_stage_is_current_only_for_what_it_was_made_from(tmp_path):
    stage = RunDirectory(tmp_path).stage("folds")
    assert not stage.exists()
    assert not stage.is_current({"a": 1})
    stage.write({"a": 1, "b": (2, 3)})
    assert stage.exists()
    assert stage.is_current({"b": [2, 3], "a": 1})
    assert not stage.is_current({"a": 2})
    stage.forget()
    assert not stage.exists()
    stage.forget()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_damaged_record_vouches_for_nothing(tmp_path, text):
    stage = RunDirectory(tmp_path).stage("folds")
    stage.write({"a": 1})
    stage.path.write_text(text)
    assert not stage.is_current({"a": 1})


def test_a_record_that_cannot_be_removed_is_named(tmp_path, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(
        OutputError, match=r"cannot remove .*images\.json: Permission denied\. Make"
    ):
        RunDirectory(tmp_path).stage("images").forget()
