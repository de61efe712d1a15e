"""What a training on a GPU survives: a kill, too little memory, an overflow."""

import json
import math
from contextlib import contextmanager, suppress

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from small_competitions import HEIGHT, IDS, WIDTH, Shown, fold_data

from goldfold.inference.engine import start_engine
from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.views import get_views
from goldfold.training.batch import network_input
from goldfold.training.checkpoint import list_checkpoints, load_model
from goldfold.training.validation import ValidationImages

COLUMNS = {"raw": "score", "ema": "ema_score", "swa": "swa_score"}
MASK = Shown("mask", 1, [], 32)
# What a GPU needs before its memory, cut to two thirds, does not suffice.
LARGE = Shown("mask", 1, [], 512)
WIDE = {"encoder": "resnet18", "options": {}}


class KilledAt:
    """A progress that ends a training at a step, and keeps what is said."""

    def __init__(self, step=math.inf):
        self.left, self.lines = step, []

    @contextmanager
    def task(self, description, total):
        yield self

    def advance(self, steps=1, **fields):
        self.left -= steps
        if self.left <= 0:
            raise KeyboardInterrupt

    def say(self, text):
        self.lines.append(text)

    warn = say


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_checkpoint_scores_what_the_history_says(train, place, root, precision, checkpointing):
    device, data = place.device(precision), fold_data(root, MASK)
    how = {"gradient_checkpointing": checkpointing}
    folder = train("trained", device, training=how, ema=0.9, swa_from=0.5)
    history = pd.read_csv(folder / "history.csv").set_index("epoch")
    seen = set()
    for checkpoint in list_checkpoints(folder):
        model = load_model(checkpoint, device.device, channels_last=device.channels_last)
        score = data.validation.score(model, data.cache, metric="dice", batch_size=4, device=device)
        said = history.loc[checkpoint.epoch, COLUMNS[checkpoint.weights]]
        assert score.score == pytest.approx(said, abs=1e-4), checkpoint.path.name
        seen.add(checkpoint.weights)
    assert seen == {"raw", "ema", "swa"}


@pytest.mark.usefixtures("exact")
def test_a_resumed_training_has_the_same_bytes(train, place):
    device = place.device()
    torch.backends.cudnn.benchmark = False  # what is fastest differs from run to run
    averaged = {"ema": 0.9, "swa_from": 0.5}
    whole = train("whole", device, **averaged)
    with suppress(KeyboardInterrupt):
        train("broken", device, progress=KilledAt(3), **averaged)
    assert not (whole.parent / "broken" / "result.json").exists()
    broken = train("broken", device, **averaged)
    names = sorted(path.name for path in whole.glob("checkpoints/*.safetensors"))
    assert names == sorted(path.name for path in broken.glob("checkpoints/*.safetensors"))
    for name in names:
        first, other = (load_file(folder / "checkpoints" / name) for folder in (whole, broken))
        for tensor, value in first.items():
            assert torch.equal(value, other[tensor]), (name, tensor)
    assert len(names) == 5  # raw and ema of both epochs, swa at the end


def test_an_overflow_in_fp16_is_skipped_once(train, place):
    calls = []

    def overflow(module, inputs, output):
        if module.training and type(module).__name__ == "Unet":
            calls.append(1)
            return output * math.inf if len(calls) == 3 else output
        return output

    hook = torch.nn.modules.module.register_module_forward_hook(overflow)
    try:
        folder = train("fp16", place.device("fp16"), epochs=3)
    finally:
        hook.remove()
    history = pd.read_csv(folder / "history.csv")
    assert len(calls) >= 6
    assert 1 <= history["skipped_steps"].sum() < len(calls)
    for checkpoint in list_checkpoints(folder):
        weights = load_file(checkpoint.path)
        assert all(bool(value.isfinite().all()) for value in weights.values())


@pytest.fixture
def sizes(place):
    """Return what is trained: enough for a GPU's allocator to fail, little for the stand-in."""
    return {"shown": LARGE, "model": WIDE} if place.is_gpu else {"shown": MASK}


def peak_of(place, work):
    """Return the bytes that a GPU reserved for some work, and what the work returned."""
    if place.is_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    result = work()
    return torch.cuda.max_memory_reserved() if place.is_gpu else 0, result


def test_a_training_goes_on_with_less_memory(train, place, sizes, little_memory):
    device = place.device()
    stage = {"epochs": 1, "batch_size": 8, **sizes}
    peak, whole = peak_of(place, lambda: train("whole", device, **stage))
    told = KilledAt()
    with little_memory(peak):
        capped = train("capped", device, progress=told, **stage)
    assert any("memory" in line for line in told.lines), told.lines
    assert json.loads((capped / "result.json").read_text())["passes_a_step"] > 1
    first, other = (pd.read_csv(folder / "history.csv").iloc[0] for folder in (whole, capped))
    # BatchNorm sees fewer images at a time, so the loss differs a little.
    assert other["loss"] == pytest.approx(first["loss"], rel=0.15)


def test_validation_and_prediction_go_on_with_less_memory(train, place, root, sizes, little_memory):
    device = place.device()
    (checkpoint, *_) = list_checkpoints(train("trained", device, epochs=1, **sizes))
    data, model = fold_data(root, sizes["shown"]), load_model(checkpoint, device.device)
    many = np.tile(data.validation.rows, 4)
    held_out = ValidationImages(
        many, [(HEIGHT, WIDTH)] * 16, list(data.validation.masks) * 4, data.validation.dialect
    )
    sample = network_input(np.asarray(data.cache.pixels[:1]), device.device)
    network = start_engine(model, device, sample, "torch")

    def score():
        return held_out.score(model, data.cache, metric="dice", batch_size=16, device=device)

    def predict():
        writer = Counted()
        predictor = Predictor([network], device, get_views("none"))
        predict_maps(predictor, data.cache, IDS, [(HEIGHT, WIDTH)] * 12, writer, batch_size=12)
        return writer.count

    for work in (score, predict):
        peak, whole = peak_of(place, work)
        with little_memory(peak):
            assert work() == whole


class Counted:
    """A store that only counts."""

    def __init__(self):
        self.count = 0

    def __contains__(self, name):
        return False

    def append(self, name, levels, presence):
        self.count += 1

    def append_record(self, name, record):
        self.count += 1
