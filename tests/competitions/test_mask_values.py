"""What the values of mask files mean by `labels.values`, in files of any kind."""

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from goldfold.competitions.mask_files import read_mask_files
from goldfold.competitions.mask_levels import NotAMaskError, meaning_of, read_mask
from goldfold.competitions.mask_paths import index_masks
from goldfold.competitions.recognise_mask_values import guess_mask_values
from goldfold.competitions.rle import decode, get_dialect
from goldfold.errors import ImageError
from goldfold.settings import CompetitionSettings, LabelTable

KAGGLE = get_dialect("kaggle")
MASK = np.zeros((24, 30), np.uint8)
MASK[5:15, 4:20] = 1
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 224, 224, 192]


def labels_of(folder, files, values=(), ignored=(), classes=None, **other):
    """Return the labels of files (name -> pixels), one an image, or a folder of them."""
    for name, pixels in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
        image.save(folder / name)
    patterns = [["{id}/*"]]
    ids = sorted({name.split("/")[0] for name in files})
    images = pd.DataFrame({"image_id": ids, "height": 24, "width": 30})
    index = index_masks(folder, [*patterns, *(classes or {}).values()], ids)
    more = {"classes": classes} if classes else {}
    return read_mask_files(
        images, index, patterns, KAGGLE, meaning=meaning_of(values, ignored),
        ignored="ignored" if ignored else "", **more, **other,
    )  # fmt: skip


def mask_of(labels, column="mask_rle", row=0):
    text = labels.table.iloc[row][column]
    return decode(text, 24, 30, KAGGLE) if text else np.zeros((24, 30), np.uint8)


# --- files of every kind -------------------------------------------------------------------------

GIF_OF_WHITE_FIRST = Image.fromarray(1 - MASK, "P")
GIF_OF_WHITE_FIRST.putpalette([255, 255, 255, 0, 0, 0])  # index 0 is the mask, in white
INDEXED = Image.fromarray(MASK, "P")
INDEXED.putpalette(PALETTE)


@pytest.mark.parametrize(
    ("name", "image", "how"),
    [
        ("m.tif", Image.fromarray(MASK * 255), {}),
        ("m.TIFF", Image.fromarray(MASK > 0), {"compression": "group4"}),
        ("m.tif", Image.fromarray(MASK.astype(np.uint16) * 65535), {"compression": "tiff_lzw"}),
        ("m.tif", Image.fromarray(MASK.astype(np.int32) * 7), {}),
        ("m.tif", Image.fromarray(MASK.astype(np.float32)), {}),
        ("m.tif", INDEXED, {}),
        ("m.gif", Image.fromarray(MASK * 255), {}),
        ("m.gif", GIF_OF_WHITE_FIRST, {}),
        ("m.bmp", Image.fromarray(MASK > 0), {}),
        ("m.BMP", Image.fromarray(MASK * 255), {}),
        ("m.webp", Image.fromarray(np.dstack([MASK * 255] * 3)), {"lossless": True}),
        ("m.webp", Image.fromarray(np.dstack([MASK * 255] * 3)), {"quality": 80}),
        ("m.png", Image.fromarray(np.dstack([MASK * 0] * 3 + [MASK * 200])), {}),
    ],
)
def test_two_values_are_a_mask_in_every_kind_of_file(tmp_path, name, image, how):
    image.save(tmp_path / name, **how)
    assert (read_mask(tmp_path / name).mask == MASK).all()


def test_signed_and_soft_levels_are_named_and_ranges_take_them(tmp_path):
    shares = Image.fromarray(np.where(MASK > 0, 0.75, 0.25).astype(np.float32))
    shares.save(tmp_path / "f.tif")
    with pytest.raises(NotAMaskError, match=r"2 levels \(0.25, 0.75; none is 0\)"):
        read_mask(tmp_path / "f.tif")
    assert (read_mask(tmp_path / "f.tif", None, meaning_of(["0.5..1"])).mask == MASK).all()
    assert (read_mask(tmp_path / "f.tif", None, meaning_of(["0.75"])).mask == MASK).all()
    Image.fromarray(MASK.astype(np.int32) * 5 - 1).save(tmp_path / "s.tif")
    with pytest.raises(NotAMaskError, match=r"2 levels \(-1, 4; none is 0\)"):
        read_mask(tmp_path / "s.tif")
    assert (read_mask(tmp_path / "s.tif", None, meaning_of([4], [-1])).mask == MASK).all()


@pytest.mark.parametrize("name", ["m.tif", "m.gif"])
def test_files_of_several_pages_are_refused(tmp_path, name):
    pages = [Image.fromarray(np.uint8(MASK * level)) for level in (50, 100, 150)]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(ImageError, match=f"{name} has several pages or frames, but a mask"):
        read_mask(tmp_path / name, tmp_path)


@pytest.mark.parametrize("name", ["m.tif", "m.gif", "m.bmp", "m.webp"])
def test_damaged_files_are_named(tmp_path, name):
    Image.fromarray(np.dstack([MASK * 255] * 3)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=f"cannot read {name}"):
        read_mask(tmp_path / name, tmp_path)


# --- values ---------------------------------------------------------------------------------------

ORGANS = MASK * np.uint8(21)
ORGANS[7:9, 5:9], ORGANS[20:22] = 38, 99


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([21, 38], (ORGANS == 21) | (ORGANS == 38)),
        ("nonzero", ORGANS > 0),
        (["30..99"], ORGANS >= 30),
        ([0], ORGANS == 0),  # an inverted mask
        (["#262626"], ORGANS == 38),
    ],
)
def test_the_values_that_settings_list_are_the_mask(tmp_path, values, expected):
    labels = labels_of(tmp_path, {"a/m.png": ORGANS}, values)
    assert labels.problems == []
    assert (mask_of(labels) == expected).all()
    left_out = {level for level in (21, 38, 99) if not expected[level == ORGANS].any()}
    assert bool(labels.notices) == bool(left_out)
    assert all(f"{level} in 1 file" in labels.notices[0] for level in left_out)


def test_colours_and_palette_indices(tmp_path):
    red = np.zeros((24, 30, 3), np.uint8)
    red[MASK > 0], red[20:] = (255, 0, 0), (0, 255, 0)
    voc = Image.fromarray(MASK * np.uint8(2), "P")
    voc.putpalette(PALETTE)
    for file, values in ((red, ["#FF0000"]), (voc, [2]), (voc, ["#008000"])):
        assert (mask_of(labels_of(tmp_path, {"a/m.png": file}, values)) == MASK).all()


def test_one_file_has_several_classes(tmp_path):
    values = {"liver": [21, 38], "tumor": [38]}  # a pixel of both is in both
    labels = labels_of(tmp_path, {"a/m.png": ORGANS}, values)
    assert (mask_of(labels, "mask_rle:liver") == (ORGANS == 21) + (ORGANS == 38)).all()
    assert (mask_of(labels, "mask_rle:tumor") == (ORGANS == 38)).all()
    assert labels.table["classes"].tolist() == ["liver;tumor"]
    absent = labels_of(tmp_path, {"a/m.png": ORGANS}, {"liver": [21], "tumor": [40]})
    (problem,) = absent.problems
    assert problem.startswith("no mask file contains the values of tumor, but there are values")
    assert "38 in 1 file" in problem


@pytest.mark.parametrize("values", [(), [1], "nonzero"])
def test_ignored_pixels_belong_to_no_mask(tmp_path, values):
    ringed = MASK.copy()
    ringed[15:17] = 255
    other = np.zeros_like(MASK)
    other[14:17, :5] = 1  # a second file of the image, of which a part is ignored by the first
    labels = labels_of(tmp_path, {"a/m.png": ringed, "a/n.png": other}, values, [255])
    assert labels.problems == []
    ignored = mask_of(labels, "mask_rle:ignored")
    assert (ignored == (ringed == 255)).all()
    assert (mask_of(labels) == ((MASK | other) & ~ignored)).all()
    assert labels.table.iloc[0]["area_px:ignored"] == 60


def test_each_number_or_each_file_is_an_object(tmp_path):
    numbers = MASK * np.uint8(1)
    numbers[5:15, 10:20] = 2
    numbers[0:2] = 255
    labels = labels_of(tmp_path, {"a/m.png": numbers}, "objects", [255], objects=True)
    masks = [decode(text, 24, 30, KAGGLE) for text in labels.table["objects"][0].split("|")]
    assert [(mask == (numbers == at)).all() for at, mask in enumerate(masks, 1)] == [True, True]
    files = {"b/1.png": np.uint8(numbers == 1), "b/2.png": np.uint8(numbers == 2)}
    apart = labels_of(tmp_path, files, objects=True)
    assert apart.table["objects"][0] == labels.table["objects"][0]


def test_jpeg_noise_is_told_apart_from_values(tmp_path):
    soft = cv2.GaussianBlur(MASK * 255, (9, 9), 3)
    Image.fromarray(soft).save(tmp_path / "m.jpg", quality=90)
    with pytest.raises(NotAMaskError, match=r'values = \["1\d\d\.\.2\d\d"\]  # soft edges'):
        read_mask(tmp_path / "m.jpg")
    with pytest.raises(NotAMaskError, match=r"list a range in labels\.values"):
        read_mask(tmp_path / "m.jpg", None, meaning_of("nonzero"))
    bright = read_mask(tmp_path / "m.jpg", None, meaning_of(["128..255"])).mask
    assert np.abs(bright - (soft > 127).astype(int)).sum() < 9


def test_masks_that_may_be_inverted_are_asked_about(tmp_path):
    files = {f"{name}/m.png": 255 - MASK * 255 for name in "abc"}
    (problem,) = labels_of(tmp_path, files).problems
    assert problem.startswith("are masks inverted? The mask covers 78%")
    assert "values = [0]" in problem
    assert labels_of(tmp_path, files, [255]).problems == []


def test_usual_values_that_differ_from_file_to_file_are_told(tmp_path):
    labels = labels_of(tmp_path, {"a/m.png": MASK, "b/m.png": MASK * 255, "c/m.png": MASK})
    assert labels.problems == []
    assert "each in files of its own: 1 in 2, 255 in 1" in labels.notices[0]


# --- recognised -----------------------------------------------------------------------------------


def numbered(count):
    numbers = np.zeros((24, 30), np.uint8)
    numbers.reshape(-1)[: 2 * count : 2] = np.arange(1, count + 1)
    return numbers


@pytest.mark.parametrize(
    ("files", "values", "lines"),
    [
        ([MASK, MASK * 255, MASK * 0], [], []),
        ([numbered(5), numbered(17), numbered(9)], "objects", []),
        ([numbered(60)] * 3, "objects", []),
        ([numbered(3)] * 3, [], ['values = "objects"', "NAME_1 = [1], NAME_2 = [2]"]),
        ([numbered(2), numbered(3)], [], ['values = "nonzero"', "NAME_3 = [3]"]),
        ([np.where(MASK > 0, 1, 255).astype(np.uint8) * numbered(99).clip(0, 1)], [],
         ["ignored_values = [255]"]),
        ([MASK * 7, MASK * 9], [], ["NAME_1 = [7], NAME_2 = [9]"]),
        ([np.where(MASK > 0, 80, 30)], [], ["values = [30]", "values = [80]"]),
    ],
)  # fmt: skip
def test_what_values_mean_is_recognised_or_asked(tmp_path, files, values, lines):
    paths = [tmp_path / f"{number}.png" for number in range(len(files))]
    for path, pixels in zip(paths, files, strict=True):
        cv2.imwrite(str(path), np.asarray(pixels, np.uint8))
    guess = guess_mask_values(paths, tmp_path)
    assert guess.values == values
    assert bool(guess.question) == bool(lines)
    assert all(line in guess.question for line in lines)
    assert f"{len(files)} mask files" in guess.evidence or "mask files" in guess.evidence


def test_files_that_cannot_be_read_are_counted(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    paths[0].write_bytes(b"no image")
    cv2.imwrite(str(paths[1]), MASK)
    guess = guess_mask_values(paths, tmp_path)
    assert "1 cannot be read: a.png" in guess.evidence
    assert (guess.values, guess.question) == ([], "")


# --- settings -------------------------------------------------------------------------------------


def test_names_of_older_files_are_read():
    old = {"kind": "levels", "masks": [["{id}.png"]], "levels": {"a": [1]}, "ignored_levels": [9]}
    labels = LabelTable.model_validate(old)
    assert (labels.kind, labels.values, labels.ignored_values) == ("masks", {"a": [1]}, [9])


@pytest.mark.parametrize(
    ("labels", "more", "words"),
    [
        ({"values": ["9..3"]}, {}, "ends before it begins"),
        ({"values": [255], "ignored_values": ["200..255"]}, {}, "both name 255"),
        ({"values": {"a": [1]}}, {}, "labels.values names a; classes are none"),
        ({}, {"classes": ["a", "b"]}, r"labels.values = \{ a = \[1\], b = \[2\] \}"),
        ({"values": "objects"}, {"classes": ["a"]}, "the values of each class"),
        ({"ignored_values": [255]}, {"classes": [*"abcdefgh"]}, "ignored pixels count as one"),
        ({"kind": "rle", "masks": [], "values": [1]}, {}, 'values belongs to kind = "masks"'),
        ({}, {"metric": "f2-iou-thresholds"}, 'labels.values = "objects"'),
    ],
)
def test_values_that_do_not_fit_say_why(labels, more, words):
    table = {"kind": "masks", "masks": [["m/{id}.png"]], **labels}
    if len(more.get("classes", [])) > 2:
        table |= {"masks": [], "class_masks": {name: [f"{name}/{{id}}.png"] for name in "abcdefgh"}}
    with pytest.raises(ValueError, match=words):
        CompetitionSettings.model_validate({"labels": table, **more})
