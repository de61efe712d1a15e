import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.folds.strata import area_strata, stratum_names, usable_bins

AREAS = st.lists(st.integers(0, 50), max_size=60)


@pytest.mark.parametrize(
    ("areas", "bins", "expected"),
    [
        ([], 4, []),
        ([0, 0], 4, [0, 0]),
        ([7], 4, [1]),
        ([0, 7], 1, [0, 1]),
        ([4, 3, 2, 1], 4, [4, 3, 2, 1]),
        ([40, 0, 10, 30, 20], 2, [2, 0, 1, 2, 1]),
        ([1, 2, 3], 2, [1, 2, 2]),
        ([5, 5, 5, 5], 4, [1, 1, 1, 1]),
        ([5, 5, 5, 9], 4, [1, 1, 1, 2]),
    ],
)
def test_strata_by_hand(areas, bins, expected):
    assert area_strata(np.array(areas, dtype=np.int64), bins).tolist() == expected


@given(AREAS, st.integers(1, 8))
def test_strata_rise_with_the_area_and_leave_no_gap(areas, bins):
    strata = area_strata(np.array(areas, dtype=np.int64), bins)
    assert ((strata == 0) == (np.array(areas) == 0)).all()
    assert (np.diff(strata[np.argsort(areas, kind="stable")]) >= 0).all()
    numbers = sorted(set(strata.tolist()) - {0})
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) <= bins


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=80, unique=True), st.integers(1, 8))
def test_different_areas_are_cut_into_equal_parts(areas, bins):
    sizes = np.bincount(area_strata(np.array(areas, dtype=np.int64), bins))[1:]
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(
    ("non_empty", "folds", "bins", "expected"),
    [(0, 5, 4, 1), (4, 5, 4, 1), (12, 5, 4, 2), (20, 5, 4, 4), (1000, 2, 4, 4), (1000, 2, 1, 1)],
)
def test_fewer_quantiles_where_a_fold_could_not_get_one_of_each(non_empty, folds, bins, expected):
    assert usable_bins(non_empty, folds, bins) == expected


def test_names():
    assert stratum_names(np.array([2, 0, 1])) == ["area-2", "empty", "area-1"]


def test_classes_are_strata_and_rare_ones_are_one():
    from goldfold.folds.strata import MOST_STRATA, class_strata

    strata, names = class_strata(["x"] * 9 + ["y"] * 4 + ["z"] + [""] * 3, folds=3)
    assert names[-1] == "none"
    assert names[13] == "rare"
    assert strata[0] == 0
    assert sorted(set(strata.tolist())) == [0, 1, 2, 3]
    many = [f"c{n}" for n in range(60) for _ in range(5)]
    _, names = class_strata(many, folds=5)
    assert len(set(names)) == MOST_STRATA + 1
