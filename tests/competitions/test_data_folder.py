import pytest

from goldfold.competitions.data_folder import (
    find_images,
    find_table,
    path_in,
    require_folder,
    require_table,
)
from goldfold.errors import InputError


@pytest.fixture
def data(tmp_path):
    for name in ("train/b/2.png", "train/a/1.png", "train/a/1.txt", "train/._1.png", "x/3.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "train" / "folder.png").mkdir()
    for name in ("train.csv", "labels [1].csv", "t2.csv", "t1.csv"):
        (tmp_path / name).touch()
    return tmp_path


def test_images_come_sorted_each_once_without_folders_and_hidden_files(data):
    paths = find_images(data, ["train/**/*.png", "train/a/*", "none/*"])
    assert [path.relative_to(data).as_posix() for path in paths] == [
        "train/a/1.png", "train/a/1.txt", "train/b/2.png",
    ]  # fmt: skip
    assert find_images(data, []) == []


def test_an_absolute_glob_finds_images_elsewhere(data):
    paths = find_images(data / "train", [f"{data}/x/*.png"])
    assert paths == [data / "x" / "3.png"]
    assert path_in(data / "train", paths[0]) == str(data / "x" / "3.png")
    assert path_in(data, paths[0]) == "x/3.png"


@pytest.mark.parametrize("glob", ["", "/"])
def test_a_malformed_glob_is_an_input_error(data, glob):
    with pytest.raises(InputError, match=r"is not a glob: .*Example: train"):
        find_images(data, [glob])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["none.csv", "train.csv"], "train.csv"),
        (["t?.csv"], "t1.csv"),
        (["labels [1].csv"], "labels [1].csv"),
        (["/nowhere/x.csv", "train.csv"], "train.csv"),
        (["none.csv"], None),
        (["train"], None),
        ([], None),
    ],
)
def test_the_first_table_that_exists_is_taken(data, names, expected):
    assert find_table(data, names) == (data / expected if expected else None)


def test_a_table_may_lie_elsewhere(data):
    assert find_table(data / "x", [str(data / "train.csv")]) == data / "train.csv"


def test_what_is_missing_is_said_with_the_setting(data):
    assert require_table(data, ["train.csv"], "label table", "labels.files") == data / "train.csv"
    with pytest.raises(
        InputError, match=r"holds no label table \(labels\.files looks for a\.csv or b\.csv\)\. Put"
    ):
        require_table(data, ["a.csv", "b.csv"], "label table", "labels.files")
    with pytest.raises(InputError, match=r"\(labels\.files looks for nothing\)"):
        require_table(data, [], "label table", "labels.files")


def test_the_data_folder_has_to_be_a_folder(data):
    assert require_folder(data) == data
    with pytest.raises(InputError, match=r"the data folder .*none does not exist\. Download"):
        require_folder(data / "none")
    with pytest.raises(
        InputError, match=r"train\.csv is a file; set competition\.data to the folder"
    ):
        require_folder(data / "train.csv")
