"""What `goldfold train` says of finished trainings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.pipeline.jobs import Job
    from goldfold.pipeline.open_run import OpenRun


def print_results(run: OpenRun, jobs: Sequence[Job], stage: int | None = None) -> None:
    """Print the best checkpoint of each stage that was trained."""
    from goldfold.commands import show
    from goldfold.files import read_json
    from goldfold.pipeline.jobs import stage_numbers

    rows = []
    several = any(len(job.model.stages) > 1 for job in jobs)
    for job, number in stage_numbers(jobs, stage):
        result = read_json(job.stage_folder(run, number) / "result.json")
        best = result["checkpoints"][0]
        row = [job.model.name, job.seed, job.fold, *([number] if several else [])]
        rows.append([*row, best["epoch"], best["weights"], f"{best['score']:.4f}"])
    first = ["model", "seed", "fold", *(["stage"] if several else [])]
    headers = [*first, "best epoch", "weights", run.settings.competition.metric]
    show.out(show.table(headers, rows))
