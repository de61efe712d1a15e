"""Histograms of predicted maps, counted where the maps are: on the device, or in threads here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.competitions.histogram import LEVELS, PIXEL_ROWS
from goldfold.competitions.ignored_pixels import IGNORED_PIXEL
from goldfold.training.device import Device
from goldfold.training.host_copy import runs_ahead, to_device
from goldfold.training.probability import as_levels, parts_of_one_size, resize_probability

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
        masks: N x C true masks (H, W), 0 or 1, `IGNORED_PIXEL` at pixels that do not count, None
            for an empty one; those of one image stand beside each other.
    """
    classes = probability.shape[1]
    counts = [
        _count(
            as_levels(resize_probability(probability[part], *size)),
            masks[part.start * classes : part.stop * classes],
        )
        for part, size in parts_of_one_size(
            sizes, lambda pixels: max(1, _PIXELS // (pixels * classes))
        )
    ]
    return torch.cat(counts)


def _count(levels: torch.Tensor, masks: Sequence[NDArray[np.uint8] | None]) -> torch.Tensor:
    """Return the histograms of maps of one size, uint8 (M, H, W): int64 (M, 2, 256)."""
    maps, pixels = len(levels), levels[0].numel()
    flat = levels.contiguous().view(maps, pixels)  # several masks may be channels_last
    index = flat.long()
    inside = torch.zeros(maps, dtype=torch.int64, device=levels.device)
    ignored: torch.Tensor | int = 0
    if any(mask is not None for mask in masks):
        true = _sent(masks, levels).view(maps, pixels)
        left_out = true == IGNORED_PIXEL
        ignored = left_out.sum(dim=1)
        flat, true = flat.masked_fill(left_out, 0), true.masked_fill(left_out, 0)
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
    counts[:, 0, 0] = pixels - ignored - counts[:, 0, 1:].sum(dim=1)
    counts[:, 1, 0] = inside - counts[:, 1, 1:].sum(dim=1)
    return counts


def _sent(masks: Sequence[NDArray[np.uint8] | None], levels: torch.Tensor) -> torch.Tensor:
    """Return masks on the device of the levels, uint8 (M, H, W), on their way."""
    stacked = torch.zeros(levels.shape, dtype=torch.uint8, pin_memory=runs_ahead(levels.device))
    for place, mask in enumerate(masks):
        if mask is not None:
            stacked[place] = torch.from_numpy(np.ascontiguousarray(mask))
    return to_device(stacked, levels.device)
