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
from goldfold.training.batch import network_input
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.finite import finite_images
from goldfold.training.label_validation import label_probability


def label_probabilities(
    predictor: Predictor,
    pixels: NDArray[np.uint8],
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
    return merged_labels(begin_labels(predictor, pixels, exclusive, image_ids)(), exclusive)


@torch.inference_mode()
def begin_labels(
    predictor: Predictor, pixels: NDArray[np.uint8], exclusive: bool, image_ids: Sequence[str]
) -> Callable[[], Merger]:
    """Start a batch and return a call that waits for its probabilities (N, C)."""

    def attempt(networks: Sequence[Network], device: Device) -> tuple[Merger, torch.Tensor]:
        images = network_input(pixels, device.device, channels_last=device.channels_last)
        merger, finite = Merger(predictor.merge), []
        for network in networks:
            flags = []
            for view in predictor.views:
                probability, of_view = see_labels(network, images, view, device, exclusive)
                merger.add(probability)
                flags.append(of_view)
            finite.append(torch.stack(flags).all(dim=0))
        return merger, torch.stack(finite)

    return finite_or_retried(attempt, predictor, image_ids)


def label_forward(
    predictor: Predictor, image_ids: Sequence[str], exclusive: bool
) -> Forward[Merger]:
    """Return how classes of images are predicted and stored: a row of probabilities per image.

    Args:
        predictor: the checkpoints of one fold.
        image_ids: of all images, in the order of the store.
        exclusive: exactly one class per image.
    """

    def begin(pixels: NDArray[np.uint8], ids: Sequence[str]) -> Callable[[], Merger]:
        return begin_labels(predictor, pixels, exclusive, ids)

    def rows(block: range, merger: Merger) -> Iterator[Array]:
        for place, row in zip(block, merged_labels(merger, exclusive), strict=True):
            yield image_ids[place], row, None

    return Forward(begin, rows)


@torch.inference_mode()
def see_labels(
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
    return label_probability(logits, exclusive), finite_images(logits)


def merged_labels(merger: Merger, exclusive: bool) -> NDArray[np.float32]:
    """Return the mean of a merger as probabilities (N, C), which sum to one where exclusive.

    Args:
        merger: of probabilities (N, C).
        exclusive: exactly one class an image.
    """
    merged = merger.result()
    if exclusive:  # only the plain mean keeps the sum
        merged = merged / merged.sum(dim=1, keepdim=True)
    return merged.float().cpu().numpy()


def predict_labels(
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
    found = []
    with progress.task("predict", len(rows)) as task:
        for start in range(0, len(rows), batch_size):
            part = slice(start, start + batch_size)
            pixels = cache.images(rows[part])
            found.append(label_probabilities(predictor, pixels, exclusive, image_ids[part]))
            task.advance(len(pixels))
    return np.concatenate(found)
