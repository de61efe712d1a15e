"""Rows of a submission that are groups of images: ids, labels, and what is refused."""

import pandas as pd
import pytest
from pydantic import ValidationError

from goldfold.competitions.data_report import DataReport
from goldfold.competitions.guessed_rows import guess_rows
from goldfold.competitions.prediction_rows import join_rows, report_rows, row_ids, submitted_ids
from goldfold.errors import InputError
from goldfold.settings import CompetitionSettings
from goldfold.settings_rows import PredictionRows

SIDES = {"columns": ["patient_id", "side"]}
SHARED = {"task": "classification", "labels": {"kind": "column", "class_column": "c"}}
TWO = {**SHARED, "exclusive": True, "classes": ["no", "yes"], "metric": "f1"}
SEVERAL = {**SHARED, "labels": {"kind": "wide"}, "classes": ["a", "b", "c"], "metric": "auroc"}
GRADES = {"task": "grades", "labels": {"kind": "column", "class_column": "g"},
          "classes": ["0", "1", "2"], "metric": "quadratic-weighted-kappa"}  # fmt: skip
NUMBERS = {"task": "regression", "labels": {"kind": "column", "class_column": "n"},
           "number_range": [0, 9], "metric": "mae"}  # fmt: skip


def form(shared, **rows):
    return CompetitionSettings.model_validate({**shared, "rows": SIDES | rows})


def images(*labels, patients="ppqq", sides="LLLR", split="train", column="classes"):
    count = len(patients)
    return pd.DataFrame(
        {
            "image_id": [f"i{n}" for n in range(count)], "split": split, "labelled": True,
            "patient_id": list(patients), "side": list(sides),
            column: list(labels) or [""] * count, "view": ["CC", "MLO", "CC", "CC"][:count],
        }
    )  # fmt: skip


def test_ids_follow_the_pattern():
    table = images()
    assert row_ids(table, PredictionRows(**SIDES)) == ["p_L", "p_L", "q_L", "q_R"]
    rows = PredictionRows(**SIDES, id="{side}-{patient_id}")
    assert row_ids(table, rows) == ["L-p", "L-p", "L-q", "R-q"]


def test_a_table_of_rows_has_what_its_images_share():
    table = join_rows(images("yes", "yes", "no", "yes"), form(TWO))
    assert table[["image_id", "classes", "images", "view", "patient_id"]].values.tolist() == [
        ["p_L", "yes", 2, "", "p"], ["q_L", "no", 1, "CC", "q"], ["q_R", "yes", 1, "CC", "q"],
    ]  # fmt: skip
    assert table["labelled"].tolist() == [True] * 3


@pytest.mark.parametrize(
    ("shared", "truth", "labels", "column", "expected"),
    [
        (TWO, "any", ["no", "yes", "no", "no"], "classes", ["yes", "no", "no"]),
        (SEVERAL, "any", ["c", "a;b", "", "b"], "classes", ["a;b;c", "", "b"]),
        (GRADES, "any", ["2", "1", "0", "1"], "classes", ["2", "0", "1"]),
        (NUMBERS, "any", ["2", "3.5", "0", "1"], "number", ["3.5", "0.0", "1.0"]),
        (NUMBERS, "mean", ["2", "3", "0", "1"], "number", ["2.5", "0.0", "1.0"]),
        (NUMBERS, "same", ["2", "2", "0", "1"], "number", ["2", "0", "1"]),
    ],
)
def test_what_is_true_of_a_row(shared, truth, labels, column, expected):
    table = join_rows(images(*labels, column=column), form(shared, truth=truth))
    assert table[column].tolist() == expected


def test_images_that_disagree_are_refused_unless_a_rule_is_set():
    with pytest.raises(
        InputError, match=r"(?s)1 of 3 rows .* p_L: no and yes.*rows.truth = \"any\""
    ):
        join_rows(images("no", "yes", "no", "no"), form(TWO))


@pytest.mark.parametrize(
    ("table", "rows", "words"),
    [
        (images().drop(columns="side"), SIDES, "column 'side', which images.csv does not have"),
        (images(sides=["L", " ", "", "R"]), SIDES, "2 images have no value in column 'side': i1"),
        (images(), {**SIDES, "id": "{side}"}, r"L: p L and q L.*Name every column"),
        (images(patients=["p_L", "p", "q", "q"], sides=["R", "L_R", "L", "R"]), SIDES,
         "p_L_R: p L_R and p_L R"),
    ],
)  # fmt: skip
def test_images_whose_row_is_not_known_are_named(table, rows, words):
    with pytest.raises(InputError, match=f"(?s){words}"):
        row_ids(table, PredictionRows(**rows))


@pytest.mark.parametrize(
    ("shared", "rows", "words"),
    [
        ({}, {}, "rows belongs to classification"),
        ({**TWO, "classes": ["a", "b", "c"]}, {"aggregate": "max"}, "do not sum to 1"),
        ({**TWO, "classes": ["a", "b", "c"]}, {"truth": "any"}, "more than two exclusive"),
        (GRADES, {"aggregate": "noisy-or"}, "needs probabilities, not grades"),
        (TWO, {"truth": "mean"}, "belongs to regression"),
        (TWO, {"id": "{view}"}, "must name columns of rows.columns"),
        (TWO, {"id": "{side!r}"}, "only names of columns"),
        (TWO, {"id": "{side"}, "expected '}'"),
    ],
)
def test_settings_that_make_no_sense(shared, rows, words):
    with pytest.raises(ValidationError, match=words):
        form(shared, **rows)


def test_check_counts_rows_and_reports_what_is_wrong():
    table = pd.concat([images("no", "no", "no", "yes"), images(split="test", patients="rrrr")])
    report = DataReport()
    report_rows(table, form(TWO), report)
    assert report.facts == {"training rows": 3, "test rows": 2}
    assert not report.problems
    assert submitted_ids(table, form(TWO)).tolist() == ["r_L", "r_R"]
    report_rows(table.assign(side=""), form(TWO), report)
    assert len(report.problems) == 2
    assert submitted_ids(table.assign(side=""), form(TWO)).empty


@pytest.mark.parametrize(
    ("ids", "columns", "pattern"),
    [
        (["p_L", "q_L", "q_R"], ("patient_id", "side"), "{patient_id}_{side}"),
        (["L-p", "L-q", "R-q"], ("side", "patient_id"), "{side}-{patient_id}"),
        (["p", "q"], ("patient_id",), "{patient_id}"),
    ],
)
def test_columns_that_make_the_ids_of_a_sample_are_found(ids, columns, pattern):
    guessed = guess_rows(images().drop(columns="labelled"), ids)
    assert (guessed.columns, guessed.id) == (columns, pattern)
    assert guessed.evidence == (
        f"the {len(ids)} ids of the sample submission are {pattern}, groups of 4 images"
    )
    assert PredictionRows(**guessed.settings).columns == list(columns)


@pytest.mark.parametrize("ids", [["i0", "i1", "i2", "i3"], ["p_L", "q_L"], ["x"], []])
def test_ids_that_are_no_groups_are_not_guessed(ids):
    assert guess_rows(images().drop(columns="labelled"), ids) is None
