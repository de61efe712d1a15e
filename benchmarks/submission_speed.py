"""From the prediction store to submission.csv: 3,205 masks of a test set.

    python benchmarks/submission_speed.py [--images 3205] [--side 1024] [--folds 1 5]

Writes stores of made-up maps (a fifth of the images with a blob, soft noise around it), then reads,
unpacks, blends, thresholds and encodes every image and writes the file, checked, as
`goldfold submit write` does. With five folds every image is the mean of five maps.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.rle import get_dialect
from goldfold.ensemble.blend import Blend, open_member
from goldfold.ensemble.threshold import Rule, apply_rule
from goldfold.inference.store import MapWriter, maps_path
from goldfold.submissions.encode import encode_masks
from goldfold.submissions.layout import masks
from goldfold.submissions.write import write_rows

RULE = Rule(top=180, min_area=600, bottom=80)


def make_map(image: int, fold: int, side: int, pattern: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a map like a network's: a blob with soft, uneven edges in a fifth, faint noise.

    The folds' maps of an image differ in strength, by a few pixels and in their noise.
    """
    rng, own = np.random.default_rng([0, image]), np.random.default_rng([1, image, fold])
    coarse = side // 16
    levels = cv2.resize(
        own.gamma(0.05, 20, (coarse, coarse)).astype(np.float32), (side, side)
    )  # what a network is unsure of
    if rng.random() < 0.22:
        reach = pattern.shape[0] // 2
        row, column = rng.integers(reach + 4, side - reach - 4, 2)
        row, column = row + own.integers(-4, 5), column + own.integers(-4, 5)
        strength = min(1.0, rng.uniform(0.6, 1) * own.uniform(0.95, 1.05))
        turned = np.rot90(pattern, int(rng.integers(4)))
        levels[row - reach : row + reach, column - reach : column + reach] += turned * strength
    return np.clip(levels, 0, 255).astype(np.uint8)


def make_pattern(side: int) -> NDArray[np.float32]:
    """Return a blob (side / 3, side / 3) of levels 0 to 255 with ripples."""
    reach = side // 6
    rows, columns = (np.mgrid[-reach:reach, -reach:reach] / reach).astype(np.float32)
    ripple = 0.15 * np.sin(23 * rows) * np.sin(17 * columns)
    bell = 1.3 * np.exp(-3 * (rows**2 + columns**2))
    return (255 * np.clip(bell + ripple - 0.2, 0, 1)).astype(np.float32)


def make_stores(folder: Path, names: list[str], side: int, folds: int) -> float:
    """Write one store a fold and return megabytes a map."""
    pattern = make_pattern(side)
    total = 0
    for fold in range(folds):
        path = maps_path(folder, "model", 0, fold, "test")
        with MapWriter(path, {"fold": fold}) as writer:
            for image, name in enumerate(names):
                writer.append(name, make_map(image, fold, side, pattern))
            writer.finish()
        total += path.stat().st_size
    return total / len(names) / folds / 1e6


def main() -> None:
    """Time the whole way and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=3205)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 5])
    options = parser.parse_args()
    names = [f"image-{place:05d}" for place in range(options.images)]
    shape = (options.side, options.side)
    siim = get_dialect("siim")
    workers = len(os.sched_getaffinity(0))
    print("| folds | MB a map | seconds | images/s | non-empty |\n|---:|---:|---:|---:|---:|")
    for folds in options.folds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            size = make_stores(folder, names, options.side, folds)
            begun = time.perf_counter()
            member = open_member(folder, "model", seeds=[0], folds=list(range(folds)), split="test")
            blend = Blend([member], "test")
            texts = dict(
                encode_masks(
                    lambda image_id, one=blend: apply_rule(one.read(image_id), RULE),
                    names,
                    siim,
                    workers=workers,
                )
            )
            layout = masks("ImageId", "EncodedPixels", siim)
            write_rows(folder / "submission.csv", names, texts, layout=layout, shape=shape)
            seconds = time.perf_counter() - begun
            blend.close()
        filled = sum(text != siim.empty for text in texts.values())
        print(f"| {folds} | {size:.3f} | {seconds:.1f} | {len(names) / seconds:.0f} | {filled} |")


if __name__ == "__main__":
    main()
