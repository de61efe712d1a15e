"""The score of objects, against pixel loops and flood fill in plain Python."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from goldfold import settings_competition
from goldfold.competitions.histogram import (
    JUDGED,
    UNJUDGED,
    check_histograms,
    judged_at,
    judged_levels,
    level_histograms,
    score_by_level,
    scores_by_level,
)
from goldfold.competitions.metric import METRICS, OBJECT_METRICS, ONE, SHAPE_METRICS, image_scores
from goldfold.competitions.objects import (
    mask_score,
    read_objects,
    runs_of_objects,
    runs_score,
    scores_above,
)
from goldfold.competitions.pixel_runs import mask_of_runs, runs_of_mask
from goldfold.competitions.rle import DIALECTS, encode, get_dialect
from goldfold.errors import InputError

F2 = "f2-iou-thresholds"
KAGGLE = get_dialect("kaggle")
SHAPE = (7, 9)
MASK = hnp.arrays(bool, SHAPE)


@st.composite
def boxes(draw):
    """Return a mask of one rectangle."""
    mask = np.zeros(SHAPE, bool)
    top, left = draw(st.integers(0, 6)), draw(st.integers(0, 8))
    mask[top : top + draw(st.integers(1, 5)), left : left + draw(st.integers(1, 6))] = True
    return mask


TRUE = st.lists(st.one_of(boxes(), MASK.filter(np.any)), max_size=4)
"""True objects, which may overlap and may be in pieces."""


# --- the same in the plainest way ----------------------------------------------------------------


def parts_of(mask):
    """Return the connected parts of a mask as sets of pixels, by flood fill."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    parts = []
    while left:
        part, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            part.add((y, x))
            near = {(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            edge += near
        parts.append(part)
    return parts


def most_pairs(fits):
    """Return the largest number of pairs without sharing; `fits` has the true ones of each part."""
    if not fits:
        return 0
    rest = fits[1:]
    taken = [1 + most_pairs([fit - {true} for fit in rest]) for true in fits[0]]
    return max([most_pairs(rest), *taken])


def plain_score(mask, objects):
    predicted = parts_of(mask)
    true = [{(int(y), int(x)) for y, x in zip(*np.nonzero(o), strict=True)} for o in objects]
    if not true:
        return Fraction(int(not predicted))
    total = Fraction(0)
    for step in range(10, 20):
        limit = Fraction(step, 20)
        fits = [
            {n for n, t in enumerate(true) if Fraction(len(p & t), len(p | t)) > limit}
            for p in predicted
        ]
        hits = most_pairs(fits)
        missed, wrong = len(true) - hits, len(predicted) - hits
        total += Fraction(5 * hits, 5 * hits + 4 * missed + wrong)
    return total / 10


def as_objects(objects, dialect=KAGGLE):
    return read_objects("|".join(encode(mask, dialect) for mask in objects), *SHAPE, dialect)


# --- agreement -----------------------------------------------------------------------------------


@given(MASK, TRUE)
def test_any_mask_scores_what_the_plain_way_says(mask, objects):
    expected = float(plain_score(mask, objects))
    assert mask_score(mask.astype(np.uint8), as_objects(objects)) == pytest.approx(expected)


@given(st.lists(boxes(), max_size=4), TRUE, st.sampled_from(sorted(DIALECTS)))
def test_boxes_that_may_hit(drawn, others, name):
    mask = np.any([np.zeros(SHAPE, bool), *drawn], axis=0)
    objects = [*drawn[:2], *others[:2]]
    expected = pytest.approx(float(plain_score(mask, objects)))
    assert mask_score(mask.astype(np.uint8), as_objects(objects, DIALECTS[name])) == expected
    order = DIALECTS[name].order
    true = [runs_of_mask(mask, order) for mask in objects]
    assert runs_score(runs_of_objects(mask, order), true) == expected


@given(hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 3, 40, 90, 200, 255])), TRUE)
@settings(max_examples=50)
def test_every_level(levels, objects):
    every = sorted({0, 2, 3, 39, 40, 89, 90, 199, 200, 254, 255})
    scores = scores_above(levels, as_objects(objects), every)
    assert list(scores) == every
    for level in every:
        assert scores[level] == pytest.approx(float(plain_score(levels > level, objects))), level


def test_gaps_that_are_left_out_stay_gaps():
    rng = np.random.default_rng(0)
    levels = np.zeros((300, 200), np.uint8)
    for _ in range(12):
        y, x = rng.integers(0, 280), rng.integers(0, 180)
        levels[y : y + 12, x : x + 12] = np.maximum(rng.integers(0, 255, (12, 12)), 60)
    truth = [np.zeros(levels.shape, np.uint8) for _ in range(3)]
    for number, mask in enumerate(truth):
        mask[levels > 0] = 0
        part = sorted(parts_of(levels > 50), key=len)[number]
        for pixel in part:
            mask[pixel] = 1
    objects = read_objects("|".join(encode(mask, KAGGLE) for mask in truth), 300, 200, KAGGLE)
    scores = scores_above(levels, objects, JUDGED)
    for level in JUDGED[::4]:
        expected = plain_score(levels > level, truth)
        assert scores[level] == pytest.approx(float(expected)), level
    assert scores[55] > 0.3


# --- by hand -------------------------------------------------------------------------------------


def square(top, left, height, width, shape=(40, 60)):
    mask = np.zeros(shape, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def by_hand(predicted, true):
    mask = np.max([square(0, 0, 0, 0), *predicted], axis=0)
    text = "|".join(encode(mask, KAGGLE) for mask in true)
    return mask_score(mask, read_objects(text, 40, 60, KAGGLE))


def test_nothing_and_something():
    ship = square(3, 4, 10, 10)
    assert by_hand([], []) == 1
    assert by_hand([ship], []) == 0
    assert by_hand([], [ship]) == 0
    assert by_hand([ship], [ship]) == 1


def test_a_threshold_that_is_met_is_not_exceeded():
    ship = square(0, 0, 10, 10)
    assert by_hand([square(0, 0, 5, 10)], [ship]) == 0  # IoU 0.50 exactly
    assert by_hand([square(0, 0, 6, 10)], [ship]) == pytest.approx(0.2)  # 0.60: above 0.50, 0.55


def test_a_missed_object_costs_four_times_a_wrong_one():
    first, second = square(0, 0, 10, 10), square(20, 20, 10, 10)
    assert by_hand([first], [first, second]) == pytest.approx(5 / 9)
    assert by_hand([first, second], [first]) == pytest.approx(5 / 6)


def test_parts_that_touch_by_a_corner_are_one_object():
    first, second = square(0, 0, 10, 10), square(10, 10, 10, 10)
    assert by_hand([first, second], [first, second]) == 0  # a single object with IoU 0.5 to each
    assert by_hand([first, second], [np.maximum(first, second)]) == 1


def test_overlapping_true_objects_are_hit_by_one_part_once():
    ship, larger = square(0, 0, 10, 10), square(0, 0, 10, 11)
    assert by_hand([ship], [ship, larger]) == pytest.approx(5 / 9)


# --- rows of objects -----------------------------------------------------------------------------


@given(MASK, st.sampled_from(["column", "row"]))
def test_the_parts_of_a_mask_are_its_rows(mask, order):
    parts = [mask_of_runs(runs, *SHAPE, order) for runs in runs_of_objects(mask, order)]
    expected = {frozenset(part) for part in parts_of(mask)}
    assert {frozenset(next(iter(parts_of(mask)))) for mask in parts} == expected
    assert len(parts) == len(expected)
    assert np.array_equal(np.sum([np.zeros(SHAPE), *parts], axis=0), mask)


def test_a_run_over_the_end_of_a_line_is_two_objects():
    mask = np.zeros((3, 4), np.uint8)
    mask[2, 0] = mask[0, 1] = 1  # neighbours by number, not by place
    cells = [runs.starts.tolist() for runs in runs_of_objects(mask, "column")]
    assert cells == [[2], [3]]


def test_an_object_beyond_the_map_is_an_error():
    objects = read_objects("1 3", 40, 60, KAGGLE)
    with pytest.raises(InputError, match="inside the map of 2 x 60"):
        scores_above(np.zeros((2, 60), np.uint8), objects, [0])


# --- histograms ----------------------------------------------------------------------------------


def test_a_third_row_holds_the_score_where_it_was_judged():
    ship = square(0, 0, 10, 10)
    levels = ship * np.uint8(100)
    objects = read_objects(encode(ship, KAGGLE), 40, 60, KAGGLE)
    histograms = level_histograms(levels, ship, objects, judged_at(32))
    assert histograms.shape == (3, 256)
    assert histograms[2, [31, 63, 95, 127, 255]].tolist() == [ONE, ONE, ONE, 0, 0]
    assert np.count_nonzero(histograms[2] == UNJUDGED) == 256 - 8
    assert np.array_equal(histograms[:2], level_histograms(levels, ship))
    stands_for = judged_levels(histograms[None])
    assert stands_for[[0, 31, 32, 96, 255]].tolist() == [31, 31, 63, 127, 255]
    scores = score_by_level(histograms[None], F2)
    assert scores[[0, 95, 96, 127, 255]].tolist() == [1, 1, 0, 0, 0]


def test_counts_do_not_tell_objects():
    with pytest.raises(InputError, match="compares objects"):
        image_scores(F2, 1, 1, 1)
    plain = level_histograms(np.zeros((3, 3), np.uint8))[None]
    with pytest.raises(InputError, match="counts of pixels only"):
        scores_by_level(plain, F2)
    assert judged_levels(plain).tolist() == list(range(256))
    with pytest.raises(InputError, match="expected histograms"):
        check_histograms(np.zeros((2, 4, 256), np.int64))


def test_the_settings_know_the_same_metrics():
    assert settings_competition.OBJECT_METRICS == OBJECT_METRICS
    assert {*METRICS, *OBJECT_METRICS, *SHAPE_METRICS} == {*settings_competition.MASK_METRICS}
