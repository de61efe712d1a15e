"""Synthetic competitions with several masks or objects per image: files, tables and drawings."""

import csv
import json
import re
from collections import Counter

import cv2
import numpy as np
import pytest

from goldfold.competitions.rle import decode, get_dialect
from goldfold.competitions.synthetic import (
    abdomen,
    salt,
    sea,
    steel,
    synthesize_abdomen,
    synthesize_salt,
    synthesize_ships,
    synthesize_steel,
)
from goldfold.competitions.synthetic.mask_release import hex_ids, shown_places
from goldfold.errors import InputError

MAKERS = {
    "steel": synthesize_steel, "abdomen": synthesize_abdomen, "ships": synthesize_ships,
    "salt": synthesize_salt,
}  # fmt: skip
ASKED = {"train": 24, "test": 8, "seed": 3}
SIZES = {"steel": 320, "abdomen": 120, "ships": 160, "salt": 101}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    return {kind: make(folder / kind, size=SIZES[kind], **ASKED) for kind, make in MAKERS.items()}


def table(path):
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    return header, rows


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def masks_of(rows, shape, dialect):
    return [decode(text, *shape, get_dialect(dialect)) for text in rows if text]


# --- drawings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", steel.CLASSES)
def test_each_defect_stands_out_and_only_its_mask_is_filled(name):
    place, seen = steel.CLASSES.index(name), []
    for seed in range(6):
        image, masks = steel.draw_strip([name], 128, 800, np.random.default_rng(seed))
        clean, none = steel.draw_strip([], 128, 800, np.random.default_rng(seed))
        assert image.shape == clean.shape == (128, 800)
        assert [mask.any() for mask in masks] == [
            name_of_class == name for name_of_class in steel.CLASSES
        ]
        assert not any(mask.any() for mask in none)
        inside = image[masks[place] > 0].astype(float)
        lit = image[(masks[place] == 0) & (image > 20)].astype(float)
        seen.append(inside.mean() - lit.mean())
    assert (np.mean(seen) > 5) == (name == "3")  # scratches are bright, the others dark
    assert abs(np.mean(seen)) > 5


def test_masks_of_two_defects_do_not_overlap():
    for seed in range(10):
        _, masks = steel.draw_strip(["3", "4"], 96, 600, np.random.default_rng(seed))
        assert np.sum(masks, axis=0).max() == 1


def test_a_strip_has_its_masks_where_there_is_steel():
    margins = 0
    for seed in range(40):
        image, masks = steel.draw_strip(steel.CLASSES, 64, 400, np.random.default_rng(seed))
        dark = (image < 12).all(axis=0)
        margins += bool(dark[:8].all() or dark[-8:].all())
        assert not any(mask[:, dark].any() for mask in masks)
    assert 1 <= margins <= 15


def test_organs_come_and_go_along_the_body_and_do_not_overlap():
    build = abdomen.draw_build(np.random.default_rng(0))
    shown = {}
    for z in (-0.3, 0.1, 0.38, 0.75, 1.3):
        image, masks = abdomen.draw_abdomen(build, z, 90, 100, np.random.default_rng(1))
        assert image.dtype == np.uint16
        assert image.shape == masks[0].shape == (90, 100)
        assert 300 < image.max() < 8000  # low levels of 65,535
        assert np.sum(masks, axis=0).max() <= 1
        pairs = zip(abdomen.CLASSES, masks, strict=True)
        shown[z] = {name for name, mask in pairs if mask.any()}
    assert shown[-0.3] == shown[1.3] == set()
    assert shown[0.1] == {"stomach"}
    assert shown[0.38] == {"large_bowel", "stomach"}
    assert shown[0.75] == {"large_bowel", "small_bowel"}


def test_another_day_moves_the_organs_a_little():
    build = abdomen.draw_build(np.random.default_rng(0))
    other = abdomen.on_a_day(build, np.random.default_rng(1))
    masks = [
        abdomen.draw_abdomen(patient, 0.3, 100, 100, np.random.default_rng(2))[1][2]
        for patient in (build, other)
    ]
    both = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert 0.3 < both < 1


def test_ships_are_bright_elongated_and_apart():
    for seed in range(12):
        image, masks = sea.draw_scene(4, 192, np.random.default_rng(seed))
        assert image.shape == (192, 192, 3)
        assert 1 <= len(masks) <= 4
        assert np.sum(masks, axis=0).max() == 1
        water = np.median(image.reshape(-1, 3).sum(axis=1))
        for mask in masks:
            (outline,), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            _, sides, _ = cv2.minAreaRect(outline)
            if cv2.countNonZero(mask[1:-1, 1:-1]) == cv2.countNonZero(mask):  # not cut off
                assert max(sides) > 1.4 * min(sides)
            assert image[mask > 0].sum(axis=1).mean() > 1.2 * water
    assert sea.draw_scene(0, 64, np.random.default_rng(0))[1] == []


@pytest.mark.parametrize("seed", range(12))
def test_salt_is_one_side_of_a_border_and_calmer_than_rock(seed):
    image, mask = salt.draw_section("border", 101, np.random.default_rng(seed))
    assert (image.dtype, image.shape, mask.shape) == (np.uint8, (101, 101), (101, 101))
    assert 0.004 <= mask.mean() <= 0.97
    parts, _, areas, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    assert parts == 2 or areas[1:].max() > 0.6 * areas[1:].sum()
    rim = cv2.dilate(mask, np.ones((13, 13))) - cv2.erode(mask, np.ones((13, 13)))
    inside, outside = image[(mask == 1) & (rim == 0)], image[(mask == 0) & (rim == 0)]
    if min(len(inside), len(outside)) > 200:
        assert inside.std() < outside.std()


def test_sections_without_a_border():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        image, mask = salt.draw_section("none", 80, rng)
        assert not mask.any()
        assert image.min() < image.max()
        _, mask = salt.draw_section("columns", 80, rng)
        assert (mask == mask[0]).all()
        assert 0 < mask.mean() < 1
        image, mask = salt.draw_section("full", 80, rng)
        assert mask.all()
        assert image.std() < 30


# --- files ---------------------------------------------------------------------------------------


def test_steel_in_severstals_layout(reports):
    folder = reports["steel"].folder
    header, rows = table(folder / "train.csv")
    assert header == ["ImageId_ClassId", "EncodedPixels"]
    assert len(rows) == reports["steel"].label_rows == 4 * 24
    ids = [name.rpartition("_")[0] for name, _ in rows]
    images = {path.name for path in (folder / "train_images").iterdir()}
    assert set(ids) == images
    assert all(re.fullmatch(r"[0-9a-f]{9}\.jpg", name) for name in images)
    assert [name.rpartition("_")[2] for name, _ in rows] == ["1", "2", "3", "4"] * 24
    for name in sorted(images)[:3]:
        pixels = read(folder / "train_images" / name)
        assert pixels.shape == (51, 320, 3)
        assert np.ptp(pixels.astype(int), axis=2).max() <= 2  # gray, stored as colour
    filled = Counter(name[-1] for name, text in rows if text)
    assert set(filled) == set("1234")
    assert filled["3"] == max(filled.values())
    with_mask = {image_id for image_id, (_, text) in zip(ids, rows, strict=True) if text}
    assert len(with_mask) == reports["steel"].with_mask == 13  # 53 % of 24
    _, sample = table(folder / "sample_submission.csv")
    assert len(sample) == 4 * 8
    assert {text for _, text in sample} == {"1 1"}


def test_abdomens_in_uw_madisons_layout(reports):
    folder = reports["abdomen"].folder
    header, rows = table(folder / "train.csv")
    assert header == ["id", "class", "segmentation"]
    assert len(rows) == 3 * 24
    sizes = {}
    form = re.compile(
        r"train/(case\d+)/\1_day\d+/scans/slice_(\d{4})_(\d+)_(\d+)_(1\.50|1\.63)_\5\.png"
    )
    for path in folder.glob("train/*/*/scans/*.png"):
        match = form.fullmatch(path.relative_to(folder).as_posix())
        assert match is not None
        image = read(path)
        assert image.dtype == np.uint16
        assert image.shape == (int(match[4]), int(match[3]))  # width comes first in the name
        sizes[f"{path.parts[-3]}_slice_{match[2]}"] = image.shape
    assert set(sizes) == {row[0] for row in rows}
    for image_id, shape in sizes.items():
        masks = masks_of([row[2] for row in rows if row[0] == image_id], shape, "row-major")
        assert not masks or np.sum(masks, axis=0).max() == 1
    test_cases = {path.name for path in (folder / "test").iterdir()}
    assert not test_cases & {path.name for path in (folder / "train").iterdir()}
    assert table(folder / "sample_submission.csv")[0] == ["id", "class", "predicted"]


def test_ships_in_airbus_layout(reports):
    folder = reports["ships"].folder
    header, rows = table(folder / "train_ship_segmentations_v2.csv")
    assert header == ["ImageId", "EncodedPixels"]
    images = {path.name for path in (folder / "train_v2").iterdir()}
    assert {name for name, _ in rows} == images
    assert {path.suffix for path in (folder / "test_v2").iterdir()} == {".jpg"}
    count = Counter(name for name, _ in rows)
    assert max(count.values()) > 1  # one row a ship
    empty = {name for name, text in rows if not text}
    assert all(count[name] == 1 for name in empty)
    assert len(images) - len(empty) == reports["ships"].with_mask == 5  # 22 % of 24
    for name in images - empty:
        masks = masks_of(
            [text for image_id, text in rows if image_id == name], (160, 160), "kaggle"
        )
        pixels = read(folder / "train_v2" / name).astype(float).sum(axis=2)
        assert np.sum(masks, axis=0).max() == 1
        assert pixels[np.sum(masks, axis=0) > 0].mean() > np.median(pixels)


def test_salt_in_tgs_layout(reports):
    folder = reports["salt"].folder
    header, rows = table(folder / "train.csv")
    assert header == ["id", "rle_mask"]
    assert len(rows) == reports["salt"].label_rows == 24
    assert all(re.fullmatch(r"[0-9a-f]{10}", name) for name, _ in rows)
    assert {path.stem for path in (folder / "train/images").iterdir()} == {
        image_id for image_id, _ in rows
    }
    for name, text in rows:
        image, mask = (
            read(folder / "train" / kind / f"{name}.png") for kind in ("images", "masks")
        )
        assert image.shape == (101, 101, 3)
        assert np.ptp(image.astype(int), axis=2).max() == 0  # gray, stored as colour
        truth = masks_of([text], (101, 101), "kaggle") or [np.zeros((101, 101))]
        assert (mask == truth[0].astype(np.uint16) * 65535).all()
    masks = [masks_of([text], (101, 101), "kaggle")[0] for _, text in rows if text]
    assert len(masks) == reports["salt"].with_mask == 15  # 39 % of 24 are empty
    assert sum(bool(mask.all()) for mask in masks) == 1
    assert sum(bool((mask == mask[0]).all() and not mask.all()) for mask in masks) == 1
    header, depths = table(folder / "depths.csv")
    assert header == ["id", "z"]
    assert len({name for name, _ in depths}) == len(depths) == 24 + 8
    assert all(51 <= int(z) <= 959 for _, z in depths)
    tests = {path.stem for path in (folder / "test/images").iterdir()}
    assert tests == {image_id for image_id, _ in depths} - {image_id for image_id, _ in rows}
    assert [path.name for path in (folder / "test").iterdir()] == ["images"]


def test_black_sections_are_planted_only_on_request(tmp_path):
    for quirks in (False, True):
        report = synthesize_salt(
            tmp_path / str(quirks), train=60, test=4, size=64, seed=0, quirks=quirks
        )
        paths = report.folder.glob("train/images/*.png")
        black = sorted(path.stem for path in paths if not read(path).any())
        assert len(black) == (1 if quirks else 0)
        assert not quirks or report.quirks[0] == f"all black: {black[0]}"


@pytest.mark.parametrize(
    ("kind", "sample", "key"),
    [
        ("steel", "sample_submission.csv", 1),
        ("abdomen", "sample_submission.csv", 2),
        ("ships", "sample_submission_v2.csv", 1),
        ("salt", "sample_submission.csv", 1),
    ],
)
def test_the_solution_has_the_samples_rows_and_both_parts(reports, kind, sample, key):
    header, asked = table(reports[kind].folder / sample)
    truth_header, truth = table(reports[kind].folder / "solution.csv")
    assert truth_header == [*header, "Usage"]
    keys = list(dict.fromkeys(tuple(row[:key]) for row in truth))
    assert keys == [tuple(row[:key]) for row in asked]
    assert {row[-1] for row in truth} <= {"Public", "Private"}
    assert any(row[key] for row in truth)
    if kind != "abdomen":  # there the cases are parted, and eight slices are one
        assert {row[-1] for row in truth} == {"Public", "Private"}


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_bytes_for_any_number_of_threads(kind, tmp_path):
    asked = {"train": 8, "test": 4, "size": 96, "quirks": True}
    for name, seed, workers in (("one", 1, 1), ("three", 1, 3), ("other", 2, 3)):
        MAKERS[kind](tmp_path / name, seed=seed, workers=workers, **asked)
    first, three, other = (files_of(tmp_path / name) for name in ("one", "three", "other"))
    assert first == three
    pictures = {
        data
        for name, data in first.items()
        if name.endswith(("jpg", "png")) and "masks" not in name
    }
    assert len(pictures & {*other.values()}) == (kind == "salt")  # the black one


@pytest.mark.parametrize("kind", MAKERS)
def test_a_finished_folder_is_kept_and_its_report_read(kind, reports):
    before = {path: path.stat().st_mtime_ns for path in reports[kind].folder.rglob("*")}
    assert MAKERS[kind](reports[kind].folder, size=SIZES[kind], **ASKED) == reports[kind]
    assert before == {path: path.stat().st_mtime_ns for path in reports[kind].folder.rglob("*")}
    facts = json.loads((reports[kind].folder / "synthetic.json").read_text())
    assert facts["made_with"]["kind"] == kind
    sheet = read(reports[kind].folder / "contact-sheet.png")
    assert sheet.shape[1] == 4 * 384 + 12
    with pytest.raises(InputError, match="contains another synthetic competition"):
        MAKERS[kind](reports[kind].folder, size=SIZES[kind] + 1, **ASKED)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("size", [64, 200])
def test_the_smallest_sets_have_all_quirks(kind, size, tmp_path):
    report = MAKERS[kind](tmp_path / "a", train=4, test=4, size=size, seed=0, quirks=True)
    assert len(report.quirks) == (3 if kind == "ships" else 4)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("wrong", [{"train": 3}, {"test": 0}, {"size": 63}, {"seed": -1}])
def test_numbers_out_of_range_are_named(kind, wrong, tmp_path):
    with pytest.raises(InputError, match="expected at least 4 training and test images"):
        MAKERS[kind](tmp_path / "a", **{**ASKED, "size": 96, **wrong})
    assert not (tmp_path / "a").exists()


def test_ids_are_different_and_the_sheet_shows_masks_first():
    ids = hex_ids(300, np.random.default_rng(0), digits=3)
    assert len(set(ids)) == 300
    assert all(re.fullmatch("[0-9a-f]{3}", image_id) for image_id in ids)
    assert shown_places([False] * 20) == set(range(16))
    assert shown_places([True, False] * 20) == {*range(0, 24, 2), 1, 3, 5, 7}
