"""What training minimises: binary cross-entropy and soft Dice, always in float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMOOTH_PX = 1.0
"""Pixels added to both sides of the Dice ratio."""


def soft_dice_loss(logits: Tensor, masks: Tensor, smooth_px: float = SMOOTH_PX) -> Tensor:
    """Return 1 - (2 sum(p m) + s) / (sum(p) + sum(m) + s), the sums over all pixels of the batch.

    Summing over the batch keeps an image with few or no mask pixels from deciding alone. Where
    the whole batch is empty the loss is 1 - s / (sum(p) + s): 0 for predicting nothing, rising
    with every pixel predicted. (Losses that return 0 for such a batch let false positives go.)

    Args:
        logits: any shape, any range.
        masks: same shape, 0 or 1.
        smooth_px: s, above 0.

    Source: Milletari et al. 2016, V-Net, with the plain sum in the denominator.
    """
    probability = torch.sigmoid(logits)
    intersection = (probability * masks).sum()
    total = probability.sum() + masks.sum()
    return 1 - (2 * intersection + smooth_px) / (total + smooth_px)


class WeightedLoss(nn.Module):
    """bce x (mean binary cross-entropy) + dice x (soft Dice over the batch)."""

    def __init__(self, bce: float = 1.0, dice: float = 1.0) -> None:
        """Take the two weights; a part of weight 0 is not computed."""
        super().__init__()
        self.bce = bce
        self.dice = dice

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Return the loss of a batch as a float32 scalar, whatever autocast is in force.

        Args:
            logits: (N, 1, H, W), any floating dtype.
            masks: (N, 1, H, W), 0 or 1, any dtype.
        """
        if logits.shape != masks.shape:
            raise ValueError(
                f"expected masks of the logits' shape {tuple(logits.shape)}, "
                f"found {tuple(masks.shape)}"
            )
        with torch.autocast(logits.device.type, enabled=False):
            logits, masks = logits.float(), masks.float()
            loss = logits.new_zeros(())
            if self.bce > 0:
                loss = loss + self.bce * F.binary_cross_entropy_with_logits(logits, masks)
            if self.dice > 0:
                loss = loss + self.dice * soft_dice_loss(logits, masks)
        return loss
