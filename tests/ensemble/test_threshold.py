"""The rule, and the exact search against brute force on pixels and on histograms."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from goldfold.competitions import metric as metric_module
from goldfold.competitions.histogram import counts_above, level_histograms, scores_by_level
from goldfold.ensemble.threshold import (
    ALL_EMPTY,
    Rule,
    apply_rule,
    rule_scores,
    search_rule,
)
from goldfold.errors import InputError

LEVELS = [0, 3, 40, 200, 255]
METRICS = ["dice", "mean-iou-thresholds"]

Images = list[tuple[np.ndarray, np.ndarray]]

images_of_few_levels = st.lists(
    st.tuples(
        arrays(np.uint8, (3, 4), elements=st.sampled_from(LEVELS)),
        arrays(np.uint8, (3, 4), elements=st.integers(0, 1)) | st.just(np.zeros((3, 4), np.uint8)),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(params=["partly-lost", "iou"])
def other_metric(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Metrics that goldfold does not ship; the first forgives small masks on empty images."""

    def partly_lost(i: np.ndarray, p: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.where(t == 0, 1 / (1 + p), i / np.maximum(t, 1) / (1 + 0.1 * (p - i)))

    def iou(i: np.ndarray, p: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.where(p + t == 0, 1.0, i / np.maximum(p + t - i, 1))

    more = {**metric_module.METRICS, "partly-lost": partly_lost, "iou": iou}
    monkeypatch.setattr(metric_module, "METRICS", more)
    return str(request.param)


def stack(images: Images) -> np.ndarray:
    return np.stack([level_histograms(levels, mask) for levels, mask in images])


def dice_on_pixels(predicted: np.ndarray, true: np.ndarray) -> Fraction:
    total = int(predicted.sum()) + int(true.sum())
    return Fraction(2 * int((predicted * true).sum()), total) if total else Fraction(1)


def mean_iou_on_pixels(predicted: np.ndarray, true: np.ndarray) -> Fraction:
    union = int((predicted | true).sum())
    if not union:
        return Fraction(1)
    iou = Fraction(int((predicted & true).sum()), union)
    return Fraction(sum(iou > Fraction(k, 20) for k in range(10, 20)), 10)


ON_PIXELS = {"dice": dice_on_pixels, "mean-iou-thresholds": mean_iou_on_pixels}


def rules_that_differ(images: Images) -> Iterator[Rule]:
    pixels = images[0][0].size
    for top in LEVELS:
        for min_area in range(pixels + 2):
            for bottom in LEVELS:
                yield Rule(top, min_area, bottom)


def brute_force_on_pixels(images: Images, metric: str) -> Fraction:
    """Return the best mean score over all rules, from pixels, in exact fractions."""
    score = ON_PIXELS[metric]
    masks = {
        (place, bottom): score((levels > bottom).astype(np.uint8), mask)
        for place, (levels, mask) in enumerate(images)
        for bottom in LEVELS
    }
    best = Fraction(0)
    for rule in rules_that_differ(images):
        total = Fraction(0)
        for place, (levels, _) in enumerate(images):
            shown = (levels > rule.top).sum() >= rule.min_area
            total += masks[place, rule.bottom if shown else 255]
        best = max(best, total / len(images))
    return best


def brute_force_on_histograms(histograms: np.ndarray, metric: str) -> tuple[float, np.ndarray]:
    """Return the best mean score, and for all (top, bottom) the best over min_area of 1 and up."""
    scores = scores_by_level(histograms, metric)
    areas = counts_above(histograms[:, 0])
    table = np.full((256, 256), -1.0)
    for top in range(256):
        for min_area in {*(areas[:, top] + 1), *areas[:, top]} - {0}:
            shown = areas[:, top] >= min_area
            means = np.where(shown[:, None], scores, scores[:, 255:]).mean(axis=0)
            table[top] = np.maximum(table[top], means)
    return float(max(table.max(), scores.mean(axis=0).max())), table


def random_histograms(seed: int, count: int, empty: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        mask = np.zeros((9, 11), np.uint8)
        if rng.random() >= empty:
            mask[2 : 3 + rng.integers(1, 6), 3 : 4 + rng.integers(1, 7)] = 1
        noise = rng.normal(60, 40, mask.shape) * (rng.random() < 0.8)
        levels = np.clip(noise + mask * rng.normal(90, 60), 0, 255).astype(np.uint8)
        images.append((levels, mask))
    return stack(images)


def test_apply_rule_by_hand() -> None:
    levels = np.array([[0, 100, 150], [200, 201, 255]], np.uint8)
    assert apply_rule(levels, Rule(200, 2, 100)).tolist() == [[0, 0, 1], [1, 1, 1]]
    assert apply_rule(levels, Rule(200, 3, 100)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert apply_rule(levels, Rule(255, 0, 254)).tolist() == [[0, 0, 0], [0, 0, 1]]
    assert apply_rule(levels, ALL_EMPTY).sum() == 0
    assert apply_rule(levels, ALL_EMPTY).dtype == np.uint8


def test_levels_as_probabilities() -> None:
    rule = Rule(top=255, min_area=0, bottom=127)
    assert (rule.top_probability, rule.bottom_probability) == (1.0, 0.5)


@pytest.mark.parametrize("values", [(256, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, 256)])
def test_impossible_rules_are_refused(values: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="levels top, bottom and gate of 0 to 255 and a"):
        Rule(*values)


@given(images_of_few_levels, st.sampled_from(LEVELS), st.integers(0, 13), st.sampled_from(LEVELS))
@pytest.mark.parametrize("metric", METRICS)
def test_scores_from_histograms_are_those_of_pixels(
    metric: str, images: Images, top: int, min_area: int, bottom: int
) -> None:
    rule = Rule(top, min_area, bottom)
    expected = [float(ON_PIXELS[metric](apply_rule(levels, rule), m)) for levels, m in images]
    assert rule_scores(stack(images), rule, metric).tolist() == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(images_of_few_levels)
@pytest.mark.parametrize("metric", METRICS)
def test_search_is_exact_on_pixels(metric: str, images: Images) -> None:
    found = search_rule(stack(images), metric)
    assert found.score == pytest.approx(float(brute_force_on_pixels(images, metric)), abs=1e-12)
    scores = [float(ON_PIXELS[metric](apply_rule(levels, found.rule), m)) for levels, m in images]
    assert np.mean(scores) == pytest.approx(found.score, abs=1e-12)


@pytest.mark.parametrize("empty", [0.0, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("metric", METRICS)
def test_search_is_exact_over_all_levels(metric: str, empty: float) -> None:
    for seed in range(3):
        histograms = random_histograms(seed, 14, empty)
        best, table = brute_force_on_histograms(histograms, metric)
        found = search_rule(histograms, metric)
        assert found.score == pytest.approx(best, abs=1e-11)
        if 0 < found.rule.min_area < 99 and found.rule != ALL_EMPTY:
            assert found.ties == (table > best - 1e-11).sum()
            assert table[found.rule.top, found.rule.bottom] == pytest.approx(best, abs=1e-11)


def test_search_is_exact_for_metrics_we_do_not_ship(other_metric: str) -> None:
    for seed in range(4):
        histograms = random_histograms(seed, 12, empty=0.5)
        best, _ = brute_force_on_histograms(histograms, other_metric)
        found = search_rule(histograms, other_metric)
        assert found.score == pytest.approx(best, abs=1e-11)
        mean = rule_scores(histograms, found.rule, other_metric).mean()
        assert mean == pytest.approx(best, abs=1e-11)


@pytest.mark.parametrize("metric", METRICS)
def test_order_of_images_changes_nothing(metric: str) -> None:
    histograms = random_histograms(5, 20, empty=0.6)
    found = search_rule(histograms, metric)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(20)
        again = search_rule(histograms[order], metric)
        assert (again.rule, again.ties) == (found.rule, found.ties)


def test_gate_stands_in_the_middle_of_its_plateau() -> None:
    true = np.zeros((5, 6), np.uint8)
    true[:2, :5] = 1
    false = np.zeros((5, 6), np.uint8)
    false[4, :4] = 200
    histograms = stack([(true * 200, true), (false, np.zeros_like(false))])
    # 10 true pixels and 4 false ones, all at level 200: every top and bottom from 0 to 199 will
    # do, with any min_area from 5 to 10.
    found = search_rule(histograms, "dice")
    assert found.rule == Rule(top=99, min_area=7, bottom=99)
    assert (found.score, found.ties) == (1.0, 200 * 200)


def test_ranges_of_min_area_that_tie_are_one_plateau() -> None:
    def row(area: int, found: int, true: bool) -> np.ndarray:
        levels, mask = np.zeros((1, 60), np.uint8), np.zeros((1, 60), np.uint8)
        levels[0, :area] = 100
        if true:
            mask[0, area - found : area + 20] = 1
        return level_histograms(levels, mask)

    # The third image has a mask but the map misses it: with or without it the score is the same.
    third = row(20, 0, true=True)
    histograms = np.stack([row(30, 30, True), row(10, 0, False), third])
    # Without a gate the second image is lost; the third never matters: min_area 11 to 30.
    assert search_rule(histograms, "dice").rule.min_area == (11 + 30) // 2


def test_without_need_there_is_no_gate() -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[1:3, 1:3] = 1
    found = search_rule(stack([(mask * 100, mask), (mask * 0, mask * 0)]), "dice")
    assert found.rule == Rule(top=49, min_area=0, bottom=49)
    assert (found.score, found.ties) == (1.0, 100)


def test_bottom_may_lie_above_top() -> None:
    mask = np.zeros((1, 20), np.uint8)
    mask[0, :4] = 1
    good = np.where(mask, 200, 0).astype(np.uint8)
    good[0, 4:15] = 50  # a wide halo gives the image away, but does not belong to the mask
    bad = np.zeros((1, 20), np.uint8)
    bad[0, :9] = 220
    found = search_rule(stack([(good, mask), (bad, bad * 0)]), "dice")
    assert found.score == 1.0
    assert found.rule.top < 50 <= found.rule.bottom < 200
    assert 10 <= found.rule.min_area <= 15


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_to_gain_means_all_empty(metric: str) -> None:
    levels = np.full((3, 3), 200, np.uint8)
    empty = np.zeros((3, 3), np.uint8)
    found = search_rule(stack([(levels, empty), (levels, empty)]), metric)
    assert (found.rule, found.score) == (ALL_EMPTY, 1.0)


def test_a_single_image() -> None:
    mask = np.eye(4, dtype=np.uint8)
    found = search_rule(stack([(mask * 255, mask)]), "dice")
    assert (found.rule, found.score) == (Rule(127, 0, 127), 1.0)


def test_fewer_candidates_never_score_higher() -> None:
    histograms = random_histograms(3, 30, empty=0.5)
    exact = search_rule(histograms, "dice")
    scores = [
        search_rule(histograms, "dice", min_area_candidates=count).score for count in (1, 3, 1000)
    ]
    assert max(scores[:2]) <= exact.score
    assert scores[2] == exact.score


def test_unknown_metric_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown metric 'dise'.*Did you mean 'dice'"):
        search_rule(random_histograms(0, 2, 0.5), "dise")


def test_no_images_are_refused() -> None:
    with pytest.raises(InputError, match="histograms of at least one image"):
        search_rule(np.zeros((0, 2, 256), np.int64), "dice")
