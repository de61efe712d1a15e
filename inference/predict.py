"""Predict maps: mean over checkpoints and views, at original size, into the prediction store."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
import ttach
from numpy.typing import NDArray
from torch import nn

from goldfold.errors import InputError
from goldfold.inference.store import MapWriter
from goldfold.inference.views import get_views, view_probability
from goldfold.progress import SILENT, Progress
from goldfold.training.batch import network_input
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.probability import levels_at_size

Levels = NDArray[np.uint8]


def predict_maps(
    models: Sequence[nn.Module],
    cache: ImageCache,
    image_ids: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    writer: MapWriter,
    *,
    views: str = "hflip",
    batch_size: int = 16,
    device: Device,
    progress: Progress = SILENT,
) -> int:
    """Return how many maps were predicted now; those that the store had already are passed over.

    A pixel is the mean of the probabilities over all models and views, in float32 at the
    network's size, then resized to the original size and rounded down to 8 bits. Images are
    batched by their place in `image_ids` whatever is stored already, so that on a CPU a resumed
    store has the same bytes as an unbroken one. Memory does not depend on the number of images:
    one batch is predicted while the one before it is compressed and written.

    Args:
        models: the checkpoints of one fold in eval mode on the device, logits (N, 1, H, W).
        cache: the images at the network's size.
        image_ids: which images, in the order of the store.
        sizes: original (height, width) of each image.
        writer: the store; the caller finishes it.
        views: name of the test-time augmentation.
        batch_size: images in a forward pass.
        device: where the models are.
        progress: counts images.

    Raises:
        InputError: no models, unknown views, an image twice or not in the cache, or not one size
            for each image.
        OutputError: the store cannot be written.
    """
    _check_request(models, image_ids, sizes)
    compose = get_views(views)
    rows = cache.rows(image_ids)
    before = len(writer)
    with (
        progress.task("predict", len(image_ids)) as task,
        ThreadPoolExecutor(1, thread_name_prefix="store") as pool,
    ):
        writing: Future[None] | None = None
        for start in range(0, len(image_ids), batch_size):
            block = range(start, min(start + batch_size, len(image_ids)))
            names = [image_ids[place] for place in block]
            if not all(name in writer for name in names):
                pixels = np.stack([cache.pixels[rows[place]] for place in block])
                probability, presence = mean_probability(models, pixels, compose, device)
                told = [None] * len(names) if presence is None else presence.tolist()
                maps = list(levels_at_size(probability, [sizes[place] for place in block]))
                if writing is not None:
                    writing.result()
                writing = pool.submit(_store, writer, names, maps, told)
            task.advance(len(names))
        if writing is not None:
            writing.result()
    return len(writer) - before


@torch.inference_mode()
def mean_probability(
    models: Sequence[nn.Module],
    pixels: NDArray[np.uint8],
    views: ttach.Compose,
    device: Device,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the mean probability over models and views, float32 (N, 1, S, S) on the device.

    The presence probability beside it, float32 (N,), is the mean over the models that have a head
    for it, None where none has.

    Args:
        models: logits (N, 1, S, S) each, and presence logits if they have the head.
        pixels: cached images, uint8 (N, S, S) or (N, S, S, 3).
        views: of `get_views`.
        device: where the models are.
    """
    images = network_input(pixels, device.device, channels_last=device.channels_last)
    total, told = view_probability(models[0], images, views, device)
    presences = [] if told is None else [told]
    for model in models[1:]:
        probability, told = view_probability(model, images, views, device)
        total = total + probability
        presences += [] if told is None else [told]
    presence = torch.stack(presences).mean(dim=0) if presences else None
    return total / len(models), presence


def _store(
    writer: MapWriter,
    names: Sequence[str],
    maps: Sequence[Levels],
    presences: Sequence[float | None],
) -> None:
    for name, levels, presence in zip(names, maps, presences, strict=True):
        if name not in writer:
            writer.append(name, levels, presence)


def _check_request(
    models: Sequence[nn.Module], image_ids: Sequence[str], sizes: Sequence[tuple[int, int]]
) -> None:
    if not models:
        raise InputError("expected at least one checkpoint to predict with, found none.")
    if len(sizes) != len(image_ids):
        raise InputError(
            f"expected one size for each image, found {len(sizes)} sizes "
            f"for {len(image_ids)} images."
        )
    if len(set(image_ids)) != len(image_ids):
        double = next(name for i, name in enumerate(image_ids) if name in image_ids[:i])
        raise InputError(f"expected each image once, found {double} twice.")
