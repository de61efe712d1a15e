"""Folds by the values of a column, in the order of a column, and of a table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.folds.placed import given_folds, leave_one_out, ordered_folds

IDS = ["a", "b", "c", "d", "e", "f"]


def test_each_value_is_a_fold_numbers_before_texts():
    fold = leave_one_out(IDS, [""] * 6, ["10", "9", "x", "9", "10", "9"], "site")
    assert fold.tolist() == [1, 0, 2, 0, 1, 0]


@pytest.mark.parametrize(
    ("groups", "values", "words"),
    [
        (["p", "p", "q", "q", "r", "s"], list("ABBBAA"), r"1 of 4 groups .*p: 1 in fold 0, 1 in"),
        ([""] * 6, ["A", "", "B", " ", "A", "B"], r"2 of 6 training images have no .*'site'.*b, d"),
        ([""] * 6, ["A"] * 6, r"1 value \(A\); there must be 2 to 50"),
    ],
)
def test_values_that_make_no_folds(groups, values, words):
    with pytest.raises(InputError, match=f"(?s){words}"):
        leave_one_out(IDS, groups, values, "site")


def test_more_values_than_trainings_anybody_wants():
    ids = [f"i{n}" for n in range(60)]
    with pytest.raises(InputError, match=r"60 values .*Name a coarser column"):
        leave_one_out(ids, [""] * 60, ids, "patient")


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "3", "10", "20", "30"],
        ["2020-01-31", "2020-02-01", "2020-02-03", "2021-01-01", "2021-01-02", "2022-01-01"],
        ["2020-01", "2020-02", "2020-03", "2020-10", "2020-11", "2020-12"],
        ["2020-01-01T10:00:00+09:00", "2020-01-01T02:00", "2020-01-02", *["2021-01-01"] * 3],
    ],
)
def test_later_values_are_in_later_folds(values):
    assert ordered_folds(IDS, [""] * 6, values, "day", 2).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_group_is_placed_by_its_latest_image():
    fold = ordered_folds(IDS, ["p", "", "", "", "", "p"], list("123456"), "day", 3)
    assert fold.tolist() == [2, 0, 0, 1, 1, 2]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=8, max_size=40),
    st.integers(2, 4),
)
def test_nothing_in_a_lower_fold_is_later_than_the_latest_of_any_group_above(rows, count):
    days, groups = [day for day, _ in rows], [f"p{group}" for _, group in rows]
    latest = {group: max(d for d, g in zip(days, groups, strict=True) if g == group)
              for group in groups}  # fmt: skip
    ids = [f"i{n}" for n in range(len(rows))]
    if len(set(latest.values())) < count:
        with pytest.raises(InputError, match="as many different values"):
            ordered_folds(ids, groups, list(map(str, days)), "day", count)
        return
    fold = ordered_folds(ids, groups, list(map(str, days)), "day", count)
    assert set(fold.tolist()) == set(range(count))
    of_group = dict(zip(groups, fold.tolist(), strict=True))
    assert [of_group[group] for group in groups] == fold.tolist()
    for lower in range(count - 1):
        newest = max(day for day, own in zip(days, fold, strict=True) if own <= lower)
        assert newest < min(latest[g] for g in of_group if of_group[g] > lower)


@pytest.mark.parametrize("values", [["1", "2", "x", "4", "5", "6"], ["01/02/2020"] * 6])
def test_values_without_an_order_are_named(values):
    with pytest.raises(InputError, match=r"all be numbers or all be dates.*found '(x|01/02/2020)'"):
        ordered_folds(IDS, [""] * 6, values, "day", 2)


def test_a_table_gives_the_folds():
    rows = list(zip(IDS, "012012", strict=True))
    assert given_folds(IDS, [""] * 6, rows[::-1], {}, "f.csv").tolist() == [0, 1, 2, 0, 1, 2]
    assert np.unique(given_folds(IDS, [""] * 6, rows + rows, {}, "f.csv")).tolist() == [0, 1, 2]


def test_everything_wrong_with_a_table_is_said_at_once():
    rows = [("a", "0"), ("a", "1"), ("b", "-1"), ("c", "x"), ("d", "1"), ("e", "0"),
            ("t", "0"), ("zz", "1")]  # fmt: skip
    with pytest.raises(InputError) as caught:
        given_folds(IDS, [""] * 6, rows, {"t": "a test image"}, "mine.csv")
    words = str(caught.value)
    assert "mine.csv (folds.file)" in words
    assert "1 of 6 training images have no row: f" in words
    assert "1 ids in it are no images of this run: zz" in words
    assert "1 ids in it are no training images: t (a test image)" in words
    assert "1 images have several folds: a (folds 0 and 1)" in words
    assert "2 folds are not whole numbers of 0 or more: b ('-1'), c ('x')" in words


def test_tables_that_split_a_group_or_nothing():
    with pytest.raises(InputError, match=r"(?s)1 of 4 groups .*mine.csv.*p: 1 in fold 0, 2 in f"):
        given_folds(IDS, ["p", "p", "p", "q", "r", "s"], list(zip(IDS, "011010", strict=True)),
                    {}, "mine.csv")  # fmt: skip
    with pytest.raises(InputError, match="all images are in fold 3"):
        given_folds(IDS, [""] * 6, [(name, "3") for name in IDS], {}, "mine.csv")
