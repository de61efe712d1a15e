"""The search of the rule for a metric of objects, against rules applied to maps one by one."""

import cv2
import numpy as np
import pytest

from goldfold.competitions.histogram import JUDGED, judged_levels, level_histograms
from goldfold.competitions.objects import mask_score, read_objects
from goldfold.competitions.rle import encode, get_dialect
from goldfold.ensemble.heat_map import draw_heat_maps
from goldfold.ensemble.honest import assess
from goldfold.ensemble.overlap import overlap_table
from goldfold.ensemble.plateau import find_plateau
from goldfold.ensemble.post_search import search_steps
from goldfold.ensemble.presence import emptied
from goldfold.ensemble.threshold import ALL_EMPTY, Rule, apply_rule, rule_scores, search_rule
from goldfold.ensemble.threshold_choice import choose_rule
from goldfold.errors import InputError

F2 = "f2-iou-thresholds"
KAGGLE = get_dialect("kaggle")
SIDE = 48


def sample(count=24, seed=0):
    """Return maps, true masks (None if empty) and true objects of ships that nearly fit."""
    rng = np.random.default_rng(seed)
    maps, masks, objects = [], [], []
    for place in range(count):
        levels = rng.integers(0, 60, (SIDE, SIDE)).astype(np.float32)
        ships = []
        for _ in range(int(rng.integers(1, 4)) if place % 3 else 0):
            y, x, height, width = rng.integers(2, 30), rng.integers(2, 30), *rng.integers(5, 14, 2)
            ship = np.zeros((SIDE, SIDE), np.uint8)
            ship[y : y + height, x : x + width] = 1
            ships.append(ship)
            seen = np.roll(ship, rng.integers(-1, 2, 2), axis=(0, 1))
            levels += 255.0 * seen * rng.uniform(0.3, 1)
        levels = cv2.GaussianBlur(levels, (0, 0), 1.0).clip(0, 255).astype(np.uint8)
        maps.append(levels)
        masks.append(np.max(ships, axis=0) if ships else None)
        text = "|".join(encode(one, KAGGLE) for one in ships)
        objects.append(read_objects(text, SIDE, SIDE, KAGGLE))
    return maps, masks, objects


MAPS, MASKS, OBJECTS = sample()
HISTOGRAMS = np.stack([level_histograms(*one) for one in zip(MAPS, MASKS, OBJECTS, strict=True)])


def applied(rule, presence=None):
    levels = [None] * len(MAPS) if presence is None else presence
    masks = [apply_rule(*one) for one in zip(MAPS, [rule] * len(MAPS), levels, strict=True)]
    return [mask_score(*one) for one in zip(masks, OBJECTS, strict=True)]


def test_the_search_finds_the_best_of_all_rules():
    found = search_rule(HISTOGRAMS, F2)
    assert found.score == pytest.approx(np.mean(applied(found.rule)))
    assert found.rule.bottom in JUDGED
    best = 0.0
    for top in range(7, 256, 16):
        areas = np.unique([np.count_nonzero(levels > top) for levels in MAPS])
        for min_area in (0, *(areas + 1)):
            for bottom in JUDGED:
                scores = rule_scores(HISTOGRAMS, Rule(top, int(min_area), bottom), F2)
                best = max(best, float(scores.mean()))
    assert found.score >= best - 1e-9
    assert best > rule_scores(HISTOGRAMS, ALL_EMPTY, F2).mean() + 0.1


@pytest.mark.parametrize("rule", [Rule(127, 0, 127), Rule(200, 20, 63), Rule(150, 30, 7, gate=99)])
def test_a_rule_scores_what_its_masks_score(rule):
    presence = np.arange(len(MAPS)) * 9 if rule.gate else None
    found = rule_scores(HISTOGRAMS, rule, F2, presence)
    assert found.tolist() == pytest.approx(applied(rule, presence), abs=1e-9)


def test_a_level_that_was_not_judged_is_no_rule():
    with pytest.raises(InputError, match="not judged at level 100"):
        rule_scores(HISTOGRAMS, Rule(100, 0, 100), F2)


def test_the_plateau_lies_on_judged_levels():
    plateau = find_plateau(HISTOGRAMS, F2, slack=0.02)
    assert {plateau.centre.bottom, *plateau.bottoms} <= {*JUDGED}
    assert plateau.score == pytest.approx(np.mean(applied(plateau.centre)))
    seen = np.array([mask is not None for mask in MASKS])
    for choice in ("centre", "peak"):
        chosen = choose_rule(HISTOGRAMS[seen], F2, choice=choice)
        assert chosen.rule.bottom in JUDGED
        assert chosen.rule.min_area == 0


def test_emptied_images_score_as_empty_masks():
    which = np.arange(len(MAPS)) % 2 == 0
    found = rule_scores(emptied(HISTOGRAMS, which), Rule(127, 1, 127), F2)
    nothing = rule_scores(HISTOGRAMS, ALL_EMPTY, F2)
    assert found[which].tolist() == nothing[which].tolist()
    assert found[~which].tolist() == rule_scores(HISTOGRAMS, Rule(127, 1, 127), F2)[~which].tolist()
    assert judged_levels(emptied(HISTOGRAMS, which)).tolist() == judged_levels(HISTOGRAMS).tolist()


def test_the_honest_score_and_its_pictures(tmp_path):
    folds = np.arange(len(MAPS)) % 4
    presence = np.array([200 if mask is not None else 10 for mask in MASKS])
    found = assess(
        HISTOGRAMS, folds, [""] * len(MAPS), metric=F2, samples=100,
        presence=presence, choice="centre",
    )  # fmt: skip
    for fold in found.folds:
        scores = np.array(applied(fold.rule, presence))
        assert fold.score == pytest.approx(scores[folds == fold.fold].mean())
    assert found.all_empty == pytest.approx(1 / 3)
    assert found.honest <= found.chosen.score + 0.1
    rules = {one.fold: one.rule for one in found.folds}
    table = overlap_table(HISTOGRAMS, folds, rules, presence)
    assert table["dice"].between(0, 1).all()
    draw_heat_maps(tmp_path / "maps.png", HISTOGRAMS, found.chosen, F2)
    assert (tmp_path / "maps.png").stat().st_size > 1000


def test_post_processing_is_judged_by_objects():
    rule = Rule(63, 0, 63)
    found = search_steps(
        lambda place: apply_rule(MAPS[place], rule),
        lambda place: MASKS[place],
        np.arange(len(MAPS)) % 3,
        F2,
        largest_px=SIDE * SIDE,
        objects_of=lambda place: OBJECTS[place],
    )
    assert found.scores.mean() >= np.mean(applied(rule))
