"""Encoding and decoding of 1024 x 1024 masks: goldfold, pycocotools, and a loop over pixels.

python benchmarks/rle.py [--masks 30] [--seed 0]
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from goldfold.competitions.rle import decode, encode, get_dialect, parse

SIIM = get_dialect("siim")
SIZE = 1024
Mask = NDArray[np.uint8]


def draw_masks(count: int, seed: int) -> Iterator[Mask]:
    """Yield crescents along the rim of a lung, rough at the edge, from a few hundred px up."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    for number in range(count):
        row, column = rng.uniform(420, 580), rng.choice([300, 720]) + rng.uniform(-30, 30)
        height, width = rng.uniform(260, 380), rng.uniform(140, 200)
        angle = np.arctan2((y - row) / height, (x - column) / width)
        wave = sum(
            rng.normal(0, 0.008) * np.sin(k * angle + rng.uniform(0, 6.28)) for k in (3, 9, 31, 97)
        )
        radius = np.hypot((y - row) / height, (x - column) / width) + wave
        share = number / max(count - 1, 1)  # from the smallest to the largest
        depth, reach = 0.03 * 12**share, 0.2 * 9**share
        turn = np.abs(np.angle(np.exp(1j * (angle - rng.uniform(-2.4, -0.7)))))
        yield ((radius < 1) & (radius > 1 - depth) & (turn < reach)).astype(np.uint8)


def encode_by_pixels(mask: Mask) -> str:
    """Walk over every pixel down the columns, as the organisers' script does (but exact)."""
    numbers: list[str] = []
    inside, gap, length = False, 0, 0
    for column in range(mask.shape[1]):
        for row in range(mask.shape[0]):
            if mask[row][column]:
                inside = True
                length += 1
            elif inside:
                numbers += [str(gap), str(length)]
                inside, gap, length = False, 1, 0
            else:
                gap += 1
    if inside:
        numbers += [str(gap), str(length)]
    return " ".join(numbers) or "-1"


def decode_by_pixels(text: str) -> NDArray[np.float64]:
    """Set every pixel of every run."""
    numbers = [int(number) for number in text.split()]
    mask, position = np.zeros((SIZE, SIZE)), 0
    for gap, length in zip(numbers[0::2], numbers[1::2], strict=True):
        position += gap
        for pixel in range(position, position + length):
            mask[pixel % SIZE][pixel // SIZE] = 1
        position += length
    return mask


def decode_by_runs(text: str) -> NDArray[np.float64]:
    """Set run after run in a flat float array, as the organisers' script does."""
    numbers = np.asarray([int(number) for number in text.split()])
    mask, position = np.zeros(SIZE * SIZE), 0
    for gap, length in zip(numbers[0::2], numbers[1::2], strict=True):
        position += gap
        mask[position : position + length] = 1
        position += length
    return mask.reshape(SIZE, SIZE).T


def encode_by_coco(mask: Mask) -> str:
    """Let pycocotools find the runs, unpack its compressed counts, build the string."""
    packed: bytes = coco.encode(np.asfortranarray(mask))["counts"]
    counts: list[int] = []
    value = shift = 0
    for byte in packed:
        digit = byte - 48
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return " ".join(map(str, counts[: len(counts) // 2 * 2])) or "-1"


def decode_by_coco(text: str) -> Mask:
    """Hand the numbers to pycocotools as counts."""
    counts = [int(number) for number in text.split()]
    counts.append(SIZE * SIZE - sum(counts))
    packed = coco.frPyObjects({"counts": counts, "size": [SIZE, SIZE]}, SIZE, SIZE)
    decoded: Mask = coco.decode(packed)
    return decoded


def milliseconds(call: Callable[[Any], object], argument: object, repeats: int) -> float:
    """Return the best of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call(argument)
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def compare(title: str, ways: Mapping[str, Callable[[Any], object]], arguments: list[Any]) -> None:
    """Time all ways on each argument in turn and print medians over the arguments."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for argument in arguments:
        for name, call in ways.items():
            times[name].append(milliseconds(call, argument, 2 if "pixels" in name else 20))
    ours = median(next(iter(times.values())))
    print(f"\n| {title} | median ms | slowest ms | ratio to goldfold |\n|---|---:|---:|---:|")
    for name, values in times.items():
        print(
            f"| {name} | {median(values):.3f} | {max(values):.3f} | {median(values) / ours:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    masks = list(draw_masks(options.masks, options.seed))
    texts = [encode(mask, SIIM) for mask in masks]
    for mask, text in zip(masks, texts, strict=True):
        assert text == encode_by_coco(mask) == encode_by_pixels(mask)
        for other in (decode_by_coco, decode_by_runs, decode_by_pixels):
            assert np.array_equal(other(text), mask)
    areas, runs = [int(mask.sum()) for mask in masks], [len(parse(text, SIIM)) for text in texts]
    print(
        f"{len(masks)} masks of {SIZE} x {SIZE}; area {min(areas)} to {max(areas)} px, median "
        f"{median(areas):.0f}; runs {min(runs)} to {max(runs)}, median {median(runs):.0f}; "
        f"Python {platform.python_version()}, numpy {np.__version__}. All ways agree."
    )
    encoders = {
        "goldfold": lambda mask: encode(mask, SIIM),
        "pycocotools + string": encode_by_coco,
        "loop over pixels": encode_by_pixels,
    }
    decoders = {
        "goldfold": lambda text: decode(text, SIZE, SIZE, SIIM),
        "pycocotools": decode_by_coco,
        "loop over runs": decode_by_runs,
        "loop over pixels": decode_by_pixels,
    }
    compare("encode", encoders, masks)
    compare("decode", decoders, texts)


if __name__ == "__main__":
    main()
