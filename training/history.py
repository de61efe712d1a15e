"""history.csv: one row an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.files import write_text
from goldfold.training.epoch import EpochResult
from goldfold.training.validation import ValidationScore

Row = dict[str, Any]

COLUMNS = (
    "epoch",
    "loss",
    "learning_rate",
    "non_empty_fraction",
    "images",
    "score",
    "score_at_half",
    "non_empty_score",
    "best_threshold",
    "seconds",
    "images_per_second",
)


def history_row(
    epoch: int, result: EpochResult, fraction: float, score: ValidationScore | None
) -> Row:
    """Return what history.csv says of an epoch; scores are None where it was not validated.

    Args:
        epoch: from 0; the row counts from 1.
        result: of the training.
        fraction: of images with a non-empty mask, 0 to 1.
        score: of the validation.
    """
    return {
        "epoch": epoch + 1,
        "loss": result.loss,
        "learning_rate": result.learning_rate,
        "non_empty_fraction": fraction,
        "images": result.images,
        "score": score.score if score else None,
        "score_at_half": score.score_at_half if score else None,
        "non_empty_score": score.non_empty_score if score else None,
        "best_threshold": (score.level + 1) / 256 if score else None,
        "seconds": round(result.seconds, 3),
        "images_per_second": round(result.images / max(result.seconds, 1e-9), 2),
    }


def scores_so_far(history: Sequence[Row], metric: str) -> dict[str, object]:
    """Return the last validation score, by the metric's name, and the best, for a progress bar."""
    scores = [row["score"] for row in history if row["score"] is not None]
    return {metric: scores[-1], "best": max(scores)} if scores else {}


def write_history(path: Path, history: Sequence[Row]) -> None:
    """Write the rows as CSV, atomically, whatever the order of their keys."""
    table = pd.DataFrame(history, columns=list(COLUMNS))
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
