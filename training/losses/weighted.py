"""The weighted sum of losses that settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goldfold.training.losses.lovasz import HALF, symmetric_lovasz_hinge
from goldfold.training.losses.overlap import soft_dice_loss, tversky_loss
from goldfold.training.losses.own import own_loss
from goldfold.training.losses.pixel import (
    binary_cross_entropy,
    focal_loss,
    smooth_absolute_error,
    squared_error,
)
from goldfold.vocabulary import DiceOver

_NEVER = -1e4
"""Logit whose probability is exactly 0."""


class WeightedLoss(nn.Module):
    """The sum of weight x loss over the losses of a weight above 0; the others cost nothing."""

    def __init__(
        self,
        *,
        bce: float = 0.0,
        dice: float = 0.0,
        dice_over: DiceOver = "batch",
        focal: float = 0.0,
        focal_gamma: float = 2.0,
        lovasz: float = 0.0,
        tversky: float = 0.0,
        tversky_alpha: float = 0.3,
        tversky_beta: float = 0.7,
        presence: float = 0.0,
        cross_entropy: float = 0.0,
        mse: float = 0.0,
        smooth_l1: float = 0.0,
        smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        own: Mapping[str, float] | None = None,
    ) -> None:
        """Take the weights and parameters, as the settings' table `loss` has them.

        Where images have classes in place of masks, `class_weights` has one for each, (C,). `own`
        has the weights of losses of the user's own, by bound reference.

        Raises:
            InputError: a loss of the user's own cannot be loaded.
        """
        super().__init__()
        self.cross_entropy, self.smoothing = cross_entropy, smoothing
        self.mse, self.smooth_l1 = mse, smooth_l1
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.class_weights: Tensor | None
        self.bce, self.dice, self.dice_over = bce, dice, dice_over
        self.focal, self.focal_gamma, self.lovasz = focal, focal_gamma, lovasz
        self.tversky, self.tversky_alpha, self.tversky_beta = tversky, tversky_alpha, tversky_beta
        self.presence = presence
        weighed = {name: weight for name, weight in (own or {}).items() if weight > 0}
        self.own = [(weight, own_loss(name)) for name, weight in weighed.items()]

    def forward(
        self, logits: Tensor, masks: Tensor, presence_logits: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch as a float32 scalar, whatever autocast is in force.

        Args:
            logits: (N, 1, H, W), any floating dtype; of several masks per image (N, M, H, W), of
                classes (N, 1, 1, C).
            masks: of the same shape, 0 to 1, any dtype; (N, M + 1, H, W) where pixels are ignored:
                the last mask is above 0 at those, which no part of the loss counts.
            presence_logits: (N,); the presence of an image is 1 where a mask of it has a pixel of
                at least 1/2.
        """
        masks, known = _without_ignored(masks, logits.shape[1])
        if logits.shape != masks.shape:
            raise ValueError(
                f"expected masks of the logits' shape {tuple(logits.shape)}, "
                f"found {tuple(masks.shape)}"
            )
        with torch.autocast(logits.device.type, enabled=False):
            logits, masks = logits.float(), masks.float()
            if known is not None:
                masks = masks * known
            if self.smoothing > 0:
                masks = masks + self.smoothing * (self._even(masks) - masks)
            loss = self._over_pixels(logits, masks, known)
            if self.presence > 0 and presence_logits is not None:
                present = (masks.flatten(1).amax(dim=1) >= HALF).float()
                loss = loss + self.presence * F.binary_cross_entropy_with_logits(
                    presence_logits.float(), present
                )
        return loss

    def _even(self, masks: Tensor) -> Tensor | float:
        """Return what is known of classes before an image is seen."""
        return 1 / masks.shape[-1] if self.cross_entropy > 0 else 0.5

    def _over_pixels(self, logits: Tensor, masks: Tensor, known: Tensor | None) -> Tensor:
        loss = logits.new_zeros(())
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        sure, true = logits, masks
        if known is not None:
            weights = known.expand_as(logits).to(logits.dtype)
            sure, true = logits.masked_fill(~known, _NEVER), masks * known
        if self.bce > 0:
            loss = loss + self.bce * binary_cross_entropy(logits, masks, weights)
        if self.cross_entropy > 0:
            loss = loss + self.cross_entropy * F.cross_entropy(
                logits.flatten(1), masks.flatten(1), weight=weights
            )
        if self.mse > 0:
            loss = loss + self.mse * squared_error(logits, masks)
        if self.smooth_l1 > 0:
            loss = loss + self.smooth_l1 * smooth_absolute_error(logits, masks)
        if self.dice > 0:
            loss = loss + self.dice * soft_dice_loss(sure, true, over=self.dice_over)
        if self.focal > 0:
            loss = loss + self.focal * focal_loss(logits, masks, self.focal_gamma, weights)
        if self.lovasz > 0:
            counted = None if known is None else known.expand_as(logits).flatten(0, 1)
            loss = loss + self.lovasz * symmetric_lovasz_hinge(
                logits.flatten(0, 1), masks.flatten(0, 1), counted
            )
        if self.tversky > 0:
            loss = loss + self.tversky * tversky_loss(
                sure, true, alpha=self.tversky_alpha, beta=self.tversky_beta
            )
        for weight, function in self.own:
            # At ignored pixels a loss of the user's own gets logits and masks of 0.
            shown = logits if known is None else logits * known
            loss = loss + weight * function(shown, true)
        return loss


def _without_ignored(masks: Tensor, outputs: int) -> tuple[Tensor, Tensor | None]:
    """Return the masks, and where pixels count, bool (N, 1, H, W); None if all do."""
    if masks.ndim != 4 or masks.shape[1] != outputs + 1:
        return masks, None
    return masks[:, :-1], masks[:, -1:] <= 0
