"""Every DICOM file that pydicom installs: read as pydicom reads it, or refused with a reason."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

from goldfold.competitions.image import Reading, read_header, read_image
from goldfold.errors import ImageError

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file() and path.suffix in ("", ".dcm"))
REFUSED = {
    # name of a file, or of the folder it is in: words of the reason
    "dicomdirtests": "no pixel data",
    "tinyfile": "no",
    "badVR.dcm": "'1A' frames",
    "empty_charset_LEI.dcm": "no pixel data",
    "ExplVR_BigEndNoMeta.dcm": "no pixel data",
    "ExplVR_LitEndNoMeta.dcm": "no pixel data",
    "JPEG-lossy.dcm": "needs a decoder that is not installed",
    "JPGExtended.dcm": "needs a decoder that is not installed",
    "JPEG2000-embedded-sequence-delimiter.dcm": "but its compressed frame holds",
    "liver_1frame.dcm": "have 1 bits",
    "liver_expb_1frame.dcm": "have 1 bits",
    "meta_missing_tsyntax.dcm": "no pixel data",
    "MR_truncated.dcm": "truncated",
    "nested_priv_SQ.dcm": "no pixel data",
    "no_meta.dcm": "not a DICOM",
    "no_meta_group_length.dcm": "no pixel data",
    "priv_SQ.dcm": "no pixel data",
    "README": "not a DICOM",
    "reportsi.dcm": "no pixel data",
    "reportsi_with_empty_number_tags.dcm": "no pixel data",
    "rtdose.dcm": "32 bits stored",
    "rtdose_1frame.dcm": "32 bits stored",
    "rtdose_expb.dcm": "32 bits stored",
    "rtdose_expb_1frame.dcm": "32 bits stored",
    "rtdose_rle.dcm": "32 bits stored",
    "rtdose_rle_1frame.dcm": "32 bits stored",
    "rtplan.dcm": "no pixel data",
    "rtplan_truncated.dcm": "no pixel data",
    "rtstruct.dcm": "no pixel data",
    "SC_rgb_rle_32bit.dcm": "32 bits stored",
    "SC_rgb_rle_32bit_2frame.dcm": "32 bits stored",
    "test-SR.dcm": "no pixel data",
    "UN_sequence.dcm": "no pixel data",
    "waveform_ecg.dcm": "no pixel data",
}


BITS = Reading(stretch="none")  # as pydicom: without a window, the range of the bits


def by_pydicom(path):
    """Return the image as pydicom's own functions give it, float64 levels from 0 to 255."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array
        count = int(dataset.get("NumberOfFrames", 1) or 1)
        frame = stored[count // 2] if count > 1 else stored
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            coloured = apply_color_lut(frame, dataset)
            return np.floor(coloured / (256 if coloured.dtype == np.uint16 else 1))
        if dataset.SamplesPerPixel == 3:
            return frame / (2**dataset.BitsStored - 1) * 255
        return _gray(dataset, frame)


def _gray(dataset, frame):
    values = apply_modality_lut(frame, dataset).astype(np.float64)
    if "VOILUTSequence" in dataset:
        table = apply_voi_lut(frame, dataset)
        levels = table / (2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1)
    elif dataset.get("WindowWidth") not in (None, "", []):
        # pydicom spreads a window over the values that there can be.
        windowed = apply_voi_lut(values, dataset)
        low, high = _range(dataset)
        levels = (windowed - low) / (high - low)
    else:
        low, high = _range(dataset)
        levels = (values - low) / (high - low)
    levels = np.clip(levels, 0, 1) * 255
    return 255 - levels if dataset.PhotometricInterpretation == "MONOCHROME1" else levels


def _range(dataset):
    bits, signed = dataset.BitsStored, dataset.PixelRepresentation == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope, intercept = (
        float(dataset.get(name, default))
        for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    ends = [value * slope + intercept for value in (low, high)]
    return min(ends), max(ends)


def reason(path):
    for part in (path.name, *path.parent.relative_to(FOLDER).parts):
        if part in REFUSED:
            return REFUSED[part]
    return None


def channels_of(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
    colour = dataset.SamplesPerPixel == 3 or dataset.PhotometricInterpretation == "PALETTE COLOR"
    return 3 if colour else 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_as_pydicom_reads_it_or_refused(path):
    try:
        decoded = read_image(path, channels=1, reading=BITS)
    except ImageError as error:
        words = reason(path)
        assert words is not None, f"refused: {error}"
        assert words in str(error)
        assert str(error).endswith(".")
        return
    header = read_header(path)
    channels = channels_of(path)
    decoded = read_image(path, channels=channels, reading=BITS)
    expected = by_pydicom(path)
    assert decoded.shape[:2] == (header.height, header.width) == expected.shape[:2]
    assert np.abs(decoded.astype(np.float64) - expected).max() <= 0.5 + 1e-6
