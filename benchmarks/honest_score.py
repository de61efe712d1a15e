"""Does the honest score predict the private one better than the optimistic one? Many seeds.

    python benchmarks/honest_score.py [--seeds 20] [--images 150 600 2400] [--private 4000]
    python benchmarks/honest_score.py --run runs/tgs --images 100 250

For each seed a made-up model predicts a training set (as many images as given, 22 % non-empty, in
five folds) and a private set of the same kind. With --run the maps are real: so many images of a
run's out-of-fold predictions are drawn, whole groups together, as the training set, and all others
are the private set.

Thresholds are chosen on the training set in two ways (the peak of the search, the centre of the
plateau), and the rule is then judged on the private set. Printed: how far the honest and the
optimistic score of the training set lie from the private score, and which way of choosing scores
higher there, paired by seed with 95 % t-intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threshold_search import make_histograms

from goldfold.ensemble.blend import close_members
from goldfold.ensemble.honest import assess
from goldfold.ensemble.threshold import rule_scores
from goldfold.folds.parts import number_groups
from goldfold.pipeline.members import Members
from goldfold.pipeline.open_run import OpenRun
from goldfold.tasks.mask_blending import Blender


def interval(values: list[float]) -> str:
    """Return mean and 95 % t-interval in words."""
    mean, error = np.mean(values), stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, mean, error)
    return f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"


Sets = tuple[NDArray[np.int64], list[str], NDArray[np.int64]]
"""Histograms and groups of a training set, histograms of a private one."""


def made_up(count: int, private: int) -> Callable[[int], Sets]:
    """Return a function seed -> sets of a made-up model."""

    def draw(seed: int) -> Sets:
        rng = np.random.default_rng((seed, count))
        train = make_histograms(count, rng)
        return train, [""] * count, make_histograms(private, rng)

    return draw


def of_run(folder: Path, count: int) -> Callable[[int], Sets]:
    """Return a function seed -> sets drawn from a run's out-of-fold predictions."""
    run = OpenRun.open(folder)
    members = Members(run).open("out-of-fold")
    blender = Blender(run, run.images, members)
    histograms = blender.histograms(members)
    close_members(members)
    numbers = number_groups(blender.groups)

    def draw(seed: int) -> Sets:
        order = np.random.default_rng(seed).permutation(int(numbers.max()) + 1)
        rank = np.argsort(order)[numbers]
        chosen = rank < np.searchsorted(np.bincount(rank).cumsum(), count)
        groups = [str(number) for number in numbers[chosen]]
        return histograms[chosen], groups, histograms[~chosen]

    return draw


def main() -> None:
    """Run all seeds and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--images", type=int, nargs="+", default=[150, 600, 2400])
    parser.add_argument("--private", type=int, default=4000)
    parser.add_argument("--run", type=Path)
    options = parser.parse_args()
    print("| images | rule | honest - private | optimistic - private | mean distance, honest |"
          " optimistic | private score |\n|---:|---|---:|---:|---:|---:|---:|")  # fmt: skip
    better = []
    for count in options.images:
        private: dict[str, list[float]] = {}
        draw = of_run(options.run, count) if options.run else made_up(count, options.private)
        metric = OpenRun.open(options.run).settings.competition.metric if options.run else "dice"
        for choice in ("peak", "centre"):
            honest, optimistic, scores = [], [], []
            for seed in range(options.seeds):
                train, groups, test = draw(seed)
                assessment = assess(
                    train,
                    number_groups(groups) % 5,
                    groups,
                    metric=metric,
                    samples=100,
                    choice=choice,  # type: ignore[arg-type]
                )
                score = float(rule_scores(test, assessment.chosen.rule, metric).mean())
                honest.append(assessment.honest - score)
                optimistic.append(assessment.chosen.score - score)
                scores.append(score)
            private[choice] = scores
            print(
                f"| {count} | {choice} | {interval(honest)} | {interval(optimistic)} | "
                f"{np.abs(honest).mean():.4f} | {np.abs(optimistic).mean():.4f} | "
                f"{np.mean(scores):.4f} |"
            )
        gap = [a - b for a, b in zip(private["centre"], private["peak"], strict=True)]
        better.append(f"{count} images: centre - peak on the private set {interval(gap)}")
    print("\n" + "\n".join(better))


if __name__ == "__main__":
    main()
