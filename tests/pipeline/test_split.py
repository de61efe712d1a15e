"""Folds of a run spread its classes, exclusive or not, and keep its groups whole."""

import numpy as np
import pandas as pd
import pytest

from goldfold.errors import InputError, SettingsError
from goldfold.pipeline.fold_trainings import choose_trainings, trained_folds
from goldfold.pipeline.folds_stage import folds_made_from
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


@pytest.fixture
def dated(images):
    """Return 12 training images of sites and days, and a test image."""
    table = classified(images, [""] * 12, [f"p{place}" for place in range(12)])
    table = table.drop(columns="classes").assign(area_px=[0, 7] * 6)
    table["site"] = ["C", "A", "B"] * 4
    table["day"] = [f"2020-01-{31 - place:02}" for place in range(12)]
    tests = images[images["split"] == "test"].iloc[:1].assign(site="D", day="2021-01-01")
    return pd.concat([table, tests], ignore_index=True)


def test_each_site_is_left_out_in_turn(tabled, dated):
    run = tabled("folds.kind=leave-one-out", "folds.column=site", images=dated)
    folds = split_images(run)
    by_fold = folds.merge(dated, on="image_id").groupby("fold")["site"].unique()
    assert by_fold.map(list).to_dict() == {0: ["A"], 1: ["B"], 2: ["C"]}
    run.take_tables(dated, folds)
    assert trained_folds(run) == [0, 1, 2]
    run = tabled("folds.kind=leave-one-out", "folds.column=site", "folds.train=[3]", images=dated)
    run.take_tables(dated, folds)
    with pytest.raises(
        InputError, match=r"folds.train names fold 3, but .* makes the folds 0, 1, 2"
    ):
        trained_folds(run)


def test_later_images_are_held_out_by_models_of_earlier_ones(tabled, dated):
    words = ("folds.kind=ordered", "folds.column=day", "folds.count=3")
    run = tabled(*words, images=dated)
    folds = split_images(run).set_index("image_id")["fold"]
    assert folds[["i11", "i08", "i07", "i04", "i03", "i00"]].tolist() == [0, 0, 1, 1, 2, 2]
    run.take_tables(dated, split_images(run))
    assert trained_folds(run) == [1, 2]
    assert run.fold(1).training == ["i08", "i09", "i10", "i11"]
    assert run.fold(1).held_out == ["i04", "i05", "i06", "i07"]
    with pytest.raises(InputError, match=r"there is no fold 0: .*fold 0 is only trained on"):
        choose_trainings(run, fold=0)


def test_a_table_of_the_users_own_gives_the_folds(tabled, dated, tmp_path):
    words = ("folds.kind=file", "folds.file=mine.csv", "folds.fold_column=k")
    run = tabled(*words, images=dated)
    rows = [f"i{n:02}.png,{3 + n % 2},x" for n in range(12)]
    mine = tmp_path / "data" / "mine.csv"
    mine.write_text("\n".join(["image,k,y", *rows]) + "\n")
    assert sorted(set(split_images(run)["fold"])) == [3, 4]
    before = folds_made_from(run)
    mine.write_text(mine.read_text() + "t9,3,x\n")
    assert folds_made_from(run) != before
    with pytest.raises(InputError, match="1 ids in it are no images of this run: t9"):
        split_images(run)
    wrong = tabled(*words[:2], "folds.fold_column=part", images=dated)
    with pytest.raises(InputError, match=r"no column 'part'. It has image, k, y"):
        split_images(wrong)


def test_folds_from_before_there_were_kinds_stay_up_to_date(tabled, dated):
    settings = folds_made_from(tabled(images=dated))["settings"]
    assert set(settings) == {"count", "seed", "group", "area_bins"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("folds.kind=ordered",), "needs column"),
        (("folds.kind=file",), "needs file"),
        (("folds.file=a.csv",), 'file need kind = "file"'),
        (("folds.column=site",), "column needs kind"),
        (("folds.kind=leave-one-out", "folds.group=none"), "needs column"),
        (("folds.kind=ordered", "folds.column=day", "folds.train=[0]"), "only trained on"),
    ],
)
def test_settings_that_do_not_fit_the_kind(tabled, words, said):
    with pytest.raises(SettingsError, match=said):
        tabled(*words)
