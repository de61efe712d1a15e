"""Tiles cover the image, and a network that looks no further than their margin sees no seam."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from goldfold.errors import InputError
from goldfold.inference.tiles import TiledNetwork, tile_starts


@given(length=st.integers(1, 300), tile=st.integers(1, 80), step=st.integers(1, 80))
def test_tiles_cover_a_side(length: int, tile: int, step: int) -> None:
    starts = tile_starts(length, tile, min(step, tile))
    seen = {place for start in starts for place in range(start, min(start + tile, length))}
    assert seen == set(range(length))
    assert starts == sorted(set(starts))
    assert starts[-1] + tile == length or starts == [0]


def local_network(channels: int = 1) -> nn.Module:
    """See two pixels in each direction."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)
    ).eval()


@torch.inference_mode()
@pytest.mark.parametrize("shape", [(100, 70), (64, 64), (31, 200), (33, 33)])
@pytest.mark.parametrize("overlap", [0.125, 0.25, 0.5, 0.9])
def test_a_local_network_gives_what_it_gives_on_the_whole_image(
    shape: tuple[int, int], overlap: float
) -> None:
    network = local_network()
    images = torch.randn(5, 1, *shape)
    tiled = TiledNetwork(network, 32, overlap=overlap, batch_size=2)
    assert torch.allclose(tiled(images), network(images), atol=1e-5)


@torch.inference_mode()
def test_a_constant_border_changes_nothing_inside() -> None:
    network, image = local_network(), torch.randn(1, 1, 48, 48)
    padded = nn.functional.pad(image, (40, 40, 40, 40), value=0.5)
    tiled = TiledNetwork(network, 64)(padded)
    inside = tiled[:, :, 42:86, 42:86]  # but for two pixels, which see the border
    assert torch.allclose(inside, network(image)[:, :, 2:-2, 2:-2], atol=1e-5)


@torch.inference_mode()
def test_memory_is_that_of_a_batch_of_tiles() -> None:
    seen: list[tuple[int, ...]] = []

    def network(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape))
        return images

    images = torch.randn(3, 1, 96, 128)
    found = TiledNetwork(network, 64, batch_size=2)(images)
    assert torch.allclose(found, images, atol=1e-6)
    assert set(seen) == {(2, 1, 64, 64), (1, 1, 64, 64)}


@torch.inference_mode()
def test_presence_is_that_of_the_most_certain_tile() -> None:
    def network(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images, images.amax((2, 3))

    images = torch.zeros(2, 1, 128, 128)
    images[0, 0, 100, 90], images[1, 0, 3, 3] = 7, -2
    _, presence = TiledNetwork(network, 64)(images)
    assert presence.tolist() == [[7], [0]]


def test_tiles_that_leave_gaps_are_refused() -> None:
    with pytest.raises(InputError, match=r"an overlap of 0\.125 to below 1"):
        TiledNetwork(local_network(), 64, overlap=0.1)
