"""Weights: the objective is the real blend's, and searches find what a loop finds."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.blend import blend_maps, merge_maps
from goldfold.ensemble.blend_trials import leave_one_out, try_blends
from goldfold.ensemble.blend_ways import BlendWay
from goldfold.ensemble.probability_scale import make_scale
from goldfold.ensemble.threshold import search_rule
from goldfold.ensemble.weights import FLOOR, Objective, choose_weights, hill_climb, pack, simplex
from goldfold.errors import InputError

COUNT, SIDE = 30, 12


@pytest.fixture(scope="module")
def made():
    """Return maps (N, M, H, W) of a good, a fair and a useless member, and the true masks."""
    rng = np.random.default_rng(0)
    maps, masks = [], []
    for place in range(COUNT):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        if place % 3:
            top, left = rng.integers(0, 6, 2)
            mask[top : top + 5, left : left + 6] = 1
        members = [
            np.clip(60 + strength * mask + rng.normal(0, 45, mask.shape), 0, 255)
            for strength in (90, 70, 0)
        ]
        maps.append(np.stack(members).astype(np.uint8))
        masks.append(mask)
    return np.stack(maps), masks


@pytest.fixture(scope="module")
def pixels(made):
    maps, masks = made
    return pack(lambda place: list(maps[place]), lambda place: masks[place], COUNT)


@pytest.mark.parametrize("merge", ["mean", "logit"])
@pytest.mark.parametrize("weights", [[1, 1, 1], [3, 0, 2]])
def test_the_objective_is_the_score_of_the_real_blend(made, pixels, merge, weights) -> None:
    maps, masks = made
    scales = [make_scale(merge)] * 3
    real = np.stack(
        [
            level_histograms(merge_maps(one, weights, scales), mask)
            for one, mask in zip(maps, masks, strict=True)
        ]
    )
    found = Objective(pixels, scales, "dice").histograms(weights)
    assert np.array_equal(found[:, :, FLOOR:], real[:, :, FLOOR:])
    assert np.array_equal(found.sum(axis=2), real.sum(axis=2))
    if merge == "mean":
        plain = [blend_maps(one, weights) for one in maps]
        levels = np.stack([merge_maps(one, weights, scales) for one in maps])
        assert np.abs(np.stack(plain).astype(int) - levels).max() <= 1


def test_large_maps_are_thinned_out(made) -> None:
    maps, masks = made
    thin = pack(lambda p: list(maps[p]), lambda p: masks[p], COUNT, largest_side=6)
    assert len(thin.rest) == COUNT
    assert (np.bincount(thin.images, minlength=COUNT) + thin.rest[:, 0] == 36).all()


def test_some_images_are_those_images(pixels) -> None:
    chosen = np.arange(COUNT) % 4 == 1
    some = pixels.of(chosen)
    whole = Objective(pixels, [make_scale("mean")] * 3, "dice").histograms([1, 2, 3])
    part = Objective(some, [make_scale("mean")] * 3, "dice").histograms([1, 2, 3])
    assert np.array_equal(part, whole[chosen])


@pytest.mark.parametrize("search", [hill_climb, simplex])
def test_searches_beat_equal_weights_and_single_members(pixels, search) -> None:
    objective = Objective(pixels, [make_scale("mean")] * 3, "dice")
    weights = search(objective)
    singles = [objective(one) for one in ([1, 0, 0], [0, 1, 0], [0, 0, 1])]
    assert objective(weights) >= max(objective([1, 1, 1]), *singles[:1])
    assert weights[2] < weights[0], "the useless member counts least"
    loop = max(objective(list(one)) for one in itertools.product(range(5), repeat=3) if any(one))
    assert objective(weights) >= loop - 0.02


def test_a_single_member_has_all_the_weight(pixels) -> None:
    one = pixels.of(np.ones(COUNT, bool))
    alone = replace(one, levels=one.levels[:1])
    objective = Objective(alone, [make_scale("mean")], "dice")
    assert hill_climb(objective) == simplex(objective) == [1]


def test_unknown_weights_are_refused(pixels) -> None:
    objective = Objective(pixels, [make_scale("mean")] * 3, "dice")
    with pytest.raises(InputError, match="unknown weights 'equals'; there are equal, hill-climb"):
        choose_weights("equals", objective)


def test_trials_are_judged_without_their_own_fold(pixels) -> None:
    parts = np.arange(COUNT) % 3
    scales = [make_scale("mean")] * 3
    trials = try_blends(
        pixels,
        lambda merge, *_: [make_scale(merge)] * 3,
        parts,
        "dice",
        ways=[
            BlendWay(merge, way)
            for merge in ("mean", "geometric")
            for way in ("equal", "hill-climb")
        ],
        choice="peak",
    )
    assert [(one.merge, one.way) for one in trials] == [
        ("mean", "equal"), ("mean", "hill-climb"), ("geometric", "equal"),
        ("geometric", "hill-climb"),
    ]  # fmt: skip
    climbed = trials[1]
    assert climbed.optimistic == pytest.approx(
        search_rule(Objective(pixels, scales, "dice").histograms(climbed.weights), "dice").score
    )
    assert climbed.honest <= climbed.optimistic
    # What the fold looks like has no say in the weights that judge it.
    for part in range(3):
        inside = Objective(pixels.of(parts != part), scales, "dice")
        assert choose_weights("hill-climb", inside)


def test_a_useless_member_is_better_left_out(pixels) -> None:
    parts = np.arange(COUNT) % 3
    found = leave_one_out(pixels, [make_scale("mean")] * 3, parts, "dice", "peak")
    gains = [one.gain for one in found]
    assert gains[2] == max(gains)
    assert gains[0] < 0
    assert leave_one_out(pixels, [make_scale("mean")], parts, "dice", "peak") == []
