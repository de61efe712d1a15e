"""`goldfold check` on competitions of mask files: all files merged, other levels refused."""

import cv2
import numpy as np
import pytest

SETTINGS = """
[competition]
title = "cells"
task = "segmentation"
metric = "dice"
data = "data"
[competition.images]
train = ["images/*.png"]
[competition.labels]
kind = "masks"
masks = [["{pattern}"]]
[folds]
group = "none"
count = 2
"""


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def cells(tmp_path):
    """Return a function that writes a competition's images and settings, and its run folder."""

    def write(ids, pattern):
        rng = np.random.default_rng(0)
        for image_id in ids:
            pixels = rng.integers(0, 255, (20, 20)).astype(np.uint8)
            save(tmp_path / f"data/images/{image_id}.png", pixels)
        (tmp_path / "goldfold.toml").write_text(SETTINGS.replace("{pattern}", pattern))
        return tmp_path

    return write


def square(row, level, dtype=np.uint8):
    mask = np.zeros((20, 20), dtype)
    mask[row : row + 3, 2:9] = level
    return mask


def test_several_files_of_an_image_are_merged_and_told(cells, invoke):
    ids = ["scan[1]", "scan1", "a b", "c*?"]
    run = cells(ids, "masks*/{id}/*.png")
    for image_id in ids:
        for number, level in enumerate((1, 65535, 1)):
            mask = square(4 * number, level, np.uint16)
            save(run / f"data/masks/{image_id}/{number}.png", mask)
    done = invoke("check", run)
    assert done.code == 0, done.out
    assert "mask files: 12\n" in done.out
    assert "notice: 4 images have several mask files, 12 in all; they are merged\n" in done.out
    built = invoke("folds", "build", run)
    assert built.code == 0, built.err
    images = (run / "images.csv").read_text()
    assert all(f"{image_id},train" in images for image_id in ids)
    assert images.count(",63,") == 4  # three squares of 21 pixels


def test_files_that_are_no_masks_are_refused_all_at_once(cells, invoke):
    run = cells([*"abcdef"], "masks/{id}.png")
    save(run / "data/masks/a.png", square(1, 255))
    save(run / "data/masks/b.png", square(1, 255) + square(9, 254))
    for image_id in "cd":
        numbered = square(1, 1) + square(5, 2) + square(9, 3)
        save(run / f"data/masks/{image_id}.png", numbered)
    save(run / "data/masks/e.png", np.dstack([square(1, 255), square(6, 255), square(0, 0)]))
    save(run / "data/masks/f.png", square(1, 7))
    done = invoke("check", run)
    assert done.code == 2
    refused, unlike = [line for line in done.out.splitlines() if line.startswith("PROBLEM")]
    assert refused == (
        "PROBLEM: 4 of 6 mask files do not contain 0 and one other value: 4 levels (0, 1, 2, 3) "
        "in 2 files (masks/c.png, masks/d.png); 3 levels (0, 254, 255) in masks/b.png; 3 colours "
        "(#000000, #0000ff, #00ff00) in masks/e.png. Files by value: 0 in 3, 1 in 2, 2 in 2, 3 in "
        "2, 254 in 1, 255 in 1, #000000 in 1, #0000ff in 1, #00ff00 in 1. Say what the values mean "
        "with one of these lines in [competition.labels]:"
    )
    assert unlike.startswith(
        "PROBLEM: the mask files masks/{id}.png use 2 different values for the mask: 255 in "
        "masks/a.png; 7 in masks/f.png. Say what"
    )
    assert "2 problems" in done.out


def test_a_pattern_that_matches_no_file_is_named(cells, invoke):
    run = cells(["a", "b"], "masks/{id}_[12.png")
    save(run / "data/masks/a_1.png", square(2, 255))
    done = invoke("check", run)
    assert done.code == 2
    assert "is the mask of a training image (searched for masks/*_[12.png)" in done.out
    assert "Correct competition.labels" in done.out


def test_a_file_that_is_image_and_mask_at_once_is_named(cells, invoke):
    run = cells(["a"], "images/{id}_*.png")
    save(run / "data/images/a_mask.png", square(2, 255))
    done = invoke("check", run)
    assert done.code == 2
    assert (
        "PROBLEM: 1 file is matched as an image and as a mask (correct competition.images or "
        "competition.labels): images/a_mask.png" in done.out
    )


def test_ignored_pixels_and_values_reach_the_table_of_images(cells, invoke):
    run = cells([*"abcd"], "masks/{id}.png")
    for image_id in "abcd":
        save(run / f"data/masks/{image_id}.png", square(1, 38) + square(9, 255) + square(15, 7))
    settings = run / "goldfold.toml"
    lines = 'kind = "masks"\nvalues = ["30..40"]\nignored_values = [255]'
    settings.write_text(settings.read_text().replace('kind = "masks"', lines))
    done = invoke("check", run)
    assert done.code == 0, done.out
    assert "notice: 4 mask files have values that labels.values does not list; they are" in done.out
    assert invoke("folds", "build", run).code == 0
    header, *rows = (run / "images.csv").read_text().splitlines()
    assert header.endswith("content_hash,mask_rle:ignored,area_px:ignored")
    assert all(row.endswith(",21") and ",21,1," in row for row in rows)
