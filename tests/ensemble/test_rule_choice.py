"""Rules and honest scores of people's own maps."""

import itertools
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score

from goldfold.competitions.rle import encode
from goldfold.ensemble import ProbabilityRule, Rule, apply_rule, choose_rule
from goldfold.ensemble.cross_fitted import LeakWarning
from goldfold.errors import InputError


def images(count=24, side=8, seed=0):
    """Return float maps and masks, half of them empty, that no rule gets quite right."""
    random = np.random.default_rng(seed)
    masks = np.zeros((count, side, side), np.uint8)
    for mask in masks[::2]:
        row, column = random.integers(0, side - 3, 2)
        mask[row : row + 3, column : column + 3] = 1
    noise = random.random(masks.shape) + 0.5 * random.random((count, 1, 1))
    return np.round((0.35 * masks + 0.4 * noise).clip(0, 1) * 8) / 8, masks


MAPS, MASKS = images()
FOLDS = np.arange(24) // 2 % 3


def dice(true, predicted):
    total = int(true.sum()) + int(predicted.sum())
    return 1.0 if not total else 2 * int((true * predicted).sum()) / total


def iou(true, predicted):
    union = int(((true + predicted) > 0).sum())
    return 1.0 if not union else int((true * predicted).sum()) / union


def best_by_brute_force(maps, masks, metric):
    """Return the best mean score over every top, min_area and bottom that make a difference."""
    steps = [step / 8 for step in range(1, 9)]
    best = 0.0
    for top, bottom in itertools.product(steps, steps):
        areas = (maps >= top).sum(axis=(1, 2))
        scores = np.array(
            [metric(mask, (m >= bottom) * 1) for m, mask in zip(maps, masks, strict=True)]
        )
        empty = np.array([metric(mask, np.zeros_like(mask)) for mask in masks])
        for area in {0, *areas.tolist(), int(areas.max()) + 1}:
            best = max(best, float(np.where(areas >= area, scores, empty).mean()))
    return best


# 1.0 is level 255, which no threshold lets pass; the brute force compares probabilities.
BELOW_ONE = np.minimum(MAPS, 0.999)


@pytest.mark.parametrize("metric", ["dice", dice])
def test_the_search_is_as_good_as_brute_force(metric):
    found = choose_rule(BELOW_ONE, MASKS, metric, folds=FOLDS, choice="peak", samples=100)
    assert found.optimistic == pytest.approx(best_by_brute_force(BELOW_ONE, MASKS, dice), abs=1e-9)


@pytest.mark.parametrize(
    ("metric", "plain", "choice"),
    [("dice", dice, "peak"), ("dice", dice, "centre"), (iou, iou, "peak"), (iou, iou, "centre")],
)
def test_each_fold_is_judged_by_the_rule_of_the_others(metric, plain, choice):
    found = choose_rule(MAPS, MASKS, metric, folds=FOLDS, choice=choice, samples=100)
    scores = np.empty(24)
    for fold in found.folds:
        here = str(fold.fold) == FOLDS.astype(str)
        others = choose_rule(
            MAPS[~here], MASKS[~here], metric, folds=FOLDS[~here], choice=choice, samples=100
        )
        assert fold.rule == others.rule
        predicted = [fold.rule.apply(one) for one in MAPS[here]]
        scores[here] = [plain(t, p) for t, p in zip(MASKS[here], predicted, strict=True)]
        assert fold.score == pytest.approx(scores[here].mean(), abs=1e-9)
        assert fold.images == here.sum()
    assert found.scores == pytest.approx(scores, abs=1e-9)
    assert found.honest == pytest.approx(scores.mean(), abs=1e-9)
    optimistic = [plain(t, found.rule.apply(m)) for m, t in zip(MAPS, MASKS, strict=True)]
    assert found.optimistic == pytest.approx(np.mean(optimistic), abs=1e-9)
    assert found.all_empty == pytest.approx(0.5)
    assert found.interval.low <= found.honest <= found.interval.high


def test_scikit_learns_functions_give_what_our_names_give():
    def f1(true, predicted):
        return f1_score(true.ravel(), predicted.ravel(), zero_division=1.0)

    ours = choose_rule(MAPS, MASKS, dice, folds=FOLDS, choice="peak", samples=100)
    theirs = choose_rule(MAPS, MASKS, f1, folds=FOLDS, choice="peak", samples=100)
    assert theirs.rule == ours.rule
    assert theirs.honest == pytest.approx(ours.honest)

    def jaccard(true, predicted):
        return jaccard_score(true.ravel(), predicted.ravel(), zero_division=1.0)

    assert choose_rule(
        MAPS, MASKS, jaccard, folds=FOLDS, choice="peak", samples=100
    ).honest == pytest.approx(
        choose_rule(MAPS, MASKS, iou, folds=FOLDS, choice="peak", samples=100).honest
    )


def test_a_loss_is_chosen_low_and_reported_as_it_is():
    def loss(true, predicted):
        return 7 - 3 * dice(true, predicted)

    score = choose_rule(MAPS, MASKS, dice, folds=FOLDS, choice="peak", samples=200)
    found = choose_rule(
        MAPS, MASKS, loss, folds=FOLDS, choice="peak", samples=200, greater_is_better=False
    )
    assert found.rule == score.rule
    assert found.honest == pytest.approx(7 - 3 * score.honest, abs=1e-9)
    assert found.interval.low == pytest.approx(7 - 3 * score.interval.high, abs=1e-9)
    assert found.interval.high == pytest.approx(7 - 3 * score.interval.low, abs=1e-9)


@cache
def plain():
    return choose_rule(MAPS, MASKS, folds=FOLDS, choice="peak", samples=100)


FORMS = {
    "8-bit": (np.minimum(np.floor(MAPS * 256), 255).astype(np.uint8), MASKS),
    "lists": (MAPS.tolist(), MASKS.tolist()),
    "function": (lambda place: MAPS[place], MASKS),
    "float32": (MAPS.astype(np.float32), MASKS),
    "tensors": (torch.from_numpy(MAPS), torch.from_numpy(MASKS)),
    "booleans": (MAPS, MASKS > 0),
    "None for empty": (MAPS, [mask if mask.any() else None for mask in MASKS]),
    "text": (MAPS, [encode(mask, "kaggle") for mask in MASKS]),
    "text with NaN": (MAPS, [encode(m, "kaggle") if m.any() else float("nan") for m in MASKS]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same(form):
    found = choose_rule(*FORMS[form], folds=FOLDS, dialect="kaggle", choice="peak", samples=100)
    expected = plain()
    assert found.rule == expected.rule
    assert (found.honest, found.interval) == (expected.honest, expected.interval)


def test_a_generator_is_read_once():
    maps, masks = (one for one in MAPS), (one for one in MASKS)
    found = choose_rule(maps, masks, folds=FOLDS, choice="peak", samples=100)
    assert found.scores.tolist() == plain().scores.tolist()


def test_folds_may_be_text_and_groups_may_be_missing():
    names = [f"fold {fold}" for fold in FOLDS]
    groups = [None if fold else "p" for fold in FOLDS]
    found = choose_rule(MAPS, MASKS, folds=names, groups=groups, choice="peak")
    assert [fold.fold for fold in found.folds] == [f"fold {fold}" for fold in range(3)]
    assert found.interval.groups == 1 + (FOLDS != 0).sum()
    assert found.scores.tolist() == plain().scores.tolist()


def test_one_fold_is_dealt_into_five_parts():
    found = choose_rule(MAPS, MASKS, folds=[0] * 24, choice="peak")
    assert [fold.fold for fold in found.folds] == [f"part {part}" for part in range(5)]


def test_groups_in_several_folds_are_a_leak():
    with pytest.warns(LeakWarning, match=r"2 groups have images in several folds \(a, b") as caught:
        choose_rule(MAPS, MASKS, folds=FOLDS, groups=["a", "b"] * 12, choice="peak")
    assert caught[0].filename == __file__


def test_it_speaks():
    found = plain()
    assert str(found).startswith(
        f"honest {found.honest:.4f} (95 % interval {found.interval.low:.4f}"
    )
    assert f"all-empty {found.all_empty:.4f}\nempty if fewer than" in str(found)


ERRORS = {
    "no folds": (lambda: choose_rule(MAPS, MASKS), "expected folds: the fold in which each image"),
    "missing fold": (
        lambda: choose_rule(MAPS, MASKS, folds=[None, *FOLDS[1:]]),
        "a fold for each image, found none for 0",
    ),
    "too few folds": (lambda: choose_rule(MAPS, MASKS, folds=[0, 1]), "24 images, found 2 folds"),
    "fewer masks": (
        lambda: choose_rule(MAPS, MASKS[:5], folds=FOLDS),
        "one mask for each map, found 5 masks but more maps",
    ),
    "fewer maps": (
        lambda: choose_rule(MAPS[:4], MASKS, folds=FOLDS),
        "found 4 maps but more masks",
    ),
    "none": (lambda: choose_rule([], [], folds=[]), "at least one map with its mask, found none"),
    "a mapping": (lambda: choose_rule({"a": 1}, MASKS, folds=FOLDS), "sequence .*found a dict"),
    "logits": (lambda: choose_rule(MAPS * 9 - 4, MASKS, folds=FOLDS), "map 0: .*like logits"),
    "size": (lambda: choose_rule(MAPS[:, 1:], MASKS, folds=FOLDS), "mask 0 has shape .8, 8., its"),
    "no dialect": (
        lambda: choose_rule(MAPS, ["1 3"] * 24, folds=FOLDS),
        'mask 0 is text: say in which.*dialect="kaggle"',
    ),
    "bad text": (
        lambda: choose_rule(MAPS, ["1 99"] * 24, folds=FOLDS, dialect="kaggle"),
        "mask 0: .*beyond the image of 64 pixels",
    ),
    "float mask": (lambda: choose_rule(MAPS, MASKS * 0.5, folds=FOLDS), "mask 0: .*float64"),
    "metric": (lambda: choose_rule(MAPS, MASKS, "dise", folds=FOLDS), "mean 'dice'"),
    "objects": (
        lambda: choose_rule(MAPS, MASKS, "f2-iou-thresholds", folds=FOLDS),
        "compares objects.*search_rule",
    ),
    "choice": (lambda: choose_rule(MAPS, MASKS, folds=FOLDS, choice="best"), "'centre', 'peak'"),
    "infinite": (
        lambda: choose_rule(MAPS, MASKS, lambda t, p: float("inf"), folds=FOLDS),
        "the metric is inf for image 0",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_to_do(name):
    call, words = ERRORS[name]
    with pytest.raises(InputError, match=words):
        call()


# --- the rule itself -----------------------------------------------------------------------------

LEVEL_RULES = st.builds(Rule, st.integers(0, 255), st.integers(0, 70), st.integers(0, 255))


@given(LEVEL_RULES)
def test_a_rule_of_levels_survives_the_way_to_probabilities_and_back(rule):
    assert ProbabilityRule.from_levels(rule).levels == rule


@given(LEVEL_RULES, st.integers(0, 99))
def test_floats_and_levels_give_the_same_mask(rule, seed):
    levels = np.random.default_rng(seed).integers(0, 256, (6, 7), dtype=np.uint8)
    probability = ProbabilityRule.from_levels(rule)
    expected = apply_rule(levels, rule)
    assert np.array_equal(probability.apply(levels), expected)
    assert np.array_equal(probability.apply(levels / 256), expected)


@pytest.mark.parametrize(
    ("rule", "mask"),
    [
        (ProbabilityRule(0.5, 2, 0.25), [[1, 1, 1, 0]]),
        (ProbabilityRule(0.5, 3, 0.25), [[0, 0, 0, 0]]),
        (ProbabilityRule(1.0, 1, 0.25), [[0, 0, 0, 0]]),  # no pixel reaches 1
        (ProbabilityRule(0.25, 0, 0.75), [[1, 0, 0, 0]]),
    ],
)
def test_apply_by_hand(rule, mask):
    assert rule.apply([[0.75, 0.5, 0.25, 0.1]]).tolist() == mask


@pytest.mark.parametrize("values", [(0, 1, 0.5), (0.5, -1, 0.5), (200, 1, 0.5), (0.5, 1.5, 0.5)])
def test_what_is_no_rule(values):
    with pytest.raises(InputError, match="Divide levels of 0 to 255 by 256"):
        ProbabilityRule(*values)


def test_a_gate_has_no_probability():
    with pytest.raises(InputError, match="presence gate"):
        ProbabilityRule.from_levels(Rule(1, 1, 1, gate=3))
