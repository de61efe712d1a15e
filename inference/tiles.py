"""Networks over images that are too large for them: overlapping tiles with Gaussian weights."""

from __future__ import annotations

from typing import Any

import torch

from goldfold.errors import InputError
from goldfold.image_size import ImageSize
from goldfold.inference.network import Network, WrappedNetwork, plain_network
from goldfold.training.host_copy import to_device
from goldfold.training.networks.output import split_output

_SPREAD = 8
"""Tile side over the standard deviation of the Gaussian: the middle of a tile sees most."""
_MARGIN = 16
"""Tile side over the margin that does not count at inner edges, where the network sees the tile's
border instead of the image."""


class TiledNetwork(WrappedNetwork):
    """Sees an image tile by tile; memory for activations is that of a batch of tiles.

    Each pixel is the weighted mean of the logits of all tiles that hold it, the weight a Gaussian
    around the tile's middle. The outermost sixteenth of a tile has no weight, except where the
    image itself ends: a network that looks no further than that gives exactly what it gives on
    the whole image.

    Presence is that of the tile that is most certain of it.

    Source: F. Isensee et al., "nnU-Net", Nature Methods 18 (2021), for the Gaussian weights.
    """

    def __init__(
        self, network: Network, tile: int, *, overlap: float = 0.5, batch_size: int = 4
    ) -> None:
        """Wrap a network.

        Args:
            network: gives logits of any tile of that size.
            tile: side in pixels.
            overlap: share of a tile that the next one covers again.
            batch_size: tiles in a forward pass.

        Raises:
            InputError: the tiles would not cover the image.
        """
        if tile < 1 or not 2 / _MARGIN <= overlap < 1:
            raise InputError(
                f"expected a tile of 1 px or more and an overlap of {2 / _MARGIN} to below 1, "
                f"found tile {tile} and overlap {overlap}."
            )
        self.network, self.tile, self.batch_size = network, tile, batch_size
        self.overlap = overlap
        self.step = max(1, int(tile * (1 - overlap)))
        self._windows = _Windows(tile)

    @property
    def plain(self) -> Network:
        """The network itself where it is plain, else one that tiles the plain network."""
        plain = plain_network(self.network)
        if plain is self.network:
            return self
        return TiledNetwork(plain, self.tile, overlap=self.overlap, batch_size=self.batch_size)

    def __call__(self, images: torch.Tensor) -> Any:
        """Return logits float32 (N, M, H, W), and presence logits (N, 1) if there is a head.

        Args:
            images: network input (N, C, H, W).
        """
        height, width = images.shape[-2:]
        total: torch.Tensor | None = None
        weight = images.new_zeros((height, width), dtype=torch.float32)
        presence: torch.Tensor | None = None
        places = [
            (top, left)
            for top in tile_starts(height, self.tile, self.step)
            for left in tile_starts(width, self.tile, self.step)
        ]
        # Tiles of one place have one weight, so a batch holds that place of several images.
        for top, left in places:
            rows = slice(top, min(top + self.tile, height))
            columns = slice(left, min(left + self.tile, width))
            here = self._windows.of((rows, columns), (height, width), images.device)
            weight[rows, columns] += here
            for start in range(0, len(images), self.batch_size):
                part = slice(start, start + self.batch_size)
                logits, told = split_output(self.network(images[part, :, rows, columns]))
                if total is None:
                    masks = logits.shape[1]
                    total = images.new_zeros(
                        (len(images), masks, height, width), dtype=torch.float32
                    )
                total[part, :, rows, columns] += logits.float() * here
                if told is not None:
                    if presence is None:
                        presence = told.new_full((len(images),), -torch.inf, dtype=torch.float32)
                    presence[part] = torch.maximum(presence[part], told.float())
        assert total is not None
        mask = total / weight
        return mask if presence is None else (mask, presence.unsqueeze(1))


def tile_starts(length: int, tile: int, step: int) -> list[int]:
    """Return where tiles begin along a side so that they cover it, the last one flush with its end.

    >>> tile_starts(10, 4, 3), tile_starts(10, 16, 8), tile_starts(9, 4, 2)
    ([0, 3, 6], [0], [0, 2, 4, 5])
    """
    if length <= tile:
        return [0]
    return [*range(0, length - tile, step), length - tile]


class _Windows:
    """Weights of tiles, kept on the device: a tile's depend on which edges it touches alone."""

    def __init__(self, tile: int) -> None:
        self._tile = tile
        self._kept: dict[Any, torch.Tensor] = {}

    def of(self, place: tuple[slice, slice], size: ImageSize, device: torch.device) -> torch.Tensor:
        """Return the weights of a tile, float32 (h, w)."""
        edges = tuple(
            (side.stop - side.start, side.start > 0, side.stop < length)
            for side, length in zip(place, size, strict=True)
        )
        key = edges, device
        if key not in self._kept:
            rows, columns = map(_profile, place, size, (self._tile, self._tile))
            with torch.inference_mode(False):  # for callers that want gradients, too
                self._kept[key] = to_device(torch.outer(rows, columns), device)
        return self._kept[key]


def _profile(place: slice, length: int, tile: int) -> torch.Tensor:
    """Return the weights along one side of a tile, float32 (tile,)."""
    side = place.stop - place.start
    middle = (side - 1) / 2
    offsets = torch.arange(side, dtype=torch.float32) - middle
    weights = torch.exp(-0.5 * (offsets * _SPREAD / tile) ** 2)
    margin = tile // _MARGIN
    if place.start > 0:
        weights[:margin] = 0
    if place.stop < length:
        weights[side - margin :] = 0
    return weights
