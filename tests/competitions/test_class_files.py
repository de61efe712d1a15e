"""Files whose gray levels are classes, and tables with one mask per class, none overlapping."""

import cv2
import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.class_files import read_class_files
from goldfold.competitions.class_maps import IGNORED_NUMBER, paint
from goldfold.competitions.mask_paths import index_masks
from goldfold.competitions.rle import get_dialect
from goldfold.competitions.rle_labels import read_class_masks
from goldfold.settings import CompetitionSettings, LabelTable, Settings

KAGGLE = get_dialect("kaggle")
LEVELS = {"ground": [50], "liver": [21, 22], "fat": [12]}
PATTERNS = [["{id}_levels.png"]]


def read(folder, images, **more):
    table = pd.DataFrame([(name, 2, 3) for name in images], columns=["image_id", "height", "width"])
    index = index_masks(folder, PATTERNS, images)
    return read_class_files(
        table, index, PATTERNS, KAGGLE, values=LEVELS, background="ground", **more
    )


def write(path, levels, form="gray"):
    pixels = np.array(levels, np.uint8)
    cv2.imwrite(str(path), np.repeat(pixels[..., None], 3, axis=2) if form == "rgb" else pixels)


@pytest.mark.parametrize("form", ["gray", "rgb"])
def test_levels_become_one_mask_per_class_and_one_of_ignored_pixels(tmp_path, form):
    write(tmp_path / "a_levels.png", [[50, 21, 22], [12, 255, 50]], form)
    labels = read(tmp_path, ["a", "b"], ignored_values=[255])
    assert labels.problems == []
    (row,) = labels.table.to_dict("records")  # b has no file
    assert (row["image_id"], row["classes"], row["area_px"]) == ("a", "liver;fat", 3)
    masks = [row[f"mask_rle:{name}"] for name in ("liver", "fat", "ignored")]
    assert paint(masks, [1, 2, IGNORED_NUMBER], 2, 3, KAGGLE).tolist() == [[0, 1, 1], [2, 255, 0]]
    assert [row[f"area_px:{name}"] for name in ("liver", "fat", "ignored")] == [2, 1, 1]


def test_all_files_that_do_not_fit_are_named_at_once(tmp_path):
    write(tmp_path / "a_levels.png", [[50, 21, 99], [12, 255, 50]])
    write(tmp_path / "b_levels.png", [[99, 21, 22], [12, 12, 50]])
    write(tmp_path / "c_levels.png", [[50, 21]])
    colours = np.zeros((2, 3, 3), np.uint8)
    colours[0, 0] = 1, 2, 3
    cv2.imwrite(str(tmp_path / "d_levels.png"), colours)
    labels = read(tmp_path, list("abcd"))
    assert labels.table["area_px"].tolist() == [0, 0, 0, 0]  # their files are not missing
    text = "\n".join(labels.problems)
    assert "c_levels.png is 1 x 2, its image 2 x 3" in text
    assert (
        "3 mask files have values that belong to no class: 99 in 2 (the first: a_levels.png), "
        "#000000 in 1 (the first: d_levels.png), #030201 in 1 (the first: d_levels.png), 255 in 1"
        in text
    )
    assert "ignored_values" in text


def test_overlapping_classes_name_images_and_classes_and_the_way_out(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(
        "id,rle\na_ground,1 6\na_liver,1 3\na_fat,3 2\n"
        "b_liver,1 2\nb_fat,5 1\nc_liver,1 2\nc_fat,2 3\n"
    )
    labels = LabelTable(kind="rle", id_column="id", rle_column="rle")
    found = read_class_masks(path, labels, ["liver", "fat"], KAGGLE, background="ground")
    assert [one.split(":")[0] for one in found.problems] == ["a", "c"]
    assert "pixels of liver and fat overlap" in found.problems[0]
    assert 'set task = "segmentation"' in found.problems[1]
    several = read_class_masks(path, labels, ["ground", "liver", "fat"], KAGGLE)
    assert several.problems == []  # masks that may overlap are noted
    assert "overlap" in "".join(several.notices)


# --- settings ------------------------------------------------------------------------------------


def competition(**more):
    labels = {"kind": "masks", "masks": PATTERNS, "values": LEVELS, **more.pop("labels", {})}
    return {"task": "semantic-segmentation", "classes": list(LEVELS), "labels": labels, **more}


def test_the_background_has_no_mask_but_an_output():
    form = CompetitionSettings.model_validate(competition(labels={"ignored_values": [255]}))
    assert (form.mask_classes, form.outputs) == (["liver", "fat"], 3)
    assert form.labelled_masks == ["liver", "fat", "ignored"]


def test_more_classes_than_masks_may_have_fit():
    names = [f"c{number}" for number in range(255)]
    rle = {"kind": "rle", "class_separator": "|", "masks": [], "values": []}
    assert CompetitionSettings.model_validate(competition(classes=names, labels=rle)).outputs == 255
    with pytest.raises(ValueError, match="2 to 255 classes"):
        CompetitionSettings.model_validate(competition(classes=[*names, "one-more"], labels=rle))
    with pytest.raises(ValueError, match="semantic-segmentation"):
        CompetitionSettings.model_validate(
            {"classes": names[:9], "labels": {"class_separator": "|"}}
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["ground", "liver"]}, "labels.values names ground, liver, fat"),
        ({"labels": {"ignored_values": [12]}}, "values and ignored_values both name 12"),
        ({"labels": {"values": "nonzero"}}, "mask files need the values of every class"),
        ({"labels": {"values": {**LEVELS, "fat": ["10..21"]}}}, "names 21 for both liver and fat"),
        ({"metric": "f2-iou-thresholds"}, "is not one of semantic-segmentation"),
        ({"metric": "auroc"}, "is not one of semantic-segmentation"),
        ({"mirrored": [["ground", "fat"]]}, "'ground', which is no class of masks"),
    ],
)
def test_settings_that_do_not_fit_say_why(changes, message):
    with pytest.raises(ValueError, match=message):
        CompetitionSettings.model_validate(competition(**changes))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"models": [{"stages": [{}]}]}, "loss.bce is computed for one mask at a time"),
        ({"models": [{"stages": [{"loss": {"bce": 0, "cross_entropy": 1}, "mixup": 1}]}]}, "mixup"),
        ({"models": [{"presence_head": True, "stages": [{"loss": {"bce": 0}}]}]}, "presence_head"),
        ({"ensemble": {"merge": "rank"}}, "use mean, geometric or logit"),
        ({"ensemble": {"post_processing": "auto"}}, "least areas are chosen out of fold"),
        ({"models": [{"stages": [{"loss": {"bce": 0, "cross_entropy": 1,
                                           "class_weights": {"bone": 2}}}]}]}, "'bone'"),
    ],
)  # fmt: skip
def test_losses_and_decisions_that_do_not_fit_say_what_does(more, message):
    good = {"models": [{"stages": [{"loss": {"bce": 0, "cross_entropy": 1}}]}]}
    assert Settings.model_validate({"competition": competition(), **good})
    with pytest.raises(ValueError, match=message):
        Settings.model_validate({"competition": competition(), **good, **more})
