"""Labels that are mask images: found, united, checked."""

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.competitions.mask_files import (
    mask_globs,
    masks_without_image,
    read_mask,
    read_mask_files,
)
from goldfold.competitions.rle import decode, get_dialect
from goldfold.errors import ImageError

KAGGLE = get_dialect("kaggle")
SIDES = [["left/{id}.png", "right/{id}.png"], ["mask/{id}_mask.png"]]


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.asarray(pixels, np.uint8))


def images_of(*ids, height=2, width=3):
    return pd.DataFrame({"image_id": ids, "height": height, "width": width})


def read(tmp_path, *ids, patterns=SIDES):
    return read_mask_files(images_of(*ids), tmp_path, patterns, KAGGLE, workers=2)


def test_the_files_of_an_image_are_united(tmp_path):
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
    assert problems[1] == "mask/b_mask.png is 2 x 2, its image 2 x 3 (height x width)"
    assert "mask/c_mask.png is no mask: its brightest pixel is 2" in problems[2]
    assert problems[3].startswith("cannot read mask/d_mask.png: it is no DICOM")
    assert len(problems) == 4


def test_soft_edges_count_from_the_middle_gray(tmp_path):
    write(tmp_path / "m.png", [[0, 127, 128, 255]])
    assert read_mask(tmp_path / "m.png").tolist() == [[0, 0, 1, 1]]
    write(tmp_path / "dark.png", [[0, 90]])
    with pytest.raises(ImageError, match="expected 0 and 255, or 0 and 1"):
        read_mask(tmp_path / "dark.png")


def test_an_empty_mask_is_a_label(tmp_path):
    write(tmp_path / "mask/a_mask.png", np.zeros((2, 3)))
    row = read(tmp_path, "a").table.iloc[0]
    assert (row["mask_rle"], row["area_px"]) == ("", 0)


def test_masks_without_an_image(tmp_path):
    for name in ("a", "b.c", "[d]"):
        write(tmp_path / f"mask/{name}_mask.png", [[0]])
    write(tmp_path / "deep/x/left/e.png", [[0]])
    patterns = [*SIDES, ["deep/**/left/{id}.png"]]
    assert masks_without_image(tmp_path, patterns, {"a"}) == ["[d]", "b.c", "e"]
    assert mask_globs(patterns)[-1] == "deep/**/left/*.png"


def test_an_id_with_the_signs_of_a_glob(tmp_path):
    write(tmp_path / "mask/[d]_mask.png", [[255, 0, 0], [0, 0, 0]])
    assert read(tmp_path, "[d]").table["area_px"].tolist() == [1]


@given(st.integers(0, 2**32 - 1))
def test_any_mask_comes_back(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    mask = (rng.random((int(rng.integers(1, 9)), int(rng.integers(1, 9)))) < 0.5).astype(np.uint8)
    folder = tmp_path_factory.mktemp("mask")
    write(folder / "mask/a_mask.png", mask * 255)
    images = images_of("a", height=mask.shape[0], width=mask.shape[1])
    row = read_mask_files(images, folder, SIDES, KAGGLE).table.iloc[0]
    found = decode(row["mask_rle"], *mask.shape, KAGGLE) if row["area_px"] else np.zeros_like(mask)
    assert np.array_equal(found, mask)
