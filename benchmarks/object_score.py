"""The score of objects by level: maps of 768 x 768 with ships, at every 8th and every 32nd level.

    python benchmarks/object_score.py [--images 5] [--side 768]

Against the way of public notebooks: at each level label the whole map and compare each part's
mask with each true one's. Both give the same scores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import judged_at
from goldfold.competitions.objects import TrueObjects, f2_iou_thresholds, scores_above

Levels = NDArray[np.uint8]


def make_image(
    rng: np.random.Generator, side: int, ships: int, noise: float
) -> tuple[Levels, list[NDArray[np.bool_]]]:
    """Return a map with soft edges, and the true objects as masks."""
    logits, masks = np.full((side, side), -6.0, np.float32), []
    for _ in range(ships):
        ship = np.zeros((side, side), np.uint8)
        centre, axes = rng.integers(60, side - 60, 2).tolist(), rng.integers((10, 6), (90, 24))
        cv2.ellipse(ship, centre, axes.tolist(), int(rng.integers(180)), 0, 360, 1, -1)
        logits += np.float32(10) * ship
        masks.append(ship.astype(bool))
    grain = cv2.GaussianBlur(rng.normal(size=logits.shape).astype(np.float32), (0, 0), 4)
    logits = cv2.GaussianBlur(logits, (0, 0), 3) + np.float32(8 * noise) * grain
    return np.minimum(256 / (1 + np.exp(-logits)), 255).astype(np.uint8), masks


def as_objects(masks: list[NDArray[np.bool_]]) -> TrueObjects:
    """Return the masks' pixels."""
    places = [np.nonzero(mask) for mask in masks]
    empty = [np.empty(0, np.int64)]
    return TrueObjects(
        np.concatenate(empty + [rows for rows, _ in places]),
        np.concatenate(empty + [columns for _, columns in places]),
        np.array([len(rows) for rows, _ in places], np.int64),
    )


def plain_score(levels: Levels, masks: list[NDArray[np.bool_]], level: int) -> float:
    """Return the score at a level, every part compared with every true mask."""
    count, labels = cv2.connectedComponents((levels > level).astype(np.uint8), connectivity=8)
    hits = 0.0
    for part in range(1, count):
        mine = labels == part
        ious = [(mine & mask).sum() / (mine | mask).sum() for mask in masks]
        hits += (max(ious, default=0.0) > np.arange(10, 20) / 20).sum()
    return float(f2_iou_thresholds(hits, count - 1, len(masks)))


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begun))
    return float(np.median(times))


def main() -> None:
    """Time both ways on maps of several kinds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--side", type=int, default=768)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    print("| map | every 8th level, ms | every 32nd, ms | plainly, one level, ms |")
    print("|---|---:|---:|---:|")
    kinds = {
        "no ship": (0, 1.0),
        "5 ships": (5, 1.0),
        "15 ships": (15, 1.0),
        "15 ships, noise everywhere": (15, 20.0),
    }
    for name, (ships, noise) in kinds.items():
        rows = []
        for _ in range(options.images):
            levels, masks = make_image(rng, options.side, ships, noise)
            objects = as_objects(masks)
            score = scores_above(levels, objects, [127])[127]
            assert abs(score - plain_score(levels, masks, 127)) < 1e-12
            ways = (judged_at(8), judged_at(32))
            took = [
                milliseconds(lambda at=at: scores_above(levels, objects, at), 5)  # noqa: B023
                for at in ways
            ]
            took.append(milliseconds(lambda: plain_score(levels, masks, 127), 1))  # noqa: B023
            rows.append(took)
        print(f"| {name} | " + " | ".join(f"{mean:.1f}" for mean in np.mean(rows, axis=0)) + " |")


if __name__ == "__main__":
    main()
