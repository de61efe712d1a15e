"""Decides by the images which of two orders of the pixels is that of the masks.

Where height equals width, the wrong order gives the transposed mask, which is as compact as the
right one. But a mask fits its own image better than other images, and a transposed one does not.
For each mask, two measures say how well it fits an image: the difference of brightness between its
inside and a ring around it, and the strength of edges along its border. How far a measure for the
own image exceeds that for the others, in standard deviations of the others, is the evidence of a
mask; what images have in common, such as borders or a spine, does not count. A sign test compares
both orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from goldfold.vocabulary import PixelOrder

SIDE_PX = 96
"""Images and masks are compared at this size."""
LEVEL = 0.001
"""Of the sign test; it holds for all measures together."""
_FEWEST, _CLIP, _SURE, _RING_PX = 12, 3.0, 4.0, 4
_SAME_PX = 0.995  # a mask that equals its transpose in more pixels tells nothing
_KERNEL = np.ones((3, 3), np.uint8)

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Verdict:
    """What the images say.

    Attributes:
        order: of the pixels, None if the images do not tell.
        masks: number of masks that differ in the two orders.
        share: share of them that fit their image better in this order than in the other one.
        p_value: of the sign test; 1 if there are too few masks.
    """

    order: PixelOrder | None
    masks: int
    share: float
    p_value: float


@dataclass(frozen=True)
class _Views:
    """An image, and the weights of a mask in both orders: `mask @ image` is a measure."""

    image: Floats
    contrast: tuple[Floats, Floats]
    edges: Floats
    outline: tuple[Floats, Floats]


def order_by_images(examples: Iterable[tuple[Pixels, Pixels, Pixels]]) -> Verdict:
    """Return in which order masks fit their images.

    Args:
        examples: an image, (H, W) or (H, W, C) uint8, its mask (H, W) decoded down the columns, and
            the same mask decoded along the rows; each image occurs once.
    """
    views = [seen for example in examples if (seen := _look(*example)) is not None]
    if len(views) < _FEWEST:
        return Verdict(None, len(views), 0.5, 1.0)
    verdicts = [_judge(*fits) for fits in zip(_fits(views, 0), _fits(views, 1), strict=True)]
    clear = [verdict for verdict in verdicts if verdict.order is not None]
    best = min(clear or verdicts, key=lambda verdict: verdict.p_value)
    if len({verdict.order for verdict in clear}) > 1:
        return Verdict(None, best.masks, best.share, best.p_value)
    return best


def _look(image: Pixels, column: Pixels, row: Pixels) -> _Views | None:
    """Return an image and its mask as they are compared, None if both orders are the same."""
    shares = [_shrunk(mask) for mask in (column, row)]
    masks = [share > min(0.5, 0.5 * float(share.max())) for share in shares]  # thin masks stay
    if any(not mask.any() or mask.all() for mask in masks):
        return None
    if (masks[0] == masks[1]).mean() > _SAME_PX:
        return None
    gray = image if image.ndim == 2 else image.mean(axis=2)
    smooth = cv2.GaussianBlur(_shrunk(gray), (0, 0), 1.0)
    ranks = np.argsort(np.argsort(smooth, axis=None)).astype(np.float32).reshape(smooth.shape)
    ranks /= ranks.size - 1  # by ranks, so that no window and no gamma matters
    edges = np.hypot(cv2.Sobel(ranks, cv2.CV_32F, 1, 0), cv2.Sobel(ranks, cv2.CV_32F, 0, 1))
    edges /= max(float(edges.mean()), 1e-6)
    weights = [_weights(mask.astype(np.uint8)) for mask in masks]
    return _Views(
        (ranks - ranks.mean()).ravel(),
        (weights[0][0], weights[1][0]),
        (edges - 1).ravel(),
        (weights[0][1], weights[1][1]),
    )


def _shrunk(pixels: Pixels | NDArray[np.float64]) -> Floats:
    small = cv2.resize(
        np.ascontiguousarray(pixels).astype(np.float32),
        (SIDE_PX, SIDE_PX),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(small, np.float32)


def _weights(mask: Pixels) -> tuple[Floats, Floats]:
    """Return weights of pixels: inside minus the ring around, and border minus everything."""
    ring = cv2.dilate(mask, _KERNEL, iterations=_RING_PX) - mask
    border = cv2.dilate(mask, _KERNEL) - cv2.erode(mask, _KERNEL)
    contrast = mask / mask.sum() - ring / max(int(ring.sum()), 1)
    outline = border / border.sum() - 1 / mask.size
    return contrast.ravel().astype(np.float32), outline.ravel().astype(np.float32)


def _fits(views: Sequence[_Views], place: int) -> list[NDArray[np.float64]]:
    """Return by how many deviations each mask fits its own image better than others, per measure.

    The measures are contrast, outline and both together. Contrast has the sign that it has for most
    masks: objects may be darker than what surrounds them.
    """
    contrast = np.array([seen.contrast[place] for seen in views])
    outline = np.array([seen.outline[place] for seen in views])
    by_contrast = _own_against_others(contrast @ np.array([seen.image for seen in views]).T)
    by_outline = _own_against_others(outline @ np.array([seen.edges for seen in views]).T)
    by_contrast *= np.sign(by_contrast.mean()) or 1.0
    both = np.clip(by_contrast, -_CLIP, _CLIP) + np.clip(by_outline, -_CLIP, _CLIP)
    return [by_contrast, by_outline, both]


def _own_against_others(measures: Floats) -> NDArray[np.float64]:
    """Return (N,) how far the diagonal of (N, N) exceeds the rest of its row, in deviations."""
    table = measures.astype(np.float64)
    own, others = np.diag(table), len(table) - 1
    mean = (table.sum(axis=1) - own) / others
    squares = ((table - mean[:, None]) ** 2).sum(axis=1) - (own - mean) ** 2
    result: NDArray[np.float64] = (own - mean) / np.maximum(np.sqrt(squares / others), 1e-9)
    return result


def _judge(column: NDArray[np.float64], row: NDArray[np.float64]) -> Verdict:
    """Return what one measure says, column against row."""
    masks, better = len(column), int((column > row).sum())
    p_value = float(binomtest(better, masks).pvalue) * 3  # three measures
    of_columns = 2 * better > masks
    share = max(better, masks - better) / masks
    sure = [_deviations(fit) for fit in (column, row)]
    # The order that wins must fit by itself, not just less badly than the other one.
    clear = p_value < LEVEL and max(sure) > _SURE and of_columns == (sure[0] > sure[1])
    order: PixelOrder = "column" if of_columns else "row"
    return Verdict(order if clear else None, masks, share, min(p_value, 1.0))


def _deviations(fits: NDArray[np.float64]) -> float:
    """Return how many standard errors the mean of some fits lies above 0."""
    return float(fits.mean() / max(fits.std(ddof=1), 1e-9) * np.sqrt(len(fits)))
