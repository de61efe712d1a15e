"""Views: turning an image and turning its map back is the identity."""

import pytest
import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.inference.views import VIEWS, get_views, view_probability
from goldfold.training.device import Device

CPU = Device(torch.device("cpu"), None, "CPU")


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (1, 3, 5, 9), (3, 1, 1, 2)])
def test_turning_back_undoes_turning(name: str, shape: tuple[int, ...]) -> None:
    images = torch.rand(shape)
    for view in get_views(name):
        assert torch.equal(view.deaugment_mask(view.augment_image(images)), images)


@pytest.mark.parametrize(("name", "count"), [("none", 1), ("hflip", 2)])
def test_the_untouched_image_is_among_the_views(name: str, count: int) -> None:
    images = torch.rand(1, 1, 4, 6)
    seen = [view.augment_image(images) for view in get_views(name)]
    assert len(seen) == count == len(get_views(name))
    assert any(torch.equal(one, images) for one in seen)
    if name == "hflip":
        assert any(torch.equal(one, images.flip(3)) for one in seen)


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_a_model_that_looks_at_single_pixels_agree(name: str) -> None:
    images = torch.randn(2, 1, 6, 7)
    probability, presence = view_probability(nn.Identity(), images, get_views(name), CPU)
    assert torch.allclose(probability, torch.sigmoid(images))
    assert probability.dtype == torch.float32
    assert presence is None


def test_the_mean_is_that_of_probabilities_not_of_logits() -> None:
    class FirstColumn(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = torch.full_like(images, -20.0)
            logits[..., 0] = 20.0
            return logits

    images = torch.zeros(1, 1, 2, 4)
    probability, _ = view_probability(FirstColumn(), images, get_views("hflip"), CPU)
    assert probability[0, 0, 0].tolist() == pytest.approx([0.5, 0, 0, 0.5], abs=1e-6)


def test_the_mean_is_float32_under_autocast() -> None:
    fast = Device(torch.device("cpu"), torch.bfloat16, "CPU, bf16")
    model = nn.Conv2d(1, 1, 3, padding=1)
    with torch.inference_mode():
        logits = torch.rand(1, 1, 8, 8)
        probability, _ = view_probability(model, logits, get_views("hflip"), fast)
    assert probability.dtype == torch.float32


def test_unknown_views_are_refused() -> None:
    with pytest.raises(InputError, match=r"unknown views 'hflop'; there are none, hflip\. Did you"):
        get_views("hflop")


def test_presence_is_the_mean_probability_over_views() -> None:
    class Both(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images, images[:, :, 0, 0]  # the corner, which a flip changes

    images = torch.tensor([[[[2.0, -1.0]]], [[[0.0, 3.0]]]])
    probability, presence = view_probability(Both(), images, get_views("hflip"), CPU)
    assert torch.allclose(probability, torch.sigmoid(images))
    expected = torch.sigmoid(images).mean(dim=(1, 2, 3))
    assert presence is not None
    assert torch.allclose(presence, expected)
