"""Rules for scores over all pixels of all images: exact, as brute force over masks has it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.heat_map import score_over_area_and_bottom, score_over_top_and_area
from goldfold.ensemble.honest import assess
from goldfold.ensemble.intervals import gain_interval
from goldfold.ensemble.plateau import find_plateau
from goldfold.ensemble.threshold import ALL_EMPTY, Rule, apply_rule, rule_scores, search_rule
from goldfold.ensemble.threshold_choice import choose_rule

LEVELS = (0, 3, 4, 200)
METRICS = ("global-dice", "global-iou", "dice(both_empty=skip)", "mean-iou(both_empty=skip)")


def f1(true, mask):
    return 2 * (true & mask).sum() / (true.sum() + mask.sum())


def jaccard(true, mask):
    return (true & mask).sum() / (true | mask).sum()


def draw_images(seed, count=5, empty=0.4):
    """Return maps (4, 5) of few levels that resemble their masks, and the masks."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        mask = (rng.random((4, 5)) < 0.4).astype(np.uint8) * (rng.random() > empty)
        levels = np.array(LEVELS, np.uint8)[rng.integers(0, 3, (4, 5)) + mask * rng.integers(0, 2)]
        images.append((levels, mask.astype(np.uint8)))
    return images


def stack(images):
    return np.stack([level_histograms(*image) for image in images])


def on_pixels(metric, masks, true, scores=(f1, jaccard)):
    """Return the score over all pixels, or over the images with something."""
    masks, true = np.reshape(masks, (len(masks), -1)), np.reshape(true, (len(true), -1))
    if metric.startswith("global"):
        masks, true = masks.reshape(1, -1), true.reshape(1, -1)
    some = (masks.any(axis=1) | true.any(axis=1)).nonzero()[0]
    score = scores["dice" not in metric]
    return float(np.mean([score(true[one], masks[one]) for one in some])) if len(some) else 1.0


def brute_force(metric, images):
    maps, true = (np.stack(part) for part in zip(*images, strict=True))
    best = 0.0
    for top, bottom in itertools.product(LEVELS, LEVELS):
        areas, masks = (maps > top).sum(axis=(1, 2)), maps > bottom
        for area in range(22):
            kept = masks & (areas >= area)[:, None, None]
            best = max(best, on_pixels(metric, kept, true))
    return best


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
@pytest.mark.parametrize("metric", METRICS)
def test_by_scikit_learn(metric, seed):
    images = draw_images(seed)
    rule = Rule(3, seed % 9, 3)
    masks, true = [apply_rule(levels, rule) for levels, _ in images], [mask for _, mask in images]
    expected = on_pixels(metric, masks, true, (f1_score, jaccard_score))
    assert rule_scores(stack(images), rule, metric).mean() == pytest.approx(expected)
    assert on_pixels(metric, masks, true) == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_the_search_is_exact(metric, seed):
    images = draw_images(seed)
    found = search_rule(stack(images), metric)
    masks = [apply_rule(levels, found.rule) for levels, _ in images]
    assert found.score == pytest.approx(on_pixels(metric, masks, [t for _, t in images]), abs=1e-12)
    assert found.score == pytest.approx(brute_force(metric, images), abs=1e-12)


def test_a_false_mask_costs_what_it_covers():
    """A mean over images loses a point for one false pixel; the pixels of all lose one pixel."""
    true = np.zeros((10, 10), np.uint8)
    true[:5] = 1
    false = np.zeros((10, 10), np.uint8)
    false[0, 0] = 220
    images = [(true * 200, true), *[(false, false * 0)] * 3]
    histograms = stack(images)
    assert search_rule(histograms, "dice").rule.min_area > 1
    rule = Rule(100, 0, 100)
    assert rule_scores(histograms, rule, "dice").mean() == 0.25
    assert rule_scores(histograms, rule, "global-dice").mean() == pytest.approx(100 / 103)
    assert rule_scores(histograms, rule, "global-iou").mean() == pytest.approx(50 / 53)
    assert rule_scores(histograms, ALL_EMPTY, "global-dice").mean() == 0.0
    assert rule_scores(histograms[1:], ALL_EMPTY, "global-dice").mean() == 1.0


@pytest.mark.parametrize("metric", METRICS)
def test_the_plateau_holds_the_rules_that_are_nearly_as_good(metric):
    histograms = stack(draw_images(3, count=12))
    found = find_plateau(histograms, metric, slack=0.02)
    score = rule_scores(histograms, found.centre, metric).mean()
    assert score == pytest.approx(found.score)
    assert found.best == search_rule(histograms, metric).score
    assert score >= found.best - 0.02 - 1e-12
    near = [
        (top, bottom)
        for top, bottom in itertools.product((0, 2, 3, 100, 199), repeat=2)
        if any(
            rule_scores(histograms, Rule(top, area, bottom), metric).mean() >= found.best - 0.02
            for area in range(1, 22)
        )
    ]
    tops, bottoms = zip(*near, strict=True)
    assert found.tops[0] <= min(tops) <= max(tops) <= found.tops[1]
    assert found.bottoms[0] <= min(bottoms) <= max(bottoms) <= found.bottoms[1]


def test_pictures_show_the_scores_of_rules():
    histograms = stack(draw_images(5, count=8))
    areas = np.array([1, 4, 9])
    rule = search_rule(histograms, "global-dice").rule
    over_top = score_over_top_and_area(histograms, rule.bottom, areas, "global-dice")
    over_bottom = score_over_area_and_bottom(histograms, rule.top, areas, "global-dice")
    for column, area in enumerate(areas):
        for level in (0, 3, 100, 255):
            rules = Rule(level, int(area), rule.bottom), Rule(rule.top, int(area), level)
            scores = [rule_scores(histograms, one, "global-dice").mean() for one in rules]
            assert over_top[level, column] == pytest.approx(scores[0])
            assert over_bottom[column, level] == pytest.approx(scores[1])


@pytest.mark.parametrize("choice", ["peak", "centre"])
def test_the_honest_score_is_that_of_all_images_together(choice):
    images = draw_images(1, count=24, empty=0.3)
    histograms, folds = stack(images), np.arange(24) % 3
    groups = [f"p{place // 2}" for place in range(24)]
    found = assess(histograms, folds, groups, metric="global-dice", samples=300, choice=choice)
    masks = []
    for (levels, _), fold in zip(images, folds, strict=True):
        rule = next(part.rule for part in found.folds if part.fold == fold)
        masks.append(apply_rule(levels, rule))
    true = [mask for _, mask in images]
    assert found.honest == pytest.approx(on_pixels("global-dice", masks, true))
    assert found.interval.low < found.honest < found.interval.high
    # Copies of images change nothing but the width of the interval.
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 12, (300, 12), dtype=np.int32)
    again = [
        on_pixels(
            "global-dice",
            [masks[2 * g + k] for g in row for k in (0, 1)],
            [true[2 * g + k] for g in row for k in (0, 1)],
        )
        for row in drawn[:40]
    ]
    few = assess(histograms, folds, groups, metric="global-dice", samples=40, choice=choice)
    ends = np.quantile(again, [0.025, 0.975])
    if few.interval.groups == 12:
        assert (few.interval.low, few.interval.high) == pytest.approx(tuple(ends), abs=0.2)


def test_a_gain_is_drawn_on_the_same_groups():
    histograms, groups = stack(draw_images(2, count=20)), np.arange(20) // 2
    scores = rule_scores(histograms, Rule(3, 0, 3), "global-dice")
    nothing = gain_interval(scores, scores, groups, samples=50)
    assert nothing == {"mean": 0.0, "low": 0.0, "high": 0.0}
    worse = rule_scores(histograms, Rule(200, 0, 200), "global-dice")
    gain = gain_interval(scores, worse, groups, samples=200)
    assert gain["mean"] == pytest.approx(scores.mean() - worse.mean())
    assert gain["low"] <= gain["mean"] <= gain["high"]


def test_without_an_empty_mask_only_the_threshold_is_chosen():
    images = [(levels, np.maximum(mask, 1)) for levels, mask in draw_images(0, empty=0.0)]
    chosen = choose_rule(stack(images), "global-dice")
    assert chosen.rule.min_area == 0
    bottoms = [rule_scores(stack(images), Rule(b, 0, b), "global-dice").mean() for b in range(256)]
    assert chosen.score == max(bottoms)
