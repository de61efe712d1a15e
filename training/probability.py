"""From the network's logits to the 8-bit probability maps that everything later is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from goldfold.errors import NotFiniteError
from goldfold.training.device import Device
from goldfold.training.host_copy import to_host
from goldfold.training.passes import Passes

_GPU_PIXELS = 1 << 26  # of the maps that a GPU resizes at once, 256 MiB in float32
_PINNED_BYTES = 1 << 28  # of the maps of a batch that are sent without a wait


def resize_probability(probability: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return probabilities at the original size, float32 (N x C, height, width).

    Args:
        probability: float32 (N, C, H, W) in 0..1.
        height: original height in pixels.
        width: original width in pixels.
    """
    if probability.shape[-2:] == (height, width):
        return probability.flatten(0, 1)
    # Antialiasing matters only when the network saw a larger image than the original.
    shrinking = height < probability.shape[-2] or width < probability.shape[-1]
    resized = F.interpolate(
        probability, (height, width), mode="bilinear", align_corners=False, antialias=shrinking
    )
    return resized.flatten(0, 1)


def quantise(probability: torch.Tensor) -> torch.Tensor:
    """Return levels q = min(floor(256 p), 255), uint8, same shape.

    Raises:
        NotFiniteError: a probability is NaN or infinite, which would become level 0 or 255. A GPU
            is waited for here instead of where the levels are copied.

    >>> quantise(torch.tensor([0.0, 0.5, 1.0])).tolist()
    [0, 128, 255]
    """
    # One reduction: a sum of numbers from 0 to 1 is finite if and only if all of them are.
    if not torch.isfinite(probability.sum()):
        bad = int((~probability.isfinite()).sum())
        raise NotFiniteError(
            f"{bad:,} of {probability.numel():,} probabilities are NaN or infinite; a map of them "
            "would be an empty mask. Look for NaN in the weights and logits they come from."
        )
    return as_levels(probability)


def as_levels(probability: torch.Tensor) -> torch.Tensor:
    """Return levels as `quantise` does, without a look at what is finite, so without a wait."""
    return probability.mul(256.0).floor().clamp(0, 255).to(torch.uint8)


@torch.inference_mode()
def levels_at_size(
    probability: torch.Tensor, sizes: Sequence[tuple[int, int]]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the 8-bit maps (H, W) of each image at its original size, on the host.

    Of C masks per image, those of one image come after each other.

    A GPU resizes neighbours of one size together and sends them in one copy, fewer where its memory
    does not suffice. A processor has nothing to copy, and a single map stays in its cache.

    Args:
        probability: float32 (N, C, h, w) in 0..1.
        sizes: original (height, width) of each image.
    """
    for part, size in resized_parts(probability, sizes):
        yield from _host_levels(probability[part], *size)


def sent_levels(probability: torch.Tensor, sizes: Sequence[tuple[int, int]]) -> list[torch.Tensor]:
    """Return the maps of `levels_at_size` on their way from a GPU, uint8 (M, H, W) each.

    Nobody waits for the GPU, and nothing tells of probabilities that are NaN. The maps are there
    once something was waited for that was asked of the GPU later. Maps of a batch that take more
    than 256 MB are waited for, as pinned memory is scarce.

    Args:
        probability: float32 (N, C, h, w) in 0..1, on the device.
        sizes: original (height, width) of each image.
    """
    whole = sum(height * width for height, width in sizes) * probability.shape[1]
    send = to_host if whole <= _PINNED_BYTES else torch.Tensor.cpu
    return [
        send(as_levels(resize_probability(probability[part], *size)))
        for part, size in resized_parts(probability, sizes)
    ]


def parts_of_one_size(
    sizes: Sequence[tuple[int, int]], at_once: Callable[[int], int]
) -> Iterator[tuple[slice, tuple[int, int]]]:
    """Yield the places of neighbours of one original size, and that size.

    Args:
        sizes: original (height, width) of each image.
        at_once: pixels of an image -> how many of them a part may have.
    """
    start = 0
    for (height, width), run in groupby(sizes):
        stop = start + len(list(run))
        step = at_once(height * width)
        for first in range(start, stop, step):
            yield slice(first, min(first + step, stop)), (height, width)
        start = stop


def resized_parts(
    probability: torch.Tensor, sizes: Sequence[tuple[int, int]]
) -> Iterator[tuple[slice, tuple[int, int]]]:
    """Yield the places of images that a device resizes together, and their original size."""
    classes = probability.shape[1]
    return parts_of_one_size(
        sizes, lambda pixels: _images_at_once(probability.device, pixels * classes)
    )


def _host_levels(probability: torch.Tensor, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the maps of images of one size."""

    def levels(part: slice) -> torch.Tensor:
        return quantise(resize_probability(probability[part], height, width)).cpu()

    device = Device(probability.device, None, str(probability.device))
    for maps in Passes().in_halves(len(probability), levels, device):
        yield from maps.numpy()


def _images_at_once(device: torch.device, pixels: int) -> int:
    return 1 if device.type == "cpu" else max(1, _GPU_PIXELS // pixels)
