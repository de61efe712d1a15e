"""Time the exact threshold search against plain loops, on made-up predictions of full scale.

    python benchmarks/threshold_search.py [--images 12000] [--metric dice]

The loops are timed on a part of the work and extrapolated; the table says of what.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import counts_above, level_histograms
from goldfold.competitions.metric import image_scores
from goldfold.ensemble.plateau import find_plateau
from goldfold.ensemble.threshold import Rule, apply_rule, rule_scores, search_rule

IntArray = NDArray[np.int64]

SIDE = 1024
GRID_LEVELS = range(12, 256, 12)[:20]
GRID_AREAS = (0, *(round(50 * 1.3**step) for step in range(19)))
TRIPLETS = (
    (0.75, 2000, 0.3), (0.75, 1000, 0.3), (0.75, 2000, 0.4), (0.75, 1000, 0.4),
    (0.6, 2000, 0.3), (0.6, 1000, 0.3), (0.6, 2000, 0.4), (0.6, 1000, 0.4),
)  # fmt: skip
LOOP_IMAGES = 6
LOOP_RULES = 20


def make_histograms(count: int, rng: np.random.Generator) -> IntArray:
    """Return histograms (N, 2, 256) like a fair model's on SIIM: 22 % of the images non-empty."""
    levels = np.arange(256)
    histograms = np.zeros((count, 2, 256), np.int64)
    has_mask = rng.random(count) < 0.22
    true = np.where(has_mask, np.clip(np.exp(rng.normal(9, 1.2, count)), 50, 160_000), 0)
    highest = np.where(has_mask, rng.beta(3, 1.2, count), rng.beta(0.5, 2.5, count)) * 255
    seen = np.where(
        has_mask, true * np.exp(rng.normal(0, 0.4, count)), np.exp(rng.normal(7.5, 1.5, count))
    )
    for place in range(count):
        top = max(1, int(highest[place]))
        x = (levels[:top] + 0.5) / top
        weights = 1 / np.sqrt(x * (1 - x))
        histograms[place, 0, :top] = rng.multinomial(int(seen[place]), weights / weights.sum())
        if has_mask[place]:
            hits = rng.binomial(histograms[place, 0, :top], np.clip(0.9 * x + 0.02, 0, 1))
            histograms[place, 1, :top] = hits
            missed = max(0, int(true[place]) - int(hits.sum()))
            histograms[place, :, 0] += missed
        histograms[place, 0, 0] += max(0, SIDE * SIDE - int(histograms[place, 0].sum()))
    return histograms


def make_map(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a map with one blob, and a mask that overlaps it."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    row, column = rng.integers(200, 800, 2)
    distance = np.hypot(rows - row, columns - column) / rng.uniform(20, 80)
    levels = (255 * np.exp(-(distance**2))).astype(np.uint8)
    return levels, (np.roll(distance, 9, axis=1) < 1).astype(np.uint8)


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the shortest time of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def loop_over_pixels(maps: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]], metric: str) -> None:
    """Score a few rules as the usual notebook does: every rule masks every map again."""
    for top in range(100, 100 + LOOP_RULES):
        for levels, mask in maps:
            predicted = apply_rule(levels, Rule(top, 500, 60))
            image_scores(metric, (predicted & mask).sum(), predicted.sum(), mask.sum())


def batch_search(maps: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> None:
    """Score eight triplets on float32 maps, batch by batch, as the medal solution's search does."""
    probability = np.stack([levels for levels, _ in maps]).astype(np.float32) / 255
    truth = np.stack([mask for _, mask in maps]).astype(np.float32)
    for top, area, bottom in TRIPLETS:
        masks = (probability > bottom).astype(np.float32)
        masks[(probability > top).sum(axis=(1, 2)) < area] = 0
        intersection = (masks * truth).sum(axis=(1, 2))
        total = masks.sum(axis=(1, 2)) + truth.sum(axis=(1, 2))
        np.where(total == 0, 1, 2 * intersection / np.maximum(total, 1)).mean()


def loop_over_histograms(histograms: IntArray, metric: str) -> None:
    """Score a few rules from the histograms, one rule at a time over all images."""
    for top in range(100, 100 + LOOP_RULES):
        rule_scores(histograms, Rule(top, 500, 60), metric).mean()


def best_of_grid(histograms: IntArray, metric: str) -> float:
    """Return the best score on a grid of usual size, one rule at a time."""
    rules = (Rule(*values) for values in product(GRID_LEVELS, GRID_AREAS, GRID_LEVELS))
    return max(float(rule_scores(histograms, rule, metric).mean()) for rule in rules)


def count_rules(histograms: IntArray) -> int:
    """Return how many rules give different masks, at most: (top, min_area) pairs times bottoms."""
    areas = counts_above(histograms[:, 0])
    return 256 * sum(np.unique(areas[:, top]).size + 1 for top in range(256))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--metric", default="dice")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    histograms = make_histograms(options.images, rng)
    maps = [make_map(rng) for _ in range(LOOP_IMAGES)]
    metric = options.metric

    exact = seconds(lambda: search_rule(histograms, metric))
    pixel_step = seconds(lambda: loop_over_pixels(maps, metric)) / (LOOP_RULES * LOOP_IMAGES)
    rule_step = seconds(lambda: loop_over_histograms(histograms, metric)) / LOOP_RULES
    build = seconds(lambda: [level_histograms(*pair) for pair in maps]) / LOOP_IMAGES
    start = time.perf_counter()
    grid_score = best_of_grid(histograms, metric)
    grid = time.perf_counter() - start
    search = search_rule(histograms, metric)

    triplets = seconds(lambda: batch_search(maps)) / LOOP_IMAGES * options.images
    plateau = seconds(lambda: find_plateau(histograms, metric))

    grid_size = len(GRID_LEVELS) ** 2 * len(GRID_AREAS)
    everything = count_rules(histograms)
    with_histograms = exact + build * options.images
    pixel_grid = pixel_step * options.images * grid_size
    print(f"{options.images:,} images of {SIDE} x {SIDE}, {metric}; {everything:,} different rules")
    print(f"exact search, all rules: {exact:.2f} s, score {search.score:.5f} at {search.rule}")
    print(f"  with the histograms ({1000 * build:.2f} ms an image): {with_histograms:.1f} s")
    print(f"the plateau around the best rule: {plateau:.2f} s")
    print(f"batch search of {len(TRIPLETS)} triplets on float32 maps, as the medal solution's: "
          f"{triplets / 60:.1f} minutes ({1000 * triplets / options.images:.0f} ms an image), "
          f"{triplets / with_histograms:.0f} x exact search and histograms "
          f"(from {LOOP_IMAGES} images)")  # fmt: skip
    print(f"grid of {grid_size:,} rules over histograms: {grid:.1f} s measured, {grid / exact:.0f} "
          f"x the exact search; score {grid_score:.5f}")  # fmt: skip
    print(f"  all rules that way: {rule_step * everything / 86400:.0f} days, "
          f"{rule_step * everything / exact:,.0f} x (from {LOOP_RULES} rules)")  # fmt: skip
    print(f"grid of {grid_size:,} rules over pixels: {pixel_grid / 3600:.1f} hours, "
          f"{pixel_grid / with_histograms:,.0f} x exact search and histograms "
          f"(from {LOOP_RULES} rules on {LOOP_IMAGES} images)")  # fmt: skip
    print(f"  all rules that way: {pixel_step * options.images * everything / 3.156e7:,.0f} years")


if __name__ == "__main__":
    main()
