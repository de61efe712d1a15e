"""Losses where each pixel has exactly one class: cross-entropy and soft Dice of a softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goldfold.competitions.class_maps import IGNORED_NUMBER
from goldfold.training.losses.overlap import SMOOTH_PX
from goldfold.training.losses.own import own_loss
from goldfold.vocabulary import DiceOver

_LEAST = 1e-12
"""What is divided by where no pixel has a class."""


def pixel_cross_entropy(
    logits: Tensor, classes: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return the mean cross-entropy over the pixels that have a class; 0 where none has.

    Args:
        logits: float (N, C, H, W).
        classes: int64 (N, H, W), `IGNORED_NUMBER` for pixels without a class.
        weights: (C,) of the classes; the mean is weighted by them.
        smoothing: share of the target that is spread evenly over all classes.
    """
    total = F.cross_entropy(
        logits,
        classes,
        weight=weights,
        ignore_index=IGNORED_NUMBER,
        label_smoothing=smoothing,
        reduction="sum",
    )
    # Neither a number of the host nor an index by flags: both would make the host wait for a GPU.
    known = classes != IGNORED_NUMBER
    if weights is None:
        count = known.sum().to(logits.dtype)
    else:
        count = (weights[classes.where(known, 0)] * known).sum()
    return total / count.clamp(min=_LEAST)


def class_dice_loss(
    logits: Tensor, classes: Tensor, *, over: DiceOver = "batch", smooth_px: float = SMOOTH_PX
) -> Tensor:
    """Return the mean soft Dice loss of the classes but the background, as `soft_dice_loss`.

    Pixels without a class count neither as predicted nor as true.

    Args:
        logits: float (N, C, H, W); the first class is the background.
        classes: int64 (N, H, W), `IGNORED_NUMBER` for pixels without a class.
        over: pixels of the whole batch in one ratio, or one ratio per image.
        smooth_px: added to both sides of a ratio, above 0.
    """
    known = (classes != IGNORED_NUMBER).unsqueeze(1)
    numbers = torch.arange(1, logits.shape[1], device=logits.device).view(1, -1, 1, 1)
    true = classes.unsqueeze(1) == numbers
    probability = logits.softmax(dim=1)[:, 1:] * known
    axes = (0, 2, 3) if over == "batch" else (2, 3)
    intersection = (probability * true).sum(axes)
    total = probability.sum(axes) + true.sum(axes)
    return (1 - (2 * intersection + smooth_px) / (total + smooth_px)).mean()


class ClassMapLoss(nn.Module):
    """The weighted sum of cross-entropy, soft Dice and the user's own losses."""

    def __init__(
        self,
        *,
        cross_entropy: float = 1.0,
        dice: float = 0.0,
        dice_over: DiceOver = "batch",
        smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        own: Mapping[str, float] | None = None,
    ) -> None:
        """Take the weights and parameters of the settings' table `loss`.

        Raises:
            InputError: a loss of the user's own cannot be loaded.
        """
        super().__init__()
        self.cross_entropy, self.dice, self.dice_over = cross_entropy, dice, dice_over
        self.smoothing = smoothing
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.class_weights: Tensor | None
        weighed = {name: weight for name, weight in (own or {}).items() if weight > 0}
        self.own = [(weight, own_loss(name)) for name, weight in weighed.items()]

    def forward(
        self, logits: Tensor, classes: Tensor, presence_logits: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch as a float32 scalar, whatever autocast is in force.

        A loss of the user's own gets masks (N, C, H, W), 1 where a pixel has the class; at pixels
        without a class masks and logits are 0.

        Args:
            logits: (N, C, H, W), any floating dtype.
            classes: int64 (N, H, W), `IGNORED_NUMBER` for pixels without a class.
            presence_logits: not used.
        """
        with torch.autocast(logits.device.type, enabled=False):
            logits = logits.float()
            loss = logits.new_zeros(())
            if self.cross_entropy > 0:
                weights = self.class_weights
                weights = None if weights is None else weights.to(logits.device)
                loss = loss + self.cross_entropy * pixel_cross_entropy(
                    logits, classes, weights, self.smoothing
                )
            if self.dice > 0:
                loss = loss + self.dice * class_dice_loss(logits, classes, over=self.dice_over)
            if self.own:
                known = (classes != IGNORED_NUMBER).unsqueeze(1)
                numbers = torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1, 1)
                masks = (classes.unsqueeze(1) == numbers).float()
                for weight, function in self.own:
                    loss = loss + weight * function(logits * known, masks)
        return loss
