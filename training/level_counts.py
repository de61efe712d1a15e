"""Histograms of predicted maps, counted where the maps are: on the device, or in threads here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS, PIXEL_ROWS
from goldfold.training.device import Device
from goldfold.training.probability import as_levels, resize_probability

_BINS = PIXEL_ROWS * LEVELS
_SPREAD = 1024
"""Bins among which pixels of level 0 are spread: most of a map is 0, and additions to one bin wait
for each other."""
_PIXELS = 1 << 24  # of the maps that are counted at once: indices take 8 bytes a pixel


def counts_on(device: Device) -> bool:
    """Return whether maps are counted on the device: MPS adds no 64-bit numbers at places."""
    return device.is_gpu and device.device.type != "mps"


@torch.inference_mode()
def device_histograms(
    probability: torch.Tensor,
    sizes: Sequence[tuple[int, int]],
    masks: Sequence[NDArray[np.uint8] | None],
) -> torch.Tensor:
    """Return what `level_histograms` gives of the maps, int64 (N x C, 2, 256) on the device.

    Nothing waits for the device: masks are sent, and counts stay where they are. Probabilities that
    are NaN give meaningless counts.

    Args:
        probability: float32 (N, C, h, w) in 0..1, on the device.
        sizes: original (height, width) of each image.
        masks: N x C true masks (H, W), 0 or 1, None for an empty one; those of one image stand
            beside each other.
    """
    classes = probability.shape[1]
    counts = [
        _count(
            as_levels(resize_probability(probability[part], *size)),
            masks[part.start * classes : part.stop * classes],
        )
        for part, size in _parts_of_one_size(sizes, classes)
    ]
    return torch.cat(counts)


def _parts_of_one_size(
    sizes: Sequence[tuple[int, int]], classes: int
) -> Iterator[tuple[slice, tuple[int, int]]]:
    """Yield neighbours of one size, as many as are counted at once."""
    start = 0
    for (height, width), run in groupby(sizes):
        stop = start + len(list(run))
        at_once = max(1, _PIXELS // (height * width * classes))
        for first in range(start, stop, at_once):
            yield slice(first, min(first + at_once, stop)), (height, width)
        start = stop


def _count(levels: torch.Tensor, masks: Sequence[NDArray[np.uint8] | None]) -> torch.Tensor:
    """Return the histograms of maps of one size, uint8 (M, H, W): int64 (M, 2, 256)."""
    maps, pixels = len(levels), levels[0].numel()
    flat = levels.view(maps, pixels)
    index = flat.long()
    inside = torch.zeros(maps, dtype=torch.int64, device=levels.device)
    if any(mask is not None for mask in masks):
        true = _sent(masks, levels).view(maps, pixels)
        inside = true.sum(dim=1, dtype=torch.int64)
        # Rows of bins: pixels outside of the mask, and inside.
        index += true.long() * LEVELS
    index += torch.arange(maps, device=levels.device).unsqueeze(1) * _BINS
    spare = maps * _BINS + torch.arange(pixels, device=levels.device) % _SPREAD
    index = torch.where(flat == 0, spare, index).view(-1)
    bins = torch.zeros(maps * _BINS + _SPREAD, dtype=torch.int64, device=levels.device)
    bins.scatter_add_(
        0, index, torch.ones((), dtype=torch.int64, device=levels.device).expand_as(index)
    )
    counts = bins[: maps * _BINS].view(maps, PIXEL_ROWS, LEVELS)
    counts[:, 0] += counts[:, 1]
    # What is left of all pixels, and of those of the mask, has level 0.
    counts[:, 0, 0] = pixels - counts[:, 0, 1:].sum(dim=1)
    counts[:, 1, 0] = inside - counts[:, 1, 1:].sum(dim=1)
    return counts


def _sent(masks: Sequence[NDArray[np.uint8] | None], levels: torch.Tensor) -> torch.Tensor:
    """Return masks on the device of the levels, uint8 (M, H, W), on their way."""
    stacked = torch.zeros(levels.shape, dtype=torch.uint8, pin_memory=levels.device.type != "cpu")
    for place, mask in enumerate(masks):
        if mask is not None:
            stacked[place] = torch.from_numpy(np.ascontiguousarray(mask))
    return stacked.to(levels.device, non_blocking=True)
