"""Which two submissions of several runs to hand in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from goldfold.errors import InputError, list_problems
from goldfold.pipeline.comparison import compare_files
from goldfold.pipeline.open_run import OpenRun
from goldfold.pipeline.submission_stage import require_submission
from goldfold.progress import SILENT, Progress
from goldfold.rundirectory import recorded
from goldfold.submissions.select import select_two


def select_runs(
    folders: Sequence[Path], tolerance: float, progress: Progress = SILENT
) -> dict[str, Any]:
    """Return the two submissions to hand in, and what each candidate scores, as plain values.

    Raises:
        InputError: a run has no submission, or one that is out of date, runs are of different
            competitions, or there are fewer than two.
    """
    honest, files = _candidates(folders, progress)
    known: dict[str, float] = {}
    counted: dict[str, str] = {}

    def agreement(best: str, name: str) -> float:
        _, comparison = compare_files(files[best], files[name], str(files[best].parent))
        known[name], counted[name] = comparison.agreement, comparison.agreement_by
        return known[name]

    chosen = select_two(honest, agreement, tolerance)

    def verdict(name: str) -> str:
        if name == chosen.best:
            return "hand in: the best"
        if name == chosen.other:
            return "hand in: the most different one"
        return f"more than {tolerance:g} below" if name in chosen.too_low else "too alike"

    return {
        "best": chosen.best,
        "other": chosen.other,
        "tolerance": tolerance,
        "agreement_by": next(iter(counted.values())),
        "candidates": [
            {
                "submission": name,
                "honest": honest[name],
                "agreement": known.get(name),
                "verdict": verdict(name),
            }
            for name in sorted(honest, key=lambda run_name: -honest[run_name])
        ],
    }


def _candidates(
    folders: Sequence[Path], progress: Progress
) -> tuple[dict[str, float], dict[str, Path]]:
    """Return honest scores and submission files, by the file's path."""
    honest: dict[str, float] = {}
    files: dict[str, Path] = {}
    problems, metrics = [], set()
    for folder in folders:
        run = OpenRun.open(folder, progress=progress)
        try:
            path = require_submission(run)
        except InputError as error:
            problems.append(" ".join(str(error).split()))
            continue
        honest[str(path)] = recorded(run.directory.ensemble, "honest", "score")
        files[str(path)] = path
        metrics.add((run.settings.competition.metric, run.settings.competition.title))
    if problems:
        raise InputError(list_problems("not every run can be selected from:", problems))
    if len(metrics) > 1:
        names = ", ".join(sorted(f"{title} ({metric})" for metric, title in metrics))
        raise InputError(f"expected runs of one competition, found {names}.")
    return honest, files
