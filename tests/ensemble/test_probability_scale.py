"""Scales: identical maps blend to themselves, and means are those of floating point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.ensemble.blend import merge_maps
from goldfold.ensemble.probability_scale import MERGES, STEPS, Scale, make_scale
from goldfold.errors import InputError

COUNTS = np.arange(256)[::-1] ** 2


def scale_of(name: str) -> Scale:
    return make_scale(name, COUNTS if name == "rank" else None)


@pytest.mark.parametrize("name", MERGES)
def test_the_way_back_undoes_the_way_there(name: str) -> None:
    scale = scale_of(name)
    assert scale.back[scale.there].tolist() == list(range(256))
    assert (np.diff(scale.there) > 0).all()
    assert (scale.there[0], scale.there[-1]) == (0, STEPS - 1)


@pytest.mark.parametrize("name", MERGES)
@given(weights=st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any))
def test_identical_maps_blend_to_themselves(name: str, weights: list[int]) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    scale = scale_of(name)
    found = merge_maps([levels] * len(weights), weights, [scale] * len(weights))
    assert np.array_equal(found, levels)


@pytest.mark.parametrize(
    ("name", "there", "back"),
    [
        ("mean", lambda p: p, lambda v: v),
        ("geometric", np.log, np.exp),
        ("logit", lambda p: np.log(p / (1 - p)), lambda v: 1 / (1 + np.exp(-v))),
    ],
)
def test_blends_are_the_means_of_floating_point(name, there, back) -> None:
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 256, (3, 50, 40)).astype(np.uint8)
    weights = [3, 1, 2]
    found = merge_maps(maps, weights, [scale_of(name)] * 3)
    middle = (maps + 0.5) / 256
    mean = back(np.average(there(middle), axis=0, weights=weights))
    # The way back goes to the level whose place is nearest, so it differs by one level at most.
    assert np.abs(found.astype(float) - (mean * 256 - 0.5)).max() <= 1.0


def test_ranks_make_members_equally_bold() -> None:
    """One member says 40 where the other says 200; by rank they mean the same."""
    shy, bold = np.zeros(256, np.int64), np.zeros(256, np.int64)
    shy[0] = bold[0] = 10_000
    shy[[20, 40]], bold[[100, 200]] = 5000, 5000
    shy_scale, bold_scale = make_scale("rank", shy), make_scale("rank", bold)
    assert abs(int(shy_scale.there[40]) - int(bold_scale.there[200])) < STEPS / 50
    assert abs(int(shy_scale.there[20]) - int(bold_scale.there[100])) < STEPS / 50
    maps = [np.array([[0, 20, 40]], np.uint8), np.array([[0, 100, 200]], np.uint8)]
    found = merge_maps(maps, [1, 1], [shy_scale, bold_scale])[0].astype(int)
    assert np.abs(found - [0, 20, 40]).max() <= 8


def test_unknown_merges_are_refused() -> None:
    with pytest.raises(InputError, match=r"unknown merge 'means'; there are mean, .* Did you mean"):
        make_scale("means")
    with pytest.raises(InputError, match="pixels by level of each member to merge by rank"):
        make_scale("rank")
