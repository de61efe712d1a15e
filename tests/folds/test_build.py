import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.folds.build import build_fold_table
from goldfold.folds.table import fold_summary


def competition(patients=120, seed=0, images=4, non_empty=0.3):
    """Return ids, patients and areas of a small random competition."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(patients), rng.integers(1, images + 1, patients))
    area = np.where(
        rng.random(len(group)) < non_empty, rng.lognormal(8, 1, len(group)).astype(int) + 1, 0
    )
    ids = [f"image-{i:04d}" for i in range(len(group))]
    return ids, [f"patient-{g}" for g in group], area


def build(ids, groups, areas, *, count=5, seed=0, area_bins=4):
    return build_fold_table(ids, groups, areas, count=count, seed=seed, area_bins=area_bins)


def test_a_table_by_hand():
    table = build(["d", "b", "c", "a"], ["p", "p", "", ""], [0, 50, 20, 0], count=2)
    assert table.columns.tolist() == ["image_id", "fold", "group", "stratum", "area_px"]
    assert table["image_id"].tolist() == ["a", "b", "c", "d"]
    assert table["group"].tolist() == ["a", "p", "c", "p"]
    assert table["stratum"].tolist() == ["empty", "area-1", "area-1", "empty"]
    assert table["area_px"].tolist() == [0, 50, 20, 0]
    fold = dict(zip(table["image_id"], table["fold"], strict=True))
    assert fold["b"] == fold["d"]
    assert fold["a"] == fold["c"] != fold["b"]


def test_whole_patients_and_everything_even():
    ids, groups, areas = competition()
    table = build(ids, groups, areas)
    assert (table.groupby("group")["fold"].nunique() == 1).all()
    summary = fold_summary(table)
    assert summary["images"].max() - summary["images"].min() <= 1
    assert summary["non_empty"].max() - summary["non_empty"].min() <= 1
    by_stratum = pd.crosstab(table["fold"], table["stratum"])
    assert (by_stratum.max() - by_stratum.min() <= 2).all()


def test_images_without_a_group_are_groups_of_their_own():
    table = build([f"i{i}" for i in range(20)], [""] * 20, [0, 1] * 10, count=10)
    assert (table["fold"].value_counts() == 2).all()
    assert table["group"].tolist() == table["image_id"].tolist()


@pytest.mark.parametrize("count", [2, 3, 7, 20])
def test_every_fold_has_masks(count):
    summary = fold_summary(build(*competition(), count=count))
    assert summary["fold"].tolist() == list(range(count))
    assert (summary["non_empty"] > 0).all()


def test_no_masks_at_all_is_a_split_of_the_images():
    ids, groups, _ = competition()
    summary = fold_summary(build(ids, groups, np.zeros(len(ids), dtype=int)))
    assert summary["images"].max() - summary["images"].min() <= 1
    assert (summary["fraction"] == 0).all()


def test_one_positive_group_per_fold_is_enough():
    ids = [f"i{i:02d}" for i in range(40)]
    areas = [9] * 5 + [0] * 35
    summary = fold_summary(build(ids, ids, areas))
    assert summary["non_empty"].tolist() == [1] * 5
    assert summary["images"].tolist() == [8] * 5


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 9), st.integers(0, 99))
def test_the_order_of_the_rows_does_not_matter(random, count, seed):
    ids, groups, areas = competition(patients=40, seed=seed)
    rows = list(range(len(ids)))
    random.shuffle(rows)
    shuffled = ([ids[i] for i in rows], [groups[i] for i in rows], [int(areas[i]) for i in rows])
    first = build(ids, groups, areas, count=count, seed=seed)
    pd.testing.assert_frame_equal(first, build(*shuffled, count=count, seed=seed))


def test_the_seed_decides():
    rows = competition()
    assert build(*rows, seed=1).equals(build(*rows, seed=1))
    assert not build(*rows, seed=1)["fold"].equals(build(*rows, seed=2)["fold"])


def test_the_heaviest_patient_is_not_always_in_fold_0():
    ids = [f"i{i:03d}" for i in range(60)]
    groups = ["big"] * 20 + ids[20:]
    tables = [build(ids, groups, [1] * 60, seed=seed) for seed in range(10)]
    assert len({int(table.set_index("group").loc["big", "fold"].iloc[0]) for table in tables}) > 2


def test_the_split_is_the_same_for_ever():
    """Folds of published runs must not change: if this fails, the splitter is another one."""
    ids = [f"i{i:03d}" for i in range(100)]
    groups = [f"p{i // 3}" for i in range(100)]
    table = build(ids, groups, [(i * i) % 7 * 100 for i in range(100)])
    digest = hashlib.sha256("".join(map(str, table["fold"])).encode()).hexdigest()
    assert digest[:12] == "cc7c731fb674"


ERRORS = {
    "empty table": (
        lambda: build([], [], []),
        "expected at least one labelled image, found none",
    ),
    "too few folds": (
        lambda: build(*competition(), count=1),
        "the number of folds must be 2 to 20, found 1; set the folds' .count.",
    ),
    "too many folds": (
        lambda: build(*competition(), count=21),
        "the number of folds must be 2 to 20, found 21",
    ),
    "too many quantiles": (
        lambda: build(*competition(), area_bins=21),
        "the number of area quantiles must be 1 to 20, found 21; set the folds' .area_bins.",
    ),
    "doubled ids": (
        lambda: build(["a", "b", "a", "b", "c"], [""] * 5, [1] * 5, count=2),
        "found 2 ids more than once: a, b; merge their rows",
    ),
    "unequal lengths": (
        lambda: build(["a", "b"], ["", ""], [1], count=2),
        r"found 2 images, 2 groups and areas of shape \(1,\)",
    ),
    "negative areas": (
        lambda: build(["a", "b"], ["", ""], [-1, 4], count=2),
        "expected areas of 0 or more, found 1 below 0: a",
    ),
    "areas that are no numbers": (
        lambda: build(["a", "b"], ["", ""], [float("nan"), 4], count=2),
        "expected areas in pixels, found values that are not finite numbers",
    ),
    "groups that are no text": (
        lambda: build(["a", "b"], ["p", float("nan")], [1, 4], count=2),
        r"expected groups as text, found nan \(a float\) in row 1",
    ),
    "more folds than groups": (
        lambda: build(["a", "b", "c", "d", "e"], ["p", "p", "q", "q", "r"], [1] * 5),
        r"5 folds need at least 5 groups, found 3 in 5 images. Set the folds' `count` to 3 or "
        r"less, or if the images are independent of each other, set their `group` to none.",
    ),
    "more folds than images": (
        lambda: build(["a", "b", "c"], [""] * 3, [1] * 3),
        r"5 folds need at least 5 groups, found 3 in 3 images. Set the folds' `count` to 3 or "
        r"less.$",
    ),
    "one image": (
        lambda: build(["a"], [""], [1], count=2),
        "2 folds need at least 2 groups, found 1 in 1 image. Add images: there are too few",
    ),
    "one group": (
        lambda: build(["a", "b"], ["p", "p"], [1, 1], count=2),
        r"found 1 in 2 images. Add images, or if the images are independent of each other, set",
    ),
    "more folds than groups with masks": (
        lambda: build([f"i{i}" for i in range(9)], list("aabbcdefg"), [5] * 5 + [0] * 4),
        r"5 folds need at least 5 groups with a non-empty mask, so that each fold can be scored; "
        r"found 3 among 7 groups \(5 of 9 images\). Set the folds' `count` to 3 or less",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_impossible_requests(name):
    request, words = ERRORS[name]
    with pytest.raises(InputError, match=words) as caught:
        request()
    assert caught.value.exit_code == 2


def test_all_problems_at_once():
    with pytest.raises(InputError) as caught:
        build(["a", "a"], ["", ""], [-1, 1], count=50)
    text = str(caught.value)
    assert "found 50" in text
    assert "more than once: a" in text
    assert "0 or more, found 1 below 0: a" in text


def test_classes_are_spread_evenly_and_groups_stay_whole():
    rng = np.random.default_rng(0)
    ids = [f"i{n:03d}" for n in range(200)]
    groups = [f"g{n // 2:03d}" for n in range(200)]
    classes = [str(rng.choice(["a", "b", "a;b"], p=[0.6, 0.3, 0.1])) for _ in range(100)]
    classes = [name for name in classes for _ in range(2)]
    folds = build_fold_table(ids, groups, np.zeros(200, int), count=5, classes=classes)
    assert (folds.groupby("group")["fold"].nunique() == 1).all()
    counts = folds.groupby(["stratum", "fold"]).size().unstack(fill_value=0)
    assert (counts.max(axis=1) - counts.min(axis=1) <= 2).all()
    again = build_fold_table(
        ids[::-1], groups[::-1], np.zeros(200, int), count=5, classes=classes[::-1]
    )
    assert again.equals(folds)
    with pytest.raises(InputError, match="groups with an image of a rarer class"):
        build_fold_table(
            ids[:6], groups[:6], np.zeros(6, int), count=3, classes=["a"] * 4 + ["b"] * 2
        )
