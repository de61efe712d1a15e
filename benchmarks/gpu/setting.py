"""The phantoms, networks and trainings that several parts of gpu_check.py share."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
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
from goldfold.training.assembly import build_network
from goldfold.training.cache import ImageCache
from goldfold.training.device import choose_device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.runtime import Machine
from goldfold.training.validation import ValidationImages

WORKERS = os.cpu_count() or 1


def _draw(job: tuple[Path, int, int]) -> None:
    import cv2

    path, index, side = job
    if path.is_file():
        return
    pixels, area = synthetic_example(0, index, side)
    cv2.imwrite(str(path), pixels)
    cv2.imwrite(str(path.with_suffix(".mask.png")), area * np.uint8(255))


def prepare(place: Place, images: int) -> None:
    """Draw the phantoms with all cores and cache them at every size that a part needs."""
    folder = place.folder / "pngs"
    folder.mkdir(parents=True, exist_ok=True)
    side = place.source_px
    jobs = [(folder / f"{side}-{index:05d}.png", index, side) for index in range(images * 5 // 4)]
    with ProcessPoolExecutor(WORKERS) as pool:
        list(pool.map(_draw, jobs, chunksize=8))
    pngs = make_pngs(folder, images, side)
    for size in {place.small_size, place.size // 2, place.size}:
        make_cache(place.folder / f"cache-{size}", pngs, size, WORKERS)


def phantoms(place: Place, size: int) -> tuple[Pngs, ImageCache]:
    """Return the prepared phantoms and their cache at this size."""
    side = place.source_px
    total = len(list((place.folder / "pngs").glob(f"{side}-*.mask.png")))
    pngs = make_pngs(place.folder / "pngs", total * 4 // 5, side)
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


def model_settings(place: Place, encoder: str = "resnet34") -> ModelSettings:
    """Return a U-Net with random weights; without a GPU a tiny one."""
    if place.cuda:
        return ModelSettings(encoder=encoder, encoder_weights="none", channels=1)
    options: dict[str, Any] = {"decoder_channels": [16, 8, 8, 8, 8]}
    return ModelSettings(encoder="tu-test_resnet", channels=1, options=options)


def synchronise() -> None:
    """Wait until the GPU has done all that it was asked to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def per_second(work: Callable[[], object], batch: int, warm: int, timed: int) -> float:
    """Return images per second of work on a batch; the GPU's work is waited for."""
    for _ in range(warm):
        work()
    synchronise()
    began = time.perf_counter()
    for _ in range(timed):
        work()
    synchronise()
    return batch * timed / (time.perf_counter() - began)


def peak_gib() -> float:
    """Return the most that PyTorch held at a time since the last reset, in GiB."""
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0


def reset_peak() -> None:
    """Let the peak begin anew."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def repeatable() -> None:
    """Let kernels give the same bits in every run, where PyTorch has such ones."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)


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


def new_training(place: Place, name: str) -> Path:
    """Return the folder of a training that is not begun, as deep as goldfold has its own.

    What is found out about compiling is written three folders above.
    """
    model = place.folder / "trainings" / name
    shutil.rmtree(model, ignore_errors=True)
    return model / "seed-0" / "fold-0" / "stage-1"


def train(
    place: Place,
    folder: Path,
    data: FoldData,
    stage: StageSettings,
    *,
    encoder: str = "resnet34",
    seed: int = 0,
    progress: Progress = SILENT,
    state_seconds: float = 30.0,
    repeatably: bool = False,
    **training: Any,
) -> pd.DataFrame:
    """Train a stage with goldfold's loop on the chosen device and return its history."""
    settings = TrainingSettings(**training)
    device = choose_device(settings.precision, settings.channels_last)
    if repeatably:
        repeatable()
    machine = Machine(
        device, WORKERS, settings, state_seconds=state_seconds, mid_epoch_seconds=state_seconds * 10
    )
    train_fold(
        FoldRun(folder, seed, {"seed": seed}),
        model_settings(place, encoder),
        stage,
        data,
        machine=machine,
        progress=progress,
    )
    return pd.read_csv(folder / "history.csv")


def trained_unet(place: Place, encoder: str = "resnet18") -> torch.nn.Module:
    """Return a U-Net in eval mode whose BatchNorms have seen some noise."""
    torch.manual_seed(0)
    model = build_network(model_settings(place, encoder))
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
