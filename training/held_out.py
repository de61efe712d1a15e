"""The score of a network on the held-out fold, masks or classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import nn

from goldfold.errors import NotFiniteError, list_problems, plural
from goldfold.training.finite import bad_tensors
from goldfold.training.runtime import Machine
from goldfold.training.validation import ValidationScore

if TYPE_CHECKING:
    from goldfold.training.fold_run import FoldData


def score_held_out(
    model: nn.Module,
    data: FoldData,
    *,
    batch_size: int,
    machine: Machine,
    check: Callable[[], None],
    warn: Callable[[str], None] = lambda _: None,
) -> ValidationScore:
    """Return what the network scores on the images that it is not trained on.

    Args:
        model: left in eval mode.
        data: of the stage.
        batch_size: images in a forward pass.
        machine: device, threads and ranks.
        check: called after every batch; may raise to break off.
        warn: takes a line where images were scored in float32, or in smaller batches.

    Raises:
        NotFiniteError: weights are NaN or infinite, or logits are, in float32 too. All ranks raise.
    """
    bad = bad_tensors(model.state_dict())
    if machine.ranks.any(bool(bad)):
        raise NotFiniteError(list_problems("NaN or infinite weights:", bad, limit=5))
    retried: list[int] = []
    score = _score(model, data, batch_size, machine, check, retried.append, warn)
    if retried:
        images = plural(sum(retried), "image was", "images were")
        warn(
            f"logits of {images} NaN or infinite on {machine.device.description}; scored in "
            "float32 instead"
        )
    return score


def _score(
    model: nn.Module,
    data: FoldData,
    batch_size: int,
    machine: Machine,
    check: Callable[[], None],
    retried: Callable[[int], None],
    say: Callable[[str], None],
) -> ValidationScore:
    return data.validation.score(
        model,
        data.cache,
        metric=data.metric,
        batch_size=batch_size,
        device=machine.device,
        workers=machine.workers,
        ranks=machine.ranks,
        check=check,
        retried=retried,
        passes=machine.passes,
        say=say,
    )
