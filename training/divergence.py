"""What is said of a training whose weights or logits are no longer finite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from goldfold.errors import GoldfoldError, NotFiniteError
from goldfold.training.history import Row, best_score

_REMEDY = 'Lower learning_rate, or set training.precision = "float32", and train the fold again'


def not_scored(kind: str, epoch: int, error: NotFiniteError) -> str:
    """Return the line about weights that get no score: empty masks would have one.

    Args:
        kind: raw, ema or swa.
        epoch: from 1.
        error: what is not finite.
    """
    return f"epoch {epoch}: the {kind} weights are not scored and not kept. {error}\n{_REMEDY}."


def no_checkpoint(folder: Path, history: Sequence[Row]) -> GoldfoldError:
    """Return the error about a finished training without a checkpoint."""
    if any(best_score(row) is not None for row in history):
        return GoldfoldError(f"{folder} has no checkpoint; train it with --overwrite.")
    return GoldfoldError(
        f"{folder} has no checkpoint: in no validated epoch were weights and logits finite. "
        f"{_REMEDY} with --overwrite."
    )
