"""Texts about finished trainings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from goldfold.files import read_json
from goldfold.pipeline.fold_trainings import stage_numbers
from goldfold.text_table import Line, Table
from goldfold.vocabulary import score_name

if TYPE_CHECKING:
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun


def training_lines(
    run: OpenRun, jobs: Sequence[FoldTraining], stage: int | None = None
) -> list[Line]:
    """Return the best checkpoint of each stage that was trained.

    Args:
        run: the run.
        jobs: fold trainings that are finished.
        stage: only this one, from 1; all unless given.
    """
    rows = []
    several = any(len(job.model.stages) > 1 for job in jobs)
    for job, number in stage_numbers(jobs, stage):
        result = read_json(job.stage_folder(run, number) / "result.json")
        best = result["checkpoints"][0]
        row = [job.model.name, job.seed, job.fold, *([number] if several else [])]
        rows.append([*row, best["epoch"], best["weights"], f"{best['score']:.4f}"])
    first = ["model", "seed", "fold", *(["stage"] if several else [])]
    headers = [*first, "best epoch", "weights", score_name(run.settings.competition.metric)]
    return [Table(headers, rows)]
