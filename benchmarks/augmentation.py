"""Images a second of the recipe siim-1st-place: ours against albumentations, one core.

    pip install ".[benchmark]"
    python benchmarks/augmentation.py

Both take the same 1024 px image and mask to 512 px. Ours is one sampling map and one lookup table
an image; albumentations runs the competition's 1st place pipeline, transform by transform, with the
figures of its published configuration, the last step being its normalisation to float32 (ours
stays 8-bit and is normalised on the device). Its images have three channels, as its loader makes
them for ImageNet encoders; `--channels 1` gives it one, as ours has. `--masks` sets the share of
masks that are not empty; ours does not sample empty ones. Both run in one thread; medians over
rounds that take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.training.augmentation import augment, get_recipe

Pixels = NDArray[np.uint8]
Apply = Callable[[Pixels, Pixels, int], tuple[Pixels, Pixels]]


def main() -> None:
    options = parse()
    cv2.setNumThreads(1)
    images = make_images(options.images, options.source, options.masks)
    ways: dict[str, Apply] = {
        "goldfold": ours(options.target),
        "albumentations": theirs(options.target, options.channels, images),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, apply in ways.items():
            began = time.perf_counter()
            for index, (image, mask) in enumerate(images):
                apply(image, mask, number * len(images) + index)
            if number:  # the first round warms up
                times[name].append((time.perf_counter() - began) / len(images))
    print(
        f"{options.source} -> {options.target} px, {options.masks:.0%} of the masks not empty, "
        f"albumentations on {options.channels} channels"
    )
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{name:15} {1000 * middle:7.2f} ms an image, {1 / middle:7.1f} images/s a core")
    pairs = zip(times["albumentations"], times["goldfold"], strict=True)
    ratios = sorted(a / b for a, b in pairs)
    print(
        f"ratio           {statistics.median(ratios):.1f} "
        f"({ratios[0]:.1f} to {ratios[-1]:.1f} over {options.rounds} rounds)"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--source", type=int, default=1024)
    parser.add_argument("--target", type=int, default=512)
    parser.add_argument("--channels", type=int, choices=(1, 3), default=3, help="of theirs")
    parser.add_argument("--masks", type=float, default=0.5, help="share that is not empty")
    return parser.parse_args()


def make_images(count: int, size: int, share: float) -> list[tuple[Pixels, Pixels]]:
    """Return smooth noise with an ellipse as the mask of a share of them."""
    random = np.random.default_rng(0)
    pairs = []
    for number in range(count):
        coarse = random.integers(0, 256, (size // 16, size // 16)).astype(np.uint8)
        image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        mask = np.zeros((size, size), np.uint8)
        if number < share * count:
            centre = tuple(int(c) for c in random.integers(size // 4, 3 * size // 4, 2))
            cv2.ellipse(mask, centre, (size // 8, size // 16), 30, 0, 360, 1, -1)
        pairs.append((np.asarray(image, np.uint8), mask))
    return pairs


def ours(target: int) -> Apply:
    """Return our pipeline."""
    recipe = get_recipe("siim-1st-place")

    def apply(image: Pixels, mask: Pixels, index: int) -> tuple[Pixels, Pixels]:
        return augment(image, mask, recipe, 0, 0, index, target)

    return apply


def theirs(target: int, channels: int, images: list[tuple[Pixels, Pixels]]) -> Apply:
    """Return the 1st place's pipeline in albumentations."""
    try:
        import albumentations as a
    except ImportError:
        raise SystemExit('albumentations is missing: pip install ".[benchmark]"') from None
    border = cv2.BORDER_REFLECT_101
    pipeline = a.Compose(
        [
            a.HorizontalFlip(p=0.5),
            a.OneOf(
                [
                    a.RandomBrightnessContrast(brightness_limit=0.0, contrast_limit=0.2, p=0.5),
                    a.RandomGamma(gamma_limit=(80, 120), p=0.5),
                    a.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.0, p=0.5),
                ],
                p=0.3,
            ),
            a.OneOf(
                [
                    a.ElasticTransform(alpha=120, sigma=6, border_mode=border, p=0.5),
                    a.GridDistortion(num_steps=5, distort_limit=0.3, border_mode=border, p=0.5),
                    a.OpticalDistortion(distort_limit=0.6, border_mode=border, p=0.5),
                ],
                p=0.3,
            ),
            a.ShiftScaleRotate(
                shift_limit=0.0625, scale_limit=0.1, rotate_limit=45, border_mode=border, p=0.5
            ),
            a.Resize(target, target),
            a.Normalize() if channels == 3 else a.Normalize(mean=0.449, std=0.226),
        ],
        seed=0,
    )

    colour = {id(image): np.dstack([image] * 3) for image, _ in images}

    def apply(image: Pixels, mask: Pixels, index: int) -> tuple[Pixels, Pixels]:
        changed = pipeline(image=colour[id(image)] if channels == 3 else image, mask=mask)
        return changed["image"], changed["mask"]

    return apply


if __name__ == "__main__":
    main()
