"""Training images in the memory of a GPU: a batch then sends numbers, not pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.training.augmentation.changes import Draw
from goldfold.training.augmentation.packed import PackedDraws
from goldfold.training.device import Device
from goldfold.training.images import TrainingImages
from goldfold.training.memory import free_memory, is_out_of_memory

SHARE = 0.25
"""Most of the free memory that images may take: a network's activations need the rest."""
_CHUNK = 64 * 2**20  # bytes that are read and copied at a time

Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]


def free_bytes(device: Device) -> int | None:
    """Return how much of a GPU's memory is free, None where that cannot be asked."""
    ask = getattr(torch.get_device_module(device.device), "mem_get_info", None)
    if ask is None or not device.is_gpu:
        return None
    free_memory(device)  # what PyTorch keeps of an earlier stage counts as free
    return int(ask(device.device)[0])


def keep_on_device(
    images: TrainingImages, device: Device, say: Callable[[str], None]
) -> ResidentImages | None:
    """Return the images in the GPU's memory, None where they do not fit or it is none.

    Args:
        images: that epochs draw from.
        device: where they are wanted.
        say: takes a line about how much memory they take, or why they stay where they are.
    """
    free = free_bytes(device)
    if free is None:
        return None
    if _several_masks(images) and images.pseudo is not None:
        say("several masks and pseudo-labels: batches are copied to the GPU one by one")
        return None
    resident = ResidentImages(images)
    size = f"{resident.bytes / 1e9:.2f} GB of training images"
    if resident.bytes > SHARE * free:
        say(
            f"{size} are more than {SHARE:.0%} of the GPU's {free / 1e9:.1f} GB of free memory: "
            "batches are copied to it one by one"
        )
        return None
    try:
        resident.upload(device.device)
    except RuntimeError as error:  # another process was faster
        if not is_out_of_memory(error):
            raise
        resident.release()
    if resident.held:
        say(f"{size} stay in the GPU's memory")
        return resident
    free_memory(device)
    say("the GPU's memory does not hold the training images: batches are copied to it")
    return None


class ResidentImages:
    """The pixels and masks that an epoch draws from, each once, as the cache's files have them.

    Threads `request` what a batch needs as numbers, which travel with its draws; the device then
    `take`s it. Once released, the same batches are read from the files.

    Attributes:
        images: that epochs draw from.
        bytes: that pixels and masks take.
    """

    def __init__(self, images: TrainingImages) -> None:
        """List what is to be kept; nothing is read yet.

        Not for pseudo-labelled images with several masks: theirs have more than a bit a pixel.
        """
        self.images = images
        size = images.cache.image_size
        shape = size if images.cache.channels == 1 else (*size, images.cache.channels)
        self._sources, self._pixel_rows = _pixel_sources(images)
        self._pixels = _Store(self._read_pixels, sum(len(rows) for _, rows in self._sources), shape)
        self._mask_places, self._mask_rows = _mask_places(images)
        kept = 1 + len(self._mask_places) + images.pseudo_labelled
        count = 0 if images.mask_kind == "none" else kept
        self._masks = _Store(self._read_masks, count, size)
        self.bytes = self._pixels.bytes + self._masks.bytes

    @property
    def held(self) -> bool:
        """Whether the device has them."""
        return self._pixels.held and self._masks.held

    def upload(self, device: torch.device) -> None:
        """Copy everything to the device.

        Raises:
            RuntimeError: its memory does not suffice.
        """
        self._masks.upload(device)
        self._pixels.upload(device)

    def release(self) -> bool:
        """Give the device's memory back; return whether there was any to give."""
        held = self.held
        self._pixels.release()
        self._masks.release()
        return held

    def request(self, numbers: Rows, draws: Sequence[Draw]) -> dict[str, NDArray[Any]]:
        """Return what `take` has to know, arrays of a row per image, for `pack_draws`.

        Args:
            numbers: of the images.
            draws: their changes, as some masks trade places in a mirrored image.
        """
        wanted: dict[str, NDArray[Any]] = {"pixel_rows": self._pixel_rows[numbers]}
        if self.images.mask_kind == "none":
            return wanted
        wanted["mask_rows"] = self._mask_rows[numbers]
        flipped = np.array([draw.warp.flip for draw in draws])[:, None]
        cache = self.images.cache
        count = cache.classes if cache.numbers else cache.planes
        mirror = np.array(self.images.mirror or range(count), np.uint8)
        if self.images.classes_per_pixel:
            if self.images.mirror and flipped.any():
                plain = np.arange(256, dtype=np.uint8)
                wanted["new_numbers"] = np.where(flipped, np.append(mirror, plain[count:]), plain)
        elif count > 1:
            wanted["bits"] = np.where(flipped, mirror, np.arange(count, dtype=np.uint8))
        return wanted

    def take(self, draws: PackedDraws, numbers: Rows) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return a batch's images and masks on the device, before their changes.

        Args:
            draws: with the rows that were requested, on the device.
            numbers: of the images, on the host.

        Returns:
            uint8 (N, H, W) or (N, H, W, C), and masks as `augment_on_device` takes them.
        """
        near = self._pixel_rows[numbers]
        pixels = self._pixels.take(draws["pixel_rows"].flatten(), near.reshape(-1))
        pixels = _joined(pixels.view(*near.shape, *self._pixels.shape))
        if self.images.mask_kind == "none":
            return pixels, None
        masks = self._masks.take(draws["mask_rows"], self._mask_rows[numbers])
        if "bits" in draws:
            # Several masks are bits of a byte; a mirrored image reads them in another order.
            masks = (masks[:, None] >> draws["bits"][:, :, None, None]).bitwise_and_(1).mul_(255)
        elif "new_numbers" in draws:
            masks = draws["new_numbers"].gather(1, masks.flatten(1).long()).view(masks.shape)
        return pixels, masks

    def _read_pixels(self, rows: Rows) -> Pixels:
        """Return rows of the stored pixels, read from the caches' files."""
        labelled = len(self._sources[0][1])
        pixels = np.empty((len(rows), *self._pixels.shape), np.uint8)
        for number, (cache, stored) in enumerate(self._sources):
            of_cache = (rows >= labelled) == bool(number)
            pixels[of_cache] = cache.stored_pixels(stored[rows[of_cache] - number * labelled])
        return pixels

    def _read_masks(self, rows: Rows) -> Pixels:
        """Return rows of the stored masks: an empty one, labelled ones, then pseudo-labels."""
        masks = np.zeros((len(rows), *self._masks.shape), np.uint8)
        own = (rows > 0) & (rows <= len(self._mask_places))
        masks[own] = self.images.cache.stored_masks(self._mask_places[rows[own] - 1])
        if self.images.cache.planes == 1:
            masks[own] *= np.uint8(255)
        beyond = rows > len(self._mask_places)
        if beyond.any():
            assert self.images.pseudo is not None
            masks[beyond] = self.images.pseudo.masks[rows[beyond] - 1 - len(self._mask_places)]
        return masks


class _Store:
    """Arrays of one shape in a device's memory, or, once released, read when they are wanted."""

    def __init__(self, read: Callable[[Rows], Pixels], count: int, shape: tuple[int, ...]) -> None:
        self.shape, self.bytes = shape, count * prod(shape)
        self._read, self._count = read, count
        self._held: torch.Tensor | None = None
        self._device = torch.device("cpu")

    @property
    def held(self) -> bool:
        return self._held is not None

    def upload(self, device: torch.device) -> None:
        """Copy all of it in chunks; the device reads pinned memory while the next is read."""
        self._device = device
        self._held = torch.empty((self._count, *self.shape), dtype=torch.uint8, device=device)
        step = max(1, _CHUNK // prod(self.shape))
        for begin in range(0, self._count, step):
            end = min(begin + step, self._count)
            chunk = self._on_host(np.arange(begin, end))
            self._held[begin:end].copy_(chunk, non_blocking=True)

    def take(self, rows: torch.Tensor, on_host: Rows) -> torch.Tensor:
        """Return rows on the device; the two are the same numbers."""
        if self._held is not None:
            return self._held.index_select(0, rows)
        return self._on_host(on_host).to(self._device, non_blocking=True)

    def release(self) -> None:
        self._held = None

    def _on_host(self, rows: Rows) -> torch.Tensor:
        array = torch.from_numpy(self._read(rows))
        return array if self._device.type == "cpu" else array.pin_memory()


def _several_masks(images: TrainingImages) -> bool:
    return images.mask_kind == "coverage" and images.cache.planes > 1


def _joined(near: torch.Tensor) -> torch.Tensor:
    """Return (N, H, W) or (N, H, W, C) from (N, K, H, W) or (N, K, H, W, 3), as `join_channels`."""
    if near.shape[1] == 1:
        return near[:, 0]
    return near.movedim(1, -1) if near.ndim == 4 else near.movedim(1, 3).flatten(3)


def _pixel_sources(images: TrainingImages) -> tuple[list[tuple[Any, Rows]], Rows]:
    """Return caches with the rows to keep of each, and for each image the kept rows (L + M, K)."""
    of_caches = [(images.cache, images.rows)]
    if images.pseudo is not None:
        of_caches.append((images.pseudo.cache, images.pseudo.rows))
    sources, places, before = [], [], 0
    for cache, rows in of_caches:
        near = rows[:, None] if cache.neighbours is None else cache.neighbours[rows]
        kept, place = np.unique(near, return_inverse=True)
        sources.append((cache, kept))
        places.append(place.reshape(near.shape) + before)
        before += len(kept)
    return sources, np.concatenate(places)


def _mask_places(images: TrainingImages) -> tuple[Rows, Rows]:
    """Return places of masks in the cache's file, and for each image its row among the kept."""
    if images.mask_kind == "none":
        return np.empty(0, np.int64), np.empty(0, np.int64)
    places = images.cache.stored_places(images.rows)
    kept = np.unique(places[places >= 0])
    rows = np.where(places < 0, 0, 1 + np.searchsorted(kept, places))
    pseudo = 1 + len(kept) + np.arange(images.pseudo_labelled)
    return kept, np.concatenate([rows, pseudo])
