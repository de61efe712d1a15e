"""The validation score: the competition's metric per image at original size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from goldfold.competitions.histogram import level_histograms, score_by_level
from goldfold.competitions.rle import Dialect, decode
from goldfold.errors import InputError
from goldfold.training.batch import network_input
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.probability import quantise, resize_probability

HALF = 127  # level > 127 is probability >= 0.5


@dataclass(frozen=True)
class ValidationImages:
    """Images of the validation fold: cache rows, original (height, width) and true masks."""

    rows: NDArray[np.int64]
    sizes: Sequence[tuple[int, int]]
    masks: Sequence[str]
    dialect: Dialect


@dataclass(frozen=True)
class ValidationScore:
    """Mean score at the best single threshold, that threshold's level, and the score at 0.5."""

    score: float
    level: int
    score_at_half: float


@torch.inference_mode()
def validate(
    model: nn.Module,
    cache: ImageCache,
    images: ValidationImages,
    *,
    metric: str,
    batch_size: int,
    device: Device,
) -> ValidationScore:
    """Return the score of the whole fold, a mean over images and never of batches.

    Every image counts at its original size, on the same 8-bit levels that the threshold search
    uses. The score that ranks checkpoints is taken at the best of the 256 thresholds, because a
    network trained on many non-empty images is over-confident by design.

    Raises:
        InputError: there are no images.
    """
    if not len(images.rows):
        raise InputError("expected images to validate on, found none: the held-out fold is empty.")
    model.eval()
    histograms = np.stack(
        [
            level_histograms(levels, _true_mask(images, place))
            for place, levels in enumerate(
                _predict_levels(model, cache, images, batch_size, device)
            )
        ]
    )
    scores = score_by_level(histograms, metric)
    best = int(np.argmax(scores))
    return ValidationScore(float(scores[best]), best, float(scores[HALF]))


def _true_mask(images: ValidationImages, place: int) -> NDArray[np.uint8] | None:
    if not images.masks[place]:
        return None
    height, width = images.sizes[place]
    return decode(images.masks[place], height, width, images.dialect)


def _predict_levels(
    model: nn.Module, cache: ImageCache, images: ValidationImages, batch_size: int, device: Device
) -> Iterator[NDArray[np.uint8]]:
    """Yield uint8 maps (H, W) at original size, in the order of `images`."""
    for start in range(0, len(images.rows), batch_size):
        rows = images.rows[start : start + batch_size]
        pixels = np.stack([cache.pixels[row] for row in rows])
        with device.autocast():
            logits = model(network_input(pixels, device.device))
        probability = torch.sigmoid(logits.float())
        for offset in range(len(rows)):
            height, width = images.sizes[start + offset]
            one = resize_probability(probability[offset : offset + 1], height, width)
            yield quantise(one)[0].cpu().numpy()
