"""Tables and files with a mask of each class: merged by class, scored by row."""

import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.images_table import mask_columns, of_class, read_images, write_images
from goldfold.competitions.mask_files import read_mask_files
from goldfold.competitions.mask_paths import index_masks
from goldfold.competitions.rle import decode, get_dialect
from goldfold.competitions.rle_labels import read_class_masks, read_labels
from goldfold.errors import InputError, SettingsError
from goldfold.settings import CompetitionSettings, LabelTable

KAGGLE = get_dialect("kaggle")
CLASSES = ["1", "2", "3"]


def joined(tmp_path, *rows):
    path = tmp_path / "train.csv"
    path.write_text("ImageId_ClassId,EncodedPixels\n" + "\n".join(rows) + "\n")
    return read_class_masks(path, LabelTable(id_column="ImageId_ClassId"), CLASSES, KAGGLE)


def test_rows_of_an_image_and_class_are_united_by_class(tmp_path):
    labels = joined(tmp_path, "a.jpg_1,1 3", "a.jpg_1,3 4", "a.jpg_3,2 2", "a.jpg_2,", "b.jpg_2,")
    assert labels.problems == []
    first, second = labels.table.to_dict("records")
    assert first["image_id"] == "a.jpg"
    assert [first[mask_columns(name)[0]] for name in CLASSES] == ["1 6", "", "2 2"]
    assert [first[mask_columns(name)[1]] for name in CLASSES] == [6, 0, 2]
    assert (first["mask_rle"], first["area_px"], first["classes"]) == ("1 6", 6, "1;3")
    assert first["overlap_px"] == 1  # of class 1; other classes may overlap
    assert (second["area_px"], second["classes"], second["rows"]) == (0, "", 1)


def test_a_column_for_the_class_says_the_same_as_a_joined_id(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("id,class,segmentation\na_b,1,1 3\na_b,3,\na_b,2,7 1\n")
    columns = LabelTable(id_column="id", rle_column="segmentation", class_column="class")
    labels = read_class_masks(path, columns, CLASSES, KAGGLE)
    assert joined(tmp_path, "a_b_1,1 3", "a_b_3,", "a_b_2,7 1").table.equals(labels.table)


def test_all_bad_rows_are_named_at_once(tmp_path):
    labels = joined(tmp_path, "a_1,1 3", "a_9,1 2", "b,1 2", "_2,1 2", "c_2,4 x", "d_3,5")
    text = "\n".join(labels.problems)
    assert "row 3: '9' is not a class; the classes are 1, 2, 3" in text
    assert "row 4: '' is not a class" in text
    assert "row 5: no image id" in text
    assert "row 6" in text
    assert "row 7" in text
    assert len(labels.malformed) == 2


def test_united_masks_are_those_of_a_table_without_classes(tmp_path):
    random = np.random.default_rng(0)
    rows, plain = [], []
    for image in range(20):
        for name in CLASSES:
            start, length = random.integers(1, 90, 2).tolist()
            rows.append(f"i{image}_{name},{start} {length}")
            plain.append(f"i{image},{start} {length}")
    path = tmp_path / "plain.csv"
    path.write_text("ImageId,EncodedPixels\n" + "\n".join(plain) + "\n")
    expected = read_labels(path, "ImageId", "EncodedPixels", KAGGLE).table
    table_rows = joined(tmp_path, *rows).table
    assert (table_rows["mask_rle"] == expected["mask_rle"]).all()
    for place, name in enumerate(CLASSES):
        of_class = table_rows[mask_columns(name)[0]]
        masks = [decode(text, 16, 16, KAGGLE) for text in of_class]
        given = [decode(row.split(",")[1], 16, 16, KAGGLE) for row in rows[place::3]]
        assert (np.array(masks) == np.array(given)).all()


def test_mask_files_by_class_are_kept_apart(tmp_path):
    import cv2

    for side, columns in (("left", slice(0, 4)), ("right", slice(3, 8))):
        (tmp_path / side).mkdir()
        mask = np.zeros((6, 8), np.uint8)
        mask[:, columns] = 255
        cv2.imwrite(str(tmp_path / side / "x.png"), mask)
    cv2.imwrite(str(tmp_path / "left" / "y.png"), np.zeros((6, 8), np.uint8))
    images = pd.DataFrame({"image_id": ["x", "y", "z"], "height": 6, "width": 8})
    classes = {"left": ["left/{id}.png"], "right": ["right/{id}.png"]}
    index = index_masks(tmp_path, [*classes.values()], {"x", "y", "z"})
    labels = read_mask_files(images, index, [], KAGGLE, classes=classes)
    assert labels.problems == ["y has left/y.png, but no right/y.png"]
    assert (
        "1 image has no file of some pattern (competition.labels.absent_masks" in labels.notices[-1]
    )
    labels = read_mask_files(images, index, [], KAGGLE, classes=classes, absent_is_empty=True)
    assert labels.problems == []
    assert labels.notices[-1] == "1 image has no file of some pattern, taken as an empty mask: y"
    assert labels.table.set_index("image_id").loc["y", "area_px:right"] == 0
    table = labels.table.set_index("image_id")
    assert table.loc["x", ["area_px:left", "area_px:right", "area_px"]].tolist() == [24, 30, 48]
    assert table.loc["x", "overlap_px"] == 0  # lungs of two classes may touch
    assert table["classes"].tolist() == ["left;right", ""]


def test_the_table_of_a_class_and_of_none(tmp_path):
    row = {
        "image_id": "a", "split": "train", "path": "a.png", "height": 4, "width": 4,
        "labelled": True, "mask_rle": "1 6", "area_px": 6, "rows": 2, "classes": "1",
        "content_hash": "a1",
        "mask_rle:1": "1 6", "area_px:1": 6, "mask_rle:2": "", "area_px:2": 0,
    }  # fmt: skip
    path = tmp_path / "images.csv"
    write_images(path, pd.DataFrame([row]))
    images = read_images(path)
    assert images["area_px:2"].dtype == np.int64
    assert of_class(images, "2")[["mask_rle", "area_px"]].iloc[0].tolist() == ["", 0]
    assert of_class(images, "").equals(images)
    with pytest.raises(InputError, match="no masks of class '7'"):
        of_class(images, "7")


MASKS = {"left": ["l/{id}.png"], "right": ["r/{id}.png"]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classes": ["a", "a"]}, "names a class twice"),
        ({"classes": list("abcdefghi")}, "8 masks, found 9"),
        ({"classes": ["left"], "labels": {"kind": "masks", "class_masks": MASKS}}, "class_masks"),
        ({"classes": ["left"], "labels": {"kind": "masks", "masks": [["{id}.png"]]}},
         "need labels.class_masks"),
        ({"labels": {"kind": "masks", "masks": [["{id}"]], "class_masks": MASKS}}, "not both"),
        ({"classes": ["a", "b"], "mirrored": [["a", "c"]]}, "'c', which is no class"),
        ({"classes": ["a", "b"], "mirrored": [["a", "b"], ["b", "a"]]}, "a class twice"),
        ({"exclusive": True}, "belong to classification"),
        ({"classes": ["large_bowel"]}, "contains '_', which separates image and class in labels"),
        ({"classes": ["a-b"], "labels": {"class_separator": "."},
          "submission": {"class_separator": "-"}}, "in submission.id_column; set"),
        ({"images": {"id_pattern": "abc"}}, "no .group. to keep"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(given, message):
    with pytest.raises((SettingsError, ValueError), match=message):
        CompetitionSettings(**given)


def test_mirrored_classes_trade_places():
    form = CompetitionSettings(classes=["right", "heart", "left"], mirrored=[("left", "right")])
    assert form.mirror == (2, 1, 0)
    assert form.outputs == 3
    assert CompetitionSettings(classes=["a", "b"]).mirror == ()
    assert CompetitionSettings().outputs == 1
