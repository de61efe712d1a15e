"""Measures of classes by hand, as searches and resampling use them, against scikit-learn's.

    python benchmarks/class_measures.py [--rounds 20]

One drawing of the bootstrap is the six measures of each class under weights of the images; one
search is the best threshold of a class by F1, among all that part two probabilities; scikit-learn's
time for it is extrapolated from about 100 thresholds. Both must agree before they are timed. A
pooled search is that of all classes' thresholds by micro-F1, which couples them; beside it one pass
over the classes with 20 thresholds each by scikit-learn, which does not find better ones. An
interval is 500 drawings of mean average precision.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from goldfold.competitions.class_metric import decide
from goldfold.competitions.class_metric_score import class_scorer
from goldfold.competitions.class_threshold import best_threshold, best_thresholds
from goldfold.ensemble.class_intervals import ResampledRatios
from goldfold.ensemble.class_truth import Truth

SIZES = ((600, 1), (5856, 1), (20_000, 6))
"""Images and classes; 5,856 are those of chest-xray-pneumonia."""
DRAWINGS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="timings; their median counts")
    rounds = parser.parse_args().rounds
    print("what | images | classes | goldfold ms | scikit-learn ms | ratio")
    for count, classes in SIZES:
        rng = np.random.default_rng(0)
        targets = (rng.random((count, classes)) < 0.3).astype(np.uint8)
        probability = np.clip(0.3 * targets + 0.7 * rng.random((count, classes)), 0, 1)
        weights = rng.multinomial(count, np.full(count, 1 / count)).astype(float)
        compare_drawings(targets, probability, weights, rounds)
        compare_searches(targets[:, 0], probability[:, 0], rounds)
        if classes > 1:
            compare_pooled_searches(targets, probability, rounds)
        time_interval(targets, probability)


def compare_drawings(
    targets: NDArray[np.uint8],
    probability: NDArray[np.float64],
    weights: NDArray[np.float64],
    rounds: int,
) -> None:
    """Time the measures of one drawing of the bootstrap."""
    count, classes = targets.shape
    truth = Truth(targets, tuple("abcdef"[:classes]), False, "f1", (1.0,) * classes)
    predicted = decide(probability, False)
    ratios = ResampledRatios(truth, probability, predicted)
    expected = library_ratios(targets, probability, predicted, weights)
    assert np.allclose(ratios(weights), expected, rtol=1e-12, atol=0)
    ours = milliseconds(lambda: ratios(weights), rounds)
    theirs = milliseconds(lambda: library_ratios(targets, probability, predicted, weights), rounds)
    row("drawing", count, classes, ours, theirs)


def compare_searches(
    true: NDArray[np.uint8], probability: NDArray[np.float64], rounds: int
) -> None:
    """Time the search of one threshold."""
    count = len(true)
    tried = np.unique(probability)[:: max(1, count // 100)]

    def try_some() -> float:
        return float(max(metrics.f1_score(true, probability >= limit) for limit in tried))

    best = best_threshold(true > 0, probability, "f1")
    assert try_some() <= metrics.f1_score(true, probability >= best)
    ours = milliseconds(lambda: best_threshold(true > 0, probability, "f1"), rounds)
    row("search", count, 1, ours, milliseconds(try_some, 3) * count / len(tried))


def compare_pooled_searches(
    targets: NDArray[np.uint8], probability: NDArray[np.float64], rounds: int
) -> None:
    """Time the search of all thresholds by micro-F1."""
    count, classes = targets.shape

    def score(limits: list[float] | NDArray[np.float64]) -> float:
        return float(metrics.f1_score(targets, probability >= np.array(limits), average="micro"))

    def one_pass() -> float:
        limits, best = np.full(classes, 0.5), 0.0
        for place in range(classes):
            for limit in np.linspace(0.025, 0.975, 20):
                trial = limits.copy()
                trial[place] = limit
                if (value := score(trial)) > best:
                    best, limits = value, trial
        return best

    def search() -> list[float]:
        return best_thresholds(targets > 0, probability, "micro-f1", exclusive=False)

    assert one_pass() <= score(search())
    row("pooled search", count, classes, milliseconds(search, rounds), milliseconds(one_pass, 1))


def time_interval(targets: NDArray[np.uint8], probability: NDArray[np.float64]) -> None:
    """Time the interval of a metric of the whole set; scikit-learn's from 5 drawings."""
    count, classes = targets.shape
    score = class_scorer("mean-average-precision", targets, probability, exclusive=False)
    rng = np.random.default_rng(0)
    drawn = [
        np.bincount(rng.integers(0, count, count), minlength=count).astype(float)
        for _ in range(DRAWINGS)
    ]

    def ours() -> list[float]:
        return [score(weights) for weights in drawn]

    def theirs() -> list[float]:
        return [
            float(metrics.average_precision_score(targets, probability, sample_weight=weights))
            for weights in drawn[:5]
        ]

    assert np.allclose(theirs(), [score(weights) for weights in drawn[:5]])
    row("interval", count, classes, milliseconds(ours, 1), milliseconds(theirs, 1) * (DRAWINGS / 5))


def library_ratios(
    targets: NDArray[np.uint8],
    probability: NDArray[np.float64],
    predicted: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the six measures of each class as scikit-learn computes them, (C, 6)."""
    rows = []
    for true, p, said in zip(targets.T, probability.T, predicted.T, strict=True):
        of_labels = (
            metrics.accuracy_score,
            metrics.precision_score,
            metrics.recall_score,
            metrics.f1_score,
        )
        of_ranks = (metrics.roc_auc_score, metrics.average_precision_score)
        rows.append(
            [score(true, said, sample_weight=weights) for score in of_labels]
            + [score(true, p, sample_weight=weights) for score in of_ranks]
        )
    return np.array(rows)


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median time of some work."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times)) * 1000


def row(what: str, images: int, classes: int, ours: float, theirs: float) -> None:
    print(f"{what} | {images:,} | {classes} | {ours:.2f} | {theirs:,.1f} | {theirs / ours:,.0f}")


if __name__ == "__main__":
    main()
