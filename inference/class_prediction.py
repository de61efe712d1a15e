"""Predict the classes of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.inference.merge import Merger
from goldfold.inference.network import Network
from goldfold.inference.predict import Array, Forward
from goldfold.inference.predictor import Predictor
from goldfold.inference.retry import finite_or_retried
from goldfold.inference.views import View
from goldfold.progress import SILENT, Progress
from goldfold.training.batch import Pixels, network_input
from goldfold.training.cache import ImageCache
from goldfold.training.class_validation import class_probability
from goldfold.training.device import Device
from goldfold.training.finite import finite_images
from goldfold.training.host_copy import to_host
from goldfold.training.read_ahead import batches_ahead


def class_probabilities(
    predictor: Predictor,
    pixels: Pixels,
    exclusive: bool,
    image_ids: Sequence[str] = (),
) -> NDArray[np.float32]:
    """Return the probabilities of classes, merged over networks and views, (N, C).

    Args:
        predictor: networks that give logits (N, 1, 1, C).
        pixels: cached images, uint8 (N, S, S) or (N, S, S, C).
        exclusive: exactly one class per image: probabilities sum to one.
        image_ids: N ids, for messages.

    Raises:
        NotFiniteError: logits are NaN or infinite, in float32 too.
    """
    merged = begin_class_batch(predictor, pixels, exclusive, image_ids)()
    return merged_probabilities(merged, exclusive)


@torch.inference_mode()
def begin_class_batch(
    predictor: Predictor, pixels: Pixels, exclusive: bool, image_ids: Sequence[str]
) -> Callable[[], torch.Tensor]:
    """Start a batch and return a call that waits for its merged probabilities, (N, C) here."""

    def attempt(
        networks: Sequence[Network], device: Device, part: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        images = network_input(pixels[part], device.device, channels_last=device.channels_last)
        merger, finite = Merger(predictor.merge), []
        for network in networks:
            flags = []
            for view in predictor.views:
                probability, of_view = view_probabilities(network, images, view, device, exclusive)
                merger.add(probability)
                flags.append(of_view)
            finite.append(torch.stack(flags).all(dim=0))
        return to_host(merger.result()), torch.stack(finite)

    return finite_or_retried(attempt, predictor, len(pixels), image_ids)


def class_forward(
    predictor: Predictor, image_ids: Sequence[str], exclusive: bool
) -> Forward[torch.Tensor]:
    """Return how classes of images are predicted and stored: a row of probabilities per image.

    Args:
        predictor: the checkpoints of one fold.
        image_ids: of all images, in the order of the store.
        exclusive: exactly one class per image.
    """

    def begin(pixels: Pixels, ids: Sequence[str]) -> Callable[[], torch.Tensor]:
        return begin_class_batch(predictor, pixels, exclusive, ids)

    def rows(block: range, merged: torch.Tensor) -> Iterator[Array]:
        for place, row in zip(block, merged_probabilities(merged, exclusive), strict=True):
            yield image_ids[place], row, None

    return Forward(begin, rows, predictor.device.pins_memory)


@torch.inference_mode()
def view_probabilities(
    network: Network, images: torch.Tensor, view: View, device: Device, exclusive: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the probabilities that a network gives in a view, float32 (N, C), and bool (N,).

    The latter tells for which images all logits are finite.

    A view changes nothing about what an image is of, so nothing is turned back.

    Args:
        network: gives logits (N, 1, 1, C).
        images: network input, float32 (N, channels, H, W).
        view: one of `get_views`.
        device: where both are.
        exclusive: exactly one class an image.
    """
    looked = view.forward(images)
    if device.channels_last:
        looked = looked.contiguous(memory_format=torch.channels_last)
    with device.autocast():
        logits = network(looked)
    return class_probability(logits, exclusive), finite_images(logits)


def merged_probabilities(merged: torch.Tensor, exclusive: bool) -> NDArray[np.float32]:
    """Return a mean of probabilities on the host, (N, C), rows summing to one where exclusive.

    Args:
        merged: of a `Merger`, float32 (N, C).
        exclusive: exactly one class an image.
    """
    if exclusive:  # only the plain mean keeps the sum
        merged = merged / merged.sum(dim=1, keepdim=True)
    return merged.float().cpu().numpy()


def predict_classes(
    predictor: Predictor,
    cache: ImageCache,
    image_ids: Sequence[str],
    *,
    exclusive: bool,
    batch_size: int = 16,
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Return the probabilities of the classes of images, (N, C).

    Args:
        predictor: the checkpoints of one fold.
        cache: the images at the network's size.
        image_ids: N ids.
        exclusive: exactly one class an image.
        batch_size: images in a forward pass.
        progress: counts images.
    """
    rows = cache.rows(image_ids)
    probabilities = []

    with progress.task("predict", len(rows)) as task:
        pin = predictor.device.pins_memory
        for block, pixels in batches_ahead(cache, rows, batch_size, pin=pin):
            ids = image_ids[block.start : block.stop]
            probabilities.append(class_probabilities(predictor, pixels, exclusive, ids))
            task.advance(len(block))
    return np.concatenate(probabilities)
