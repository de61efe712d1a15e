"""Pseudo-labels: what predictions on unlabelled images are worth, and how training reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.resize import resize_image
from goldfold.errors import InputError
from goldfold.files import atomic_path, read_json, write_json
from goldfold.image_size import SizeLike, compact_size, height_and_width, size_name

Levels = NDArray[np.uint8]

HALF = 127  # level > 127 is probability >= 0.5
TOP = 255


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels for the training of one fold, at one size.

    Attributes:
        image_ids: of the unlabelled images, M.
        masks: (M, H, W) uint8 coverage 0..255, memory-mapped; (M, C, H, W) of several an image;
            (M, C) of whole images, in the same units, uint8 or float32.
    """

    image_ids: list[str]
    masks: Levels | NDArray[np.float32]


def confidence(levels: Levels) -> float:
    """Return how far a probability map agrees with the mask it stands for, 0 to 1.

    Where the mask at one half has pixels: 2 sum(p m) / (sum(p) + sum(m)), the Dice that a
    calibrated map expects of its own mask: uncertain borders cost little, an uncertain finding
    costs all. Where it has none: 1 - the highest probability, as one hidden finding is enough to
    be wrong.

    Args:
        levels: 8-bit probability map (H, W).

    >>> confidence(np.array([[255, 255, 0, 0]], np.uint8))
    1.0
    >>> confidence(np.array([[51, 0]], np.uint8))
    0.8
    """
    mask = levels > HALF
    if not mask.any():
        return 1.0 - int(levels.max()) / TOP
    probability = levels.astype(np.int64)
    inside = int(probability[mask].sum())
    return 2.0 * inside / (int(probability.sum()) + TOP * int(mask.sum()))


def label_confidence(probability: NDArray[np.float64], *, exclusive: bool) -> NDArray[np.float64]:
    """Return how certain the classes of images are, (N,), 0 to 1.

    Of exclusive classes the highest probability. Otherwise each class is a yes or a no of its own,
    as certain as the more likely of both, and the least certain class counts; where nothing is
    found that is 1 - the highest probability.

    Args:
        probability: (N, C).
        exclusive: exactly one class an image.

    >>> label_confidence(np.array([[0.9, 0.4]]), exclusive=False)
    array([0.6])
    """
    certain = probability if exclusive else np.maximum(probability, 1 - probability)
    confidence: NDArray[np.float64] = certain.max(axis=1) if exclusive else certain.min(axis=1)
    return confidence


def label_of(levels: Levels, *, hard: bool) -> Levels:
    """Return the coverage that is learned from a map: its levels, or 0 and 255 about one half."""
    return np.where(levels > HALF, np.uint8(TOP), np.uint8(0)) if hard else levels


def cached_pseudo_labels(
    folder: Path,
    name: str,
    size: SizeLike,
    *,
    image_ids: Sequence[str],
    read: Sequence[Callable[[str], Levels]],
    made_from: str,
    resize: Callable[[Levels, int, int], Levels] = resize_image,
) -> PseudoLabels:
    """Return the pseudo-labels at the size of the training, resized once and kept.

    Args:
        folder: of the caches.
        name: tells them from others, e.g. `pseudo-labels-fold-0`.
        size: a side, or (height, width).
        image_ids: which images.
        read: for each class, what returns an image's coverage, uint8 (H, W) at its original size.
        made_from: fingerprint of the labels.
        resize: makes (height, width) of what was read.

    Raises:
        OutputError: the cache cannot be written.
    """
    path = folder / f"{name}-{size_name(size)}.npy"
    facts = {"made_from": made_from, "image_ids": list(image_ids), "size": compact_size(size)}
    if not _stands(path, facts):
        path.with_suffix(".json").unlink(missing_ok=True)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            classes = (len(read),) if len(read) > 1 else ()
            shape = (len(image_ids), *classes, *height_and_width(size))
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for image_id in image_ids:
                for of_class in read:
                    file.write(resize(of_class(image_id), *height_and_width(size)).tobytes())
        write_json(path.with_suffix(".json"), facts)
    masks: Levels = np.load(path, mmap_mode="r" if image_ids else None, allow_pickle=False)
    return PseudoLabels(list(image_ids), masks)


def _stands(path: Path, facts: object) -> bool:
    with suppress(InputError):
        return path.is_file() and bool(read_json(path.with_suffix(".json")) == facts)
    return False
