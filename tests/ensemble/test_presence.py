"""The presence gate: against brute force, and only where it helps."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.blend import Blend, open_member
from goldfold.ensemble.honest import assess, cross_fit
from goldfold.ensemble.mask_choice import MaskChoice
from goldfold.ensemble.post_processing import NOTHING
from goldfold.ensemble.presence import (
    MOST_GATES,
    emptied,
    gates,
    presence_level,
    search_gated_rule,
)
from goldfold.ensemble.threshold import Rule, apply_rule, rule_scores, search_rule
from goldfold.errors import InputError
from goldfold.inference.store import MapWriter, maps_path

LEVELS = (0, 60, 200)


def images(seed, count=6):
    random = np.random.default_rng(seed)
    maps = random.choice([0, 10, 60, 130, 200, 255], (count, 3, 4)).astype(np.uint8)
    masks = ((maps > 100) ^ (random.random(maps.shape) < 0.2)).astype(np.uint8)
    masks[random.random(count) < 0.5] = 0
    presence = random.choice([5, 80, 150, 240], count).astype(np.int64)
    return maps, masks, presence


def histograms_of(maps, masks):
    return np.stack([level_histograms(m, t) for m, t in zip(maps, masks, strict=True)])


def dice(predicted, true):
    total = int(predicted.sum()) + int(true.sum())
    return 2 * int((predicted & true).sum()) / total if total else 1.0


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_against_a_loop_over_all_rules_and_pixels(seed):
    maps, masks, presence = images(seed)
    found = search_gated_rule(histograms_of(maps, masks), "dice", presence)
    best = 0.0
    levels = [0, 10, 60, 130, 200, 255]
    for top, area, bottom, gate in itertools.product(
        levels, range(13), levels, [0, 6, 81, 151, 241]
    ):
        rule = Rule(top, area, bottom, gate)
        scores = [
            dice(apply_rule(m, rule, int(p)), t)
            for m, t, p in zip(maps, masks, presence, strict=True)
        ]
        best = max(best, float(np.mean(scores)))
    assert found.score == pytest.approx(best, abs=1e-9)
    again = [
        dice(apply_rule(m, found.rule, int(p)), t)
        for m, t, p in zip(maps, masks, presence, strict=True)
    ]
    assert found.score == pytest.approx(np.mean(again), abs=1e-9)


def test_rule_scores_agree_with_pixels_under_a_gate():
    maps, masks, presence = images(3)
    rule = Rule(60, 2, 10, 100)
    expected = [
        dice(apply_rule(m, rule, int(p)), t) for m, t, p in zip(maps, masks, presence, strict=True)
    ]
    scores = rule_scores(histograms_of(maps, masks), rule, "dice", presence)
    assert scores.tolist() == pytest.approx(expected)


def test_without_presence_it_is_the_plain_search():
    maps, masks, _ = images(4)
    histograms = histograms_of(maps, masks)
    assert search_gated_rule(histograms, "dice", None) == search_rule(histograms, "dice")


def test_a_gate_that_says_nothing_is_not_used():
    maps, masks, _ = images(5)
    histograms = histograms_of(maps, masks)
    same = np.full(len(maps), 77)
    assert search_gated_rule(histograms, "dice", same).rule.gate == 0


def test_gates_part_the_images_evenly_where_there_are_many_levels():
    assert gates(np.array([3, 3])) == []
    some = gates(np.arange(256))
    assert len(some) == MOST_GATES
    assert max(np.diff(some)) <= 256 // MOST_GATES + 1


def test_emptied_images_predict_nothing_and_keep_their_truth():
    maps, masks, _ = images(6)
    histograms = histograms_of(maps, masks)
    changed = emptied(histograms, np.array([True] * len(maps)))
    assert (changed.sum(axis=2) == histograms.sum(axis=2)).all()
    assert changed[:, :, 1:].sum() == 0


def separated(count=60):
    """Maps that cannot tell empty images from others, and a presence that can."""
    random = np.random.default_rng(0)
    masks = np.zeros((count, 8, 8), np.uint8)
    masks[::2, 2:6, 2:6] = 1
    maps = np.zeros((count, 8, 8), np.uint8)
    maps[:, 2:6, 2:6] = random.integers(150, 250, (count, 1, 1))
    presence = np.where(np.arange(count) % 2, 20, 220) + random.integers(0, 9, count)
    return histograms_of(maps, masks), presence.astype(np.int64)


def test_the_honest_score_decides_about_the_gate():
    histograms, presence = separated()
    folds = np.arange(60) % 3
    groups = [""] * 60
    found = assess(histograms, folds, groups, metric="dice", samples=100, presence=presence)
    assert found.chosen.rule.gate > 0
    assert found.honest == 1.0
    assert found.without_gate is not None
    assert found.without_gate < 0.6
    useless = np.random.default_rng(1).permutation(presence)
    plain = assess(histograms, folds, groups, metric="dice", samples=100)
    other = assess(histograms, folds, groups, metric="dice", samples=100, presence=useless)
    if other.honest <= plain.honest:
        assert other.chosen.rule.gate == 0
    assert other.honest >= plain.honest
    assert plain.without_gate is None


def test_the_rule_of_the_other_folds_judges():
    histograms, presence = separated()
    scores, folds = cross_fit(histograms, np.arange(60) // 2 % 2, "dice", presence=presence)
    assert scores.mean() == 1.0
    assert all(fold.rule.gate > 0 for fold in folds)


def test_a_gate_needs_presence():
    with pytest.raises(InputError, match="has a presence gate, but no network of the blend has"):
        apply_rule(np.zeros((2, 2), np.uint8), Rule(0, 0, 0, 9))


# Running sums of these means end a hair below 144/256, which is what they are.
ON_A_LEVEL = {"x": [0.5, 0.25, 0.875], "y": [0.125, 0.75, 1.0], "z": [0.25, 0.25, 0.75]}
WEIGHTS = {"x": 2, "y": 3, "z": 1}


@pytest.mark.parametrize("order", list(itertools.permutations("xyz")))
def test_a_presence_on_a_level_is_that_level_in_any_order(order):
    told = {name: ON_A_LEVEL[name] for name in order}
    assert presence_level([WEIGHTS[name] for name in order], list(told.values())) == 144


@given(
    st.lists(
        st.tuples(
            st.integers(1, 300),
            st.lists(st.floats(0, 1, width=32), max_size=4),
        ),
        max_size=5,
    )
)
def test_presence_levels_are_those_of_fractions(members):
    known = [(weight, told) for weight, told in members if told]
    found = presence_level([weight for weight, _ in members], [told for _, told in members])
    if not known:
        assert found is None
        return
    total = sum(weight for weight, _ in known)
    sums = [Fraction(weight, total * len(p)) * sum(map(Fraction, p)) for weight, p in known]
    assert found == min(int(256 * sum(sums)), 255)


def test_an_exported_model_closes_the_gate_where_the_stores_do(tmp_path):
    levels = np.full((2, 3), 200, np.uint8)
    members = []
    for name, told in ON_A_LEVEL.items():
        for seed, presence in enumerate(told):
            path = maps_path(tmp_path, name, seed, 0, "test")
            with MapWriter(path, {}) as writer:
                writer.append("image", levels, presence)
                writer.finish()
        members.append(
            open_member(
                tmp_path, name, weight=WEIGHTS[name], seeds=[0, 1, 2], folds=[0], split="test"
            )
        )
    blend = Blend(members, "test")
    stored = blend.presence("image")
    blend.close()
    choice = MaskChoice("mean", WEIGHTS, Rule(100, 0, 100, gate=144), NOTHING)
    _, mask, exported = choice.decide({name: [levels] * 3 for name in WEIGHTS}, ON_A_LEVEL)
    assert (stored, exported) == (144, 144)
    assert mask.all()
