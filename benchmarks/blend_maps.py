"""The mean of 32 maps of 1024 x 1024 in whole numbers against a running float32 mean.

    python benchmarks/blend_maps.py [--maps 32] [--side 1024]

Both give 8-bit levels of the same mean; decoding from the store is timed beside.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.ensemble.blend import blend_maps, merge_maps
from goldfold.ensemble.probability_scale import make_scale
from goldfold.inference.reader import MapReader
from goldfold.inference.store import MapWriter

Levels = NDArray[np.uint8]


def make_maps(count: int, side: int) -> list[Levels]:
    """Return maps with a few soft blobs, as networks give them."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    row, column = rng.uniform(0.2, 0.8, 2) * side
    maps = []
    for _ in range(count):
        distance = np.hypot(rows - row + rng.normal(0, 9), columns - column) / (side / 12)
        noise = rng.normal(0, 2, (side // 8, side // 8)).repeat(8, 0).repeat(8, 1)
        maps.append(np.clip(255 * np.exp(-(distance**2)) + noise, 0, 255).astype(np.uint8))
    return maps


def float_mean(maps: list[Levels]) -> Levels:
    """Return the mean as it is often written: floats, one map after the other."""
    total = np.zeros(maps[0].shape, np.float32)
    for levels in maps:
        total += levels.astype(np.float32) / 255
    return np.rint(total / len(maps) * 255).astype(np.uint8)


def milliseconds(call: Callable[[], object], repeats: int = 9) -> float:
    """Return the median time of a call."""
    call()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begun))
    return float(np.median(times))


def main() -> None:
    """Time the means and the store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--maps", type=int, default=32)
    parser.add_argument("--side", type=int, default=1024)
    options = parser.parse_args()
    maps = make_maps(options.maps, options.side)
    ones = [1] * len(maps)
    exact = np.rint(np.stack(maps).mean(axis=0) + 1e-9).astype(np.uint8)
    apart = np.abs(blend_maps(maps, ones).astype(int) - exact).max()
    scales = [make_scale("logit")] * len(maps)
    ways = {
        "running float32 mean": lambda: float_mean(maps),
        "goldfold, mean": lambda: blend_maps(maps, ones),
        "goldfold, mean of logits": lambda: merge_maps(maps, ones, scales),
    }
    print(f"{len(maps)} maps of {options.side} x {options.side}; medians of 9")
    print("\n| way | ms | ratio |\n|---|---:|---:|")
    slowest = None
    for name, call in ways.items():
        took = milliseconds(call)
        slowest = slowest or took
        print(f"| {name} | {took:.1f} | {slowest / took:.1f} |")
    print(f"largest difference from the exact mean: {apart} levels")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.maps"
        with MapWriter(path, {}) as writer:
            for place, levels in enumerate(maps):
                writer.append(str(place), levels)
            writer.finish()
        size = path.stat().st_size / len(maps)
        with MapReader(path) as reader:
            took = milliseconds(lambda: [reader.read(name) for name in reader.image_ids])
    raw = sum(levels.nbytes for levels in maps)
    print(f"store: {size / 1e6:.3f} MB a map, decoded at {raw / took / 1e6:.2f} GB/s on one core")


if __name__ == "__main__":
    main()
