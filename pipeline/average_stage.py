"""Averages of the weights of each fold's best checkpoints, compared with what they replace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.pipeline.jobs import Job
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

    from goldfold.files import write_json
    from goldfold.pipeline.checkpoint_choice import averages_path, compared_checkpoints
    from goldfold.pipeline.predictions import ready_jobs

    jobs = ready_jobs(run)
    found = []
    for name in dict.fromkeys(job.model.name for job in jobs):
        found.append(_average_model(run, [j for j in jobs if j.model.name == name]))
    content = {
        one.model: {
            **asdict(one),
            "best": one.best,
            "made_from": compared_checkpoints(run, [j for j in jobs if j.model.name == one.model]),
        }
        for one in found
    }
    write_json(averages_path(run), content)
    return found


def _average_model(run: OpenRun, jobs: Sequence[Job]) -> Compared:
    from goldfold.pipeline.average_fold import FoldAverages

    by_way: dict[str, list[NDArray[Any]]] = {way: [] for way in WAYS}
    held_out: list[pd.DataFrame] = []
    taken = []
    for job in jobs:
        fold = FoldAverages(run, job)
        for way, seen in fold.compare().items():
            by_way[way].append(seen)
        taken.append(len(fold.greedy))
        held_out.append(fold.held_out)
    judge = _judge_labels if run.settings.competition.is_classification else _judge_masks
    honest, difference = judge(run, by_way, held_out)
    return Compared(jobs[0].model.name, honest, difference, taken)


def _judge_masks(
    run: OpenRun,
    by_way: Mapping[str, Sequence[NDArray[Any]]],
    held_out: Sequence[pd.DataFrame],
) -> tuple[dict[str, float], dict[str, tuple[float, float, float]]]:
    """Return the honest score of each way, and its difference from `predictions`, of masks.

    Args:
        run: the run.
        by_way: for each job the histograms of its held-out images.
        held_out: for each job the rows of images.csv, with fold and group.
    """
    import numpy as np

    from goldfold.ensemble.honest import group_interval, number_groups, parts_of
    from goldfold.ensemble.several import cross_fit_classes

    fold_of = np.concatenate([one["fold"].to_numpy() for one in held_out])
    groups = [group for one in held_out for group in one["group"]]
    settings, form = run.settings.ensemble, run.settings.competition
    parts = parts_of(fold_of, groups, settings.seed)
    numbers = number_groups(groups)
    scores = {
        way: cross_fit_classes(
            np.concatenate(histograms),
            parts,
            form.metric,
            classes=form.outputs,
            choice=settings.rule,
        )
        for way, histograms in by_way.items()
    }
    difference = {}
    for way in WAYS:
        gap = scores[way] - scores["predictions"]
        interval = group_interval(
            gap, numbers, samples=settings.bootstrap_samples, seed=settings.seed
        )
        difference[way] = (float(gap.mean()), interval.low, interval.high)
    return {way: float(one.mean()) for way, one in scores.items()}, difference


def _judge_labels(
    run: OpenRun,
    by_way: Mapping[str, Sequence[NDArray[Any]]],
    held_out: Sequence[pd.DataFrame],
) -> tuple[dict[str, float], dict[str, tuple[float, float, float]]]:
    """Return the same as `_judge_masks`, of probabilities of classes."""
    import numpy as np

    from goldfold.pipeline.class_views import LabelJudgement, mean_by_image

    jobs = zip(*(by_way[way] for way in WAYS), strict=True)
    ids = [list(one["image_id"]) for one in held_out]
    image_ids, seen = mean_by_image(ids, [np.stack(ways) for ways in jobs])
    judgement = LabelJudgement(run, image_ids)
    judged = {way: judgement.judge(one) for way, one in zip(WAYS, seen, strict=True)}
    gains = judgement.gains(judged["predictions"], list(judged.values()))
    difference = {
        way: (gain["mean"], gain["low"], gain["high"])
        for way, gain in zip(WAYS, gains, strict=True)
    }
    return {way: one.honest for way, one in judged.items()}, difference
