"""Losses made from the overlap of prediction and mask: soft Dice and Tversky."""

from __future__ import annotations

import torch
from torch import Tensor

from goldfold.vocabulary import DiceOver

SMOOTH_PX = 1.0
"""Pixels added to both sides of a ratio."""


def soft_dice_loss(
    logits: Tensor,
    masks: Tensor,
    *,
    over: DiceOver = "batch",
    smooth_px: float = SMOOTH_PX,
) -> Tensor:
    """Return 1 - (2 sum(p m) + s) / (sum(p) + sum(m) + s).

    `batch` sums over all pixels of the batch: an image with few or no mask pixels does not decide
    alone. `image` makes one ratio an image and takes their mean, as the competitions' metric does.
    Several masks per image have ratios of their own, and the loss is their mean.

    Where all that is summed over is empty the loss is 1 - s / (sum(p) + s): 0 for predicting
    nothing, rising with every pixel predicted. (The common library version returns 0 for an
    all-empty batch even where everything is predicted positive: false positives go unpunished.)

    Args:
        logits: (N, C, ...), any range; C masks per image.
        masks: same shape, 0 to 1.
        over: what one ratio sums over.
        smooth_px: s, above 0.

    Source: Milletari et al. 2016, V-Net, with the plain sum in the denominator.
    """
    probability = torch.sigmoid(logits)
    axes = _axes(logits, over)
    intersection = (probability * masks).sum(axes)
    total = probability.sum(axes) + masks.sum(axes)
    return (1 - (2 * intersection + smooth_px) / (total + smooth_px)).mean()


def tversky_loss(
    logits: Tensor, masks: Tensor, *, alpha: float, beta: float, smooth_px: float = SMOOTH_PX
) -> Tensor:
    """Return 1 - (TP + s) / (TP + alpha FP + beta FN + s), summed over the batch.

    Several masks per image have ratios of their own, and the loss is their mean.

    alpha = beta = 1/2 is soft Dice with half its smoothing. An all-empty batch gives
    1 - s / (alpha sum(p) + s): 0 for predicting nothing only.

    Args:
        logits: (N, C, ...); C masks per image.
        masks: same shape, 0 to 1.
        alpha: cost of a false positive pixel.
        beta: cost of a false negative pixel.
        smooth_px: s, above 0.

    Source: Salehi et al. 2017, Tversky loss function for image segmentation.
    """
    probability = torch.sigmoid(logits)
    axes = _axes(logits, "batch")
    true_positive = (probability * masks).sum(axes)
    false_positive = (probability * (1 - masks)).sum(axes)
    false_negative = ((1 - probability) * masks).sum(axes)
    costs = alpha * false_positive + beta * false_negative
    return (1 - (true_positive + smooth_px) / (true_positive + costs + smooth_px)).mean()


def _axes(logits: Tensor, over: str) -> tuple[int, ...]:
    """Return the axes of one ratio: pixels, and images where it is over the batch."""
    pixels = tuple(range(2, logits.ndim))
    return (0, *pixels) if over == "batch" else pixels
