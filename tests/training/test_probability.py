import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goldfold.training import probability as probability_module
from goldfold.training.probability import levels_at_size, quantise, resize_probability


@pytest.mark.parametrize(
    ("probability", "level"),
    [
        (0.0, 0),
        (1 / 256, 1),
        (math.nextafter(1 / 256, 0), 0),
        (0.5, 128),
        (255 / 256, 255),
        (1.0, 255),
    ],
)
def test_levels_by_hand(probability, level):
    assert quantise(torch.tensor(probability, dtype=torch.float64)).item() == level


@given(st.floats(0, 1, width=32))
def test_a_level_is_the_rule_of_the_design(probability):
    expected = min(math.floor(256 * probability), 255)
    assert quantise(torch.tensor([probability])).item() == expected


def test_the_same_size_changes_nothing():
    p = torch.rand(2, 1, 5, 7)
    assert torch.equal(resize_probability(p, 5, 7), p[:, 0])


@pytest.mark.parametrize("shape", [(3, 4), (16, 16), (17, 40), (64, 8)])
def test_any_size_keeps_a_constant_and_the_range(shape):
    assert torch.allclose(
        resize_probability(torch.full((1, 1, 8, 8), 0.25), *shape), torch.tensor(0.25)
    )
    resized = resize_probability(torch.rand(2, 1, 8, 8), *shape)
    assert resized.shape == (2, *shape)
    assert resized.min() >= 0
    assert resized.max() <= 1


def test_enlarging_keeps_the_middle_where_it_is():
    p = torch.zeros(1, 1, 4, 4)
    p[..., :2] = 1.0
    wide = resize_probability(p, 8, 8)[0]
    assert torch.allclose(wide + wide.flip(1), torch.tensor(1.0))


def test_shrinking_takes_all_pixels_into_account():
    p = torch.zeros(1, 1, 8, 8)
    p[..., ::2] = 1.0  # stripes that sampling without antialiasing would see as all or nothing
    middle = resize_probability(p, 2, 2)[0]
    assert torch.allclose(middle, torch.tensor(0.5), atol=0.1)


SIZES = {
    "equal": [(40, 56)] * 5,
    "runs": [(40, 56), (40, 56), (16, 90), (40, 56), (40, 56)],
    "different": [(32, 32), (33, 32), (100, 7), (1, 1), (64, 16)],
}


@pytest.mark.parametrize("at_once", [1, 2, 100])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_maps_at_original_size_are_those_of_one_image_after_the_other(monkeypatch, sizes, at_once):
    """As a GPU groups them, too: the same bytes in the same order."""
    monkeypatch.setattr(probability_module, "_images_at_once", lambda *_: at_once)
    random = torch.Generator().manual_seed(0)
    probability = torch.rand(5, 1, 32, 32, generator=random).contiguous(
        memory_format=torch.channels_last
    )
    found = list(levels_at_size(probability, sizes))
    for place, (height, width) in enumerate(sizes):
        one = quantise(resize_probability(probability[place : place + 1], height, width))
        assert (found[place].shape, found[place].dtype) == ((height, width), np.uint8)
        assert (found[place] == one[0].numpy()).all()
    assert len(found) == 5


def test_a_gpu_resizes_many_maps_at_once_and_a_processor_one():
    cuda = torch.device("cuda")
    assert probability_module._images_at_once(cuda, 1024 * 1024) == 64
    assert probability_module._images_at_once(cuda, 20_000 * 20_000) == 1
    assert probability_module._images_at_once(torch.device("cpu"), 100) == 1
