"""Shapes and objects of masks by definition: scipy's distances, plain counting, UW-Madison, DSB."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import binary_erosion, label
from scipy.spatial.distance import directed_hausdorff

from goldfold.competitions.histogram import JUDGED, level_histograms
from goldfold.competitions.level_truth import level_truth, truth_score
from goldfold.competitions.metric import scored_by_level, set_scores
from goldfold.competitions.object_metric import OBJECT_SCORES
from goldfold.competitions.objects import mask_score, read_objects, runs_of_objects, runs_score
from goldfold.competitions.pixel_runs import runs_of_mask
from goldfold.competitions.rle import encode, get_dialect
from goldfold.competitions.shapes import TrueShape, hausdorff_px
from goldfold.ensemble.threshold import Rule, apply_rule, rule_scores, search_rule
from goldfold.errors import InputError
from goldfold.submissions.score import score_submission

AP, HAUSDORFF = "ap-iou-thresholds", "dice-hausdorff"
KAGGLE = get_dialect("kaggle")
MASKS = hnp.arrays(np.uint8, (9, 13), elements=st.integers(0, 1))


def edge(mask):
    return np.argwhere(mask.astype(bool) & ~binary_erosion(mask))


@given(MASKS, MASKS)
@settings(max_examples=60)
def test_the_distance_is_that_of_scipy(first, second):
    if first.any() and second.any():
        points = edge(first), edge(second)
        expected = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
        assert hausdorff_px(first, second) == pytest.approx(expected, rel=1e-12)
        assert hausdorff_px(second, first) == hausdorff_px(first, second)


def test_by_hand():
    true, near = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    true[5:10, 5:10] = near[5:10, 8:13] = 1  # 3 px to the right, 10 of 25 pixels in both
    shape = TrueShape(true, HAUSDORFF)
    assert truth_score(shape, near) == pytest.approx(0.4 * 0.4 + 0.6 * (1 - 3 / 50))
    assert truth_score(shape, true) == 1
    assert truth_score(shape, true * 0) == truth_score(TrueShape(true * 0, HAUSDORFF), near) == 0
    other = TrueShape(true, "dice-hausdorff(dice_weight=1)")
    assert truth_score(other, near) == pytest.approx(0.4)
    assert truth_score(TrueShape(true * 0, HAUSDORFF), true * 0) == 1
    assert truth_score(TrueShape(true * 0, "dice-hausdorff(both_empty=0)"), true * 0) == 0


def test_rules_are_searched_on_shapes():
    rng = np.random.default_rng(0)
    maps, masks = [], []
    for place in range(12):
        mask = np.zeros((20, 24), np.uint8)
        if place % 3:
            y, x = rng.integers(2, 9, 2)
            mask[y : y + 8, x : x + 9] = 1
        maps.append((mask * 120 + rng.integers(0, 130, mask.shape)).astype(np.uint8))
        masks.append(mask)
    truths = [level_truth(HAUSDORFF, None, mask, mask.shape, KAGGLE) for mask in masks]
    histograms = np.stack([level_histograms(*row) for row in zip(maps, masks, truths, strict=True)])
    assert histograms.shape == (12, 3, 256)
    found = search_rule(histograms, HAUSDORFF)
    scores = [
        truth_score(truth, apply_rule(levels, found.rule))
        for truth, levels in zip(truths, maps, strict=True)
    ]
    assert found.score == pytest.approx(np.mean(scores), abs=1e-9)
    tried = [rule_scores(histograms, Rule(b, 0, b), HAUSDORFF).mean() for b in JUDGED]
    assert found.score >= max(tried)


def plain_ap(mask, objects):
    """Return the score as the Data Science Bowl defines it, over every pair of objects."""
    labels, count = label(mask, np.ones((3, 3)))
    parts = [labels == part for part in range(1, count + 1)]
    table = np.array([[(p & t).sum() / (p | t).sum() for t in objects] for p in parts])
    table = table.reshape(len(parts), len(objects))
    if not table.size:
        return float(not parts and not len(objects))
    scores = []
    for threshold in range(50, 100, 5):
        hits = (100 * table > threshold + 1e-9).any(axis=1).sum()
        scores.append(hits / (len(parts) + len(objects) - hits))
    return float(np.mean(scores))


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_average_precision_of_objects_is_that_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    true = np.repeat(np.repeat(rng.random((4, 5)) < 0.4, 3, axis=0), 3, axis=1)
    mask = (true ^ (rng.random(true.shape) < rng.choice([0, 0.02, 0.1]))).astype(np.uint8)
    labels, count = label(true, np.ones((3, 3)))
    objects = [labels == part for part in range(1, count + 1)]
    text = "|".join(encode(one.astype(np.uint8), KAGGLE) for one in objects)
    truth = read_objects(text, *mask.shape, KAGGLE, AP)
    assert mask_score(mask, truth) == pytest.approx(plain_ap(mask, objects))
    runs = [runs_of_mask(one.astype(np.uint8), "column") for one in objects]
    assert runs_score(runs_of_objects(mask, "column"), runs, AP) == mask_score(mask, truth)


def test_averages_of_objects_by_hand():
    # Two true objects, three predicted: one fits exactly, one has an IoU of 0.72.
    exceeded = np.array([10, 5, 0])
    at = [2 / 3] * 5 + [1 / 4] * 5
    assert OBJECT_SCORES[AP](exceeded, 2) == pytest.approx(np.mean(at))
    assert OBJECT_SCORES[AP](np.array([], int), 0) == 1
    assert OBJECT_SCORES[AP](np.array([0]), 0) == OBJECT_SCORES[AP](np.array([], int), 3) == 0


@pytest.mark.parametrize("metric", [HAUSDORFF, AP])
def test_they_do_not_follow_from_counts(metric):
    assert scored_by_level(metric)
    with pytest.raises(InputError, match="does not follow from pixel counts"):
        set_scores(metric, 1, 1, 1)


def submitted(folder, rows, **how):
    for name, cells in rows.items():
        text = "\n".join(["id,class,rle", *cells])
        (folder / name).write_text(text)
    return score_submission(
        folder / "p.csv", folder / "t.csv", id_column="id", rle_column="rle", dialect=KAGGLE,
        class_column="class", **how,
    )  # fmt: skip


def test_submissions_are_scored_by_shape_and_over_all_pixels(tmp_path):
    rows = {
        "t.csv": ["a,x,1 4", "a,y,", "b,x,", "b,y,1 2"],
        "p.csv": ["a,x,1 2", "a,y,", "b,x,9 1", "b,y,1 2"],
    }
    scores = submitted(tmp_path, rows, metric="global-dice", shape=(4, 5))
    assert scores.overall == pytest.approx((2 * 2 / (4 + 3) + 1) / 2)  # the mean over classes
    assert scores.parts["overall"].all_empty == 0
    skipped = submitted(tmp_path, rows, metric="dice(both_empty=skip)", shape=(4, 5))
    assert skipped.overall == pytest.approx(((2 / 3 + 0) / 2 + 1) / 2)
    shape = submitted(tmp_path, rows, metric=HAUSDORFF, shape=(4, 5))
    first = 0.4 * 2 / 3 + 0.6 * (1 - 2 / np.hypot(4, 5))
    assert shape.overall == pytest.approx((first + 1 + 0 + 1) / 4)
    with pytest.raises(InputError, match="needs height and width of a"):
        submitted(tmp_path, rows, metric=HAUSDORFF, shape=None)
