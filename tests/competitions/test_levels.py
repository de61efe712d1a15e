"""Which levels become black and white: windows of headers, percentiles, and what is asked."""

import io

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.image import (
    PLAIN,
    Reading,
    UndecidedImageError,
    picture_reading,
    read_header,
    read_image,
    read_levels,
)
from goldfold.competitions.level_loss import levels_kept
from goldfold.competitions.recognise_levels import add_levels, guess_levels
from goldfold.competitions.stretch import range_of_counts, range_of_values, spread
from goldfold.competitions.window import get_window
from goldfold.errors import ImageError
from goldfold.settings import ImageFiles

STORED = np.random.default_rng(0).integers(300, 1100, (30, 20)).astype(np.uint16)
BITS = Reading(stretch="none")


def between(values, low, high):
    """Return values spread over 0 to 255, as the standard's LINEAR_EXACT window does."""
    return np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255


def percentiles(values, limits=(0.5, 99.5)):
    return np.percentile(values, limits, method="inverted_cdf")


def dicom(stored, **elements):
    """Return a dataset of gray pixels of 16 bits without a window."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def item(**elements):
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a DICOM file and returns its path."""

    def save(stored=STORED, **elements):
        path = tmp_path / "a.dcm"
        dicom(stored, **elements).save_as(path, enforce_file_format=True)
        return path

    return save


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [12, 16])
def test_without_a_window_the_content_decides(write, photometric, bits):
    path = write(PhotometricInterpretation=photometric, BitsStored=bits)
    expected = between(STORED, *percentiles(STORED))
    expected = 255 - expected if photometric == "MONOCHROME1" else expected
    assert np.abs(read_image(path) - expected).max() <= 0.5 + 1e-9
    assert np.unique(read_image(path, reading=BITS)).size < 256
    whole = between(STORED, STORED.min(), STORED.max())
    whole = 255 - whole if photometric == "MONOCHROME1" else whole
    assert np.abs(read_image(path, reading=Reading(stretch="image")) - whole).max() <= 0.5 + 1e-9


def test_padding_does_not_count_and_rescale_makes_no_difference(write):
    signed = STORED.astype(np.int16) - 700
    padded = signed.copy()
    padded[:8], padded[8:10] = -2000, -1990
    lower = np.sort(padded[10:].ravel())
    expected = between(padded, *percentiles(lower))
    path = write(padded, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990)
    plain = read_image(path)
    assert np.abs(plain - expected).max() <= 0.5 + 1e-9
    assert not plain[:10].any()
    rescaled = write(padded, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990,
                     RescaleSlope=2.5, RescaleIntercept=10)  # fmt: skip
    assert np.abs(read_image(rescaled).astype(int) - plain).max() <= 1


def test_a_proper_window_and_8_bits_are_what_they_were(write):
    path = write(WindowCenter=[600, 40], WindowWidth=[500, 80])
    assert np.array_equal(read_image(path), read_image(path, reading=BITS))
    eight = (STORED % 100).astype(np.uint8)
    path = write(eight, BitsAllocated=8, BitsStored=8)
    assert np.array_equal(read_image(path), eight)
    stretched = read_image(path, reading=Reading(stretch="percentile", percentiles=(0, 100)))
    assert (stretched.min(), stretched.max()) == (0, 255)


@pytest.mark.parametrize("width", [0, -5, 0.5])
def test_an_impossible_window_is_ignored_and_said(write, width):
    path = write(WindowCenter=600, WindowWidth=width)
    assert np.array_equal(read_image(path), read_image(write()))
    path = write(WindowCenter=600, WindowWidth=width)
    assert read_header(path).notes == (
        f"a window of width {width:g} in the header, which is ignored",
    )


@pytest.mark.parametrize("shared", [True, False])
def test_windows_and_rescale_in_functional_groups(write, shared):
    frames = np.stack([STORED, STORED + 50, STORED + 100])
    right = item(
        FrameVOILUTSequence=[item(WindowCenter=1200, WindowWidth=900)],
        PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=-100)],
    )
    wrong = item(FrameVOILUTSequence=[item(WindowCenter=10, WindowWidth=5)])
    groups = (
        {"SharedFunctionalGroupsSequence": [right]}
        if shared
        else {
            "SharedFunctionalGroupsSequence": [wrong],
            "PerFrameFunctionalGroupsSequence": [wrong, right, wrong],
        }
    )
    path = write(frames, NumberOfFrames=3, **groups)
    values = (STORED + 50) * 2.0 - 100
    expected = np.clip((values - 1199.5) / 899 + 0.5, 0, 1) * 255
    assert np.abs(read_image(path) - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    "elements",
    [{"Modality": "CT"}, {"RescaleType": "HU"}, {"RescaleIntercept": -1024, "RescaleSlope": 1}],
)
def test_ct_without_a_window_is_asked_about(write, elements):
    path = write(**elements)
    with pytest.raises(UndecidedImageError, match=r"it is CT.*images\.windows.*images\.stretch"):
        read_image(path)
    window = get_window("soft-tissue")
    assert read_image(path, reading=Reading((window,))).shape == STORED.shape
    for reading in (Reading(ask=False), Reading(stretch="percentile"), BITS):
        assert read_image(path, reading=reading).shape == STORED.shape
    with_window = write(WindowCenter=40, WindowWidth=400, **elements)
    assert np.array_equal(read_image(with_window), read_image(with_window, reading=BITS))
    guess = guess_levels([write(**elements)], path.parent)
    assert list(guess.questions) == ["competition.images.windows"]


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("meta", [True, False])
def test_files_without_a_preamble(tmp_path, implicit, meta):
    dataset = dicom(STORED, WindowCenter=600, WindowWidth=500)
    dataset.file_meta.TransferSyntaxUID = (
        uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
    )
    whole = tmp_path / "whole"
    dataset.save_as(whole, enforce_file_format=True)
    data = whole.read_bytes()[132:]
    if not meta:
        length = int.from_bytes(data[8:12], "little")
        data = data[12 + length :]
    bare = tmp_path / "bare"  # without an ending, as in many folders of DICOM
    bare.write_bytes(data)
    assert np.array_equal(read_image(bare), read_image(whole))
    with pytest.raises(ImageError, match="truncated"):
        bare.write_bytes(data[:-100])
        read_header(bare)


def test_a_damaged_jpeg_in_a_dicom_is_noticed_in_colours(tmp_path):
    colour = np.random.default_rng(1).integers(0, 255, (40, 30, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(colour).save(buffer, "JPEG", quality=95)
    frame = buffer.getvalue()
    dataset = dicom(STORED)
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 40, 30, 3
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "YBR_FULL_422", 0
    path = tmp_path / "a.dcm"
    for content, words in ((frame, ""), (frame[:900] + b"\xff\xd9", "premature end")):
        dataset.PixelData = pydicom.encaps.encapsulate([content])
        dataset["PixelData"].VR = "OB"
        dataset.save_as(path, enforce_file_format=True)
        if words:
            with pytest.raises(ImageError, match=words):
                read_image(path)
        else:
            assert read_image(path, 3).shape == (40, 30, 3)


def test_a_dark_png_is_stretched_by_percentiles(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), STORED)
    plain = read_image(path)
    assert np.array_equal(plain, np.rint(STORED / 257))  # as ever, the same for every image
    loss = levels_kept(path, plain, PLAIN)
    assert (loss.seen, loss.stored, loss.lost) == (4, np.unique(STORED).size, True)
    seen = read_image(path, reading=Reading(stretch="percentile"))
    assert np.abs(seen - between(STORED, *percentiles(STORED))).max() <= 0.5 + 1e-3
    deep = read_levels(path, reading=Reading(stretch="percentile"), bits=16)
    assert np.abs(deep / 257 - seen).max() <= 0.51
    window = read_image(path, reading=Reading((get_window("700:400"),)))
    assert np.array_equal(window == 0, STORED <= 500)
    for chosen, expected in (({}, "percentile"), ({"stretch": "none"}, "none")):
        draft = CompetitionDraft.empty("dark", "a folder")
        draft.competition["images"] = {"train": ["*.png"], **chosen}
        add_levels(draft, tmp_path)
        assert draft.competition["images"]["stretch"] == expected
        assert len(draft.seen) == (not chosen)


def test_few_levels_that_are_all_in_the_file_are_not_lost(tmp_path):
    path = tmp_path / "a.png"
    for pixels in (np.zeros((9, 9), np.uint16), (STORED > 700).astype(np.uint8) * 255):
        cv2.imwrite(str(path), pixels)
        assert not levels_kept(path, read_image(path), PLAIN).lost


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=60),
    st.tuples(st.floats(0, 50), st.floats(50.5, 100)),
)
def test_percentiles_are_those_of_numpy(values, limits):
    pixels = np.array(values)
    expected = percentiles(pixels, limits)
    if expected[0] == expected[1]:
        expected = [pixels.min(), pixels.max()]
    counts = np.bincount(pixels, minlength=1001)
    order = np.random.default_rng(0).permutation(1001)
    found = range_of_counts(order.astype(float), counts[order], limits)
    assert list(found) == list(expected) == list(range_of_values(pixels.astype(float), limits))
    levels = spread(pixels, *found, 255)
    assert (np.diff(levels[np.argsort(pixels, kind="stable")].astype(int)) >= 0).all()


def test_pictures_for_people_are_whole(write):
    images = ImageFiles(windows=["brain"], crop="head", repair="ct-intercept")
    reading = picture_reading(images)
    assert (reading.windows, reading.crop, reading.ask) == ((), "none", False)
    assert read_image(write(Modality="CT"), reading=reading).shape == STORED.shape


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"stretch_percentiles": [99, 1]}, "begin below where they end"),
        ({"stretch_percentiles": [-1, 50]}, "greater than or equal to 0"),
        ({"windows": ["brain"], "stretch": "percentile"}, "exclude each other"),
        ({"stretch": "auto-window"}, "'auto', 'none', 'image' or 'percentile'"),
    ],
)
def test_settings_that_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        ImageFiles.model_validate(wrong)
