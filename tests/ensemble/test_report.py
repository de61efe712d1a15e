"""ensemble.json: what it says, and that its rule comes back."""

import json
from pathlib import Path

import numpy as np
import pytest

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.blend import Member
from goldfold.ensemble.honest import Assessment, assess
from goldfold.ensemble.report import build_report, describe_rule, read_rule
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
    assert read_rule(tmp_path / "ensemble.json") == found.chosen.rule
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


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"rule": None},
        {"rule": {"top": {"level": "9"}, "min_area_px": 1, "bottom": {"level": 2}}},
        {"rule": {"top": {"level": 9}, "min_area_px": 1.5, "bottom": {"level": 2}}},
    ],
)
def test_a_file_without_a_rule_is_refused(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "ensemble.json", content)
    with pytest.raises(InputError, match=r"expected a rule .*ensemble\.json, found none\. Run"):
        read_rule(tmp_path / "ensemble.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ensemble\.json does not exist"):
        read_rule(tmp_path / "ensemble.json")
