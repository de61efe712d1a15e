"""goldfold's default training of the images that the plain loop trains on."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from loops.curves import Curve, GpuClock
from loops.images import DIALECT, Pngs

from goldfold.settings import ModelSettings, StageSettings, TrainingSettings
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device, choose_device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.networks import build_model
from goldfold.training.runtime import Machine
from goldfold.training.step import Step
from goldfold.training.validation import ValidationImages

RECIPE = "siim-1st-place"


class Watch:
    """A Progress that notes when steps end, and a clock of the GPU's work in them."""

    def __init__(self, device: Device, steps: int, say: Callable[[str], None]) -> None:
        """Take the device, the steps of an epoch, and where lines go."""
        self.steps: list[float] = []
        self._device, self._an_epoch = device, steps
        self.say = self.warn = lambda text: say(f"goldfold: {text}")
        self.clock = GpuClock(device.device)

    def task(self, description: str, total: int) -> Watch:
        """Return itself as the task."""
        return self

    def __enter__(self) -> Watch:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing."""

    def advance(self, steps: int = 1, **fields: object) -> None:
        """Note that a step is over; after an epoch's last the GPU really is, too."""
        if (len(self.steps) + steps) % self._an_epoch == 0:
            self._device.wait()
        self.steps += [time.perf_counter()] * steps


def train_goldfold(
    folder: Path,
    cache: ImageCache,
    pngs: Pngs,
    options: argparse.Namespace,
    *,
    seed: int,
    say: Callable[[str], None],
) -> Curve:
    """Train with goldfold's loop and return the curve."""
    data = fold_of(cache, pngs)
    machine = Machine(choose_device(), options.workers, TrainingSettings())
    watch = Watch(machine.device, steps_of(pngs, options), say)
    real = Step.take

    def timed(step: Step, *words: Any, **named: Any) -> Any:
        watch.clock.begin()
        try:
            return real(step, *words, **named)
        finally:
            watch.clock.end()

    Step.take = timed  # type: ignore[method-assign, assignment]
    try:
        train_fold(FoldRun(folder, seed, {}), model_settings(options), stage_settings(options),
                   data, machine=machine, progress=watch)  # fmt: skip
    finally:
        Step.take = real  # type: ignore[method-assign]
    return _curve(folder, watch, pngs, options)


def fold_of(cache: ImageCache, pngs: Pngs) -> FoldData:
    """Return the fold that is trained on the first images and held out on the others."""
    rows = np.arange(len(cache), dtype=np.int64)
    inside, held_out = rows[: pngs.train], rows[pngs.train :]
    validation = ValidationImages(
        rows=held_out,
        sizes=[(pngs.side, pngs.side)] * len(held_out),
        masks=pngs.masks[pngs.train :],
        dialect=DIALECT,
    )
    return FoldData(cache, inside, cache.non_empty[inside], validation, "dice")


def steps_of(pngs: Pngs, options: argparse.Namespace) -> int:
    """Return the steps of an epoch."""
    steps: int = -(-pngs.train // options.batch)
    return steps


def _curve(folder: Path, watch: Watch, pngs: Pngs, options: argparse.Namespace) -> Curve:
    history = pd.read_csv(folder / "history.csv")
    steps = steps_of(pngs, options)
    if len(watch.steps) != steps * options.epochs:
        sys.exit(f"error: counted {len(watch.steps)} steps, expected {steps * options.epochs}.")
    return Curve(
        images=pngs.train,
        validated=len(pngs.files) - pngs.train,
        losses=list(history["loss"]),
        scores=list(history["score_at_half"]),
        ended=watch.steps[steps - 1 :: steps],
        trained=list(history["seconds"]),
        validating=list(history["validation_seconds"]),
        busy=watch.clock.seconds(skip=steps),
    )


def model_settings(options: argparse.Namespace) -> ModelSettings:
    """Return the network of both loops."""
    return ModelSettings(encoder=options.encoder, encoder_weights="none", channels=1)


def stage_settings(options: argparse.Namespace) -> StageSettings:
    """Return a stage with the plain loop's optimizer, rate and order: every image once."""
    return StageSettings.model_validate(
        {
            "epochs": options.epochs,
            "image_size": options.size,
            "batch_size": options.batch,
            "optimizer": "adam",
            "learning_rate": options.learning_rate,
            "schedule": {"name": "constant"},
            "warmup_epochs": 0,
            "weight_decay": 0,
            "sampling": {"schedule": "natural"},
            "loss": {"bce": 1, "dice": 1},
            "augmentation": RECIPE,
        }
    )


def fresh_model(options: argparse.Namespace) -> torch.nn.Module:
    """Return the network with the first weights of both loops."""
    torch.manual_seed(0)
    chosen = model_settings(options)
    model: torch.nn.Module = build_model(
        chosen.architecture, chosen.encoder, channels=chosen.channels, options=chosen.options
    )
    return model
