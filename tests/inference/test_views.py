"""Turning an image and turning its map back is the identity; merges are the right means."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from goldfold.errors import InputError
from goldfold.inference.merge import MERGES, Merger
from goldfold.inference.predictor import Predictor, see
from goldfold.inference.views import NAMED_VIEWS, get_views
from goldfold.training.batch import network_input
from goldfold.training.device import Device

CPU = Device(torch.device("cpu"), None, "CPU")
PARTS = ["hflip", "vflip", "rot90", "rot180", "rot270"]
EXACT = [name for name in NAMED_VIEWS if name != "multiscale"]


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (1, 3, 5, 9), (3, 1, 1, 2), (1, 1, 33, 64)])
def test_turning_back_undoes_turning(name: str, shape: tuple[int, ...]) -> None:
    images = torch.rand(shape)
    for view in get_views(name):
        assert torch.equal(view.inverse(view.forward(images), *shape[-2:]), images)


@given(
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=4),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
)
def test_any_chain_of_turns_is_undone(parts: list[str], height: int, width: int) -> None:
    (view,) = get_views(["+".join(parts)])
    images = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
    assert torch.equal(view.inverse(view.forward(images), height, width), images)


@pytest.mark.parametrize("factor", ["0.5", "0.75", "1.25", "2"])
@pytest.mark.parametrize("shape", [(64, 64), (33, 97), (96, 41), (101, 101)])
@pytest.mark.parametrize("turn", ["", "rot90+", "hflip+rot270+"])
def test_a_scaled_view_is_laid_back_at_the_right_place(
    factor: str, shape: tuple[int, int], turn: str
) -> None:
    """A ramp stays a ramp under any scale: its middle must not move."""
    height, width = shape
    ramp = torch.linspace(0, 1, height)[:, None] + torch.linspace(0, 3, width)[None]
    (view,) = get_views([f"{turn}scale-{factor}"])
    seen = view.forward(ramp[None, None])
    assert all(side % 32 == 0 for side in seen.shape[-2:])
    back = view.inverse(seen, height, width)[0, 0]
    assert back.shape == ramp.shape
    inside = (slice(height // 4, -(height // 4)), slice(width // 4, -(width // 4)))
    assert torch.allclose(back[inside], ramp[inside], atol=0.03)


def test_d4_holds_the_eight_symmetries_of_a_square() -> None:
    images = torch.arange(9.0).reshape(1, 1, 3, 3)
    seen = {tuple(view.forward(images).flatten().tolist()) for view in get_views("d4")}
    assert len(seen) == 8
    assert tuple(images.transpose(2, 3).flatten().tolist()) in seen


@pytest.mark.parametrize(
    ("name", "count"), [("none", 1), ("hflip", 2), ("d4", 8), ("multiscale", 3)]
)
def test_the_untouched_image_is_among_the_views(name: str, count: int) -> None:
    images = torch.rand(1, 1, 64, 96)
    seen = [view.forward(images) for view in get_views(name)]
    assert len(seen) == count
    assert torch.equal(seen[0], images)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("name", EXACT)
def test_views_of_a_network_that_looks_at_single_pixels_agree(name: str, merge: str) -> None:
    pixels = torch.randint(0, 256, (2, 6, 6), dtype=torch.uint8)
    predictor = Predictor([nn.Identity()], CPU, get_views(name), merge)
    probability, presence = predictor.probability(pixels)
    expected = torch.sigmoid(network_input(pixels, CPU.device))
    assert torch.allclose(probability, expected, atol=1e-5)
    assert probability.dtype == torch.float32
    assert presence is None


class Constant(nn.Module):
    """Gives one probability everywhere, and one for presence."""

    def __init__(self, probability: float, presence: float) -> None:
        super().__init__()
        self.logits = [math.log(one / (1 - one)) for one in (probability, presence)]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mask, presence = self.logits
        return torch.full_like(images, mask), torch.full((len(images), 1), presence)


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        ("mean", (0.2 + 0.9) / 2),
        ("geometric", math.sqrt(0.2 * 0.9)),
        ("logit", math.sqrt(0.25 * 9) / (1 + math.sqrt(0.25 * 9))),
    ],
)
def test_masks_and_presence_are_merged_by_the_named_mean(merge: str, expected: float) -> None:
    networks = [Constant(0.2, 0.9), Constant(0.9, 0.2)]
    pixels = torch.zeros((3, 4, 4), dtype=torch.uint8)
    mask, presence = Predictor(networks, CPU, get_views("hflip"), merge).probability(pixels)
    assert mask.shape == (3, 1, 4, 4)
    assert presence is not None
    assert mask.flatten().tolist() == pytest.approx([expected] * 48)
    assert presence.tolist() == pytest.approx([expected] * 3)


def test_a_certain_view_does_not_decide_alone() -> None:
    merger = Merger("geometric")
    for one in (0.0, 1.0):
        merger.add(torch.tensor([one]))
    assert merger.result().item() == pytest.approx(1e-3, rel=1e-3)


def test_the_mean_is_float32_under_autocast() -> None:
    fast = Device(torch.device("cpu"), torch.bfloat16, "CPU, bf16")
    model = nn.Conv2d(1, 1, 3, padding=1)
    (view,) = get_views("none")
    assert see(model, torch.rand(1, 1, 8, 8), view, fast)[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ("hflop", r"unknown views 'hflop'; there are none, hflip, d4, multiscale, and lists"),
        ([], "at least one view, found none"),
        (["none", "none"], "different views, found 'none' twice"),
        (["rot45"], r"unknown part 'rot45' of view 'rot45'; there are hflip, vflip.*Did you mean"),
        (["hflip+scale-9"], "expected a factor of 0.25 to 4 in 'scale-9'"),
        (["scale-x"], "expected a factor of 0.25 to 4 in 'scale-x'"),
    ],
)
def test_unknown_views_are_refused(views: str | list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_views(views)


def test_unknown_merges_are_refused() -> None:
    with pytest.raises(InputError, match="unknown merge 'max'; there are mean, geometric, logit"):
        Merger("max")


def test_nothing_to_merge_is_refused() -> None:
    with pytest.raises(InputError, match="at least one probability to merge"):
        Merger().result()
