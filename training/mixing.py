"""Mixup and CutMix: images with classes mixed in pairs, on the device."""

from __future__ import annotations

import math

import numpy as np
import torch


class Mixing:
    """Mixes the images of a batch with those of another order, and their classes alike.

    Where both are on, each batch is mixed in one of the two ways. What is drawn follows from
    PyTorch's generator on the CPU, which is seeded anew in every step.

    Source: Zhang et al. 2018, mixup; Yun et al. 2019, CutMix.
    """

    def __init__(self, mixup: float = 0.0, cutmix: float = 0.0) -> None:
        """Take the parameters of Beta(a, a), 0 for off."""
        self.mixup, self.cutmix = mixup, cutmix

    def __call__(
        self, images: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mixed images and targets.

        Args:
            images: float32 (N, C, H, W).
            targets: float32 (N, ...), 0 to 1.
        """
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        ways = [name for name in ("mixup", "cutmix") if getattr(self, name) > 0]
        way = ways[int(rng.integers(len(ways)))]
        alpha = getattr(self, way)
        share = float(rng.beta(alpha, alpha))
        order = rng.permutation(len(images)).tolist()
        # Not an index of the host, which a GPU would have to be sent: the host would wait.
        others, their = (torch.stack([given[n] for n in order]) for given in (images, targets))
        if way == "mixup":
            return images.lerp(others, 1 - share), targets.lerp(their, 1 - share)
        rows, columns = _box(rng, share, images.shape[-2], images.shape[-1])
        mixed = images.clone(memory_format=torch.preserve_format)
        mixed[..., rows, columns] = others[..., rows, columns]
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        return mixed, targets.lerp(their, area / (images.shape[-2] * images.shape[-1]))


def _box(rng: np.random.Generator, share: float, height: int, width: int) -> tuple[slice, slice]:
    """Return the rectangle that covers 1 - share of the image, cut off where it reaches beyond."""
    side = math.sqrt(1 - share)
    sides = []
    for length in (height, width):
        middle, half = int(rng.integers(length)), round(side * length / 2)
        sides.append(slice(max(0, middle - half), min(length, middle + half)))
    return sides[0], sides[1]
