"""What an epoch draws from: the labelled images, and behind them the pseudo-labelled ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goldfold.folds.fold_view import Fold
from goldfold.training.augmentation.packed import MaskKind
from goldfold.training.image_cache import ImageCache

Pixels = NDArray[np.uint8]
Targets = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True)
class PseudoLabelled:
    """Unlabelled images of another cache and what a model that never saw the fold says of them.

    Attributes:
        cache: where the images are.
        rows: (M,) int64, their rows.
        masks: (M, H, W) or (M, C, H, W) uint8, coverage 0..255; (M, C) in units of 1 / 255 of
            whole images, uint8 or float32.
    """

    cache: ImageCache
    rows: NDArray[np.int64]
    masks: Targets


@dataclass(frozen=True)
class TrainingImages:
    """Images by one number each: 0 .. L-1 are labelled, L .. L+M-1 pseudo-labelled.

    Attributes:
        cache: of the labelled images.
        rows: (L,) int64, their rows in the cache.
        pseudo: the others, if any.
        labels: (L, C) 0 to 255 where whole images have classes, uint8, or numbers, float32.
        mirror: for each mask, or class of a pixel, the place of the one that a mirror makes of it;
            () where all stay.
        fold: that is trained; it must hold none of the labelled images out.

    Raises:
        LeakError: the fold holds out one of the images.
    """

    cache: ImageCache
    rows: NDArray[np.int64]
    pseudo: PseudoLabelled | None = None
    labels: Targets | None = None
    mirror: tuple[int, ...] = ()
    fold: Fold | None = None

    def __post_init__(self) -> None:
        """Refuse images that the fold holds out: everything that is learned is read from here."""
        if self.fold is not None:
            self.fold.refuse_held_out(self.cache.ids_read(self.rows), "training")

    @property
    def classes_per_pixel(self) -> int:
        """How many classes a pixel may have where it has exactly one of them; 0 else."""
        return self.cache.classes if self.cache.numbers else 0

    @property
    def pseudo_labelled(self) -> int:
        """How many pseudo-labelled images there are, M."""
        return 0 if self.pseudo is None else len(self.pseudo.rows)

    def pixels(self, number: int) -> Pixels:
        """Return an image, uint8 (H, W) or (H, W, C), as `ImageCache.image`."""
        beyond = number - len(self.rows)
        if beyond < 0:
            return self.cache.image(int(self.rows[number]))
        assert self.pseudo is not None
        return self.pseudo.cache.image(int(self.pseudo.rows[beyond]))

    @property
    def mask_kind(self) -> MaskKind:
        """What is moved together with the pixels."""
        if self.labels is not None:
            return "none"
        return "classes" if self.classes_per_pixel else "coverage"

    def is_soft(self, number: int) -> bool:
        """Return whether a mask is coverage of 0 to 255, not 0 or 1, nor of class numbers."""
        return number >= len(self.rows) and self.mask_kind == "coverage"

    def mask(self, number: int) -> tuple[Pixels, bool]:
        """Return a mask, uint8 (H, W), and whether it is soft: 0..255 instead of 0 or 1.

        Of several masks per image, (C, H, W), and with ignored pixels (C + 1, H, W). Images with
        classes have empty ones. Where a pixel has exactly one class, (H, W) of class numbers, which
        are never soft.
        """
        beyond = number - len(self.rows)
        if self.labels is not None:
            return np.zeros(self.cache.image_size, np.uint8), False
        if beyond < 0:
            return self.cache.mask(int(self.rows[number])), False
        assert self.pseudo is not None
        mask = self.pseudo.masks[beyond]
        if self.cache.ignores:  # pseudo-labels ignore no pixel
            planes = mask.reshape(-1, *mask.shape[-2:])
            mask = np.concatenate([planes, np.zeros_like(planes[:1])])
        return mask, self.is_soft(number)

    def targets(self, numbers: NDArray[np.int64], masks: list[Pixels]) -> Targets:
        """Return what a batch of these images is to be: its masks, or (N, 1, C) in 255ths."""
        if self.labels is None:
            return np.stack(masks)
        own = numbers < len(self.labels)
        targets = np.empty((len(numbers), self.labels.shape[1]), self.labels.dtype)
        targets[own] = self.labels[numbers[own]]
        if self.pseudo is not None:
            targets[~own] = self.pseudo.masks[numbers[~own] - len(self.labels)]
        return targets[:, None, :]

    def key(self, number: int) -> int:
        """Return what an image's random changes are drawn from: stable when images are added."""
        beyond = number - len(self.rows)
        if beyond < 0:
            return int(self.rows[number])
        assert self.pseudo is not None
        return len(self.cache) + int(self.pseudo.rows[beyond])

    def image_ids(self, numbers: NDArray[np.int64]) -> list[str]:
        """Return the ids of these images, for messages and records."""
        return [self._image_id(int(number)) for number in numbers]

    def _image_id(self, number: int) -> str:
        beyond = number - len(self.rows)
        if beyond < 0:
            return self.cache.image_ids[int(self.rows[number])]
        assert self.pseudo is not None
        return self.pseudo.cache.image_ids[int(self.pseudo.rows[beyond])]
