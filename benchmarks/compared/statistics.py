"""The arithmetic of comparison.py: equal budgets, fair choices, paired differences, intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student  # type: ignore[import-untyped,unused-ignore]

from goldfold.competitions.histogram import scores_by_level
from goldfold.ensemble.intervals import Interval, group_interval

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

LEVEL = 0.95


@dataclass(frozen=True)
class Outcome:
    """One way to get a submission out of one seed: its honest score of every image.

    Attributes:
        sampling: name of the sampling schedule.
        variant: what is made of the training's checkpoints.
        seed: of the trainings, one per fold.
        scores: (N,) honest score of each image, images in the same order in all outcomes.
    """

    sampling: str
    variant: str
    seed: int
    scores: FloatArray


@dataclass(frozen=True)
class Images:
    """Fold (N,) and group number (N,) of each image."""

    folds: IntArray
    groups: IntArray


@dataclass(frozen=True)
class Difference:
    """A paired difference of mean scores with two intervals, one for each source of chance.

    Attributes:
        mean: first minus second, over seeds and images.
        low: of the t-interval over the differences of single trainings (seed and fold).
        high: of the same.
        pairs: how many there are.
        images: bootstrap interval over groups of images, of the differences' mean over seeds.
    """

    mean: float
    low: float
    high: float
    pairs: int
    images: Interval

    @property
    def verdict(self) -> str:
        """What may be said: only what neither chance explains."""
        if self.low > 0 and self.images.low > 0:
            return "better"
        if self.high < 0 and self.images.high < 0:
            return "worse"
        return "not told apart"


def epochs_within(budget: int, images_shown: Callable[[int], int]) -> int:
    """Return the number of epochs, at least 1, that show nearest to `budget` images.

    Args:
        budget: images.
        images_shown: images in a training of so many epochs; rises with them.

    >>> epochs_within(100, lambda epochs: 30 * epochs)
    3
    """
    epochs = 1
    while images_shown(epochs) < budget:
        epochs += 1
    short, over = budget - images_shown(epochs - 1), images_shown(epochs) - budget
    return epochs - 1 if epochs > 1 and short <= over else epochs


def halve(groups: IntArray, seed: int = 0) -> NDArray[np.bool_]:
    """Return which images are in the first half, (N,): whole groups, dealt in a seeded order."""
    names, place = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(names.size)
    half: NDArray[np.bool_] = (order % 2 == 0)[place]
    return half


def best_on_the_other_half(
    histograms: Sequence[IntArray], first: NDArray[np.bool_], count: int, metric: str
) -> tuple[list[int], list[int]]:
    """Return the `count` best checkpoints for the first half, and those for the second.

    The ones for a half are the best on the other half, at its best single threshold, as the
    validation score is taken; equal ones in the order given. So no image has a say in which
    checkpoints judge it.

    Args:
        histograms: of each checkpoint, (N, 2, 256).
        first: (N,) which images are in the first half.
        count: how many to choose.
        metric: name of a metric of pixel counts.
    """

    def ranked(chosen_on: NDArray[np.bool_]) -> list[int]:
        scores = [
            scores_by_level(halves[chosen_on], metric).mean(axis=0).max() for halves in histograms
        ]
        return [int(place) for place in np.argsort(-np.array(scores), kind="stable")[:count]]

    return ranked(~first), ranked(first)


def t_interval(values: FloatArray, level: float = LEVEL) -> tuple[float, float]:
    """Return the bounds of Student's interval of the mean, not-a-number for fewer than two.

    The values are taken as independent. Differences of one seed's folds are not quite: their
    training images overlap, so the interval is somewhat too narrow.
    """
    if values.size < 2:
        return float("nan"), float("nan")
    half = student.ppf((1 + level) / 2, values.size - 1) * values.std(ddof=1) / values.size**0.5
    return float(values.mean() - half), float(values.mean() + half)


def difference(
    first: Sequence[Outcome], second: Sequence[Outcome], images: Images, samples: int = 2000
) -> Difference:
    """Return how much better the first way is than the second, paired by seed and image.

    Args:
        first: one outcome a seed.
        second: the same seeds.
        images: fold and group of each image.
        samples: resamplings of groups.
    """
    of_seed = {outcome.seed: outcome.scores for outcome in second}
    gains = [outcome.scores - of_seed[outcome.seed] for outcome in first]
    pairs = np.array(
        [gain[images.folds == fold].mean() for gain in gains for fold in np.unique(images.folds)]
    )
    mean = np.mean(gains, axis=0)
    low, high = t_interval(pairs)
    over_groups = group_interval(mean, images.groups, samples=samples)
    return Difference(float(mean.mean()), low, high, pairs.size, over_groups)


def markdown(headers: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """Return a Markdown table whose first `left` columns are texts and the others numbers."""
    rule = ["---"] * left + ["---:"] * (len(headers) - left)
    lines = [headers, rule, *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def score_rows(
    outcomes: Sequence[Outcome], images: Images, shown: Mapping[str, str], samples: int = 2000
) -> list[list[str]]:
    """Return a row for each sampling and variant: score, its intervals and spread over seeds."""
    rows = []
    for (sampling, variant), seeds in by_way(outcomes).items():
        scores = np.mean([outcome.scores for outcome in seeds], axis=0)
        interval = group_interval(scores, images.groups, samples=samples)
        means = np.array([outcome.scores.mean() for outcome in seeds])
        spread = f"{means.std(ddof=1):.4f}" if len(seeds) > 1 else "-"
        bounds = f"{interval.low:.4f} to {interval.high:.4f}"
        rows.append([sampling, variant, f"{scores.mean():.4f}", bounds, spread, shown[sampling]])
    return rows


def difference_row(name: str, over: str, within: str, difference: Difference) -> list[str]:
    """Return a row of the table of differences."""
    over_pairs = f"{difference.low:+.4f} to {difference.high:+.4f}"
    over_images = f"{difference.images.low:+.4f} to {difference.images.high:+.4f}"
    count = str(difference.pairs)
    return [
        f"{name} - {over}",
        within,
        f"{difference.mean:+.4f}",
        over_pairs,
        count,
        over_images,
        difference.verdict,
    ]


def by_way(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[Outcome]]:
    """Return the outcomes of all seeds by (sampling, variant), in the order given."""
    by_name: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        by_name.setdefault((outcome.sampling, outcome.variant), []).append(outcome)
    return by_name
