"""Folds of people's own data frames."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.folds import build_folds
from goldfold.folds.build import build_fold_table
from goldfold.folds.frame import MissingGroupWarning


def frame(rows=60, seed=0):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "patient": random.integers(0, rows // 2, rows),
            "has_mask": random.random(rows) < 0.4,
            "grade": random.integers(0, 3, rows),
            "kind": random.choice(["ct", "mr"], rows),
            "area": random.integers(0, 5000, rows) * (random.random(rows) < 0.5),
        },
        index=[f"image-{number}" for number in random.permutation(rows)],
    )


def test_a_table_by_hand():
    df = pd.DataFrame({"patient": [7, 7, 8, 9], "area": [5, 0, 9, 0]}, index=[30, 10, 20, 40])
    table = build_folds(df, group="patient", strata="area", strata_kind="areas", count=2)
    assert table.columns.tolist() == ["fold", "group", "stratum"]
    assert table.index.tolist() == [30, 10, 20, 40]
    assert table["group"].tolist() == [7, 7, 8, 9]
    assert table["stratum"].tolist() == ["area-1", "empty", "area-1", "empty"]
    fold = table["fold"].tolist()
    assert table["fold"].dtype == np.int64
    assert fold[0] == fold[1] != fold[2] == fold[3]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**16),
    st.sampled_from([None, "patient"]),
    st.sampled_from(
        [None, "has_mask", "grade", "kind", "area", ["grade", "kind"], ["area", "kind"]]
    ),
)
def test_alignment_groups_and_permutation_of_rows(seed, group, strata):
    df = frame(seed=seed)
    table = build_folds(df, group=group, strata=strata, count=3, seed=seed)
    assert table.index.equals(df.index)
    assert sorted(table["fold"].unique()) == [0, 1, 2]
    if group:
        assert (table.groupby(df[group])["fold"].nunique() == 1).all()
        assert table["group"].tolist() == df[group].tolist()
    shuffled = df.sample(frac=1, random_state=seed % 1000)
    again = build_folds(shuffled, group=group, strata=strata, count=3, seed=seed)
    pd.testing.assert_frame_equal(again.loc[df.index], table)


@pytest.mark.parametrize("strata", ["has_mask", "grade", "kind"])
def test_classes_are_spread_evenly(strata):
    df = frame(300)
    counts = pd.crosstab(build_folds(df, strata=strata, count=5)["fold"], df[strata])
    assert (counts.max() - counts.min() <= 1).all()


def test_areas_are_those_of_the_kernel():
    df = frame(100)
    table = build_folds(df, group="patient", strata="area", count=4, seed=3)
    kernel = build_fold_table(
        [f"row {name}" for name in df.index],
        [f"group {patient}" for patient in df["patient"]],
        df["area"].to_numpy(),
        count=4,
        seed=3,
    ).set_index("image_id")
    expected = kernel.loc[[f"row {name}" for name in df.index]]
    assert table["fold"].tolist() == expected["fold"].tolist()
    assert table["stratum"].tolist() == expected["stratum"].tolist()


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, "", " ", "nan", "None"])
def test_missing_groups_become_groups_of_their_own_with_a_warning(missing):
    df = pd.DataFrame({"p": pd.Series(["1", "1", missing, "2", missing, "3"], dtype=object)})
    with pytest.warns(MissingGroupWarning, match=r"in 2 rows \(2, 4\): each is a group") as w:
        table = build_folds(df, group="p", count=3)
    assert w[0].filename == __file__
    assert table["group"].isna().tolist() == [False, False, True, False, True, False]
    assert table["fold"].tolist()[0] == table["fold"].tolist()[1]


def test_whole_numbers_that_nan_turned_to_floats_stay_the_same_groups():
    whole = pd.DataFrame({"p": [1, 1, 2, 2, 3, 3, 4]})
    floats = whole.astype(float)
    assert build_folds(whole, group="p", count=3)["fold"].equals(
        build_folds(floats, group="p", count=3)["fold"]
    )


def test_a_group_and_a_row_of_the_same_number_are_different_groups():
    # Row 3 has no group; group 3 has rows 0 to 2. Taken for one group, two folds could not be even.
    df = pd.DataFrame({"p": [3, 3, 3, None, 4, 4]}, index=[0, 1, 2, 3, 4, 5])
    with pytest.warns(MissingGroupWarning):
        table = build_folds(df, group="p", count=2)
    assert table["fold"][3] != table["fold"][0]


def test_rows_of_an_index_that_repeats_need_a_group_or_an_id():
    df = frame(30)
    df.index = ["a", "b", "c"] * 10
    assert build_folds(df, group="patient", count=3).index.equals(df.index)
    with pytest.raises(InputError, match=r"the index to tell all rows apart.*a, b, c.*id_col"):
        build_folds(df, count=3)
    df["name"] = range(30)
    assert sorted(build_folds(df, count=3, id_column="name")["fold"].value_counts()) == [10] * 3


FRAME = frame(30)
HALF = FRAME.assign(
    mostly=[None] * 20 + ["p"] * 10,
    share=FRAME["area"] / 5000.5,
    gap=[None, *FRAME["grade"].tolist()[1:]],
    minus=-FRAME["area"] - 1,
)
ERRORS = {
    "no frame": (lambda: build_folds([1, 2]), "pandas DataFrame.*found a list.*build_fold_table"),
    "no rows": (lambda: build_folds(FRAME[:0]), "at least one row, found none"),
    "no column": (lambda: build_folds(FRAME, "patent"), "no column 'patent'.*mean 'patient'"),
    "two wrong columns": (
        lambda: build_folds(FRAME, "a", "b"),
        "no column 'a'(.|\n)*no column 'b'",
    ),
    "twice": (
        lambda: build_folds(pd.concat([FRAME, FRAME[["grade"]]], axis=1), strata="grade"),
        "2 columns are called 'grade'; rename",
    ),
    "mostly missing": (lambda: build_folds(HALF, "mostly"), "no value in 20 of 30 rows"),
    "missing stratum": (lambda: build_folds(HALF, strata="gap"), "'gap' has no value in 1 row"),
    "shares": (lambda: build_folds(HALF, strata="share"), r"whole pixels, found 0.*pandas.qcut"),
    "negative": (
        lambda: build_folds(HALF, strata="minus", strata_kind="areas"),
        "areas in whole pixels, found -",
    ),
    "text areas": (
        lambda: build_folds(FRAME, strata="kind", strata_kind="areas"),
        "'kind' holds no numbers; strata_kind=\"classes\"",
    ),
    "kind of strata": (
        lambda: build_folds(FRAME, strata="kind", strata_kind="x"),
        "there are 'auto'",
    ),
    "too many folds": (lambda: build_folds(FRAME, count=21), "must be 2 to 20, found 21"),
    "too few groups": (
        lambda: build_folds(FRAME.assign(p=[1] * 15 + [2] * 15), "p", count=3),
        "3 folds need at least 3 groups, found 2 in 30 images. Set the folds' `count` to 2",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_to_do(name):
    call, words = ERRORS[name]
    with pytest.raises(InputError, match=words):
        call()
