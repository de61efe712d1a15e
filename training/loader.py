"""Batches of augmented images, made ahead by threads.

Threads, not processes: OpenCV and NumPy release the interpreter lock while they work, the cache
is one memory map for all, nothing is pickled, and start-up costs nothing. What an image looks
like depends on (seed, epoch, index) alone, so the number of threads changes nothing. A batch is
uint8, one channel where the images are gray; it is normalised on the device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.augmentation_levels import Recipe
from goldfold.image_size import SizeLike
from goldfold.training.augmentation.changes import Draw, draw
from goldfold.training.augmentation.pipeline import augment, traded
from goldfold.training.images import TrainingImages
from goldfold.training.opencv_threads import one_opencv_thread

Pixels = NDArray[np.uint8] | torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Images uint8 (N, H, W) or (N, H, W, C), masks uint8 (N, H, W), numbers int64 (N,).

    Several masks per image are (N, C, H, W). Masks are coverage, 0 to 255. Classes are masks of one
    row with a pixel each, (N, 1, C), and so are numbers, as float32. Images and masks are arrays,
    or tensors in pinned memory. With `draws` they are still as the cache has them, and the device
    augments them. Where each pixel has exactly one of `classes`, masks are (N, H, W) of their
    numbers, 255 for pixels without one.
    """

    images: Pixels
    masks: Pixels | NDArray[np.float32]
    numbers: NDArray[np.int64]
    draws: tuple[Draw, ...] | None = None
    classes: int = 0

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.numbers)

    def pinned(self) -> Batch:
        """Return the batch in memory that a GPU reads by itself, while this process continues."""
        images, masks = torch.as_tensor(self.images), torch.as_tensor(self.masks)
        return replace(self, images=images.pin_memory(), masks=masks.pin_memory())

    def part(self, places: slice) -> Batch:
        """Return some images of the batch."""
        draws = None if self.draws is None else self.draws[places]
        return Batch(
            self.images[places], self.masks[places], self.numbers[places], draws, self.classes
        )


@dataclass(frozen=True)
class Look:
    """How images are changed on their way: recipe, size of a cut, seed, epoch, and where."""

    recipe: Recipe
    seed: int
    epoch: int
    crop: SizeLike | None = None
    on_device: bool = False


def iterate_batches(
    images: TrainingImages,
    batches: Sequence[NDArray[np.int64]],
    look: Look,
    *,
    workers: int,
    pin: bool = False,
) -> Iterator[Batch]:
    """Yield the batches in order, augmented, while threads make the next ones.

    Args:
        images: where images and masks are.
        batches: numbers of the images of each batch.
        look: augmentation.
        workers: threads; 0 works in the caller's.
        pin: put the batches into pinned memory, for a GPU.
    """

    def make(numbers: NDArray[np.int64]) -> Batch:
        batch = _raw(images, numbers, look) if look.on_device else _looked(images, numbers, look)
        return batch.pinned() if pin else batch

    if workers == 0:
        yield from map(make, batches)
        return
    with one_opencv_thread(), ThreadPoolExecutor(workers, thread_name_prefix="loader") as pool:
        yield from _ahead(pool, make, batches, depth=workers + 2)


def _looked(images: TrainingImages, numbers: NDArray[np.int64], look: Look) -> Batch:
    """Return a batch that is augmented here."""
    pixels, masks = [], []
    for number in numbers.tolist():
        mask, soft = images.mask(number)
        image, mask = augment(
            images.pixels(number),
            mask,
            look.recipe,
            look.seed,
            look.epoch,
            images.key(number),
            crop=look.crop,
            soft=soft,
            classes=images.classes_per_pixel > 0,
            mirror=images.mirror,
        )
        pixels.append(image)
        masks.append(_coverage(images, mask, soft))
    targets = images.targets(numbers, masks)
    return Batch(np.stack(pixels), targets, numbers, classes=images.classes_per_pixel)


def _coverage(images: TrainingImages, mask: NDArray[np.uint8], soft: bool) -> NDArray[np.uint8]:
    """Return a mask as coverage, 0 to 255; class numbers stay what they are."""
    return mask if soft or images.classes_per_pixel else mask * np.uint8(255)


def _raw(images: TrainingImages, numbers: NDArray[np.int64], look: Look) -> Batch:
    """Return a batch that the device augments: pixels of the cache, and what will happen."""
    pixels, masks, draws = [], [], []
    for number in numbers.tolist():
        mask, soft = images.mask(number)
        image = images.pixels(number)
        pixels.append(image)
        key = images.key(number)
        draws.append(
            draw(look.recipe, look.seed, look.epoch, key, size=image.shape[:2], crop=look.crop)
        )
        mask = traded(mask, draws[-1], images.mirror, classes=images.classes_per_pixel > 0)
        masks.append(_coverage(images, mask, soft))
    return Batch(np.stack(pixels), np.stack(masks), numbers, tuple(draws), images.classes_per_pixel)


def _ahead(
    pool: ThreadPoolExecutor,
    make: Callable[[NDArray[np.int64]], Batch],
    batches: Iterable[NDArray[np.int64]],
    depth: int,
) -> Iterator[Batch]:
    """Yield results in order with at most `depth` batches in work, so memory stays bounded."""
    waiting: deque[Future[Batch]] = deque()
    try:
        for numbers in batches:
            waiting.append(pool.submit(make, numbers))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
