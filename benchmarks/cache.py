"""Reading a training sample: from the image cache against decoding it again.

Run: python benchmarks/cache.py [--images 48] [--size 512]

Makes synthetic DICOMs of 1024 x 1024, the same pixels as PNG, and a cache; then reads every
image, resized to --size, in each way, several rounds in turn, and prints the median of the
rounds. One thread. The cached files are warm in memory, as they are from the second epoch on.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from goldfold.competitions.image import read_image
from goldfold.competitions.resize import resize_image
from goldfold.competitions.rle import get_dialect
from goldfold.competitions.synthetic import synthesize
from goldfold.training.augmentation import augment, get_recipe
from goldfold.training.cache import ImageCache, build_cache

SIDE = 1024
ROUNDS = 5


def make_files(folder: Path, images: int) -> tuple[list[Path], list[Path]]:
    """Return the DICOMs and the PNGs of the same pixels."""
    synthesize(folder, train=images, test=4, size=SIDE, seed=0)
    dicoms = sorted(folder.glob("dicom-images-train/**/*.dcm"))
    pngs = [folder / f"{path.stem}.png" for path in dicoms]
    for dicom, png in zip(dicoms, pngs, strict=True):
        cv2.imwrite(str(png), read_image(dicom))
    return dicoms, pngs


def make_cache(folder: Path, dicoms: list[Path], size: int, workers: int) -> ImageCache:
    """Return a cache in which every fourth image has a mask."""
    return build_cache(
        folder,
        image_ids=[path.stem for path in dicoms],
        paths=dicoms,
        sizes=[(SIDE, SIDE)] * len(dicoms),
        masks=["" if row % 4 else "200000 5000 1000 5000" for row in range(len(dicoms))],
        dialect=get_dialect("siim"),
        size=size,
        workers=workers,
    )


def milliseconds(read: Callable[[int], object], count: int) -> float:
    """Return the mean time of one call over all images."""
    start = time.perf_counter()
    for row in range(count):
        read(row)
    return 1000 * (time.perf_counter() - start) / count


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dicoms, pngs = make_files(folder, options.images)
        for workers in (1, 2):
            start = time.perf_counter()
            cache = make_cache(folder / f"cache-{workers}", dicoms, options.size, workers)
            each = 1000 * (time.perf_counter() - start) / len(dicoms)
            print(f"building the cache, {workers} thread(s): {each:.2f} ms an image")
        compare(cache, dicoms, pngs, options.size)


def compare(cache: ImageCache, dicoms: list[Path], pngs: list[Path], size: int) -> None:
    """Time the ways in turn, so that a busy machine slows them alike."""

    def cached(row: int) -> object:
        return np.array(cache.pixels[row]), np.array(cache.mask(row))

    def augmented(recipe: str) -> Callable[[int], object]:
        chosen = get_recipe(recipe)
        return lambda row: augment(cache.pixels[row], cache.mask(row), chosen, 0, 0, row)

    ways: dict[str, Callable[[int], object]] = {
        "image and mask from the cache": cached,
        "PNG, cv2.imread + resize (image alone)": lambda row: resize_image(
            cv2.imread(str(pngs[row]), cv2.IMREAD_GRAYSCALE), size, size
        ),
        "DICOM, read_image + resize (image alone)": lambda row: resize_image(
            read_image(dicoms[row]), size, size
        ),
        "from the cache + light augmentation": augmented("light"),
        "from the cache + strong augmentation": augmented("strong"),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, read in ways.items():
            times[way].append(milliseconds(read, len(cache)))
    base = median(times["image and mask from the cache"])
    print(f"\n{'reading one sample at ' + str(size) + ' px':44}{'ms':>8}{'ratio':>9}")
    for way, values in times.items():
        print(f"{way:44}{median(values):8.3f}{median(values) / base:8.1f}x")


if __name__ == "__main__":
    main()
