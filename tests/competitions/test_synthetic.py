import csv
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.competitions.image import read_header, read_image
from goldfold.competitions.synthetic import (
    SyntheticReport,
    draw_contact_sheet,
    siim_release,
    synthesize,
    synthetic_example,
    write_contact_sheet,
)
from goldfold.competitions.synthetic.anatomy import draw_anatomy
from goldfold.competitions.synthetic.csv_text import csv_text
from goldfold.competitions.synthetic.patients import plan_cohorts, positive_count, spare_ids
from goldfold.competitions.synthetic.phantom import render_phantom
from goldfold.competitions.synthetic.pneumothorax import draw_crescents
from goldfold.competitions.synthetic.projection import draw_projection
from goldfold.competitions.synthetic.siim_release import plan_release
from goldfold.competitions.synthetic.siim_tables import imageless_rows, label_texts
from goldfold.errors import InputError, OutputError

SIZE = 128
TRAIN, TEST, SEED = 40, 32, 5


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> SyntheticReport:
    folder = tmp_path_factory.mktemp("plain") / "siim"
    return synthesize(folder, train=TRAIN, test=TEST, size=SIZE, seed=SEED)


@pytest.fixture(scope="module")
def quirky(tmp_path_factory: pytest.TempPathFactory) -> SyntheticReport:
    folder = tmp_path_factory.mktemp("quirky") / "siim"
    return synthesize(folder, train=TRAIN, test=TEST, size=SIZE, seed=SEED, quirks=True)


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def dicoms(folder: Path, part: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob(f"dicom-images-{part}/*/*/*.dcm"))}


def naive_mask(text: str, size: int) -> np.ndarray:
    """The competition's rule, spelt out: gap, length, gap, length down the columns."""
    mask = np.zeros((size, size), np.uint8)
    numbers = [int(token) for token in text.split()]
    position = 0
    if numbers != [-1]:
        for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
            for pixel in range(position + gap, position + gap + length):
                mask[pixel % size, pixel // size] = 1
            position += gap + length
    return mask


def union(rows: list[list[str]], image_id: str, size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    for row in rows:
        if row[0] == image_id:
            mask |= naive_mask(row[1], size)
    return mask


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- hand-computed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "positive"), [(2, 1), (4, 1), (8, 2), (16, 4), (32, 8), (96, 25), (100, 26)]
)
def test_positive_count(images: int, positive: int) -> None:
    assert positive_count(images) == positive


def test_csv_text_has_no_carriage_returns() -> None:
    assert csv_text(("ImageId", " EncodedPixels"), [("a", "5 2")]) == (
        "ImageId, EncodedPixels\na,5 2\n"
    )


def test_label_texts_are_column_major_zero_based_and_relative() -> None:
    mask = np.zeros((3, 4), np.uint8)
    mask[1:, 1] = 1  # pixels 4 and 5 down the columns
    mask[2, 3] = 1  # pixel 11, the last
    assert label_texts([mask]) == ["4 2 5 1"]
    assert label_texts([]) == ["-1"]
    assert label_texts([np.zeros_like(mask)]) == ["-1"]


def test_a_second_reader_adds_a_row_inside_the_first() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = 1
    first, second = label_texts([mask], second_reader=True)
    assert naive_mask(first, 9).sum() == 25
    assert np.array_equal(naive_mask(second, 9)[3:6, 3:6], np.ones((3, 3)))
    assert naive_mask(second, 9).sum() == 9


def test_a_second_reader_of_a_single_pixel_repeats_it() -> None:
    mask = np.zeros((5, 5), np.uint8)
    mask[0, 0] = 1
    assert label_texts([mask], second_reader=True) == ["0 1", "0 1"]


# --- laws ----------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(2, 120), min_size=1, max_size=3),
    st.integers(0, 2**40),
)
@settings(max_examples=40, deadline=None)
def test_cohorts_are_exact_and_share_no_patient(counts: list[int], seed: int) -> None:
    cohorts = plan_cohorts(counts, seed)
    assert [len(cohort) for cohort in cohorts] == counts
    patients = [Counter(plan.patient for plan in cohort) for cohort in cohorts]
    for cohort, count, images in zip(cohorts, counts, patients, strict=True):
        positive = sum(bool(plan.crescents) for plan in cohort)
        assert positive == positive_count(count)
        assert count < 14 or 0.22 <= positive / count <= 0.30
        assert max(images.values()) <= 5
        assert any(len(plan.crescents) == 2 for plan in cohort)
    assert len(set().union(*patients)) == sum(len(images) for images in patients)
    uids = [
        uid for plans in cohorts for p in plans for uid in (p.image_id, p.study_uid, p.series_uid)
    ]
    assert len(set(uids)) == len(uids)
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)
    assert not set(spare_ids(5, seed)) & set(uids)


def test_positives_are_spread_over_patients() -> None:
    (cohort,) = plan_cohorts([30], seed=0)
    assert len({plan.patient for plan in cohort if plan.crescents}) == 8


def test_images_of_a_patient_share_the_anatomy_but_not_the_exposure() -> None:
    (cohort,) = plan_cohorts([60], seed=0)
    several = [patient for patient, n in Counter(p.patient for p in cohort).items() if n > 1]
    assert several
    for patient in several:
        plans = [plan for plan in cohort if plan.patient == patient]
        assert len({plan.anatomy for plan in plans}) == 1
        assert len({plan.projection for plan in plans}) == len(plans)


@given(st.integers(0, 2**32), st.floats(0, 1), st.integers(1, 2))
@settings(max_examples=12, deadline=None)
def test_every_crescent_is_visible(seed: int, severity: float, parts: int) -> None:
    rng = np.random.default_rng(seed)
    anatomy, projection = draw_anatomy(rng), draw_projection(rng)
    crescents = draw_crescents(rng, severity, parts, anatomy.ill_side)
    phantom = render_phantom(anatomy, projection, crescents, SIZE, rng)
    assert phantom.image.shape == (SIZE, SIZE)
    assert phantom.image.dtype == np.uint8
    assert [mask.dtype for mask in phantom.masks] == [np.uint8] * parts
    assert all(0.0005 < mask.mean() < 0.25 for mask in phantom.masks)
    assert sum(int(mask.sum()) for mask in phantom.masks) == phantom.mask().sum()  # disjoint
    assert set(np.unique(phantom.mask())) == {0, 1}


def test_area_grows_with_severity() -> None:
    rng = np.random.default_rng(3)
    anatomy, projection = draw_anatomy(rng), draw_projection(rng)
    areas = []
    for severity in (0.0, 0.5, 1.0):
        drawn = np.random.default_rng(8)
        crescents = draw_crescents(drawn, severity, 1, -1)
        areas.append(render_phantom(anatomy, projection, crescents, SIZE, drawn).mask().sum())
    assert areas[0] < areas[1] < areas[2]


def test_only_the_crescent_changes_the_image_and_makes_it_darker() -> None:
    rng = np.random.default_rng(1)
    anatomy = draw_anatomy(rng)
    projection = replace(draw_projection(rng), zoom=1.0, noise=0.0)
    crescents = draw_crescents(rng, 0.7, 1, anatomy.ill_side)
    ill = render_phantom(anatomy, projection, crescents, 256, np.random.default_rng(2))
    well = render_phantom(anatomy, projection, (), 256, np.random.default_rng(2))
    change = ill.image.astype(int) - well.image.astype(int)
    near = cv2.dilate(ill.mask(), np.ones((9, 9), np.uint8))
    assert change[ill.mask() == 1].mean() < -8
    assert np.abs(change[near == 0]).max() <= 1
    assert change[(near == 1) & (ill.mask() == 0)].max() > 5  # the white pleural line


def test_the_same_phantom_at_another_size_has_the_same_shape() -> None:
    _, small = synthetic_example(0, 4, 256)
    _, large = synthetic_example(0, 4, 512)
    shrunk = cv2.resize(large.astype(np.float32), (256, 256), interpolation=cv2.INTER_AREA) > 0.5
    assert (shrunk & (small > 0)).sum() / (shrunk | (small > 0)).sum() > 0.9


def test_synthetic_example_repeats_itself_and_every_fourth_is_ill() -> None:
    drawn = [synthetic_example(7, index, 64) for index in range(8)]
    again = [synthetic_example(7, index, 64) for index in range(8)]
    assert [bool(mask.any()) for _, mask in drawn] == [True, False, False, False] * 2
    for (image, mask), (image_again, mask_again) in zip(drawn, again, strict=True):
        assert np.array_equal(image, image_again)
        assert np.array_equal(mask, mask_again)
    assert not np.array_equal(drawn[0][0], synthetic_example(8, 0, 64)[0])


# --- the folder ----------------------------------------------------------------------------------


def test_layout_and_headers_are_those_of_siim(plain: SyntheticReport) -> None:
    for part, count in (("train", TRAIN), ("test", TEST)):
        files = dicoms(plain.folder, part)
        assert len(files) == count
        for image_id, path in files.items():
            header = pydicom.dcmread(path)
            assert header.SOPInstanceUID == image_id == header.file_meta.MediaStorageSOPInstanceUID
            assert header.StudyInstanceUID == path.parent.parent.name
            assert header.SeriesInstanceUID == path.parent.name
            assert header.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
            assert (header.Modality, header.BodyPartExamined) == ("CR", "CHEST")
            assert header.ViewPosition in ("PA", "AP")
            assert header.PatientSex in ("F", "M")
            assert header.PatientAge.isdigit()
            assert (header.Rows, header.Columns, header.BitsStored) == (SIZE, SIZE, 8)
            assert header.PixelSpacing == [1.344, 1.344]
            assert header.pixel_array.shape == (SIZE, SIZE)


def test_headers_have_every_tag_of_a_real_file(plain: SyntheticReport) -> None:
    header = pydicom.dcmread(next(iter(dicoms(plain.folder, "train").values())))
    assert [element.keyword for element in header] == [
        *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyDate", "StudyTime"),
        *("AccessionNumber", "Modality", "ConversionType", "ReferringPhysicianName"),
        *("SeriesDescription", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
        *("PatientAge", "BodyPartExamined", "ViewPosition", "StudyInstanceUID"),
        *("SeriesInstanceUID", "StudyID", "SeriesNumber", "InstanceNumber"),
        *("PatientOrientation", "SamplesPerPixel", "PhotometricInterpretation", "Rows"),
        *("Columns", "PixelSpacing", "BitsAllocated", "BitsStored", "HighBit"),
        *("PixelRepresentation", "LossyImageCompression", "LossyImageCompressionMethod"),
        "PixelData",
    ]


def test_files_hold_the_planned_images_and_masks(plain: SyntheticReport) -> None:
    plan = plan_release(TRAIN, TEST, SEED, quirks=False)
    rows = rows_of(plain.folder / "train-rle.csv")
    files = dicoms(plain.folder, "train")
    inverted = 0
    for index, planned in enumerate(plan.train[:12]):
        rng = np.random.default_rng([SEED, 3, index])
        phantom = render_phantom(planned.anatomy, planned.projection, planned.crescents, SIZE, rng)
        stored = read_image(files[planned.image_id])
        assert np.abs(stored.astype(int) - phantom.image).mean() < 6  # JPEG is lossy
        assert np.array_equal(union(rows, planned.image_id, SIZE), phantom.mask())
    for planned in plan.train:
        facts = read_header(files[planned.image_id]).facts
        assert facts["patient"] == planned.patient
        inverted += facts["photometric"] == "MONOCHROME1"
    assert 1 <= inverted <= 0.15 * TRAIN


def test_monochrome1_is_stored_inverted(plain: SyntheticReport) -> None:
    files = dicoms(plain.folder, "train").values()
    path = next(p for p in files if read_header(p).facts["photometric"] == "MONOCHROME1")
    assert np.array_equal(read_image(path), 255 - pydicom.dcmread(path).pixel_array)


def test_tables_of_a_plain_competition(plain: SyntheticReport) -> None:
    folder = plain.folder
    assert (folder / "train-rle.csv").read_text().startswith("ImageId, EncodedPixels\n")
    rows = rows_of(folder / "train-rle.csv")
    assert {row[0] for row in rows} == set(dicoms(folder, "train"))
    assert len(rows) == plain.label_rows > TRAIN  # some images have several rows
    positive = {image_id for image_id, text in rows if text != "-1"}
    assert len(positive) == plain.train_positive == positive_count(TRAIN)
    assert plain.unlabelled == plain.imageless == ()


def test_sample_and_solution_agree_with_the_test_images(plain: SyntheticReport) -> None:
    folder = plain.folder
    header = (folder / "stage_2_sample_submission.csv").read_text().splitlines()[0]
    assert header == "ImageId,EncodedPixels"
    sample = rows_of(folder / "stage_2_sample_submission.csv")
    assert (folder / "solution.csv").read_text().startswith("ImageId,EncodedPixels,Usage\n")
    solution = rows_of(folder / "solution.csv")
    assert {text for _, text in sample} == {"-1"}
    ids = [image_id for image_id, _ in sample]
    assert len(ids) == TEST
    assert set(ids) == set(dicoms(folder, "test"))
    assert list(dict.fromkeys(row[0] for row in solution)) == ids
    for usage, images, positive in (
        ("Public", plain.public_images, plain.public_positive),
        ("Private", plain.private_images, plain.private_positive),
    ):
        mine = {row[0] for row in solution if row[2] == usage}
        ill = {row[0] for row in solution if row[2] == usage and row[1] != "-1"}
        assert (len(mine), len(ill)) == (images, positive) == (TEST // 2, 4)


def test_no_patient_is_in_training_and_test(plain: SyntheticReport) -> None:
    patients = [
        {read_header(path).facts["patient"] for path in dicoms(plain.folder, part).values()}
        for part in ("train", "test")
    ]
    assert not patients[0] & patients[1]
    assert [len(both) for both in patients] == [plain.train_patients, plain.test_patients]
    assert len(patients[0]) < TRAIN


def test_quirks_change_tables_and_no_image(plain: SyntheticReport, quirky: SyntheticReport) -> None:
    same = {name: digest for name, digest in content(plain.folder).items() if "dicom" in name}
    assert same == {n: digest for n, digest in content(quirky.folder).items() if "dicom" in n}
    rows = rows_of(quirky.folder / "train-rle.csv")
    ids, files = {row[0] for row in rows}, set(dicoms(quirky.folder, "train"))
    assert files - ids == set(quirky.unlabelled) != set()
    assert ids - files == set(quirky.imageless) != set()
    assert {"-1", " -1", ""} <= {text for _, text in rows}
    assert len(rows) == quirky.label_rows
    clean = rows_of(plain.folder / "train-rle.csv")
    stripped = [[image_id, text.strip() or "-1"] for image_id, text in rows]
    overlapping = 0
    for image_id in ids & files:
        assert np.array_equal(union(stripped, image_id, SIZE), union(clean, image_id, SIZE))
        mine = [naive_mask(text, SIZE) for name, text in stripped if name == image_id]
        overlapping += bool((np.sum(mine, axis=0) > 1).any())
    assert overlapping >= 1
    texts = [text for name, text in stripped if name in quirky.imageless]
    assert {text == "-1" for text in texts} == {True, False}


def test_imageless_rows_lie_inside_the_image() -> None:
    (_, text), (_, empty) = imageless_rows(["a", "b"], 64)
    assert naive_mask(text, 64).sum() == 16 * 4
    assert empty == "-1"


# --- repeatable, whole or not at all -------------------------------------------------------------


def test_same_seed_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    asked = {"train": 8, "test": 4, "size": 64, "quirks": True}
    for name, seed, workers in (("one", 1, 1), ("three", 1, 3), ("other", 2, 3)):
        synthesize(tmp_path / name, seed=seed, workers=workers, **asked)
    first, three, other = (content(tmp_path / name) for name in ("one", "three", "other"))
    assert first == three
    assert not set(first.values()) & set(other.values())


def test_a_finished_folder_is_kept(plain: SyntheticReport) -> None:
    before = {path: path.stat().st_mtime_ns for path in plain.folder.rglob("*")}
    again = synthesize(plain.folder, train=TRAIN, test=TEST, size=SIZE, seed=SEED)
    assert again == plain
    assert before == {path: path.stat().st_mtime_ns for path in plain.folder.rglob("*")}


def test_report_is_written_beside_the_data(plain: SyntheticReport) -> None:
    facts = json.loads((plain.folder / "synthetic.json").read_text())
    assert facts["made_with"]["seed"] == SEED
    assert facts["report"]["train_positive"] == plain.train_positive
    sheet = cv2.imread(str(plain.folder / "contact-sheet.png"))
    assert sheet.shape == (4 * 384 + 12, 4 * 384 + 12, 3)


def test_another_competition_in_the_folder_is_refused(plain: SyntheticReport) -> None:
    with pytest.raises(
        InputError, match=r"contains another synthetic competition; .*Choose another"
    ):
        synthesize(plain.folder, train=TRAIN, test=TEST, size=SIZE, seed=SEED + 1)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"contains other files; .*needs a folder of its own"):
        synthesize(tmp_path, train=8, test=4, size=64, seed=0)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "siim").write_text("mine")
    with pytest.raises(InputError, match=r"siim is a file, not a folder. Choose another name."):
        synthesize(tmp_path / "siim", train=8, test=4, size=64, seed=0)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    synthesize(tmp_path, train=4, test=4, size=64, seed=0)
    assert len(dicoms(tmp_path, "train")) == 4


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*Free some space or choose a folder"):
        synthesize(tmp_path / "file" / "siim", train=8, test=4, size=64, seed=0)


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(siim_release, "write_text", interrupt)
        with pytest.raises(KeyboardInterrupt):
            synthesize(tmp_path / "siim", train=4, test=4, size=64, seed=0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".siim.partial").mkdir()  # what a kill would leave
    (tmp_path / ".siim.partial" / "half.dcm").write_text("")
    report = synthesize(tmp_path / "siim", train=4, test=4, size=64, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["siim"]
    assert not (report.folder / "half.dcm").exists()


def test_all_bad_arguments_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        synthesize(tmp_path / "siim", train=1, test=0, size=8, seed=-1)
    text = str(caught.value)
    for part in ("train = 1 must be between 4", "test = 0", "size = 8", "seed = -1"):
        assert part in text
    assert not (tmp_path / "siim").exists()


# --- contact sheet -------------------------------------------------------------------------------


def test_contact_sheet_outlines_masks() -> None:
    image = np.full((100, 200), 90, np.uint8)
    mask = np.zeros_like(image)
    mask[20:60, 50:120] = 1
    sheet = draw_contact_sheet([image, image, image], [mask, mask * 0, mask * 0], columns=2)
    assert sheet.shape == (192 * 2 + 4, 384 * 2 + 4, 3)  # rows are as high as the highest image
    coloured = np.argwhere(sheet.min(axis=2) != sheet.max(axis=2))
    top, left = coloured.min(axis=0)
    bottom, right = coloured.max(axis=0)
    assert np.allclose([top, left, bottom, right], np.array([20, 50, 60, 120]) * 1.92, atol=2)
    assert tuple(sheet[-1, -10]) == (0, 0, 0)  # right of the last image
    tall = draw_contact_sheet([image, image.T], [mask, mask.T], columns=2)
    assert tall.shape == (384, 384 * 2 + 4, 3)
    assert tuple(tall[200, 10]) == (0, 0, 0)  # below the wide image its tile is empty


def test_contact_sheet_shows_even_a_single_pixel() -> None:
    image = np.zeros((1024, 1024), np.uint8)
    mask = np.zeros_like(image)
    mask[511, 300] = 1
    assert draw_contact_sheet([image], [mask]).any()


def test_write_contact_sheet_is_a_png(tmp_path: Path) -> None:
    image, mask = synthetic_example(0, 0, 64)
    write_contact_sheet(tmp_path / "new" / "sheet.png", [image] * 5, [mask] * 5, columns=4)
    assert cv2.imread(str(tmp_path / "new" / "sheet.png")).shape == (772, 1548, 3)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]


def test_contact_sheet_names_what_does_not_fit(tmp_path: Path) -> None:
    image = np.zeros((8, 8), np.uint8)
    with pytest.raises(InputError, match="found 1 images, 0 masks, 4 columns"):
        write_contact_sheet(tmp_path / "a.png", [image], [])
    with pytest.raises(InputError, match=r"image 0 has shape \(8, 8\) and its mask \(4, 8\)"):
        write_contact_sheet(tmp_path / "a.png", [image], [image[:4]])
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_contact_sheet(tmp_path / "file" / "a.png", [image], [image])


def test_lungs_in_montgomerys_layout(tmp_path):
    from goldfold.competitions.synthetic import synthesize_lungs

    report = synthesize_lungs(tmp_path / "a", images=10, size=96, seed=1, quirks=True)
    images = sorted(path.name for path in (tmp_path / "a/CXR_png").iterdir())
    assert len(images) == report.images == 10
    assert [name.startswith("CHNCXR") for name in images].count(True) == 2
    left = sorted((tmp_path / "a/ManualMask/leftMask").iterdir())
    right = sorted((tmp_path / "a/ManualMask/rightMask").iterdir())
    assert [path.name for path in left] == [path.name for path in right]
    assert len(left) == 8
    sizes = set()
    for left_path, right_path in zip(left, right, strict=True):
        image = cv2.imread(str(tmp_path / "a/CXR_png" / left_path.name), cv2.IMREAD_UNCHANGED)
        left_image, right_image = (
            cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (left_path, right_path)
        )
        sizes.add(image.shape)
        assert image.shape == left_image.shape == right_image.shape
        assert set(np.unique(left_image)) == {0, 255}
        assert not (left_image & right_image).any()
        # The patient's left lung lies in the right half of the image.
        assert np.nonzero(left_image)[1].mean() > np.nonzero(right_image)[1].mean()
        # Lungs are darker than what surrounds them.
        assert (
            image[(left_image | right_image) > 0].mean()
            < image[(left_image | right_image) == 0].mean()
        )
    assert len(sizes) == 2
    assert len(report.unlabelled) == len(report.imageless) == 1
    again = synthesize_lungs(tmp_path / "b", images=10, size=96, seed=1, quirks=True, workers=1)
    assert again.mask_files == report.mask_files
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
