"""A GPU is not made to wait, keeps its images where they fit, and none of several is idle."""

import subprocess
import sys
import warnings
from contextlib import contextmanager

import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from goldfold.training.device import choose_device
from goldfold.training.step import Step

BATCHES = 2  # of four of the eight images, in an epoch


class Reads(TorchDispatchMode):
    """Counts values that the host reads, which on a GPU it would have to wait for."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@contextmanager
def counted_waits(place, counts):
    """Count the waits for the device; the stand-in counts the values that are read."""
    if not place.is_gpu:
        with Reads() as reads:
            yield
        counts.append(reads.count)
        return
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
    counts.append(sum("synchronizing" in str(each.message) for each in caught))


@pytest.mark.parametrize("augment_on", ["cpu", "device"])
def test_a_step_waits_once_at_most(train, place, monkeypatch, augment_on):
    real, counts = Step.take, []

    def take(step, *words, **named):
        with counted_waits(place, counts):
            return real(step, *words, **named)

    monkeypatch.setattr(Step, "take", take)
    how = {"augment_on": augment_on}
    train("trained", place.device(), training=how, epochs=4, augmentation="strong", ema=0.9)
    assert len(counts) == 4 * BATCHES
    # The first steps find the fastest kernels.
    assert max(counts[BATCHES:]) <= (1 if place.is_gpu else 3), counts


@pytest.mark.gpu
def test_images_kept_on_the_gpu_train_the_same_weights(train, monkeypatch):
    batches = pytest.importorskip("goldfold.training.batches")
    how = {"augment_on": "device", "deterministic": True}
    folders = [train("kept", choose_device("float32"), training=how, augmentation="strong")]
    monkeypatch.setattr(batches, "keep_on_device", lambda *words, **named: None)
    folders.append(train("sent", choose_device("float32"), training=how, augmentation="strong"))
    first, other = (pd.read_csv(folder / "history.csv") for folder in folders)
    assert first["loss"].tolist() == pytest.approx(other["loss"].tolist(), rel=1e-3)


@pytest.mark.gpu(count=2)
def test_two_gpus_train_a_fold_each(fresh):
    command = [sys.executable, "-m", "goldfold", "run", str(fresh), "--devices", "0,1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = list(fresh.glob("models/*/seed-0/fold-*/stage-1/result.json"))
    assert len(results) == 2
    said = done.stdout + done.stderr
    assert all(f"GPU {number}" in said or f"cuda:{number}" in said for number in (0, 1)), said
