"""One fold from the first epoch to the result: above all, a training that was killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from goldfold.competitions.rle import get_dialect
from goldfold.errors import GoldfoldError, InputError, NotFiniteError, OutputError, Stopped
from goldfold.files import read_json
from goldfold.locks import locked_folder
from goldfold.settings import ModelSettings, StageSettings
from goldfold.training import fold_files as fold_files_module
from goldfold.training import fold_run as fold_run_module
from goldfold.training import state as state_module
from goldfold.training import step as step_module
from goldfold.training import trainer as trainer_module
from goldfold.training import validation as validation_module
from goldfold.training.assembly import build_network
from goldfold.training.cache import ImageCache
from goldfold.training.checkpoint import list_checkpoints, load_model
from goldfold.training.device import Device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.initial_weights import start_fingerprint, starting_weights
from goldfold.training.runtime import Machine
from goldfold.training.state import load_last_weights
from goldfold.training.stopping import StopRequest
from goldfold.training.validation import ValidationImages, ValidationScore, validate

MODEL = ModelSettings(
    name="tiny", encoder="tu-test_resnet", options={"decoder_channels": [16, 8, 8, 8, 8]}
)
STAGE = StageSettings(
    epochs=3,
    image_size=32,
    batch_size=4,
    learning_rate=0.005,
    augmentation="strong",
    sampling={"schedule": "linear", "start": 0.8, "end": "natural"},
    keep_checkpoints=2,
)
MADE_FROM = {"model": MODEL.model_dump(mode="json"), "seed": 0, "data": "abc"}
CPU = Device(torch.device("cpu"), None, "CPU, float32")


class StoppedError(Exception):
    """What the tests throw into a training."""


class Stopper:
    """A progress that throws at the n-th step, and remembers what was said."""

    def __init__(self, at=None):
        self.at, self.steps, self.said, self.total = at, 0, [], None

    @contextmanager
    def task(self, description, total):
        self.total = total
        yield self

    def advance(self, steps=1, **_):
        self.steps += steps
        if self.steps == self.at:
            raise StoppedError

    def say(self, text):
        self.said.append(text)

    def warn(self, text):
        self.said.append(text)


def fold_data(cache, texts):
    rows = np.arange(10)
    held_out = np.arange(10, len(texts))
    validation = ValidationImages(
        rows=held_out,
        sizes=[(40, 56)] * len(held_out),
        masks=[texts[row] for row in held_out],
        dialect=get_dialect("siim"),
    )
    return FoldData(cache, rows, cache.non_empty[rows], validation, "dice")


def train(
    folder, data, *, stage=STAGE, model=MODEL, made_from=None, before=None, workers=0,
    progress=None, state_seconds=0, extend_epochs=0, **machine,
):  # fmt: skip
    torch.manual_seed(torch.randint(1000, (1,)).item())  # what the caller did must not matter
    run = FoldRun(folder, 0, MADE_FROM if made_from is None else made_from, before)
    machine = Machine(CPU, workers, state_seconds=state_seconds, **machine)
    return train_fold(
        run, model, stage, data,
        machine=machine, extend_epochs=extend_epochs, progress=progress or Stopper(),
    )  # fmt: skip


TIMINGS = ["seconds", "waiting_seconds", "validation_seconds", "images_per_second"]


def untimed(row):
    return {name: value for name, value in row.items() if name not in TIMINGS}


def content(folder):
    """Return all that a training leaves, by name: bytes, or the table without its timings."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == "history.csv":
            found[name] = pd.read_csv(path).drop(columns=TIMINGS).to_csv()
        elif name == "history.jsonl":
            found[name] = [untimed(json.loads(line)) for line in path.read_text().splitlines()]
        elif name == "state/state.json":
            state = json.loads(path.read_text())
            state["history"] = [untimed(row) for row in state["history"]]
            state["so_far"] = {**state["so_far"], "seconds": 0, "waited": 0}
            found[name] = state
        else:
            found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def data(cache, mask_texts):
    return fold_data(cache, mask_texts)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("unbroken") / "fold-0"
    train(folder, data)
    return folder


def assert_same(folder, unbroken):
    one, other = content(folder), content(unbroken)
    assert list(one) == list(other)
    assert [name for name in one if one[name] != other[name]] == []


# --- what a training leaves ----------------------------------------------------------------------


def test_the_folder_of_a_finished_training(unbroken):
    names = list(content(unbroken))
    assert [name for name in names if "checkpoints" not in name] == [
        "history.csv",
        "history.jsonl",
        "result.json",
        "state/epoch-0003-step-000000.safetensors",
        "state/state.json",
    ]
    assert len([name for name in names if name.startswith("checkpoints")]) == 4


def test_history_has_a_row_an_epoch(unbroken):
    history = pd.read_csv(unbroken / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["score"].between(0, 1).all()
    assert history["non_empty_fraction"].iloc[0] > history["non_empty_fraction"].iloc[-1]
    assert (history["learning_rate"] > 0).all()


def test_the_best_checkpoints_are_kept_and_score_what_they_say(unbroken, data):
    history = pd.read_csv(unbroken / "history.csv")
    ranked = history.sort_values(["score", "non_empty_score", "epoch"], ascending=False)
    best = ranked["epoch"].tolist()[:2]
    found = list_checkpoints(unbroken)
    assert [c.epoch for c in found] == best
    result = json.loads((unbroken / "result.json").read_text())
    assert [c["sha256"] for c in result["checkpoints"]] == [c.sha256 for c in found]
    model = load_model(found[0], CPU.device)
    again = validate(model, data.cache, data.validation, metric="dice", batch_size=4, device=CPU)
    assert again.score == found[0].score
    assert again.non_empty_score == found[0].facts["non_empty_score"]


def test_a_finished_training_is_not_touched_again(unbroken, data):
    before = {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")}
    result = train(unbroken, data, progress=Stopper(at=1))
    assert result == json.loads((unbroken / "result.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")} == before


def test_validation_where_it_is_due_and_always_after_the_last_epoch(tmp_path, data):
    stage = STAGE.model_copy(update={"epochs": 4, "validate_from": 2, "validate_every": 2})
    train(tmp_path, data, stage=stage)
    scores = pd.read_csv(tmp_path / "history.csv")["score"]
    assert scores.notna().tolist() == [False, True, False, True]
    stage = STAGE.model_copy(update={"epochs": 1, "validate_from": 5})
    train(tmp_path / "late", data, stage=stage)
    assert pd.read_csv(tmp_path / "late" / "history.csv")["score"].notna().tolist() == [True]


# --- the same bytes, whatever happened -----------------------------------------------------------


def test_the_number_of_workers_changes_nothing(tmp_path, data, unbroken):
    train(tmp_path, data, workers=3)
    assert_same(tmp_path, unbroken)


def test_stopped_after_each_epoch(tmp_path, data, unbroken):
    for _ in range(2):
        with pytest.raises(StoppedError):
            train(tmp_path, data, progress=StopAfterEpoch(tmp_path))
    final = Stopper()
    train(tmp_path, data, progress=final)
    assert final.said == [f"{named(tmp_path)}: resuming after epoch 2 of 3"]
    assert_same(tmp_path, unbroken)


def named(folder):
    return f"{folder.parents[2].name} {folder.parent.name} {folder.name}"


class StopAfterEpoch(Stopper):
    """Throws at the first step after another epoch was saved."""

    def __init__(self, folder):
        super().__init__()
        self.state = folder / "state" / "state.json"
        self.before = self.state.read_bytes() if self.state.exists() else None

    def advance(self, steps=1, **_):
        now = self.state.read_bytes() if self.state.exists() else None
        if now != self.before:
            raise StoppedError


@pytest.mark.parametrize("at", [1, 2, 4, 5, 7])
def test_stopped_at_any_step(tmp_path, data, unbroken, at):
    with pytest.raises(StoppedError):
        train(tmp_path, data, progress=Stopper(at), workers=2)
    train(tmp_path, data)
    assert_same(tmp_path, unbroken)


@pytest.mark.parametrize("place", ["write_history", "save_state", "keep_best", "write_json"])
def test_stopped_before_each_thing_that_is_written(tmp_path, data, unbroken, place):
    """Whichever of the writes is not reached, the next start makes good for it."""
    whole = getattr(fold_files_module, place)
    calls = []

    def throw(*arguments):
        calls.append(1)
        if place == "write_json" or len(calls) == 2:
            raise StoppedError
        return whole(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_files_module, place, throw)
        with pytest.raises(StoppedError):
            train(tmp_path, data)
    train(tmp_path, data)
    assert_same(tmp_path, unbroken)


@pytest.mark.parametrize("call", [1, 2])
def test_stopped_between_the_tensors_of_the_state_and_the_file_that_names_them(
    tmp_path, data, unbroken, call
):
    whole, calls = state_module.write_json, []

    def throw(*arguments):
        calls.append(1)
        if len(calls) == call:
            raise StoppedError
        whole(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_module, "write_json", throw)
        with pytest.raises(StoppedError):
            train(tmp_path, data)
    assert (tmp_path / "state" / f"epoch-000{call}-step-000000.safetensors").exists()
    train(tmp_path, data)
    assert_same(tmp_path, unbroken)


def test_a_network_with_dropout_goes_on_bit_by_bit(tmp_path, data, monkeypatch):
    def with_dropout(*arguments, **keywords):
        model = build_network(*arguments, **keywords)
        model.segmentation_head = nn.Sequential(nn.Dropout(0.5), model.segmentation_head)
        return model

    monkeypatch.setattr(fold_run_module, "build_network", with_dropout)
    stage = STAGE.model_copy(update={"epochs": 2})
    train(tmp_path / "a", data, stage=stage)
    with pytest.raises(StoppedError):
        train(tmp_path / "b", data, stage=stage, progress=Stopper(4))
    train(tmp_path / "b", data, stage=stage)
    assert_same(tmp_path / "b", tmp_path / "a")


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_fold_run as t
from goldfold.training import fold_files

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Killer(t.Stopper):
    def advance(self, steps=1, **_):
        self.steps += steps
        if self.steps == int(place):
            die()

folder, cache_folder, cache_name, texts, place = sys.argv[2:]
progress = None
if place.isdecimal():
    progress = Killer()
else:  # the checkpoint stands, the state does not
    fold_files.save_state = die
t.torch.set_num_threads(1)
cache = t.ImageCache(Path(cache_folder), cache_name)
t.train(Path(folder), t.fold_data(cache, t.json.loads(texts)), progress=progress, workers=2)
"""


@pytest.mark.parametrize("place", ["5", "before the state"])
def test_killed(tmp_path, data, mask_texts, unbroken, place):
    """SIGKILL in the middle of an epoch, and between the writes at its end."""
    cache: ImageCache = data.cache
    folder = tmp_path / "fold-0"
    words = [Path(__file__).parent, folder, cache.folder, cache.name, json.dumps(mask_texts), place]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, words)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    assert list((folder / "checkpoints").glob("epoch-*"))
    assert not (folder / "result.json").exists()
    assert (folder / "state" / "state.json").exists() == (place == "5")
    (folder / "checkpoints" / ".epoch-0002.safetensors.123.tmp").write_bytes(b"torn")
    train(folder, data)
    assert_same(folder, unbroken)


# --- states that are rarer than epochs -----------------------------------------------------------

LONG = STAGE.model_copy(update={"epochs": 6})


def stand_still(patch):
    """Let a second pass on the training's clock with every epoch, and none in between."""
    now, whole = [0.0], fold_files_module.FoldFiles.write_history

    def given(*arguments):
        whole(*arguments)
        now[0] += 1.0

    patch.setattr(fold_files_module.FoldFiles, "write_history", given)
    patch.setattr(fold_files_module, "monotonic", lambda: now[0])


def test_a_state_is_written_only_when_the_last_is_old_enough(tmp_path, data, monkeypatch):
    stand_still(monkeypatch)
    written = []

    def save(folder, copy):
        written.append((copy.content["epoch"], copy.content["finished"]))

    monkeypatch.setattr(fold_files_module, "save_state", save)
    train(tmp_path / "often", data, stage=LONG, state_seconds=0)
    assert written[-2:] == [(5, False), (6, True)]
    assert [epoch for epoch, _ in written] == [1, 2, 3, 4, 5, 6]
    written.clear()
    train(tmp_path / "seldom", data, stage=LONG, state_seconds=2)
    assert [epoch for epoch, _ in written] == [2, 4, 6]
    written.clear()
    train(tmp_path / "never", data, stage=LONG, state_seconds=1e9)
    assert written == [(6, True)]


@pytest.fixture(scope="module")
def unbroken_long(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("long") / "fold-0"
    train(folder, data, stage=LONG)
    return folder


@pytest.mark.parametrize(("at", "state_seconds"), [(8, 1e9), (12, 3), (15, 3)])
def test_epochs_after_the_last_state_are_repeated_bit_by_bit(
    tmp_path, data, unbroken_long, at, state_seconds
):
    with pytest.MonkeyPatch.context() as patch:
        stand_still(patch)
        with pytest.raises(StoppedError):
            train(tmp_path, data, stage=LONG, progress=Stopper(at), state_seconds=state_seconds)
        train(tmp_path, data, stage=LONG, state_seconds=state_seconds)
    assert_same(tmp_path, unbroken_long)


class StopInEpoch(Stopper):
    """Throws at the first step of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def advance(self, steps=1, *, epoch, **_):
        if epoch == self.epoch:
            raise StoppedError


def test_the_best_at_the_last_state_stay_until_the_next(tmp_path, data, monkeypatch):
    """Where epochs cannot be repeated bit by bit, the ones that were pushed out are still there."""
    stand_still(monkeypatch)
    scores = iter([0.5, 0.6, 0.4, 0.7, 0.8])

    def score(*_, **__):
        value = next(scores)
        return ValidationScore(value, 127, value, value)

    monkeypatch.setattr(validation_module, "validate", score)
    with pytest.raises(StoppedError):
        train(tmp_path, data, stage=LONG, state_seconds=2, progress=StopInEpoch("6/6"))
    assert [c.epoch for c in list_checkpoints(tmp_path)] == [5, 4, 2]
    scores = iter([0.1, 0.2])
    train(tmp_path, data, stage=LONG, state_seconds=2)
    assert [c.epoch for c in list_checkpoints(tmp_path)] == [4, 2]


def test_a_checkpoint_that_is_not_among_the_best_is_not_written(tmp_path, data, monkeypatch):
    scores = iter([0.5, 0.6, 0.4, 0.5, 0.6, 0.1])

    def score(*_, **__):
        value = next(scores)
        return ValidationScore(value, 127, value, 0.0)

    whole, written = fold_files_module.save_checkpoint, []

    def save(*arguments, **keywords):
        written.append(keywords["epoch"])
        return whole(*arguments, **keywords)

    monkeypatch.setattr(validation_module, "validate", score)
    monkeypatch.setattr(fold_files_module, "save_checkpoint", save)
    train(tmp_path, data, stage=LONG)
    assert written == [1, 2, 4, 5]  # of equals the later epoch is the better one
    assert [c.epoch for c in list_checkpoints(tmp_path)] == [5, 2]


# --- what is refused -----------------------------------------------------------------------------


def test_another_training_is_not_gone_on_with(tmp_path, data):
    with pytest.raises(StoppedError):
        train(tmp_path, data, progress=Stopper(5))
    other = {**MADE_FROM, "seed": 1, "model": {**MADE_FROM["model"], "encoder": "resnet50"}}
    before = content(tmp_path)
    with pytest.raises(InputError) as caught:
        train(tmp_path, data, made_from=other)
    message = str(caught.value)
    assert f"{tmp_path} holds a training made from other input:" in message
    assert "model.encoder: it was 'tu-test_resnet', now 'resnet50'" in message
    assert "seed: it was 0, now 1" in message
    assert "data:" not in message
    assert "--overwrite" in message
    assert content(tmp_path) == before


def test_a_finished_training_without_its_state_still_knows_what_it_is(tmp_path, data):
    stage = STAGE.model_copy(update={"epochs": 1})
    train(tmp_path, data, stage=stage)
    shutil.rmtree(tmp_path / "state")
    assert train(tmp_path, data, stage=stage)["epochs"] == 1
    with pytest.raises(InputError, match="data: it was 'abc', now 'xyz'"):
        train(tmp_path, data, stage=stage, made_from={**MADE_FROM, "data": "xyz"})


def test_what_json_cannot_tell_apart_is_the_same_training(tmp_path, data):
    stage = STAGE.model_copy(update={"epochs": 1})
    train(tmp_path, data, stage=stage, made_from={"sizes": (1, 2), "path": Path("a")})
    run = FoldRun(tmp_path, 0, {"sizes": [1, 2], "path": "a"})
    assert run.finished()


def test_a_training_that_goes_on_needs_no_published_weights(tmp_path, data, monkeypatch):
    asked = []

    def build(*arguments, **keywords):
        asked.append(arguments[1])
        return build_network(arguments[0], "none", *arguments[2:], **keywords)

    monkeypatch.setattr(fold_run_module, "build_network", build)
    model = MODEL.model_copy(update={"encoder_weights": "imagenet"})
    with pytest.raises(StoppedError):
        train(tmp_path, data, model=model, progress=Stopper(5))
    train(tmp_path, data, model=model)
    assert asked == ["imagenet", "none"]


def test_a_training_whose_checkpoints_vanish(tmp_path, data, monkeypatch):
    monkeypatch.setattr(fold_files_module, "keep_best", lambda *_: [])
    stage = STAGE.model_copy(update={"epochs": 1})
    with pytest.raises(GoldfoldError, match="has no checkpoint; train it with --overwrite"):
        train(tmp_path, data, stage=stage)


def test_a_fold_that_another_process_trains(tmp_path, data):
    words = r"another process is writing .*fold-0\. Wait for it to end, or end it\."
    with locked_folder(tmp_path / "fold-0"), pytest.raises(OutputError, match=words):
        train(tmp_path / "fold-0", data)
    assert list((tmp_path / "fold-0").iterdir()) == []
    with pytest.raises(StoppedError):
        train(tmp_path / "fold-0", data, progress=Stopper(1))
    train(tmp_path / "fold-0", data)  # what stopped holds nothing


def test_a_folder_that_cannot_be_written_to(tmp_path, data):
    (tmp_path / "fold-0").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match=r"cannot write .*fold-0"):
        train(tmp_path / "fold-0", data)


# --- stages after one another, averages, ends ----------------------------------------------------

TWO = STAGE.model_copy(update={"epochs": 2})
AVERAGED = STAGE.model_copy(update={"ema": 0.8, "swa_from": 0.3, "keep_checkpoints": 9})


@pytest.fixture(scope="module")
def first(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("first") / "fold-0" / "stage-1"
    train(folder, data, stage=AVERAGED)
    return folder


# --- averaged weights ----------------------------------------------------------------------------


def test_averages_are_checkpoints_like_any_other(first):
    found = list_checkpoints(first)
    assert {c.weights for c in found} == {"raw", "ema", "swa"}
    assert {c.path.stem for c in found if c.weights == "swa"} == {"epoch-0003-swa"}
    history = pd.read_csv(first / "history.csv")
    assert history["ema_score"].notna().all()
    assert history["swa_score"].notna().tolist() == [False, False, True]
    scores = {(c.epoch, c.weights): c.score for c in found}
    for row in history.itertuples():
        assert scores[row.epoch, "raw"] == row.score
        assert scores[row.epoch, "ema"] == row.ema_score
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)


@pytest.mark.parametrize("kind", ["raw", "ema", "swa"])
def test_a_checkpoint_holds_the_weights_that_its_name_says(first, kind):
    (last,) = [c for c in list_checkpoints(first) if (c.weights, c.epoch) == (kind, 3)]
    expected = load_last_weights(first / "state", kind)
    saved = load_model(last, torch.device("cpu")).state_dict()
    assert saved.keys() == expected.keys()
    learned = [name for name in saved if "running_" not in name and "num_batches" not in name]
    assert all(torch.equal(saved[name], expected[name]) for name in learned)
    others = {"raw", "ema", "swa"} - {kind}
    for other in others:
        weights = load_last_weights(first / "state", other)
        assert not all(torch.equal(saved[name], weights[name]) for name in learned)


def test_what_won_is_said(tmp_path, data):
    said = Stopper()
    train(tmp_path, data, stage=AVERAGED, progress=said)
    line = next(one for one in said.said if "by kind of weights" in one)
    assert "raw " in line and "ema " in line and "swa " in line and "ranks first" in line


@pytest.mark.parametrize("at", [2, 5, 7])
def test_averages_go_on_bit_by_bit(tmp_path, data, first, at):
    with pytest.raises(StoppedError):
        train(tmp_path, data, stage=AVERAGED, progress=Stopper(at), mid_epoch_seconds=0)
    train(tmp_path, data, stage=AVERAGED)
    assert_same(tmp_path, first)


def test_a_state_within_an_epoch_is_gone_on_from(tmp_path, data, first):
    """The steps before the state are not taken again."""
    with pytest.raises(StoppedError):
        train(tmp_path, data, stage=AVERAGED, progress=Stopper(5), mid_epoch_seconds=0)
    state = read_json(tmp_path / "state" / "state.json")
    assert (state["epoch"], state["so_far"]["step"]) == (1, 2)
    rest = Stopper()
    train(tmp_path, data, stage=AVERAGED, progress=rest)
    assert rest.steps == rest.total == sum(steps_of(first)) - 4
    assert "resuming after epoch 1 of 3, step 2" in rest.said[0]
    assert_same(tmp_path, first)


@pytest.mark.parametrize("mid_epoch_seconds", [0, 1e9])
def test_a_training_whose_device_runs_ahead(tmp_path, data, first, mid_epoch_seconds):
    """It ends with the weights of one that waits, broken off or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_module, "runs_ahead", lambda device: True)
        unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
        train(unbroken, data, stage=AVERAGED)
        how = {"stage": AVERAGED, "mid_epoch_seconds": mid_epoch_seconds}
        with pytest.raises(StoppedError):
            train(broken, data, **how, progress=Stopper(5))
        train(broken, data, **how)
    assert_same(broken, unbroken)
    assert (
        read_json(unbroken / "result.json")["last_weights"]
        == (read_json(first / "result.json")["last_weights"])
    )
    losses = [pd.read_csv(folder / "history.csv")["loss"].tolist() for folder in (unbroken, first)]
    assert losses[0] == losses[1]


def steps_of(folder):
    images = pd.read_csv(folder / "history.csv")[["non_empty", "empty"]].sum(axis=1)
    return (-(-images // STAGE.batch_size)).tolist()


# --- stages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["best", "last", "averaged"])
def test_a_stage_begins_with_the_weights_of_the_one_before(tmp_path, data, first, start):
    begun = []

    class See(trainer_module.Trainer):
        def run_all(self, extend_epochs=0):
            begun.append({k: v.clone() for k, v in self.model.state_dict().items()})
            return super().run_all(extend_epochs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("goldfold.training.fold_run.Trainer", See)
        stage = TWO.model_copy(update={"start": start})
        train(tmp_path / "stage-2", data, stage=stage, before=first)
    history = pd.read_csv(first / "history.csv").iloc[-1]
    average = "swa" if history["swa_score"] > history["ema_score"] else "ema"
    expected = {
        "best": lambda: starting_weights(first, "best"),
        "last": lambda: load_last_weights(first / "state"),
        "averaged": lambda: load_last_weights(first / "state", average),
    }[start]()
    assert all(torch.equal(begun[0][name], value) for name, value in expected.items())


def test_the_three_beginnings_differ(first):
    kernels = [
        starting_weights(first, start)["segmentation_head.0.weight"]
        for start in ("last", "averaged")
    ]
    assert not torch.equal(*kernels)


def test_a_second_stage_goes_on_bit_by_bit(tmp_path, data, first):
    stage = TWO.model_copy(update={"start": "last"})
    train(tmp_path / "a", data, stage=stage, before=first)
    with pytest.raises(StoppedError):
        train(tmp_path / "b", data, stage=stage, before=first, progress=Stopper(4))
    train(tmp_path / "b", data, stage=stage, before=first)
    assert_same(tmp_path / "b", tmp_path / "a")


def test_a_stage_waits_for_the_one_before(tmp_path, data):
    assert start_fingerprint(tmp_path / "stage-1") == ""
    with pytest.raises(InputError, match=r"stage-1 is not finished, .*Train it first"):
        train(tmp_path / "stage-2", data, before=tmp_path / "stage-1")


def test_training_the_stage_before_again_is_noticed(tmp_path, data, first):
    assert start_fingerprint(first) == start_fingerprint(first) != ""
    train(tmp_path / "other", data, stage=TWO)
    assert start_fingerprint(tmp_path / "other") != start_fingerprint(first)


# --- more epochs ---------------------------------------------------------------------------------


def test_a_finished_stage_is_extended(tmp_path, data):
    constant = TWO.model_copy(
        update={"schedule": STAGE.schedule.model_copy(update={"name": "constant"})}
    )
    train(tmp_path, data, stage=constant)
    early = pd.read_csv(tmp_path / "history.csv")
    result = train(tmp_path, data, stage=constant, extend_epochs=2)
    assert (result["epochs"], result["stopped_early"]) == (4, False)
    late = pd.read_csv(tmp_path / "history.csv")
    assert late["epoch"].tolist() == [1, 2, 3, 4]
    pd.testing.assert_frame_equal(late.iloc[:2], early, check_dtype=False)
    before = content(tmp_path)
    assert train(tmp_path, data, stage=constant) == result  # up to date without the option
    assert content(tmp_path) == before


def test_an_extension_goes_on_bit_by_bit(tmp_path, data):
    for name in ("a", "b"):
        train(tmp_path / name, data, stage=TWO)
    train(tmp_path / "a", data, stage=TWO, extend_epochs=2)
    with pytest.raises(StoppedError):
        train(tmp_path / "b", data, stage=TWO, extend_epochs=2, progress=Stopper(4))
    assert not (tmp_path / "b" / "result.json").exists()
    with pytest.raises(InputError, match="is not finished, so it cannot be extended"):
        train(tmp_path / "b", data, stage=TWO, extend_epochs=2)
    train(tmp_path / "b", data, stage=TWO)
    assert_same(tmp_path / "b", tmp_path / "a")


def test_what_was_never_finished_cannot_be_extended(tmp_path, data):
    with pytest.raises(InputError, match="is not finished, so it cannot be extended"):
        train(tmp_path, data, extend_epochs=1)


# --- early stopping, plateau ---------------------------------------------------------------------


def scored(monkeypatch, values):
    scores = iter(values)

    def score(*_, **__):
        value = next(scores)
        return ValidationScore(value, 127, value, value)

    monkeypatch.setattr(validation_module, "validate", score)


def test_early_stopping_counts_validations_without_a_better_score(tmp_path, data, monkeypatch):
    scored(monkeypatch, [0.3, 0.5, 0.5, 0.4, 0.9, 0.9])
    stage = STAGE.model_copy(update={"epochs": 6, "early_stopping": 2})
    result = train(tmp_path, data, stage=stage)
    assert (result["epochs"], result["stopped_early"]) == (4, True)
    assert train(tmp_path, data, stage=stage) == result
    longer = train(tmp_path, data, stage=stage, extend_epochs=1)  # patience is over, but asked for
    assert (longer["epochs"], longer["stopped_early"]) == (5, False)


def test_a_plateau_cuts_the_rate(tmp_path, data, monkeypatch):
    scored(monkeypatch, [0.5, 0.4, 0.4, 0.4])
    schedule = {"name": "plateau", "patience": 2, "factor": 0.5}
    stage = StageSettings(**{
        **STAGE.model_dump(), "epochs": 4, "schedule": schedule, "warmup_epochs": 0,
    })  # fmt: skip
    train(tmp_path, data, stage=stage)
    rates = pd.read_csv(tmp_path / "history.csv")["learning_rate"]
    assert rates.tolist() == pytest.approx([0.005, 0.005, 0.005, 0.0025])


# --- being asked to stop -------------------------------------------------------------------------


class Sender(Stopper):
    """Sends this process a signal at the n-th step."""

    def __init__(self, at, number):
        super().__init__()
        self.when, self.number = at, number

    def advance(self, steps=1, **_):
        self.steps += steps
        if self.steps == self.when:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_within_the_epoch(tmp_path, data, first, number, code):
    with pytest.raises(Stopped) as caught:
        train(tmp_path, data, stage=AVERAGED, progress=Sender(2, number), stop=StopRequest())
    assert caught.value.exit_code == code
    words = f"stopped by {signal.Signals(number).name}; "
    assert str(caught.value).startswith(words)
    assert "is saved after epoch 0, step 2. The same command resumes from there." in str(
        caught.value
    )
    train(tmp_path, data, stage=AVERAGED)
    assert_same(tmp_path, first)


def test_the_time_is_up_before_it_is(tmp_path, data, first):
    stop = StopRequest.after(5.0)  # less than the margin: one step, then it saves
    with pytest.raises(Stopped, match="stopped because the time is up") as caught:
        train(tmp_path, data, stage=AVERAGED, stop=stop)
    assert caught.value.exit_code == 75
    train(tmp_path, data, stage=AVERAGED)
    assert_same(tmp_path, first)


def test_asked_to_stop_while_validating(tmp_path, data, first, monkeypatch):
    """The epoch's steps are kept; only the validation is done again."""
    stop = StopRequest()
    whole = validation_module.validate

    def interrupted(*arguments, **keywords):
        stop.signal_number = signal.SIGTERM
        return whole(*arguments, **keywords)

    monkeypatch.setattr(validation_module, "validate", interrupted)
    with pytest.raises(Stopped, match="is saved after epoch 0, step"):
        train(tmp_path, data, stage=AVERAGED, stop=stop)
    monkeypatch.setattr(validation_module, "validate", whole)
    rest = Stopper()
    train(tmp_path, data, stage=AVERAGED, progress=rest)
    assert rest.steps == rest.total
    assert_same(tmp_path, first)


def test_a_state_is_of_the_training_it_was_made_from(tmp_path, data):
    with pytest.raises(StoppedError):
        train(tmp_path, data, progress=Stopper(5))
    with pytest.raises(InputError, match="data: it was 'abc', now 'other'"):
        train(tmp_path, data, made_from={**MADE_FROM, "data": "other"})


def test_the_record_has_every_epochs_draw(first):
    rows = [json.loads(line) for line in (first / "history.jsonl").read_text().splitlines()]
    assert [len(row["draw"]) for row in rows] == [12, 12, 12]
    assert len({row["draw"] for row in rows}) == 3
    assert all(row["skipped"] == [] for row in rows)


# --- NaN and infinity ----------------------------------------------------------------------------

DIVERGING = STAGE.model_copy(update={"learning_rate": 1e30, "warmup_epochs": 0, "ema": 0.9})


@pytest.fixture(scope="module")
def diverged(tmp_path_factory, data):
    """Return the folder, the error and the lines of a training whose weights became huge."""
    folder, heard = tmp_path_factory.mktemp("diverged") / "fold-0", Stopper()
    with pytest.raises(GoldfoldError) as error:
        train(folder, data, stage=DIVERGING, progress=heard)
    return folder, str(error.value), heard.said


def test_a_network_that_diverged_is_never_scored_as_empty_masks(diverged):
    """It had the all-empty score, and its checkpoints were kept among the good ones."""
    folder, message, _ = diverged
    history = pd.read_csv(folder / "history.csv")
    assert history[["score", "ema_score"]].isna().all(axis=None)
    assert list_checkpoints(folder) == []
    assert not (folder / "result.json").exists()
    assert "has no checkpoint: in no validated epoch were weights and logits finite" in message
    assert "Lower learning_rate" in message


def test_what_is_not_scored_is_said_with_epoch_kind_and_images(diverged, data):
    _, _, said = diverged
    refused = [line for line in said if "not scored and not kept" in line]
    assert len(refused) == 6  # three epochs of raw weights and their average
    assert "epoch 2: the ema weights are not scored and not kept. NaN or infinite" in refused[3]
    ids = [data.cache.image_ids[row] for row in data.validation.rows]
    assert "logits, in float32 too, on 4 held-out images:" in refused[0]
    assert all(f"\n  {image_id}\n" in refused[0] for image_id in ids)


def test_a_broken_average_costs_only_itself(tmp_path, data, monkeypatch):
    """Weights are looked at, too: validation does not see a presence head's."""

    def broken_from_epoch_2(averages, model, epoch, epochs):
        if epoch == 1:
            next(averages.by_name["ema"].model.parameters()).fill_(torch.inf)

    monkeypatch.setattr("goldfold.training.averages.Averages.end_of_epoch", broken_from_epoch_2)
    heard = Stopper()
    stage = STAGE.model_copy(update={"ema": 0.9, "keep_checkpoints": 9})
    train(tmp_path, data, stage=stage, progress=heard)
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["score"].notna().all()
    assert history["ema_score"].notna().tolist() == [True, False, False]
    kept = {(one.epoch, one.weights) for one in list_checkpoints(tmp_path)}
    assert kept == {(1, "raw"), (2, "raw"), (3, "raw"), (1, "ema")}
    refused = [line for line in heard.said if "not scored" in line]
    assert (
        "epoch 2: the ema weights are not scored and not kept. NaN or infinite weights:"
        in (refused[0])
    )
    assert "encoder" in refused[0]


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory, first):
    """Return a finished stage with NaN in all its convolutions."""
    folder = tmp_path_factory.mktemp("spoiled") / "before"
    shutil.copytree(first, folder)
    for path in folder.rglob("*.safetensors"):
        tensors = load_file(path)
        spoiled = {k: v.fill_(torch.nan) if v.ndim == 4 else v for k, v in tensors.items()}
        save_file(spoiled, path)
    return folder


@pytest.mark.parametrize("start", ["best", "last", "averaged"])
def test_a_stage_does_not_begin_with_weights_that_are_not_finite(spoiled, start):
    with pytest.raises(NotFiniteError, match=rf"the {start} weights of .*before: \d+ tensors"):
        starting_weights(spoiled, start)


def test_a_training_does_not_go_on_with_weights_that_are_not_finite(spoiled, data):
    with pytest.raises(NotFiniteError, match=r"the state in .*: \d+ tensors have NaN or infinite"):
        train(spoiled, data, stage=AVERAGED, extend_epochs=1)
