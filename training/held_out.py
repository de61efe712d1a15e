"""The score of a network on the held-out fold, masks or classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import nn

from goldfold.training.label_validation import LabelledImages, validate_labels
from goldfold.training.machine import Machine
from goldfold.training.validation import ValidationScore, validate

if TYPE_CHECKING:
    from goldfold.training.fold_run import FoldData


def score_held_out(
    model: nn.Module,
    data: FoldData,
    *,
    batch_size: int,
    machine: Machine,
    check: Callable[[], None],
) -> ValidationScore:
    """Return what the network scores on the images that it is not trained on.

    Args:
        model: left in eval mode.
        data: of the stage.
        batch_size: images in a forward pass.
        machine: device, threads and ranks.
        check: called after every batch; may raise to break off.
    """
    if isinstance(data.validation, LabelledImages):
        return validate_labels(
            model,
            data.cache,
            data.validation,
            metric=data.metric,
            batch_size=batch_size,
            device=machine.device,
            ranks=machine.ranks,
            check=check,
        )
    return validate(
        model,
        data.cache,
        data.validation,
        metric=data.metric,
        batch_size=batch_size,
        device=machine.device,
        workers=machine.workers,
        ranks=machine.ranks,
        check=check,
    )
