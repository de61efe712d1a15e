"""A training loop as the medal solutions of SIIM-ACR have it, for training_speed.py to compare.

PNGs are decoded by OpenCV in every epoch, augmented by albumentations at their own size and then
resized, batched by worker processes of a DataLoader, and trained on in float32 and NCHW by Adam.
It is kinder to itself than those: images are read as one channel instead of three, its workers
stay alive from epoch to epoch, and float32 is what PyTorch makes of it by default, which on newer
GPUs is TF32 in convolutions.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import albumentations  # type: ignore[import-not-found,unused-ignore]
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from loops.curves import Curve, GpuClock
from torch import nn
from torch.utils.data import DataLoader, Dataset

from goldfold.training.batch import MEAN, SPREAD

Tensors = tuple[torch.Tensor, torch.Tensor]
Pairs = Sequence[tuple[Path, Path]]


def pipeline(size: int, *, augment: bool) -> Any:
    """Return what happens to an image and its mask: the 1st place's changes, then the resize.

    Source: A. Anuar, 1st place of SIIM-ACR Pneumothorax Segmentation (2019): flip; one of
    contrast, gamma, brightness; one of elastic, grid, optical distortion; shift-scale-rotate.
    """
    resize = albumentations.Resize(size, size)
    if not augment:
        return albumentations.Compose([resize])
    tones = [
        albumentations.RandomBrightnessContrast(brightness_limit=0, contrast_limit=0.2),
        albumentations.RandomGamma(),
        albumentations.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0),
    ]
    distortions = [
        albumentations.ElasticTransform(alpha=120, sigma=6),
        albumentations.GridDistortion(),
        albumentations.OpticalDistortion(distort_limit=0.5),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would rather be called Affine
        moved = albumentations.ShiftScaleRotate()
    return albumentations.Compose(
        [
            albumentations.HorizontalFlip(),
            albumentations.OneOf(tones, p=0.3),
            albumentations.OneOf(distortions, p=0.3),
            moved,
            resize,
        ]
    )


def read_pair(pair: tuple[Path, Path]) -> tuple[Any, Any]:
    """Return image and mask as they are on disk, (H, W) uint8."""
    return (
        cv2.imread(str(pair[0]), cv2.IMREAD_GRAYSCALE),
        cv2.imread(str(pair[1]), cv2.IMREAD_GRAYSCALE),
    )


def to_tensors(image: Any, mask: Any) -> Tensors:
    """Return normalised image and mask, float32 (1, S, S)."""
    pixels = (image.astype(np.float32) / 255.0 - MEAN) / SPREAD
    return torch.from_numpy(pixels)[None], torch.from_numpy((mask > 127).astype(np.float32))[None]


class PngPairs(Dataset[Tensors]):
    """Images and masks, decoded each time."""

    def __init__(self, pairs: Pairs, transform: Any) -> None:
        """Take (image, mask) files and the pipeline."""
        self.pairs, self.transform = pairs, transform

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> Tensors:
        """Return image and mask, float32 (1, S, S)."""
        image, mask = read_pair(self.pairs[index])
        changed = self.transform(image=image, mask=mask)
        return to_tensors(changed["image"], changed["mask"])


def bce_and_dice(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the sum of binary cross-entropy and soft Dice over the batch."""
    probability = torch.sigmoid(logits)
    overlap = (probability * masks).sum()
    dice = (2 * overlap + 1) / (probability.sum() + masks.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, masks) + 1 - dice


def dice_at_half(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the Dice of each image at probability 0.5, (N,); 1 where both are empty."""
    predicted, true = (logits > 0).flatten(1), (masks > 0.5).flatten(1)
    sizes = (predicted.sum(1) + true.sum(1)).float()
    return torch.where(sizes > 0, 2 * (predicted & true).sum(1) / sizes.clamp(min=1), 1.0)


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(0)


def _loader(pairs: Pairs, transform: Any, batch: int, workers: int, *, shuffle: bool) -> Any:
    return DataLoader(
        PngPairs(pairs, transform),
        batch_size=batch,
        shuffle=shuffle,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        worker_init_fn=_one_thread,
        # A fork would copy a process with CUDA and threads; OpenCV may hang in it.
        multiprocessing_context="forkserver" if workers and torch.cuda.is_available() else None,
    )


def train_plain(
    model: nn.Module,
    train: Pairs,
    validation: Pairs,
    *,
    size: int,
    epochs: int,
    batch: int,
    workers: int,
    learning_rate: float,
    device: torch.device,
    say: Callable[[str], None],
) -> Curve:
    """Train the model and return the curve."""
    loader = _loader(train, pipeline(size, augment=True), batch, workers, shuffle=True)
    held_out = _loader(validation, pipeline(size, augment=False), batch, workers, shuffle=False)
    optimizer = torch.optim.Adam(model.parameters(), learning_rate)
    curve, clock = Curve(len(train), len(validation)), GpuClock(device)
    for epoch in range(epochs):
        began = time.perf_counter()
        curve.losses.append(_train_epoch(model, loader, optimizer, device, clock))
        curve.ended.append(time.perf_counter())
        curve.trained.append(curve.ended[-1] - began)
        curve.scores.append(_validate(model, held_out, device))
        curve.validating.append(time.perf_counter() - curve.ended[-1])
        say(f"plain loop: epoch {epoch + 1} of {epochs}, loss {curve.losses[-1]:.4f}")
    curve.busy = clock.seconds(skip=len(loader))
    return curve


def _train_epoch(
    model: nn.Module,
    loader: Any,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    clock: GpuClock,
) -> float:
    """Return the mean loss over the epoch's images."""
    model.train()
    total, images = torch.zeros((), device=device), 0
    for pixels, masks in loader:
        clock.begin()
        logits = model(pixels.to(device, non_blocking=True))
        loss = bce_and_dice(logits, masks.to(device, non_blocking=True))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        clock.end()
        total += loss.detach() * len(pixels)
        images += len(pixels)
    return float(total) / images


@torch.inference_mode()
def _validate(model: nn.Module, loader: Any, device: torch.device) -> float:
    """Return the mean Dice at 0.5, at the network's size."""
    model.eval()
    dice = [dice_at_half(model(pixels.to(device)), masks.to(device)) for pixels, masks in loader]
    return float(torch.cat(dice).mean())
