"""The weighted sum of losses that settings name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goldfold.training.losses.lovasz import HALF, symmetric_lovasz_hinge
from goldfold.training.losses.overlap import soft_dice_loss, tversky_loss
from goldfold.training.losses.pixel import binary_cross_entropy, focal_loss


class WeightedLoss(nn.Module):
    """The sum of weight x loss over the losses of a weight above 0; the others cost nothing."""

    def __init__(
        self,
        *,
        bce: float = 0.0,
        dice: float = 0.0,
        dice_over: Literal["batch", "image"] = "batch",
        focal: float = 0.0,
        focal_gamma: float = 2.0,
        lovasz: float = 0.0,
        tversky: float = 0.0,
        tversky_alpha: float = 0.3,
        tversky_beta: float = 0.7,
        presence: float = 0.0,
    ) -> None:
        """Take the weights and parameters, as the settings' table `loss` has them."""
        super().__init__()
        self.bce, self.dice, self.dice_over = bce, dice, dice_over
        self.focal, self.focal_gamma, self.lovasz = focal, focal_gamma, lovasz
        self.tversky, self.tversky_alpha, self.tversky_beta = tversky, tversky_alpha, tversky_beta
        self.presence = presence

    def forward(
        self, logits: Tensor, masks: Tensor, presence_logits: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch as a float32 scalar, whatever autocast is in force.

        Args:
            logits: (N, 1, H, W), any floating dtype.
            masks: (N, 1, H, W), 0 to 1, any dtype.
            presence_logits: (N,); the presence of an image is 1 where its mask has a pixel of at
                least 1/2.
        """
        if logits.shape != masks.shape:
            raise ValueError(
                f"expected masks of the logits' shape {tuple(logits.shape)}, "
                f"found {tuple(masks.shape)}"
            )
        with torch.autocast(logits.device.type, enabled=False):
            logits, masks = logits.float(), masks.float()
            loss = self._over_pixels(logits, masks)
            if self.presence > 0 and presence_logits is not None:
                present = (masks.flatten(1).amax(dim=1) >= HALF).float()
                loss = loss + self.presence * F.binary_cross_entropy_with_logits(
                    presence_logits.float(), present
                )
        return loss

    def _over_pixels(self, logits: Tensor, masks: Tensor) -> Tensor:
        loss = logits.new_zeros(())
        if self.bce > 0:
            loss = loss + self.bce * binary_cross_entropy(logits, masks)
        if self.dice > 0:
            loss = loss + self.dice * soft_dice_loss(logits, masks, over=self.dice_over)
        if self.focal > 0:
            loss = loss + self.focal * focal_loss(logits, masks, self.focal_gamma)
        if self.lovasz > 0:
            loss = loss + self.lovasz * symmetric_lovasz_hinge(logits, masks)
        if self.tversky > 0:
            loss = loss + self.tversky * tversky_loss(
                logits, masks, alpha=self.tversky_alpha, beta=self.tversky_beta
            )
        return loss
