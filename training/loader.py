"""Batches of augmented images, made ahead by threads.

Threads, not processes: OpenCV and NumPy release the interpreter lock while they work, the cache
is one memory map for all, nothing is pickled, and start-up costs nothing. What an image looks
like depends on (seed, epoch, index) alone, so the number of threads changes nothing. A batch is
uint8, one channel where the images are gray; it is normalised on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.augmentation_levels import Recipe
from goldfold.image_size import SizeLike
from goldfold.training.augmentation.changes import Draw, draw
from goldfold.training.augmentation.on_device import augment_on_device
from goldfold.training.augmentation.packed import PackedDraws
from goldfold.training.augmentation.packing import Arrays, pack_draws
from goldfold.training.augmentation.pipeline import augment, traded
from goldfold.training.images import TrainingImages
from goldfold.training.opencv_threads import one_opencv_thread
from goldfold.training.read_ahead import made_ahead
from goldfold.training.resident import ResidentImages

Pixels = NDArray[np.uint8] | torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Images uint8 (N, H, W) or (N, H, W, C), masks uint8 (N, H, W), numbers int64 (N,).

    Several masks per image are (N, C, H, W). Masks are coverage, 0 to 255. Classes are masks of one
    row with a pixel each, (N, 1, C), and so are numbers, as float32. Images and masks are arrays,
    or tensors in pinned memory or on a device. With `draws` they are still as the cache has them,
    and `on` augments them; those that are `resident` on the device are None. Where each pixel has
    exactly one of `classes`, masks are (N, H, W) of their numbers, 255 for pixels without one.
    """

    images: Pixels | None
    masks: Pixels | NDArray[np.float32] | None
    numbers: NDArray[np.int64]
    draws: PackedDraws | None = None
    classes: int = 0
    resident: ResidentImages | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.numbers)

    def pinned(self) -> Batch:
        """Return the batch in memory that a GPU reads by itself, while this process continues."""
        return self._changed(torch.Tensor.pin_memory)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device; from pinned memory nobody waits for that."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=True))

    def part(self, places: slice) -> Batch:
        """Return some images of the batch."""
        return replace(
            self,
            images=None if self.images is None else self.images[places],
            masks=None if self.masks is None else self.masks[places],
            numbers=self.numbers[places],
            draws=None if self.draws is None else self.draws.part(places),
        )

    def on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images and masks on the device, augmented if they were not yet.

        What the batch has already on the device is returned as it is, so it must not be changed.
        """
        batch = self.to(device)
        images, masks = batch.images, batch.masks
        if batch.draws is not None:
            moved = None if batch.draws.masks == "none" or masks is None else _tensor(masks)
            if batch.resident is not None:
                images, moved = batch.resident.take(batch.draws, batch.numbers)
            images, moved = augment_on_device(_tensor(images), moved, batch.draws)
            masks = masks if moved is None else moved
        return _tensor(images), _tensor(masks)

    def _changed(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        """Return the batch with every array changed, as a tensor."""
        images, masks = (
            None if array is None else change(torch.as_tensor(array))
            for array in (self.images, self.masks)
        )
        draws = None if self.draws is None else self.draws.changed(change)
        return replace(self, images=images, masks=masks, draws=draws)


def _tensor(array: Pixels | NDArray[np.float32] | None) -> torch.Tensor:
    """Return what a batch on a device holds, which is a tensor there."""
    assert isinstance(array, torch.Tensor)
    return array


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
    resident: ResidentImages | None = None,
) -> Iterator[Batch]:
    """Yield the batches in order, augmented, while threads make the next ones.

    Args:
        images: where images and masks are.
        batches: numbers of the images of each batch.
        look: augmentation.
        workers: threads; 0 works in the caller's.
        pin: put the batches into pinned memory, for a GPU.
        resident: where the device that augments has the images; batches then only name them.
    """

    def make(numbers: NDArray[np.int64]) -> Batch:
        if not look.on_device:
            batch = _looked(images, numbers, look)
        elif resident is not None and resident.held:
            batch = _named(resident, numbers, look)
        else:
            batch = _raw(images, numbers, look)
        return batch.pinned() if pin else batch

    if workers == 0:
        yield from map(make, batches)
        return
    with one_opencv_thread(), ThreadPoolExecutor(workers, thread_name_prefix="loader") as pool:
        yield from made_ahead(pool, make, batches, depth=workers + 2)


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
    draws = _draws(images, numbers, look)
    pixels = np.stack([images.pixels(number) for number in numbers.tolist()])
    packed = _packed(images, numbers, draws, look)
    if packed.masks == "none":
        return Batch(pixels, images.targets(numbers, []), numbers, packed)
    masks = []
    for number, changes in zip(numbers.tolist(), draws, strict=True):
        mask, soft = images.mask(number)
        mask = traded(mask, changes, images.mirror, classes=images.classes_per_pixel > 0)
        masks.append(_coverage(images, mask, soft))
    return Batch(pixels, np.stack(masks), numbers, packed, images.classes_per_pixel)


def _named(resident: ResidentImages, numbers: NDArray[np.int64], look: Look) -> Batch:
    """Return a batch of images that the device has: their places there, and what will happen."""
    images = resident.images
    draws = _draws(images, numbers, look)
    packed = _packed(images, numbers, draws, look, resident.request(numbers, draws))
    targets = images.targets(numbers, []) if packed.masks == "none" else None
    return Batch(None, targets, numbers, packed, images.classes_per_pixel, resident)


def _draws(images: TrainingImages, numbers: NDArray[np.int64], look: Look) -> list[Draw]:
    size, keys = images.cache.image_size, map(images.key, numbers.tolist())
    return [draw(look.recipe, look.seed, look.epoch, k, size=size, crop=look.crop) for k in keys]


def _packed(
    images: TrainingImages,
    numbers: NDArray[np.int64],
    draws: Sequence[Draw],
    look: Look,
    further: Arrays | None = None,
) -> PackedDraws:
    size = images.cache.image_size
    return pack_draws(
        draws,
        size,
        look.crop or size,
        masks=images.mask_kind,
        soft=[images.is_soft(number) for number in numbers.tolist()],
        further=further,
    )
