"""A batch's maps at the original size, on their way from where it is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.inference.predictor import Predictor, Seen
from goldfold.training.batch import Pixels
from goldfold.training.host_copy import runs_ahead, to_host
from goldfold.training.passes import join_lists, join_parts
from goldfold.training.probability import levels_at_size, sent_levels

_Sent = tuple[list[torch.Tensor], torch.Tensor | None]


@dataclass(frozen=True)
class SeenMaps:
    """What is stored of a batch.

    Attributes:
        maps: 8-bit levels, uint8 (H, W) each; of C masks per image, those of one image come after
            each other.
        presence: of each image, None without a head for it.
    """

    maps: Iterator[NDArray[np.uint8]]
    presence: Sequence[float | None]


def begin_maps(
    predictor: Predictor,
    pixels: Pixels,
    image_ids: Sequence[str],
    sizes: Sequence[tuple[int, int]],
) -> Callable[[], SeenMaps]:
    """Start a batch and return a call that gives its maps, waiting once for a GPU.

    A processor makes a map when the iterator is asked for it.

    Args:
        predictor: the checkpoints of one fold.
        pixels: cached images, uint8 (N, S, S) or (N, S, S, C).
        image_ids: N ids, for messages.
        sizes: original (height, width) of each.
    """
    if runs_ahead(predictor.device.device):
        return _begin_on_gpu(predictor, pixels, image_ids, sizes)
    wait = predictor.begin(pixels, image_ids)

    def seen() -> SeenMaps:
        probability, presence = wait()
        return SeenMaps(levels_at_size(probability, sizes), _listed(presence, len(sizes)))

    return seen


def maps_of(
    predictor: Predictor, image_ids: Sequence[str], sizes: Sequence[tuple[int, int]]
) -> Callable[[Pixels, Sequence[str]], Callable[[], SeenMaps]]:
    """Return `begin_maps` of the pixels and ids of any batch of these images."""
    size_of = dict(zip(image_ids, sizes, strict=True))

    def begin(pixels: Pixels, of_batch: Sequence[str]) -> Callable[[], SeenMaps]:
        return begin_maps(predictor, pixels, of_batch, [size_of[name] for name in of_batch])

    return begin


def _begin_on_gpu(
    predictor: Predictor,
    pixels: Pixels,
    image_ids: Sequence[str],
    sizes: Sequence[tuple[int, int]],
) -> Callable[[], SeenMaps]:
    """Let the GPU resize, and send everything before it is waited for."""

    def send(seen: Seen, part: slice) -> _Sent:
        probability, presence = seen
        told = None if presence is None else to_host(presence)
        return sent_levels(probability, sizes[part]), told

    def joined(parts: list[_Sent]) -> _Sent:
        return join_lists([levels for levels, _ in parts]), join_parts([told for _, told in parts])

    wait = predictor.begin_then(pixels, image_ids, send, joined)

    def seen() -> SeenMaps:
        sent, presence = wait()
        maps = (levels for of_size in sent for levels in of_size.numpy())
        return SeenMaps(maps, _listed(presence, len(sizes)))

    return seen


def _listed(presence: torch.Tensor | None, count: int) -> Sequence[float | None]:
    return [None] * count if presence is None else presence.tolist()
