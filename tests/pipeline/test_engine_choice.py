"""The engine of a run is chosen once: as it is set, as it was measured, or else PyTorch."""

from types import SimpleNamespace

import pytest

from goldfold.files import read_json, write_json
from goldfold.inference.engine import Choice
from goldfold.pipeline import engine_choice
from goldfold.pipeline.engine_choice import known_engine, predicting_device, resolve_engine
from goldfold.pipeline.fold_trainings import choose_trainings


@pytest.fixture
def measured(monkeypatch):
    """Let torch.compile win, and keep how many passes were said to lie ahead."""
    asked = []

    def choose(model, device, example, *, passes, say):
        asked.append((tuple(example.shape), passes))
        return Choice("compile", "it was faster")

    monkeypatch.setattr("goldfold.inference.engine.choose_engine", choose)
    monkeypatch.setattr("goldfold.training.checkpoint.load_model", lambda *_, **__: None)
    monkeypatch.setattr(engine_choice, "predicting_checkpoints", lambda *_: [SimpleNamespace()])
    return asked


def path_of(run):
    return run.directory.root / "predictions/engine.json"


@pytest.mark.parametrize("engine", ["torch", "compile", "openvino"])
def test_an_engine_that_is_set_is_taken_without_a_measurement(tabled, measured, engine):
    run = tabled(f"inference.engine={engine}")
    resolve_engine(run, choose_trainings(run), ["test"])
    write_json(path_of(run), {"engine": "compile"})
    assert (known_engine(run), measured) == (engine, [])


def test_auto_is_pytorch_until_it_was_measured_and_then_stays(tabled, measured):
    run = tabled("inference.engine=auto", "inference.batch_size=2", "inference.views=hflip")
    assert known_engine(run) == "torch"
    jobs = choose_trainings(run)  # two seeds of two folds
    resolve_engine(run, jobs, ["out-of-fold", "test"])
    # Each network: half of four training images, and both test images, in batches of 2; two views.
    assert measured == [((2, 1, 64, 64), 4)]
    assert known_engine(run) == "compile"
    assert read_json(path_of(run))["because"] == "it was faster"
    resolve_engine(run, jobs, ["test"])
    assert len(measured) == 1


def test_without_jobs_nothing_is_measured(tabled, measured):
    run = tabled("inference.engine=auto")
    resolve_engine(run, [], ["test"])
    assert (measured, path_of(run).exists()) == ([], False)


@pytest.mark.parametrize("content", ['{"engine": 7}', "[]", "{"])
def test_a_damaged_record_counts_as_none(tabled, content):
    run = tabled("inference.engine=auto")
    path_of(run).parent.mkdir()
    path_of(run).write_text(content)
    assert known_engine(run) == "torch"


def test_networks_predict_in_the_precision_that_they_are_trained_in(tabled, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "goldfold.training.device.choose_device", lambda *given, **how: asked.append(given)
    )
    predicting_device(tabled("training.precision=float32", "training.channels_last=false"))
    assert asked == [("float32", False)]
