"""Blend weights that judge a fold are chosen without it, and the best of all are submitted."""

from types import SimpleNamespace

import numpy as np
import pytest

from goldfold.ensemble.blend import Member
from goldfold.ensemble.probability_scale import make_scale
from goldfold.ensemble.weights import Objective, choose_weights, pack
from goldfold.tasks.mask_blending import Blender
from goldfold.tasks.mask_weighing import choose_blends

IDS = [f"i{number}" for number in range(8)]
PARTS = np.arange(8) % 2
SIDE = 4


def true_mask(place):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[: 1 + place % 3] = 1
    return mask


def maps_of(place):
    """Member "even" sees the masks of part 0 and the opposite in part 1; "odd" the other way."""
    right = true_mask(place) * np.uint8(200) + np.uint8(20)
    wrong = np.uint8(240) - right
    return [right, wrong] if PARTS[place] == 0 else [wrong, right]


@pytest.fixture
def blender():
    """A blender whose members' maps are made up, and which tells whose histograms it was asked."""
    blender = object.__new__(Blender)
    ensemble = SimpleNamespace(weights="hill-climb", merge="mean", calibration="none", seed=0)
    form = SimpleNamespace(metric="dice")
    blender.run = SimpleNamespace(settings=SimpleNamespace(ensemble=ensemble, competition=form))
    blender.members = [Member(name, 1, ()) for name in ("even", "odd")]
    blender.image_ids, blender.parts = IDS, PARTS
    blender.pixels = lambda sample, *_: pack(
        lambda place: maps_of(sample[place]),
        lambda place: true_mask(sample[place]),
        len(sample),
        image_ids=[IDS[place] for place in sample],
    )
    blender.asked, blender.level_counts = {}, {}

    def histograms(members, calibrations):
        made = np.full((8, 2, 256), len(blender.asked))
        blender.asked[int(made[0, 0, 0])] = tuple(member.weight for member in members)
        return made

    blender.histograms = histograms
    return blender


def weights_of(blender, weighed):
    return blender.asked[int(weighed.histograms[0, 0, 0])]


def test_a_fold_has_no_say_in_the_weights_that_judge_it(blender):
    without = choose_blends(blender).without
    assert sorted(without) == [0, 1]
    # On part 1 alone "odd" is perfect, and on part 0 alone "even".
    assert weights_of(blender, without[0])[0] == 0
    assert weights_of(blender, without[1])[1] == 0
    assert sorted(without[0].chosen_on) == IDS[1::2]
    assert sorted(without[1].chosen_on) == IDS[::2]


def test_the_weights_that_are_used_are_chosen_on_all_images(blender):
    members = choose_blends(blender).whole.members
    everything = Objective(blender.pixels(range(8)), [make_scale("mean")] * 2, "dice")
    chosen = choose_weights("hill-climb", everything)
    assert [(one.name, one.weight) for one in members] == list(
        zip(("even", "odd"), chosen, strict=True)
    )


@pytest.mark.parametrize("way", ["equal", [2, 1]])
def test_weights_that_are_not_searched_are_chosen_on_nothing(blender, way):
    blender.run.settings.ensemble.weights = way
    blends = choose_blends(blender)
    assert (blends.whole.members, blends.without) == (blender.members, None)
    assert blender.asked == {}
