"""The PNGs that both loops train on, and goldfold's cache of them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from goldfold.competitions.rle import encode, get_dialect
from goldfold.competitions.synthetic import synthetic_example
from goldfold.training.cache import ImageCache, build_cache

DIALECT = get_dialect("siim")
HELD_OUT = 4  # one image is validated for so many that are trained on


@dataclass(frozen=True)
class Pngs:
    """Files and run-length encoded masks; the first `train` are trained on."""

    files: list[tuple[Path, Path]]
    masks: list[str]
    side: int
    train: int


def make_pngs(folder: Path, images: int, side: int) -> Pngs:
    """Write phantoms and their masks as PNG, unless they are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    total = images + max(1, images // HELD_OUT)

    def make(index: int) -> tuple[tuple[Path, Path], str]:
        image = folder / f"{side}-{index:05d}.png"
        mask = image.with_suffix(".mask.png")
        if not (image.is_file() and mask.is_file()):
            pixels, area = synthetic_example(0, index, side)
            cv2.imwrite(str(image), pixels)
            cv2.imwrite(str(mask), area * np.uint8(255))
        area = np.asarray(cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE))
        return (image, mask), encode(area > 0, DIALECT) if area.any() else ""

    with ThreadPoolExecutor() as pool:
        made = list(pool.map(make, range(total)))
    return Pngs([files for files, _ in made], [text for _, text in made], side, images)


def make_cache(folder: Path, pngs: Pngs, size: int, workers: int) -> ImageCache:
    """Build goldfold's cache, as it does once for all trainings."""
    began = time.perf_counter()
    cache = build_cache(
        folder,
        image_ids=[image.stem for image, _ in pngs.files],
        paths=[image for image, _ in pngs.files],
        sizes=[(pngs.side, pngs.side)] * len(pngs.files),
        masks=pngs.masks,
        dialect=DIALECT,
        size=size,
        workers=workers,
    )
    seconds = time.perf_counter() - began
    print(f"goldfold's cache of {len(cache)} images, built once: {seconds:.1f} s")
    return cache
