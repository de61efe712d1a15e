"""Several masks per image: a rule for each class, one score over all pairs of image and class."""

from pathlib import Path

import numpy as np
import pytest

from goldfold.ensemble.blend import Member
from goldfold.ensemble.class_masks import build_class_report, cross_fit_classes, mean_scores
from goldfold.ensemble.honest import assess, cross_fit
from goldfold.ensemble.intervals import group_interval
from goldfold.ensemble.mask_choice import MaskChoice, check_choice, describe_choice, read_choice
from goldfold.ensemble.post_processing import NOTHING
from goldfold.ensemble.report import build_report
from goldfold.ensemble.threshold import Rule, apply_rule
from goldfold.errors import InputError
from goldfold.files import write_json
from goldfold.folds.parts import number_groups

COUNT, CLASSES = 24, ["a", "b", "c"]
FOLDS = np.arange(COUNT) % 3
GROUPS = [f"g{place // 2}" for place in range(COUNT)]


def histograms(seed):
    """Return (24, 2, 256) of maps whose true pixels lie higher, some masks empty."""
    random = np.random.default_rng(seed)
    found = np.zeros((COUNT, 2, 256), np.int64)
    for image in range(COUNT):
        inside = random.integers(0, 60) * (random.random() < 0.7)
        levels = random.normal(90 + 40 * seed, 40, 400).clip(0, 255).astype(int)
        true = random.normal(170, 40, int(inside)).clip(0, 255).astype(int)
        found[image, 0] = np.bincount(np.concatenate([levels // 3, true]), minlength=256)
        found[image, 1] = np.bincount(true, minlength=256)
    return found


@pytest.fixture(scope="module")
def by_class():
    return {name: histograms(seed) for seed, name in enumerate(CLASSES)}


@pytest.fixture(scope="module")
def assessments(by_class):
    return {
        name: assess(one, FOLDS, GROUPS, metric="dice", samples=50)
        for name, one in by_class.items()
    }


def test_the_score_is_the_mean_over_all_pairs(by_class, assessments):
    scores = mean_scores(assessments)
    pairs = np.concatenate([cross_fit(one, FOLDS, "dice")[0] for one in by_class.values()])
    assert scores.mean() == pytest.approx(pairs.mean(), abs=1e-12)
    mixed = np.stack(list(by_class.values()), axis=1).reshape(-1, 2, 256)
    found = cross_fit_classes(mixed, FOLDS, "dice", classes=len(CLASSES))
    assert found == pytest.approx(scores, abs=1e-12)


def test_the_report_tells_one_score_and_the_rule_of_each_class(by_class, assessments, tmp_path):
    members = [Member("unet", 2, [[]])]
    reports = {name: build_report(members, one, "dice") for name, one in assessments.items()}
    report = build_class_report(
        reports, assessments, FOLDS, GROUPS, samples=200, seed=3, facts={"from": "test"}
    )
    scores = mean_scores(assessments)
    assert report["honest"]["score"] == pytest.approx(
        np.mean([one["honest"]["score"] for one in reports.values()])
    )
    bounds = group_interval(scores, number_groups(GROUPS), samples=200, seed=3)
    assert report["honest"]["interval"]["low"] == bounds.low
    assert [one["images"] for one in report["honest"]["folds"]] == [8, 8, 8]
    assert report["honest"]["folds"][1]["score"] == pytest.approx(scores[FOLDS == 1].mean())
    for key in ("optimistic", "all_empty"):
        assert report[key] == pytest.approx(np.mean([one[key] for one in reports.values()]))
    path = tmp_path / "ensemble.json"
    write_json(path, report)
    for name, one in assessments.items():
        assert read_choice(path, name) == MaskChoice("mean", {"unet": 2}, one.chosen.rule, NOTHING)
    with pytest.raises(InputError, match="knows no class 'd'"):
        read_choice(path, "d")


def test_a_choice_blends_as_the_stores_do_and_survives_its_file():
    random = np.random.default_rng(0)
    maps = {
        "x": [random.integers(0, 256, (5, 7)).astype(np.uint8) for _ in range(2)],
        "y": [random.integers(0, 256, (5, 7)).astype(np.uint8)],
        "unused": [np.zeros((5, 7), np.uint8)],
    }
    rule = Rule(100, 3, 90, 40)
    choice = MaskChoice("mean", {"x": 1, "y": 3, "unused": 0}, rule, NOTHING)
    levels, mask, presence = choice.decide(maps, {"y": [0.5], "x": [0.25, 0.75]})
    exact = (maps["x"][0] * 0.5 + maps["x"][1] * 0.5 + maps["y"][0] * 3.0) / 4
    assert np.abs(levels - exact).max() <= 1
    assert presence == 128
    assert (mask == apply_rule(levels, rule, 128)).all()
    assert check_choice(describe_choice(choice), Path("model.json"), "") == choice
    assert choice.decide(maps, {"y": [0.1], "x": [0.1, 0.1]})[1].sum() == 0  # the gate is closed
