"""Which checkpoints of a training predict."""

from types import SimpleNamespace

import pytest

from goldfold.errors import InputError
from goldfold.files import write_json
from goldfold.pipeline import checkpoint_choice
from goldfold.pipeline.checkpoint_choice import (
    compared_checkpoints,
    predicting_checkpoints,
)
from goldfold.pipeline.fold_trainings import choose_trainings


@pytest.fixture
def kept(monkeypatch):
    """Let each training have four checkpoints, the best first."""

    def kept_of(folder):
        return [SimpleNamespace(sha256=f"{folder.parts[-2]} {place}") for place in range(4)]

    monkeypatch.setattr("goldfold.training.checkpoint.list_checkpoints", kept_of)


@pytest.mark.parametrize(
    ("settings", "places"),
    [
        (["inference.average=off", "inference.checkpoints=3"], [0, 1, 2]),
        (["inference.average=best", "inference.checkpoints=3"], [0]),
    ],
)
def test_the_best_ones_predict_or_the_best_alone(tabled, kept, settings, places):
    run = tabled(*settings)
    job = choose_trainings(run)[1]
    chosen = [one.sha256 for one in predicting_checkpoints(run, job)]
    assert chosen == [f"fold-1 {place}" for place in places]


def test_auto_takes_what_was_best_when_they_were_compared(tabled, kept, monkeypatch):
    run = tabled("inference.average=auto", "inference.checkpoints=2")
    job = choose_trainings(run)[0]
    for way, count in (("best", 1), ("predictions", 2)):
        made_from = compared_checkpoints(run, [job])
        content = {"tiny": {"best": way, "made_from": made_from}}
        write_json(checkpoint_choice.averages_path(run), content)
        assert len(predicting_checkpoints(run, job)) == count


@pytest.mark.parametrize("way", ["uniform", "greedy"])
def test_an_average_predicts_alone(tabled, kept, monkeypatch, way):
    run = tabled(f"inference.average={way}")
    monkeypatch.setattr(checkpoint_choice, "averaged_checkpoint", lambda *given: given[-1])
    assert predicting_checkpoints(run, choose_trainings(run)[0]) == [way]


def test_an_average_that_is_not_made_names_the_command(tabled, kept):
    run = tabled("inference.average=greedy")
    with pytest.raises(InputError, match=r"greedy\.json does not exist.*goldfold ensemble average"):
        predicting_checkpoints(run, choose_trainings(run)[0])


def test_only_checkpoints_that_count_are_compared(tabled, kept):
    run = tabled("inference.checkpoints=2")
    compared = compared_checkpoints(run, choose_trainings(run)[:2])
    assert compared == {
        "seed-0/fold-0": ["fold-0 0", "fold-0 1"], "seed-0/fold-1": ["fold-1 0", "fold-1 1"],
    }  # fmt: skip
