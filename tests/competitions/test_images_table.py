import pandas as pd
import pytest

from goldfold.competitions.images_table import (
    group_column,
    read_images,
    test_images,
    training_images,
    write_images,
)
from goldfold.errors import InputError


@pytest.fixture
def images():
    return pd.DataFrame(
        {
            "image_id": ["007", "b", "c", "NA"],
            "split": ["train", "train", "test", "train"],
            "path": ["a/007.png", "b.png", "c.png", ""],
            "height": [5, 6, 7, 8],
            "width": [8, 7, 6, 5],
            "labelled": [True, True, False, False],
            "mask_rle": ["1 2", "", "", ""],
            "area_px": [2, 0, 0, 0],
            "rows": [2, 1, 0, 0],
            "content_hash": ["a1", "b2", "c3", ""],
            "patient": ["01", "", "nan", "01"],
        }
    )


def test_the_table_comes_back_and_text_stays_text(tmp_path, images):
    write_images(tmp_path / "images.csv", images)
    back = read_images(tmp_path / "images.csv")
    assert back.to_dict("list") == images.to_dict("list")
    assert back["labelled"].dtype == bool
    assert back["area_px"].dtype == "int64"
    write_images(tmp_path / "again.csv", back)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "images.csv").read_bytes()


def test_training_and_test_images(images):
    assert training_images(images)["image_id"].tolist() == ["007", "b"]
    assert test_images(images)["image_id"].tolist() == ["c"]


def test_an_unknown_group_is_the_image_alone(images):
    assert group_column(images, "patient").tolist() == ["01", "b", "nan", "01"]
    assert group_column(images, "none").tolist() == images["image_id"].tolist()
    with pytest.raises(
        InputError, match=r"folds\.group = 'sex': .*\(further columns: patient\).* or to \"none\""
    ):
        group_column(images, "sex")
    with pytest.raises(InputError, match=r"\(further columns: none\)"):
        group_column(images.drop(columns="patient"), "patient")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mask_rle", "mask", r"lacks mask_rle\. Run `goldfold check RUN` to build it again\."),
        (",5,8,True", ",5.5,8,True", r"column height: .*5\.5.*to build it again"),
        (",5,8,True", ",5,8,yes", r"column labelled: expected True or False\."),
    ],
)
def test_a_table_that_was_changed_by_hand_is_refused(tmp_path, images, old, new, words):
    path = tmp_path / "images.csv"
    write_images(path, images)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=words):
        read_images(path)


def test_a_missing_table_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*images\.csv: .*`goldfold check RUN`"):
        read_images(tmp_path / "images.csv")
    (tmp_path / "images.csv").write_text("")
    with pytest.raises(InputError, match="cannot read"):
        read_images(tmp_path / "images.csv")
