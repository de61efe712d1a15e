"""Dice, IoU, precision and recall: hand-computed, and as scikit-learn has them."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.honest import assess, cross_fit
from goldfold.ensemble.overlap import overlap, overlap_table
from goldfold.ensemble.threshold import Rule, apply_rule
from goldfold.ensemble.threshold_choice import choose_rule


def make(count=12, empty=()):
    rng = np.random.default_rng(3)
    maps, masks = [], []
    for place in range(count):
        mask = np.zeros((14, 11), np.uint8)
        if place not in empty:
            mask[2 : 5 + place % 7, 3:9] = 1
        noisy = np.clip(mask * 140 + rng.normal(60, 45, mask.shape), 0, 255)
        maps.append(noisy.astype(np.uint8))
        masks.append(mask)
    return (
        maps,
        masks,
        np.stack([level_histograms(*pair) for pair in zip(maps, masks, strict=True)]),
    )


def test_empty_masks():
    found = overlap(np.array([0, 0, 0]), np.array([0, 5, 0]), np.array([0, 0, 5]))
    for values in found.values():
        assert values.tolist() == [1, 0, 0]


def test_as_scikit_learn_has_them():
    maps, masks, histograms = make()
    folds = np.arange(12) % 3
    rules = {0: Rule(100, 0, 100), 1: Rule(120, 30, 110), 2: Rule(90, 0, 90)}
    table = overlap_table(histograms, folds, rules).set_index(["fold", "over"])
    assert table.index.get_level_values("fold").unique().tolist() == ["0", "1", "2", "all"]
    predicted = [apply_rule(one, rules[fold]) for one, fold in zip(maps, folds, strict=True)]
    scores = {
        "dice": f1_score, "iou": jaccard_score, "precision": precision_score,
        "recall": recall_score,
    }  # fmt: skip
    for name, here in [*((str(fold), folds == fold) for fold in rules), ("all", folds >= 0)]:
        truth = [masks[place].ravel() for place in np.flatnonzero(here)]
        ours = [predicted[place].ravel() for place in np.flatnonzero(here)]
        for measure, score in scores.items():
            whole = score(np.concatenate(truth), np.concatenate(ours))
            single = np.mean([score(*pair, zero_division=0) for pair in zip(truth, ours)])  # noqa: B905
            assert table.loc[(name, "pixels"), measure] == pytest.approx(whole)
            assert table.loc[(name, "images"), measure] == pytest.approx(single)
        assert table.loc[(name, "images"), "images"] == here.sum()


def test_without_empty_masks_only_a_threshold_is_chosen():
    _, _, histograms = make()
    folds = np.arange(12) % 3
    for choice in ("peak", "centre"):
        rule = choose_rule(histograms, "dice", choice=choice).rule
        assert (rule.min_area, rule.gate, rule.top) == (0, 0, rule.bottom)
        _, fold_scores = cross_fit(histograms, folds, "dice", choice=choice)
        assert all(one.rule.min_area == 0 for one in fold_scores)
    by_hand = [
        np.mean([f1_score(m.ravel(), (p > level).ravel(), zero_division=0)
                 for p, m in zip(*make()[:2], strict=True)])
        for level in range(255)
    ]  # fmt: skip
    found = choose_rule(histograms, "dice", choice="peak")
    assert found.score == pytest.approx(max(by_hand))
    assert by_hand[found.rule.bottom] == pytest.approx(max(by_hand))


def test_the_centre_of_the_plateau_lies_on_it():
    _, _, histograms = make()
    found = choose_rule(histograms, "dice", choice="centre")
    assert found.plateau.min_areas == (0, 0)
    low, high = found.plateau.bottoms
    assert low <= found.rule.bottom <= high
    assert found.score >= found.peak.score - 0.001 - 1e-9


def test_no_gate_without_empty_masks():
    _, _, histograms = make()
    presence = np.arange(12) * 20
    found = assess(histograms, np.arange(12) % 3, [""] * 12, metric="dice", presence=presence)
    assert found.without_gate is None
    assert found.chosen.rule.gate == 0


def test_one_empty_mask_is_enough_for_the_whole_rule():
    _, _, histograms = make(empty=(4,))
    found = choose_rule(histograms, "dice", choice="peak")
    assert found.rule.min_area > 0 or found.rule.top != found.rule.bottom or found.rule.bottom > 0
    full = assess(histograms, np.arange(12) % 3, [""] * 12, metric="dice", choice="peak")
    assert full.all_empty == pytest.approx(1 / 12)
