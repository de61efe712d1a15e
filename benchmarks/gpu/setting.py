"""The phantoms, networks and trainings that several parts of gpu_check.py share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from gpu.report import Place
from loops.goldfold_loop import fold_of
from loops.images import Pngs, make_cache, make_pngs

from goldfold.competitions.synthetic import synthetic_example
from goldfold.progress import SILENT, Progress
from goldfold.settings import ModelSettings, StageSettings, TrainingSettings
from goldfold.training.cache import ImageCache
from goldfold.training.device import choose_device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.networks.build import build_model
from goldfold.training.runtime import Machine
from goldfold.training.validation import ValidationImages

SOURCE_PX = 1024
WORKERS = os.cpu_count() or 1


def _draw(job: tuple[Path, int]) -> None:
    import cv2

    path, index = job
    if path.is_file():
        return
    pixels, area = synthetic_example(0, index, SOURCE_PX)
    cv2.imwrite(str(path), pixels)
    cv2.imwrite(str(path.with_suffix(".mask.png")), area * np.uint8(255))


def prepare(place: Place, images: int) -> None:
    """Draw the phantoms with all cores and cache them at every size that a part needs."""
    folder = place.folder / "pngs"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder / f"{SOURCE_PX}-{index:05d}.png", index) for index in range(images * 5 // 4)]
    with ProcessPoolExecutor(WORKERS) as pool:
        list(pool.map(_draw, jobs, chunksize=8))
    pngs = make_pngs(folder, images, SOURCE_PX)
    for size in (128, 256, place.size):
        make_cache(place.folder / f"cache-{size}", pngs, size, WORKERS)


def phantoms(place: Place, size: int) -> tuple[Pngs, ImageCache]:
    """Return the prepared phantoms and their cache at this size."""
    total = len(list((place.folder / "pngs").glob("*.mask.png")))
    pngs = make_pngs(place.folder / "pngs", total * 4 // 5, SOURCE_PX)
    return pngs, make_cache(place.folder / f"cache-{size}", pngs, size, WORKERS)


def fold_data(place: Place, size: int, images: int | None = None) -> FoldData:
    """Return a fold of the phantoms: four fifths to learn from, the rest held out."""
    pngs, cache = phantoms(place, size)
    data = fold_of(cache, pngs)
    if images is None:
        return data
    assert isinstance(data.validation, ValidationImages)
    held_out = max(8, images // 4)
    few = ValidationImages(
        rows=data.validation.rows[:held_out],
        sizes=data.validation.sizes[:held_out],
        masks=data.validation.masks[:held_out],
        dialect=data.validation.dialect,
    )
    return replace(data, rows=data.rows[:images], non_empty=data.non_empty[:images], validation=few)


def model_settings(encoder: str = "resnet34") -> ModelSettings:
    """Return a U-Net with random weights."""
    return ModelSettings(encoder=encoder, encoder_weights="none", channels=1)


def stage_settings(size: int, batch: int, epochs: int, **changed: Any) -> StageSettings:
    """Return a stage that takes every image once per epoch and validates after the last."""
    return StageSettings.model_validate(
        {
            "epochs": epochs,
            "image_size": size,
            "batch_size": batch,
            "learning_rate": 1e-3,
            "sampling": {"schedule": "natural"},
            "augmentation": "siim-1st-place",
            "validate_from": epochs,
            "keep_checkpoints": 1,
            **changed,
        }
    )


def train(
    folder: Path,
    data: FoldData,
    stage: StageSettings,
    *,
    encoder: str = "resnet34",
    seed: int = 0,
    progress: Progress = SILENT,
    state_seconds: float = 30.0,
    **training: Any,
) -> pd.DataFrame:
    """Train a stage with goldfold's loop on the chosen device and return its history."""
    settings = TrainingSettings(**training)
    device = choose_device(settings.precision, settings.channels_last)
    machine = Machine(
        device, WORKERS, settings, state_seconds=state_seconds, mid_epoch_seconds=state_seconds * 10
    )
    train_fold(
        FoldRun(folder, seed, {"seed": seed}),
        model_settings(encoder),
        stage,
        data,
        machine=machine,
        progress=progress,
    )
    return pd.read_csv(folder / "history.csv")


def trained_unet(place: Place, encoder: str = "resnet18") -> torch.nn.Module:
    """Return a U-Net in eval mode whose BatchNorms have seen some noise."""
    torch.manual_seed(0)
    model: torch.nn.Module = build_model("Unet", encoder, channels=1)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 1, 128, 128))
    return model.eval()


class Lines:
    """A Progress that remembers what is said and may stop a training at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        """Take the step at which KeyboardInterrupt is raised, None for never."""
        self.said: list[str] = []
        self.stop_at, self.steps = stop_at, 0

    def task(self, description: str, total: int) -> Lines:
        """Return itself as the task."""
        return self

    def __enter__(self) -> Lines:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing."""

    def advance(self, steps: int = 1, **fields: object) -> None:
        """Count, and stop where that was asked for."""
        self.steps += steps
        if self.stop_at is not None and self.steps >= self.stop_at:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        """Remember a line."""
        self.said.append(text)

    warn = say


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return float(np.median(np.asarray(values, dtype=np.float64)))
