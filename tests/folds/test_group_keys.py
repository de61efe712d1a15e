"""Groups and findings as text, however a table holds them."""

import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.group_forms import alike
from goldfold.folds.audit_columns import count_columns
from goldfold.folds.finding import ids_finding, natural, several_folds
from goldfold.folds.group_keys import group_keys, label_text


@pytest.mark.parametrize(
    "missing", [None, float("nan"), pd.NA, pd.NaT, "", "  ", "nan", "None", "NULL", "<NA>", "NaT"]
)
def test_missing_values_are_no_group(missing):
    assert group_keys(["p1", missing, "p1"]) == ["p1", "", "p1"]


def test_values_that_differ_in_form_only_are_one_group():
    values = ["7", "007", "7.0", "P1", "p1", "p01", ""]
    assert group_keys(values) == ["7", "7", "7", "P1", "P1", "p01", ""]
    assert alike(values) == ["7 = 007", "7 = 7.0", "P1 = p1"]


def test_numbers_that_missing_values_made_floats_are_whole_again():
    column = pd.Series([7, None, 12])
    assert group_keys(column) == ["7", "", "12"]
    assert group_keys([7, np.int64(7), 7.0, "7"]) == ["7"] * 4
    assert label_text(7.5) == "7.5"


def placed(*rows):
    return pd.DataFrame(rows, columns=["image_id", "fold"])


def test_groups_in_several_folds_are_named_the_largest_first():
    table = placed(("a", "0"), ("b", "1"), ("c", "10"), ("d", "2"), ("e", "2"), ("f", "2"))
    keys = pd.Series(["p", "p", "q", "q", "q", None])
    finding = several_folds(table, keys, "group")
    assert finding.kind == "group-in-several-folds"
    assert finding.message.startswith("groups in more than one fold: 2 of 2 (5 images)")
    assert finding.cases == ("q: 2 in fold 2, 1 in fold 10", "p: 1 in fold 0, 1 in fold 1")
    assert several_folds(table, pd.Series(list("uvwxyz")), "group") is None


def test_folds_are_sorted_as_numbers_and_names_behind_them():
    assert sorted(["10", "b", "2", "-1", "a"], key=natural) == ["-1", "2", "10", "a", "b"]
    assert ids_finding("k", "m", []) is None
    assert ids_finding("k", "m", ["x"]).cases == ("x",)


def test_columns_that_look_like_groups_are_counted():
    table = placed(("a", 0), ("b", 1), ("c", 1), ("d", 0))
    columns = {
        "site": {"a": "x", "b": "x", "c": "y", "d": ""}, "scan": {"b": "s", "c": "s"},
    }  # fmt: skip
    site, scan = count_columns(table, columns, ["site"])
    assert (site.values, site.repeated, site.split, site.declined) == (2, 1, 1, True)
    assert (scan.values, scan.repeated, scan.split, scan.declined) == (1, 1, 0, False)
    assert "was declined" in site.text()
    assert "is in more than one fold: 1 value, 1 with several images" in scan.text()
