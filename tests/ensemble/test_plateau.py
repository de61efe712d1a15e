"""The plateau holds all rules near the best and no others; its centre lies in it."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.heat_map import (
    area_axis,
    draw_heat_maps,
    score_over_area_and_bottom,
    score_over_top_and_area,
)
from goldfold.ensemble.plateau import find_plateau
from goldfold.ensemble.threshold import ALL_EMPTY, Rule, rule_scores, search_rule
from goldfold.ensemble.threshold_choice import choose_rule

TOPS = BOTTOMS = (0, 40, 80, 120, 160, 200, 240)


def make_histograms(seed: int, count: int = 24) -> np.ndarray:
    """Images of few levels, so that a loop over all rules is soon done."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        mask = np.zeros((6, 6), np.uint8)
        if rng.random() < 0.5:
            mask[: rng.integers(1, 6), : rng.integers(1, 6)] = 1
        noise = rng.normal(90, 60, mask.shape) + 70 * mask
        levels = (np.clip(noise, 0, 255) // 40 * 40).astype(np.uint8)
        images.append(level_histograms(levels, mask))
    return np.stack(images)


@settings(max_examples=8, deadline=None)
@example(seed=7973, slack=0.01)  # a rule lies just at the limit
@given(seed=st.integers(0, 10_000), slack=st.sampled_from([0.0005, 0.01, 0.05]))
def test_the_plateau_is_that_of_a_loop_over_all_rules(seed: int, slack: float) -> None:
    histograms = make_histograms(seed)
    found = find_plateau(histograms, "dice", slack=slack)
    best = search_rule(histograms, "dice").score
    assert found.best == pytest.approx(best)
    if found.centre == ALL_EMPTY:
        return
    # Rules that empty every image stand for no cell of the search, so areas end at the largest.
    largest = {top: histograms[:, 0, top + 1 :].sum(axis=1).max() for top in TOPS}
    scores = {
        (top, bottom, area): rule_scores(histograms, Rule(top, area, bottom), "dice").mean()
        for top in TOPS
        for bottom in BOTTOMS
        for area in range(1, largest[top] + 1)
    }
    # Scores are whole multiples of 2**-40: a rule just at the limit may be in or out.
    inside = [rule for rule, score in scores.items() if score >= best - slack + 1e-9]
    around = [rule for rule, score in scores.items() if score >= best - slack - 1e-9]

    def least(rules: list[tuple[int, int, int]], part: int, step: int = 1) -> int:
        return min(rule[part] for rule in rules) // step

    # Levels come in steps of 40: q and q + 1 are the same rule until the next step.
    for part, lowest in enumerate((found.tops[0], found.bottoms[0])):
        assert least(around, part, 40) <= lowest // 40 <= least(inside, part, 40)
    assert least(around, 2) <= found.min_areas[0] <= least(inside, 2)
    assert found.min_areas[1] >= max(area for _, _, area in inside)
    assert found.score == pytest.approx(
        rule_scores(histograms, found.centre, "dice").mean(), abs=1e-12
    )
    assert found.score >= best - slack - 1e-9


def test_the_centre_is_far_from_where_the_score_falls() -> None:
    """One image decides: any area from 10 to 1,000 above any level from 50 to 149."""
    histograms = np.zeros((2, 2, 256), np.int64)
    histograms[0, :, 150] = 1000  # its mask, 1,000 pixels
    histograms[1, 0, 200] = 9  # an empty image with nine bright pixels
    histograms[:, 0, 0] = 10_000 - histograms[:, 0].sum(axis=1)
    found = find_plateau(histograms, "dice")
    assert found.best == pytest.approx(1)
    assert found.score == 1
    assert found.tops == (0, 149)
    assert found.bottoms == (0, 149)
    assert found.min_areas == (10, 1000)
    assert 70 <= found.centre.top <= 79  # of so many pairs only some are looked at
    assert 70 <= found.centre.bottom <= 79
    assert 90 <= found.centre.min_area <= 110  # the geometric mean


def test_nothing_but_empty_masks() -> None:
    histograms = np.zeros((3, 2, 256), np.int64)
    histograms[:, 0, 90] = 50
    found = find_plateau(histograms, "dice")
    assert found.centre == ALL_EMPTY
    assert found.score == 1


@pytest.mark.parametrize("choice", ["centre", "peak"])
def test_a_gate_is_kept(choice: str) -> None:
    histograms = make_histograms(3)
    presence = np.where(histograms[:, 1].sum(axis=1) > 0, 200, 20)
    found = choose_rule(histograms, "dice", presence=presence, choice=choice)  # type: ignore
    assert found.rule.gate > 0
    scores = rule_scores(histograms, found.rule, "dice", presence)
    assert found.score == pytest.approx(scores.mean())
    assert found.peak.score - 0.001 <= found.score <= found.peak.score + 1e-12


def test_heat_maps_are_the_scores_of_the_rules(tmp_path) -> None:
    histograms = make_histograms(5)
    areas = area_axis(36, 6)
    over_top = score_over_top_and_area(histograms, 80, areas, "dice")
    over_bottom = score_over_area_and_bottom(histograms, 120, areas, "dice")
    for place, area in enumerate(areas):
        for level in (0, 79, 80, 160, 254):
            one = rule_scores(histograms, Rule(level, int(area), 80), "dice").mean()
            assert over_top[level, place] == pytest.approx(one, abs=1e-9)
            other = rule_scores(histograms, Rule(120, int(area), level), "dice").mean()
            assert over_bottom[place, level] == pytest.approx(other, abs=1e-9)
    path = tmp_path / "heat.png"
    draw_heat_maps(path, histograms, choose_rule(histograms, "dice", choice="centre"), "dice")
    assert path.read_bytes()[:4] == b"\x89PNG"
