"""Losses that are a mean over pixels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

_LEAST = 1e-12
"""What is divided by where no pixel counts."""


def binary_cross_entropy(logits: Tensor, masks: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean binary cross-entropy over all pixels.

    Args:
        logits: any shape.
        masks: same shape, 0 to 1; soft labels are what the probability should be.
        weights: of the last axis, such as classes, or of each pixel; the mean is weighted by them.
    """
    if weights is None:
        return F.binary_cross_entropy_with_logits(logits, masks)
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return (entropy * weights).mean() / weights.mean().clamp(min=_LEAST)


def focal_loss(
    logits: Tensor, masks: Tensor, gamma: float = 2.0, weights: Tensor | None = None
) -> Tensor:
    """Return the mean over pixels of |m - p| ** gamma x cross-entropy.

    For masks of 0 and 1, |m - p| is the paper's 1 - p_t: what is easy counts little. For soft
    labels it is the quality focal loss, which vanishes where the label is met.

    Args:
        logits: any shape.
        masks: same shape, 0 to 1.
        gamma: 0 is plain cross-entropy.
        weights: of the last axis or of each pixel, as above.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection, without its class weight;
    Li et al. 2020, Generalized Focal Loss, for soft labels.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    distance = (masks - logits.sigmoid()).abs()
    # The derivative of x ** gamma at 0 is infinite for gamma below 1.
    focal = distance.clamp(min=1e-7) ** gamma * entropy
    if weights is None:
        return focal.mean()
    return (focal * weights).mean() / weights.mean().clamp(min=_LEAST)


def squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error of sigmoid(logits), a number's place in its range.

    Args:
        logits: any shape.
        targets: same shape, 0 to 1.

    Source: the sigmoid over a stated range is fast.ai's `y_range` (Howard and Gugger 2020).
    """
    return F.mse_loss(logits.sigmoid(), targets)


def smooth_absolute_error(logits: Tensor, targets: Tensor, beta: float = 0.1) -> Tensor:
    """Return the mean smooth absolute error of sigmoid(logits).

    Args:
        logits: any shape.
        targets: same shape, 0 to 1.
        beta: errors below it count by their square, above 0.

    Source: Girshick 2015, Fast R-CNN.
    """
    return F.smooth_l1_loss(logits.sigmoid(), targets, beta=beta)
