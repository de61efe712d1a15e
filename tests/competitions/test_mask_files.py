"""Labels that are mask images: merged, checked, and told in one line where they are no masks."""

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.competitions.mask_files import read_mask_files
from goldfold.competitions.mask_paths import index_masks
from goldfold.competitions.rle import decode, get_dialect

KAGGLE = get_dialect("kaggle")
SIDES = [["left/{id}.png", "right/{id}.png"], ["mask/{id}_mask.png"]]


def write(path, pixels, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.asarray(pixels, dtype))


def images_of(*ids, height=2, width=3):
    return pd.DataFrame({"image_id": ids, "height": height, "width": width})


def read(tmp_path, *ids, patterns=SIDES, **other):
    index = index_masks(tmp_path, patterns, ids)
    return read_mask_files(images_of(*ids), index, patterns, KAGGLE, workers=2, **other)


def test_the_files_of_an_image_are_merged(tmp_path):
    write(tmp_path / "left/a.png", [[255, 255, 0], [0, 0, 0]])
    write(tmp_path / "right/a.png", [[0, 255, 255], [0, 0, 0]])
    labels = read(tmp_path, "a")
    row = labels.table.iloc[0]
    assert decode(row["mask_rle"], 2, 3, KAGGLE).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert (row["area_px"], row["rows"], row["overlap_px"]) == (3, 2, 1)
    assert labels.problems == []


def test_the_first_alternative_that_is_there_counts(tmp_path):
    write(tmp_path / "mask/b_mask.png", [[0, 0, 1], [0, 0, 1]])
    labels = read(tmp_path, "a", "b")
    assert labels.table["image_id"].tolist() == ["b"]
    assert labels.table["area_px"].tolist() == [2]  # a file of 0 and 1


def test_all_that_is_wrong_is_listed(tmp_path):
    write(tmp_path / "left/a.png", [[255, 0, 0], [0, 0, 0]])
    write(tmp_path / "mask/b_mask.png", [[255, 0], [0, 0]])
    write(tmp_path / "mask/c_mask.png", [[2, 0, 0], [1, 0, 0]])
    (tmp_path / "mask/d_mask.png").write_bytes(b"no image")
    problems = read(tmp_path, "a", "b", "c", "d").problems
    assert problems[0] == "a has left/a.png, but no right/a.png"
    assert problems[2] == "mask/b_mask.png is 2 x 2, its image 2 x 3 (height x width)"
    assert problems[1].startswith("cannot read mask/d_mask.png: it is not a DICOM")
    assert problems[3].startswith(
        "1 of 4 mask files do not contain 0 and one other value: 3 levels (0, 1, 2) in "
        "mask/c_mask.png. Say what the values mean"
    )
    assert '\n    values = "objects"  # ' in problems[3]
    assert len(problems) == 4


def test_an_empty_mask_is_a_label(tmp_path):
    write(tmp_path / "mask/a_mask.png", np.zeros((2, 3)))
    row = read(tmp_path, "a").table.iloc[0]
    assert (row["mask_rle"], row["area_px"]) == ("", 0)


def test_an_id_with_the_signs_of_a_glob(tmp_path):
    write(tmp_path / "mask/[d]_mask.png", [[255, 0, 0], [0, 0, 0]])
    assert read(tmp_path, "[d]").table["area_px"].tolist() == [1]


NUCLEI = [["{id}/masks/*.png"]]


def test_all_files_that_a_pattern_matches_are_merged(tmp_path):
    for number in range(5):
        mask = np.zeros(6, np.uint8)
        mask[number] = 255
        write(tmp_path / f"a/masks/{number}.png", mask.reshape(2, 3))
    write(tmp_path / "b/masks/0.png", [[0, 0, 255], [0, 0, 0]])
    labels = read(tmp_path, "a", "b", patterns=NUCLEI)
    assert labels.table["area_px"].tolist() == [5, 1]
    assert labels.table["rows"].tolist() == [5, 1]
    assert labels.table["overlap_px"].tolist() == [0, 0]
    assert labels.notices == ["1 image has several mask files, 5 in all; they are merged"]


def test_single_files_are_not_called_merged(tmp_path):
    write(tmp_path / "mask/a_mask.png", [[255, 0, 0], [0, 0, 0]])
    assert read(tmp_path, "a").notices == []


def test_files_of_classes_are_merged_by_class(tmp_path):
    for name, column in (("l/a_1", 0), ("l/a_2", 1), ("r/a_1", 1)):
        mask = np.zeros((2, 3), np.uint8)
        mask[:, column] = 1
        write(tmp_path / f"{name}.png", mask)
    classes = {"l": ["l/{id}_*.png"], "r": ["r/{id}_*.png"], "any": ["?/{id}_*.png"]}
    labels = read(tmp_path, "a", patterns=[*classes.values()], classes=classes)
    row = labels.table.iloc[0]
    assert row[["area_px:l", "area_px:r", "area_px:any", "area_px"]].tolist() == [4, 2, 4, 4]
    assert (row["rows"], row["overlap_px"]) == (3, 2)
    assert labels.notices == ["1 image has several mask files, 3 in all; they are merged"]
    write(tmp_path / "l/b_1.png", np.zeros((2, 3)))
    write(tmp_path / "r/b_1.png", np.zeros((2, 3)))
    classes = {"l": ["l/{id}_*.png"], "r": ["r/{id}_*.png"]}
    assert read(tmp_path, "b", patterns=[*classes.values()], classes=classes).notices == []


def test_each_file_is_decoded_once(tmp_path, monkeypatch):
    from goldfold.competitions import mask_pixels

    write(tmp_path / "l/a_1.png", [[0, 1, 0], [0, 0, 0]])
    seen, really = [], mask_pixels.read_stored
    monkeypatch.setattr(
        mask_pixels,
        "read_stored",
        lambda path, below: seen.append(path.name) or really(path, below),
    )
    classes = {"l": ["l/{id}_*.png"], "any": ["?/{id}_*.png"]}
    read(tmp_path, "a", patterns=[*classes.values()], classes=classes)
    assert seen == ["a_1.png"]


def levels_of(tmp_path, levels, patterns=(("m/{id}.png",),)):
    for name, level in levels.items():
        dtype = np.uint16 if level > 255 else np.uint8
        write(tmp_path / f"m/{name}.png", [[0, level, 0], [0, 0, 0]], dtype)
    return read(tmp_path, *levels, patterns=patterns)


@pytest.mark.parametrize(
    "levels",
    [{"a": 1, "b": 255, "c": 65535}, {"a": 38, "b": 38, "c": 0}, {"a": 300, "b": 300}],
)
def test_levels_that_may_stand_beside_each_other(tmp_path, levels):
    labels = levels_of(tmp_path, levels)
    assert labels.problems == []
    assert labels.table["area_px"].tolist() == [int(level > 0) for level in levels.values()]


def test_other_levels_by_file_number_objects_or_classes(tmp_path):
    (problem,) = levels_of(tmp_path, {"a": 1, "b": 2, "c": 2, "d": 3}).problems
    assert problem.startswith(
        "the mask files m/{id}.png use 3 different values for the mask: 2 in 2 files (m/b.png, "
        "m/c.png); 1 in m/a.png; 3 in m/d.png. Say what the values mean"
    )
    assert "\n    values = { NAME_1 = [1], NAME_2 = [2], NAME_3 = [3] }  # " in problem
    assert len(levels_of(tmp_path, {"a": 255, "b": 38, "c": 38, "d": 38}).problems) == 1


def test_each_pattern_may_have_a_level_of_its_own(tmp_path):
    write(tmp_path / "left/a.png", [[0, 2, 0], [0, 0, 0]])
    write(tmp_path / "right/a.png", [[0, 3, 0], [0, 0, 0]])
    assert read(tmp_path, "a").problems == []


def test_refused_files_are_counted_and_the_first_named(tmp_path):
    for number in range(9):
        write(tmp_path / f"m/{number}.png", [[0, 1, 2], [0, 0, 0]])
    for number in range(9, 14):
        write(tmp_path / f"m/{number}.png", [[0, 1, 2], [0, 0, number]])
    write(tmp_path / "m/x.png", [[0, 1, 0], [0, 0, 0]])
    ids = [*map(str, range(14)), "x"]
    (problem,) = read(tmp_path, *ids, patterns=[["m/{id}.png"]]).problems
    assert problem.startswith(
        "14 of 15 mask files do not contain 0 and one other value: 3 levels (0, 1, 2) in 9 files "
        "(m/0.png, m/1.png, m/2.png and 6 more); 4 levels (0, 1, 2, 9) in m/9.png; "
        "4 levels (0, 1, 2, 10) in m/10.png; others in 3 more. "
        "Files by value: 0 in 14, 1 in 14, 2 in 14, 9 in 1"
    )


USUAL = ((1, np.uint8), (255, np.uint8), (1, np.uint16), (65535, np.uint16))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), own=st.none() | st.integers(1, 255))
def test_a_mask_that_is_split_over_files_comes_back(tmp_path_factory, seed, own):
    rng = np.random.default_rng(seed)
    mask = (rng.random(rng.integers(1, 9, 2)) < 0.5).astype(np.uint8)
    mask[0, 0] = 0  # a full mask of an unusual level is refused
    part = rng.integers(0, 4, mask.shape)  # the file of each pixel
    folder = tmp_path_factory.mktemp("masks")
    for number in range(4):
        level, dtype = (own, np.uint8) if own else USUAL[int(rng.integers(4))]
        write(folder / f"a[1]/{number}.png", mask * (part == number).astype(dtype) * level, dtype)
    index = index_masks(folder, [["{id}/*.png"]], ["a[1]", "a1"])
    images = images_of("a[1]", height=mask.shape[0], width=mask.shape[1])
    labels = read_mask_files(images, index, [["{id}/*.png"]], KAGGLE)
    assert [line for line in labels.problems if "inverted" not in line] == []
    row = labels.table.iloc[0]
    decoded = (
        decode(row["mask_rle"], *mask.shape, KAGGLE) if row["area_px"] else np.zeros_like(mask)
    )
    assert np.array_equal(decoded, mask)


def test_files_of_further_alternatives_are_told(tmp_path):
    for name in ("left/a", "right/a", "mask/a_mask", "mask/b_mask"):
        write(tmp_path / f"{name}.png", [[0, 255, 0], [0, 0, 0]])
    (notice,) = [text for text in read(tmp_path, "a", "b").notices if "several lists" in text]
    assert notice.startswith("1 image has mask files of several lists of labels.masks")


def test_files_that_all_have_one_other_size_are_one_problem(tmp_path):
    for name in "bc":
        write(tmp_path / f"mask/{name}_mask.png", [[255, 0], [0, 0]])
    (problem,) = read(tmp_path, "b", "c").problems
    assert problem.startswith("all 2 mask files are 2 x 2 (height x width), but their images are 2")
    assert "competition.labels.size = [2, 2]" in problem
    for name in "bc":
        write(tmp_path / f"mask/{name}_mask.png", [[255, 0], [0, 0], [0, 0]])
    (problem,) = read(tmp_path, "b", "c").problems
    assert problem.endswith("Rotate the mask files: height and width are swapped")
