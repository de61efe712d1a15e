"""Averages of the weights of each fold's best checkpoints, compared with what they replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldfold.files import write_json
from goldfold.pipeline.average_fold import FoldAverages
from goldfold.pipeline.checkpoint_choice import averages_path, compared_checkpoints
from goldfold.pipeline.predictions import ready_jobs

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun

from goldfold.pipeline.checkpoint_choice import WAYS


@dataclass(frozen=True)
class Compared:
    """How the ways to use a model's checkpoints score, all folds together.

    Attributes:
        model: its name.
        honest: by way, mean score with thresholds chosen on other folds.
        difference: by way, mean difference from `predictions` and its 95 % interval over groups.
        taken: by fold, how many checkpoints the greedy average took in.
    """

    model: str
    honest: dict[str, float]
    difference: dict[str, tuple[float, float, float]]
    taken: list[int]

    @property
    def best(self) -> str:
        """Return the way with the best honest score; of equals, the first of `WAYS`."""
        return max(WAYS, key=lambda way: self.honest[way])


def average_all(run: OpenRun) -> list[Compared]:
    """Average every fold's best checkpoints, write the averages, and compare; write averages.json.

    Raises:
        InputError: a fold has no finished training.
    """
    from dataclasses import asdict

    jobs = ready_jobs(run)
    averages = []
    for name in dict.fromkeys(job.model.name for job in jobs):
        averages.append(_average_model(run, [j for j in jobs if j.model.name == name]))
    content = {
        average.model: {
            **asdict(average),
            "best": average.best,
            "made_from": compared_checkpoints(
                run, [j for j in jobs if j.model.name == average.model]
            ),
        }
        for average in averages
    }
    write_json(averages_path(run), content)
    return averages


def _average_model(run: OpenRun, jobs: Sequence[FoldTraining]) -> Compared:

    by_way: dict[str, list[NDArray[Any]]] = {way: [] for way in WAYS}
    held_out: list[pd.DataFrame] = []
    taken = []
    for job in jobs:
        fold = FoldAverages(run, job)
        for way, seen in fold.compare().items():
            by_way[way].append(seen)
        taken.append(len(fold.greedy))
        held_out.append(fold.held_out)
    judgement = run.task.judge(
        run, [by_way[way] for way in WAYS], held_out, base=WAYS.index("predictions")
    )
    honest = dict(zip(WAYS, judgement.honest, strict=True))
    difference = {
        way: (gain["mean"], gain["low"], gain["high"])
        for way, gain in zip(WAYS, judgement.gains, strict=True)
    }
    return Compared(jobs[0].model.name, honest, difference, taken)
