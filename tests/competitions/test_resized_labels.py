"""Masks of another size than their images: labels.size and submission.size."""

import cv2
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from goldfold.competitions.image_collection import collect_images
from goldfold.competitions.images_table import mask_columns
from goldfold.competitions.resize import resize_class_map, resize_ignored, resize_mask
from goldfold.competitions.resized_labels import resize_labels
from goldfold.competitions.rle import decode, encode, get_dialect
from goldfold.settings import CompetitionSettings
from goldfold.tasks.mask_held_out import HeldOutMasks
from goldfold.tasks.masks import Masks
from goldfold.tasks.true_class_maps import TrueClasses

KAGGLE = get_dialect("kaggle")
SHAPE, HALF, LARGE = (40, 60), [20, 30], [52, 70]
FORM = {
    "images": {"train": ["train/*.png"], "test": ["test/*.png"]},
    "labels": {"files": ["train.csv"], "id_column": "id", "rle_column": "rle", "dialect": "kaggle"},
    "submission": {"dialect": "kaggle"},
}  # fmt: skip


def settings(labels=(), submission=(), **changes):
    return CompetitionSettings.model_validate(
        {
            **FORM,
            "labels": {**FORM["labels"], **dict(labels)},
            "submission": {**FORM["submission"], **dict(submission)},
            **changes,
        }
    )


def discs(count, shape, seed=0):
    random = np.random.default_rng(seed)
    masks = np.zeros((count, *shape), np.uint8)
    for mask in masks:
        center = [int(random.integers(side)) for side in shape[::-1]]
        cv2.circle(mask, center, int(random.integers(5, 12)), 1, -1)
    return masks


def table(columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame(
        {"image_id": list("abcdefgh")[:count], "height": 40, "width": 60, **columns}
    )


def texts(masks):
    return [encode(mask, KAGGLE) for mask in masks]


def test_without_sizes_nothing_changes():
    images = table({"mask_rle": texts(discs(4, SHAPE)), "area_px": [1, 2, 3, 4]})
    assert resize_labels(images, settings(), KAGGLE) is images
    same = settings({"size": SHAPE}, {"size": SHAPE})
    assert resize_labels(images, same, KAGGLE) is images


@pytest.mark.parametrize(
    ("source", "target"), [(None, HALF), (LARGE, None), (HALF, LARGE), (LARGE, HALF), (HALF, None)]
)
def test_a_mask_is_brought_from_its_size_to_that_of_the_submission(source, target):
    masks = discs(4, source or SHAPE)
    masks[1], masks[2, :] = 0, np.eye(*(source or SHAPE), dtype=np.uint8)  # nothing; a thin line
    images = table({"mask_rle": texts(masks), "area_px": masks.sum(axis=(1, 2)), "note": "n"})
    form = settings({"size": source}, {"size": target})
    resized = resize_labels(images, form, KAGGLE, workers=2)
    expected = [resize_mask(mask, *(target or SHAPE)) for mask in masks]
    assert resized["mask_rle"].tolist() == texts(expected)
    assert resized["area_px"].tolist() == [int(mask.sum()) for mask in expected]
    assert resized["area_px"].iloc[2] > 0
    assert resized.drop(columns=["mask_rle", "area_px"]).equals(
        images.drop(columns=["mask_rle", "area_px"])
    )


def test_classes_are_resized_one_by_one():
    first, second = discs(3, SHAPE, 1), discs(3, SHAPE, 2)
    second[1] = 0
    columns = {"mask_rle": texts(first | second), "area_px": 0, "classes": ["a;b", "a", "a;b"]}
    for name, masks in (("a", first), ("b", second)):
        columns |= dict(
            zip(mask_columns(name), (texts(masks), masks.sum(axis=(1, 2))), strict=True)
        )
    form = settings({"class_column": "class"}, {"size": HALF}, classes=["a", "b"])
    resized = resize_labels(table(columns), form, KAGGLE)
    halves = {"a": first, "b": second}
    for name, masks in halves.items():
        halves[name] = np.array([resize_mask(mask, *HALF) for mask in masks])
        assert resized[mask_columns(name)[0]].tolist() == texts(halves[name])
        assert resized[mask_columns(name)[1]].tolist() == halves[name].sum(axis=(1, 2)).tolist()
    assert resized["mask_rle"].tolist() == texts(halves["a"] | halves["b"])
    assert resized["classes"].tolist() == ["a;b", "a", "a;b"]


def test_a_pixel_keeps_one_class():
    class_map = np.zeros(SHAPE, np.uint8)
    class_map[:, 11:33], class_map[3:30, 33:45], class_map[35:, :] = 1, 2, 255
    class_map[0, 59] = 2
    columns = {"mask_rle": texts([class_map % 255 > 0]), "area_px": 0, "classes": ["b;c"]}
    for name, number in (("b", 1), ("c", 2), ("ignored", 255)):
        columns |= dict(zip(mask_columns(name), (texts([class_map == number]), 0), strict=True))
    form = settings(
        {"kind": "masks", "masks": [["{id}.png"]], "values": {"a": [0], "b": [1], "c": [2]},
         "ignored_values": [255]},
        {"size": HALF}, classes=["a", "b", "c"], task="semantic-segmentation",
    )  # fmt: skip
    resized = resize_labels(table(columns), form, KAGGLE)
    true = TrueClasses(form, resized)
    assert true.size("a") == tuple(HALF)
    assert np.array_equal(true.read("a"), resize_class_map(class_map, *HALF))
    vanished = table({**columns, mask_columns("c")[0]: [""]})
    assert resize_labels(vanished, form, KAGGLE)["classes"].tolist() == ["b"]


def test_pixels_that_touch_ignored_ones_are_ignored():
    mask, ignored = discs(1, SHAPE)[0], np.zeros(SHAPE, np.uint8)
    ignored[:, 7:20] = 1
    mask &= ignored ^ 1
    text, area = mask_columns("ignored")
    columns = {"mask_rle": [*texts([mask]), ""], "area_px": 0, text: texts([ignored]) * 2, area: 0}
    files = {"kind": "masks", "masks": [["{id}.png"]], "ignored_values": [255]}
    resized = resize_labels(table(columns), settings(files, {"size": HALF}), KAGGLE)
    expected = resize_ignored(ignored, *HALF)
    assert resized[text].tolist() == texts([expected]) * 2
    assert resized[area].tolist() == [int(expected.sum())] * 2
    assert resized["mask_rle"].tolist() == [*texts([resize_mask(mask, *HALF) & (expected ^ 1)]), ""]


def test_objects_stay_apart():
    masks = discs(2, SHAPE)
    dot = np.zeros(SHAPE, np.uint8)
    dot[7, 7] = 1
    cells = ["|".join(texts([masks[0], dot])), ""]
    images = table({"mask_rle": texts([masks[0] | dot, dot * 0]), "area_px": 0, "objects": cells})
    form = settings((), {"size": HALF, "objects": True}, metric="f2-iou-thresholds")
    resized = resize_labels(images, form, KAGGLE)["objects"].tolist()
    expected = [resize_mask(mask, *HALF) for mask in (masks[0], dot)]
    assert resized == ["|".join(texts(expected)), ""]
    assert expected[1].sum() > 0


def test_a_mask_that_does_not_fit_stays_as_it_is():
    images = table({"mask_rle": ["1 2399", "2 2400"], "area_px": [2399, 2400]})
    resized = resize_labels(images, settings((), {"size": HALF}), KAGGLE)
    assert resized["mask_rle"].tolist() == ["1 600", "2 2400"]


def test_what_reads_the_table_knows_the_size_of_the_masks():
    images = table({"mask_rle": ["1 5", ""], "split": ["train", "test"], "labelled": [True, False]})
    form = settings((), {"size": HALF})
    assert HeldOutMasks(form, images).sizes == [(20, 30)] * 2
    assert HeldOutMasks(settings(), images).sizes == [SHAPE] * 2
    assert Masks(form).shapes(images) == {"a": (20, 30), "b": (20, 30)}
    assert Masks(settings()).shapes(images) == {"a": SHAPE, "b": SHAPE}


def test_sizes_are_of_masks():
    whole = {"task": "classification", "classes": ["a", "b"], "metric": "f1", "exclusive": True}
    with pytest.raises(ValidationError, match="sizes of masks"):
        settings({"kind": "folders"}, {"size": HALF}, **whole)


# --- a folder ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Twenty images of 40 x 60, with masks of the size that a test asks for."""

    def make(shape, dialect="kaggle"):
        (tmp_path / "train").mkdir()
        masks = discs(20, shape)
        masks[0] = 1
        rows = []
        for number, mask in enumerate(masks):
            cv2.imwrite(str(tmp_path / "train" / f"i{number:02d}.png"), np.zeros(SHAPE, np.uint8))
            rows.append(f'i{number:02d},"{encode(mask, dialect)}"\n')
        (tmp_path / "train.csv").write_text("id,rle\n" + "".join(rows))
        return tmp_path, masks

    return make


def collect(folder, labels=(), submission=()):
    form = settings(labels, submission, data=folder)
    return collect_images(form, workers=2)


def test_labels_of_another_size_are_read_at_the_size_that_is_stated(folder):
    data, masks = folder((20, 30))
    images, report = collect(data, {"size": [20, 30]})
    assert report.problems == []
    assert set(zip(images["height"], images["width"], strict=True)) == {SHAPE}
    for text, mask in zip(images["mask_rle"], masks, strict=True):
        assert np.array_equal(decode(text, *SHAPE, KAGGLE), resize_mask(mask, *SHAPE))
    images, _ = collect(data, {"size": [20, 30]}, {"size": [20, 30]})
    assert images["mask_rle"].tolist() == texts(masks)


@pytest.mark.parametrize("shape", [(20, 30), (80, 120)])
def test_another_size_is_recognised_and_the_line_is_named(folder, shape):
    data, _ = folder(shape)
    _, report = collect(data)
    line = f"Set competition.labels.size = {list(shape)}"
    assert any(line in problem for problem in report.problems), report.problems
    assert collect(data, {"size": shape})[1].problems == []


def test_masks_beyond_the_stated_size_are_named(folder):
    data, _ = folder(SHAPE)
    _, report = collect(data, {"size": [20, 30]})
    said = "the mask of i00 ends at pixel 2,400, but competition.labels.size is 20 x 30 = 600"
    assert f"train.csv row 2: {said}" in report.problems


def test_counts_of_another_number_of_pixels_are_named(folder):
    data, _ = folder((20, 40), "coco")
    _, report = collect(data, {"dialect": "coco"})
    said = "the mask of i03 is of 800 pixels, but the image has 40 x 60 = 2,400"
    assert f"train.csv row 5: {said}" in report.problems
    objects = '{""size"": [60, 40], ""counts"": [5, 2395]}'
    (data / "train.csv").write_text(f'id,rle\ni00,"{objects}"\n')
    said = "the mask of i00 is of 60 x 40 pixels, but the image has 40 x 60 = 2,400"
    assert f"train.csv row 2: {said}" in collect(data, {"dialect": "coco"})[1].problems


def test_an_order_that_compactness_contradicts_is_a_problem(folder):
    data, _ = folder(SHAPE, "row-major")
    problems = collect(data)[1].problems
    assert len(problems) == 1
    assert problems[0].startswith(
        "the dialect of train.csv has the wrong order: pixels are counted along the rows: so 20 "
    )
    assert 'competition.labels.dialect = "row-major" and competition.sub' in problems[0]
    assert collect(data, {"dialect": "row-major"})[1].problems == []


def test_mask_files_of_another_size_need_the_setting(tmp_path):
    masks = discs(3, (20, 30))
    for place, mask in enumerate(masks):
        for name, pixels in (("train", np.zeros(SHAPE, np.uint8)), ("masks", mask * 255)):
            (tmp_path / name).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / name / f"i{place}.png"), pixels)
    files = {"kind": "masks", "masks": [["masks/{id}.png"]]}
    (problem,) = collect(tmp_path, files)[1].problems
    assert "set competition.labels.size = [20, 30]" in problem
    images, report = collect(tmp_path, {**files, "size": [20, 30]}, {"size": [10, 15]})
    assert report.problems == []
    assert images["mask_rle"].tolist() == texts(resize_mask(mask, 10, 15) for mask in masks)
