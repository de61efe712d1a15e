"""Which post-processing helps: each step is kept only where its honest gain is positive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.ignored_pixels import outside_ignored
from goldfold.competitions.level_truth import LevelTruth, truth_score
from goldfold.competitions.metric import is_ratio, set_scores
from goldfold.competitions.scores import Ratios, Scores, ratio
from goldfold.ensemble.post_processing import (
    NOTHING,
    PostProcessing,
    candidates,
    combine,
    post_process,
)
from goldfold.folds.parts import names_of, refuse_judging
from goldfold.progress import SILENT, Progress

Mask = NDArray[np.uint8]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class StepTrial:
    """One step: what it would be, what it honestly gains, and whether it is kept.

    Attributes:
        step: name of the field of `PostProcessing`.
        value: the best on all images.
        gain: honest gain of the score: for each fold with the value best on the others.
        kept: whether the gain is positive.
    """

    step: str
    value: int
    gain: float
    kept: bool


@dataclass(frozen=True)
class PostSearch:
    """The steps that are kept, what was tried, and every image's honest score with them.

    Attributes:
        steps: chosen on all images, of the kept kinds.
        trials: in the order of the steps.
        scores: (N,) honest scores, or what images contribute to a ratio.
    """

    steps: PostProcessing
    trials: tuple[StepTrial, ...]
    scores: Scores


def search_steps(
    mask_of: Callable[[int], Mask],
    true_of: Callable[[int], NDArray[Any] | None],
    folds: NDArray[np.int64],
    metric: str,
    *,
    largest_px: int,
    objects_of: Callable[[int], LevelTruth] | None = None,
    ignored_of: Callable[[int], NDArray[np.bool_] | None] = lambda _: None,
    image_ids: Sequence[str] | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> PostSearch:
    """Return the post-processing that honestly helps.

    Steps are tried in order, each on top of those that are kept. An image's masks come from a rule
    that was chosen without its fold, and so does the value of the step that judges it.

    Args:
        mask_of: place of an image -> mask by the rule of the other folds, uint8 (H, W).
        true_of: place -> true mask (H, W), None where it is empty.
        folds: (N,) fold (or part) of each image.
        metric: name of a metric of masks.
        largest_px: pixels of the largest image.
        objects_of: place -> true objects or shape, where the metric compares these.
        ignored_of: place -> pixels that do not count, (H, W), None where all do.
        image_ids: (N,) ids, by which leaks are found and named; places from 0 unless given.
        workers: threads.
        progress: counts images.

    Raises:
        LeakError: a step would judge images on which its value was chosen.
    """
    # By fold, what is kept so far with the values best on the other folds; and that on all.
    kept_of = {int(fold): NOTHING for fold in np.unique(folds)}
    kept = NOTHING
    trials = []
    scores: Scores = np.zeros(len(folds))
    ids = names_of(image_ids, len(folds))
    for tried in candidates(largest_px):

        def try_one(
            place: int, before: Mapping[int, PostProcessing], tried: Sequence[PostProcessing]
        ) -> list[tuple[float, float]]:
            base = mask_of(place)
            done = before[int(folds[place])]
            ignored = ignored_of(place)
            masks = (
                outside_ignored(post_process(base, combine(done, candidate)), ignored)
                for candidate in tried
            )
            if objects_of is not None:
                objects = objects_of(place)
                return [(truth_score(objects, mask), 1.0) for mask in masks]
            true = true_of(place)
            return [_score(metric, mask, true) for mask in masks]

        with (
            progress.task("post-processing", len(folds)) as task,
            ThreadPoolExecutor(max(1, workers), thread_name_prefix="post") as pool,
        ):
            rows = []
            job = partial(try_one, before=dict(kept_of), tried=tried)
            for row in pool.map(job, range(len(folds))):
                rows.append(row)
                task.advance()
        table = _table(metric, np.array(rows))
        best_of = {fold: _best_without(fold, table, folds, ids) for fold in kept_of}
        honest = table[np.arange(len(folds)), [best_of[int(fold)] for fold in folds]]
        gain = float(honest.mean() - table[:, 0].mean())
        best = int(_means(table).argmax())
        useful = gain > 0 and best > 0
        trials.append(StepTrial(_step(tried), _value(tried[best]), gain, useful))
        if useful:
            kept = combine(kept, tried[best])
            kept_of = {
                fold: combine(chosen, tried[best_of[fold]]) for fold, chosen in kept_of.items()
            }
        scores = honest if useful else table[:, 0]
    return PostSearch(kept, tuple(trials), scores)


def _best_without(fold: int, table: Scores, folds: NDArray[np.int64], ids: NDArray[np.str_]) -> int:
    """Return the place of the value that is best on the other folds.

    Args:
        fold: that is judged.
        table: (N, V) score of each image with each value.
        folds: (N,).
        ids: (N,).
    """
    there = folds != fold
    refuse_judging("post-processing steps", fold, ids[there], ids[folds == fold])
    return int(_means(table[there]).argmax())


def _table(metric: str, rows: FloatArray) -> Scores:
    """Return the scores of images with each value, (N, V), from what stands above and below.

    Args:
        metric: name of a metric of masks.
        rows: (N, V, 2).
    """
    return Ratios(rows[..., 0], rows[..., 1]) if is_ratio(metric) else rows[..., 0].copy()


def _means(table: Scores) -> FloatArray:
    """Return the score with each value, (V,), from (N, V)."""
    if isinstance(table, Ratios):
        return ratio(table.above.sum(axis=0), table.below.sum(axis=0))
    return np.asarray(table.mean(axis=0))


def _score(metric: str, mask: Mask, true: NDArray[Any] | None) -> tuple[float, float]:
    """Return the score of a mask and 1, or what it contributes above and below a ratio."""
    predicted, intersection, true_px = int(np.count_nonzero(mask)), 0, 0
    if true is not None:
        truth = true.astype(bool, copy=False)
        intersection, true_px = int(np.count_nonzero(mask[truth])), int(truth.sum())
    score = set_scores(metric, intersection, predicted, true_px)
    if isinstance(score, Ratios):
        return float(score.above), float(score.below)
    return float(score), 1.0


def _step(tried: Sequence[PostProcessing]) -> str:
    """Return the name of the step that candidates differ in."""
    return next(name for name, value in vars(tried[-1]).items() if value)


def _value(steps: PostProcessing) -> int:
    """Return the value of the only step that is not left out, 0 for nothing."""
    values: list[int] = list(vars(steps).values())
    return max(values)
