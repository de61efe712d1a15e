"""Averages of the weights of each fold's best checkpoints, compared with what they replace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.commands.context import Run
    from goldfold.commands.training_stage import Job
    from goldfold.training.checkpoint import Checkpoint

WAYS = ("best", "predictions", "uniform", "greedy")
"""The best checkpoint; the mean of the best ones' predictions; the two averages of weights."""


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


def average_all(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> list[Compared]:
    """Average every fold's best checkpoints, write the averages, and compare; write averages.json.

    Raises:
        InputError: a fold has no finished training.
    """
    from dataclasses import asdict

    from goldfold.commands.prediction_stage import ready_jobs
    from goldfold.files import write_json

    jobs = ready_jobs(run, images, folds)
    found = []
    for name in dict.fromkeys(job.model.name for job in jobs):
        found.append(_average_model(run, [j for j in jobs if j.model.name == name], images, folds))
    content = {
        one.model: {
            **asdict(one),
            "best": one.best,
            "made_from": _compared_checkpoints(run, [j for j in jobs if j.model.name == one.model]),
        }
        for one in found
    }
    write_json(averages_path(run), content)
    return found


def _compared_checkpoints(run: Run, jobs: Sequence[Job]) -> dict[str, list[str]]:
    """Return the hashes of the checkpoints that are compared, by seed and fold."""
    return {
        f"seed-{job.seed}/fold-{job.fold}": [one.sha256 for one in best_checkpoints(run, job)]
        for job in jobs
    }


def averages_path(run: Run) -> Path:
    """Return where the comparison is written."""
    return run.directory.root / "averages.json"


def averaged_checkpoint(run: Run, job: Job, way: str) -> Checkpoint:
    """Return a fold's averaged weights.

    Raises:
        InputError: they are not made yet, or from other checkpoints.
    """
    from goldfold.errors import InputError
    from goldfold.training.checkpoint import Checkpoint
    from goldfold.training.checkpoint_facts import read_facts

    facts_path = averages_folder(run, job) / f"{way}.json"
    command = run.command("ensemble average")
    if not facts_path.is_file():
        raise InputError(f"{facts_path} does not exist yet. Run `{command}` first.")
    facts = read_facts(facts_path, f"Run `{command}` again.")
    present = [one.sha256 for one in best_checkpoints(run, job)]
    if facts.get("averaged_from") != present:
        raise InputError(f"{facts_path} was made from other checkpoints. Run `{command}` again.")
    weights = facts_path.with_suffix(".safetensors")
    return Checkpoint(weights, facts["epoch"], facts["score"], facts["sha256"], facts)


def best_checkpoints(run: Run, job: Job) -> list[Checkpoint]:
    """Return a finished training's checkpoints that count, the best first."""
    from goldfold.training.checkpoint import list_checkpoints

    return list_checkpoints(job.folder(run))[: run.settings.inference.checkpoints]


def _average_model(
    run: Run, jobs: Sequence[Job], images: pd.DataFrame, folds: pd.DataFrame
) -> Compared:
    from goldfold.commands.average_fold import FoldAverages

    by_way: dict[str, list[NDArray[Any]]] = {way: [] for way in WAYS}
    held_out: list[pd.DataFrame] = []
    taken = []
    for job in jobs:
        fold = FoldAverages(run, job, images, folds)
        for way, seen in fold.compare().items():
            by_way[way].append(seen)
        taken.append(len(fold.greedy))
        held_out.append(fold.held_out)
    judge = _judge_labels if run.settings.competition.is_classification else _judge_masks
    honest, difference = judge(run, by_way, held_out, images, folds)
    return Compared(jobs[0].model.name, honest, difference, taken)


def _judge_masks(
    run: Run,
    by_way: Mapping[str, Sequence[NDArray[Any]]],
    held_out: Sequence[pd.DataFrame],
    images: pd.DataFrame,
    folds: pd.DataFrame,
) -> tuple[dict[str, float], dict[str, tuple[float, float, float]]]:
    """Return the honest score of each way, and its difference from `predictions`, of masks.

    Args:
        run: the run.
        by_way: for each job the histograms of its held-out images.
        held_out: for each job the rows of images.csv, with fold and group.
        images: of the run.
        folds: of the run.
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
    run: Run,
    by_way: Mapping[str, Sequence[NDArray[Any]]],
    held_out: Sequence[pd.DataFrame],
    images: pd.DataFrame,
    folds: pd.DataFrame,
) -> tuple[dict[str, float], dict[str, tuple[float, float, float]]]:
    """Return the same as `_judge_masks`, of probabilities of classes."""
    import numpy as np

    from goldfold.commands.label_views import LabelJudgement, mean_by_image

    jobs = zip(*(by_way[way] for way in WAYS), strict=True)
    ids = [list(one["image_id"]) for one in held_out]
    image_ids, seen = mean_by_image(ids, [np.stack(ways) for ways in jobs])
    judgement = LabelJudgement(run, images, folds, image_ids)
    judged = {way: judgement.judge(one) for way, one in zip(WAYS, seen, strict=True)}
    gains = judgement.gains(judged["predictions"], list(judged.values()))
    difference = {
        way: (gain["mean"], gain["low"], gain["high"])
        for way, gain in zip(WAYS, gains, strict=True)
    }
    return {way: one.honest for way, one in judged.items()}, difference


def averages_folder(run: Run, job: Job) -> Path:
    """Return where a fold's averaged weights lie."""
    return job.folder(run) / "averages"


def chosen_way(run: Run, job: Job) -> str:
    """Return how a job's checkpoints are used, one of `WAYS`.

    Raises:
        InputError: the settings say `auto`, and the averages have not been compared yet, or those
            of other checkpoints.
    """
    from goldfold.commands.context import recorded
    from goldfold.errors import InputError

    way = run.settings.inference.average
    if way == "off":
        return "predictions"
    if way != "auto":
        return way
    model, path = job.model.name, averages_path(run)
    found: Any = recorded(path, model, "best")
    present = _compared_checkpoints(run, [job])
    if found in WAYS and any(
        recorded(path, model, "made_from", name) != hashes for name, hashes in present.items()
    ):
        raise InputError(
            f"{path} compares other checkpoints of {model}. Run "
            f"`{run.command('ensemble average')}` again."
        )
    if found not in WAYS:
        raise InputError(
            f'inference.average is "auto", but {path} does not say what is best for '
            f"{model}. Run `{run.command('ensemble average')}` first."
        )
    return str(found)
