"""history.csv and history.jsonl: one row per epoch, the record of a training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.files import write_text
from goldfold.training.epoch import EpochSoFar
from goldfold.training.validation import ValidationScore
from goldfold.vocabulary import score_name

Row = dict[str, Any]

COLUMNS = (
    "epoch",
    "loss",
    "learning_rate",
    "non_empty_fraction",
    "images",
    "non_empty",
    "empty",
    "pseudo_labelled",
    "draw",
    "skipped_steps",
    "score",
    "score_at_half",
    "non_empty_score",
    "best_threshold",
    "ema_score",
    "swa_score",
    "seconds",
    "waiting_seconds",
    "validation_seconds",
    "images_per_second",
)

RAW = "raw"


def history_row(
    epoch: int,
    so_far: EpochSoFar,
    *,
    counts: tuple[int, int, int],
    draw: str,
    scores: Mapping[str, ValidationScore],
    validation_seconds: float,
) -> Row:
    """Return what the history says of an epoch; scores are None where it was not validated.

    Args:
        epoch: from 0; the row counts from 1.
        so_far: of the whole epoch.
        counts: non-empty, empty and pseudo-labelled images that were drawn.
        draw: digest of the images in their order: two trainings that agree saw the same.
        scores: by kind of weights: raw, ema, swa.
        validation_seconds: spent on them.
    """
    raw = scores.get(RAW)
    non_empty, empty, pseudo_labelled = counts
    return {
        "epoch": epoch + 1,
        "loss": so_far.loss if math.isfinite(so_far.loss) else None,
        "learning_rate": so_far.rate,
        "non_empty_fraction": non_empty / max(non_empty + empty, 1),
        "images": so_far.images,
        "non_empty": non_empty,
        "empty": empty,
        "pseudo_labelled": pseudo_labelled,
        "draw": draw,
        "skipped_steps": len(so_far.skipped),
        "score": raw.score if raw else None,
        "score_at_half": raw.score_at_half if raw else None,
        "non_empty_score": raw.non_empty_score if raw else None,
        "best_threshold": (raw.level + 1) / 256 if raw else None,
        "ema_score": scores["ema"].score if "ema" in scores else None,
        "swa_score": scores["swa"].score if "swa" in scores else None,
        "seconds": round(so_far.seconds, 3),
        "waiting_seconds": round(so_far.waited, 3),
        "validation_seconds": round(validation_seconds, 3),
        "images_per_second": round(so_far.images / max(so_far.seconds, 1e-9), 2),
        "skipped": list(so_far.skipped),
    }


def best_score(row: Row) -> float | None:
    """Return the best score of an epoch over all kinds of weights, None without validation."""
    scores = [row[name] for name in ("score", "ema_score", "swa_score") if row[name] is not None]
    return max(scores) if scores else None


def best_by_kind(history: Sequence[Row]) -> dict[str, float]:
    """Return the best score of each kind of weights (raw, ema, swa) that was validated."""
    columns = {RAW: "score", "ema": "ema_score", "swa": "swa_score"}
    best = {
        kind: [row[column] for row in history if row[column] is not None]
        for kind, column in columns.items()
    }
    return {kind: max(scores) for kind, scores in best.items() if scores}


def best_of_each_kind(history: Sequence[Row], metric: str) -> str:
    """Return the best score of each kind of weights in words, "" where there is but one kind."""
    best = best_by_kind(history)
    if len(best) < 2:
        return ""
    scores = ", ".join(f"{kind} {score:.4f}" for kind, score in best.items())
    return f"best {score_name(metric)} by kind of weights: {scores}"


def validations_without_gain(history: Sequence[Row]) -> int:
    """Return how many validations have passed since the one with the best score.

    >>> rows = [{"score": s, "ema_score": None, "swa_score": None} for s in (0.1, 0.3, 0.3, 0.2)]
    >>> validations_without_gain(rows)
    2
    """
    scores = [score for score in map(best_score, history) if score is not None]
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


def scores_so_far(history: Sequence[Row], metric: str) -> dict[str, object]:
    """Return the last validation score, by the metric's name, and the best, for a progress bar."""
    scores = [score for score in map(best_score, history) if score is not None]
    return {score_name(metric): scores[-1], "best": max(scores)} if scores else {}


def write_history(folder: Path, history: Sequence[Row]) -> None:
    """Write history.csv, and history.jsonl with the ids of skipped batches, each atomically."""
    table = pd.DataFrame(history, columns=list(COLUMNS))
    write_text(folder / "history.csv", table.to_csv(index=False, lineterminator="\n"))
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in history]
    write_text(folder / "history.jsonl", "".join(lines))
