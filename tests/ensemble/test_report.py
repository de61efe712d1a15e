"""ensemble.json: what it says, and that its rule comes back."""

import json
from pathlib import Path

import numpy as np
import pytest

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.blend import Member
from goldfold.ensemble.honest import Assessment, assess
from goldfold.ensemble.mask_choice import describe_rule, read_choice
from goldfold.ensemble.report import build_report
from goldfold.ensemble.threshold import Rule
from goldfold.errors import InputError
from goldfold.files import write_json


def make_assessment(folds: int) -> Assessment:
    rng = np.random.default_rng(0)
    images = []
    for place in range(12):
        mask = np.zeros((6, 6), np.uint8)
        mask[: place % 3, 1:4] = 1
        levels = np.clip(mask * 120 + rng.normal(60, 30, (6, 6)), 0, 255).astype(np.uint8)
        images.append(level_histograms(levels, mask))
    numbers = np.arange(12) % folds
    return assess(np.stack(images), numbers, [""] * 12, metric="dice", samples=100)


def test_rule_as_levels_and_probabilities() -> None:
    assert describe_rule(Rule(top=191, min_area=50, bottom=63)) == {
        "top": {"level": 191, "probability": 0.75},
        "min_area_px": 50,
        "bottom": {"level": 63, "probability": 0.25},
        "presence_gate": {"level": 0, "probability": 0.0},
    }


def test_report_is_plain_json_and_its_rule_comes_back(tmp_path: Path) -> None:
    found = make_assessment(3)
    members = [Member("unet", 2, [[], []]), Member("fpn", 1, [[]])]
    report = build_report(members, found, "dice", facts={"version": "1"})
    assert json.loads(json.dumps(report)) == report
    write_json(tmp_path / "ensemble.json", report)
    choice = read_choice(tmp_path / "ensemble.json")
    assert choice.rule == found.chosen.rule
    assert choice.weights == {"unet": 2, "fpn": 1}
    assert report["members"] == [
        {"name": "unet", "weight": 2, "seeds": 2, "stores": 0},
        {"name": "fpn", "weight": 1, "seeds": 1, "stores": 0},
    ]
    assert report["optimistic"] == found.chosen.score
    assert report["all_empty"] == pytest.approx(4 / 12)
    assert report["images"] == {"all": 12, "non_empty": 8, "empty": 4}
    assert report["honest"]["score"] == found.honest
    assert report["honest"]["chosen_on"] == "the other folds"
    assert [fold["fold"] for fold in report["honest"]["folds"]] == [0, 1, 2]
    assert set(report["honest"]["interval"]) == {
        "low", "high", "level", "samples", "groups", "seed",
    }  # fmt: skip
    assert report["made_from"] == {"version": "1"}


def test_report_of_one_fold_says_so() -> None:
    honest = build_report([], make_assessment(1), "dice")["honest"]
    assert honest["chosen_on"] == "the other parts of the only fold"
    assert "folds" not in honest
    assert [part["part"] for part in honest["parts"]] == [0, 1, 2, 3, 4]


WHOLE = {
    "merge": "mean",
    "members": [{"name": "unet", "weight": 1, "seeds": 1}],
    "rule": {
        "top": {"level": 9, "probability": 0.1},
        "min_area_px": 1,
        "bottom": {"level": 2, "probability": 0.1},
    },
}


def with_rule(**values: object) -> dict[str, object]:
    return {**WHOLE, "rule": {**WHOLE["rule"], **values}}  # type: ignore[dict-item]


def test_what_an_ensemble_says_beside_its_choice_is_left_alone(tmp_path: Path) -> None:
    write_json(tmp_path / "ensemble.json", {**WHOLE, "honest": {"score": 0.5}, "images": 3})
    assert read_choice(tmp_path / "ensemble.json").rule == Rule(9, 1, 2, 0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, "rule: is missing"),
        ([], "expected"),
        ({**WHOLE, "rule": None}, "rule: expected"),
        (with_rule(top={"level": "9", "probability": 0.1}), "rule.top.level: expected a whole"),
        (with_rule(top={"level": 256, "probability": 0.1}), "rule.top.level: expected less than"),
        (with_rule(min_area_px=1.5), "rule.min_area_px: expected a whole"),
        ({**WHOLE, "members": []}, "needs a weight above 0"),
        ({**WHOLE, "members": [{"name": "unet", "weight": 0}]}, "needs a weight above 0"),
        ({**WHOLE, "merge": "rank"}, "unet lacks level_counts"),
        ({**WHOLE, "post_processing": {"sharpen": 1}}, "sharpen: unknown field"),
    ],
)
def test_an_ensemble_that_is_not_whole_is_refused(
    tmp_path: Path, content: object, problem: str
) -> None:
    write_json(tmp_path / "ensemble.json", content)
    with pytest.raises(InputError) as caught:
        read_choice(tmp_path / "ensemble.json")
    assert problem in str(caught.value)
    assert "ensemble.json" in str(caught.value)
    assert "Run `goldfold ensemble run` again." in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ensemble\.json does not exist"):
        read_choice(tmp_path / "ensemble.json")
