"""Folds of a run spread its classes, exclusive or not, and keep its groups whole."""

import numpy as np
import pandas as pd
import pytest

from goldfold.pipeline.folds_words import fold_lines
from goldfold.pipeline.split import split_images

NAMES = ["normal"] * 12 + ["pneumonia"] * 18 + ["rare"]


def classified(images, names, patients):
    row = images.iloc[0]
    table = pd.DataFrame([row] * len(names)).reset_index(drop=True)
    table["image_id"] = [f"i{place:02}" for place in range(len(names))]
    table["classes"], table["patient"] = names, patients
    return table.assign(mask_rle="", area_px=0)


@pytest.fixture
def exclusive(images):
    """31 images of exclusive classes; the first six are of one patient."""
    patients = ["p"] * 6 + [f"q{place}" for place in range(25)]
    return classified(images, NAMES, patients)


def counts_of(table, folds):
    joined = folds.merge(table[["image_id", "classes"]], on="image_id")
    return joined.groupby(["fold", "classes"]).size().unstack(fill_value=0)


def test_exclusive_classes_are_spread_evenly(tabled, exclusive):
    folds = split_images(tabled("folds.count=3", images=exclusive))
    counts = counts_of(exclusive, folds)
    assert sorted(counts["normal"]) == [3, 3, 6]  # one patient has six of them
    assert sorted(counts["pneumonia"]) == [4, 7, 7]  # so that folds have as many images
    assert sorted(counts.sum(axis=1)) == [10, 10, 11]
    by_class = folds.merge(exclusive, on="image_id").groupby("classes")["stratum"].unique()
    assert by_class.map(list).to_dict() == {
        "normal": ["normal"], "pneumonia": ["pneumonia"], "rare": ["rare"],
    }  # fmt: skip


def test_groups_stay_whole_unless_settings_say_that_there_are_none(tabled, exclusive):
    folds = split_images(tabled("folds.count=3", images=exclusive))
    assert folds.set_index("image_id")["fold"].loc["i00":"i05"].nunique() == 1
    loose = split_images(tabled("folds.count=3", "folds.group=none", images=exclusive))
    assert loose.set_index("image_id")["fold"].loc["i00":"i05"].nunique() == 3
    assert counts_of(exclusive, loose)["normal"].tolist() == [4, 4, 4]
    assert counts_of(exclusive, loose)["pneumonia"].tolist() == [6, 6, 6]


def test_the_seed_and_nothing_else_decides(tabled, exclusive):
    first = split_images(tabled("folds.count=3", images=exclusive))
    shuffled = exclusive.sample(frac=1, random_state=1)
    assert split_images(tabled("folds.count=3", images=shuffled)).equals(first)
    other = split_images(tabled("folds.count=3", "folds.seed=1", images=exclusive))
    assert not np.array_equal(other["fold"], first["fold"])


def test_each_label_of_classes_that_are_not_exclusive_is_spread(tabled, images):
    names = ["a;b", "a", "", "b"] * 4
    table = classified(images, names, [f"p{place}" for place in range(16)])
    folds = split_images(tabled("folds.count=2", images=table))
    assert (counts_of(table, folds).to_numpy() == 2).all()
    assert set(folds["stratum"]) == {"a;b", "a", "b", "none"}
    assert fold_lines(folds)[0].rows == [
        ["a", "8", "4", "4", "0.0%"],
        ["b", "8", "4", "4", "0.0%"],
        ["none", "4", "2", "2", "0.0%"],
        ["all images", "16", "8", "8", "0.0%"],
    ]


def test_masks_are_spread_by_area(tabled, images):
    table = classified(images, [""] * 12, [f"p{place}" for place in range(12)])
    table = table.drop(columns="classes").assign(area_px=[0] * 4 + [10] * 4 + [900] * 4)
    folds = split_images(tabled("folds.count=2", "folds.area_bins=2", images=table))
    assert set(folds["stratum"]) == {"empty", "area-1", "area-2"}
    assert (folds.groupby(["fold", "stratum"]).size() == 2).all()
