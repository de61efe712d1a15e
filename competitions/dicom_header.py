"""The header of a DICOM file: size, kind of pixels, and facts for the image table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom import uid

from goldfold.competitions.codestream import UnreadableError, require_plausible_size
from goldfold.competitions.dicom_elements import COLOURS, TAGS, Elements
from goldfold.competitions.dicom_scale import Display, read_display
from goldfold.competitions.palette import Palette, make_palette
from goldfold.competitions.pixel_data import PixelData, find_pixel_data
from goldfold.competitions.pydicom_silence import PYDICOM_SILENCE
from goldfold.competitions.window import GrayScale

FACTS = (
    "patient",
    "sex",
    "age",
    "view",
    "spacing_mm",
    "transfer_syntax",
    "photometric",
    "sop_instance_uid",
    "study",
    "series",
    "frames",
    "position_mm",
    "instance_number",
)
"""Names of the facts about an image; an unknown fact is ""."""

RECODE = "Rewrite it uncompressed, e.g. with `dcmdjpeg`, `dcmdjpls` or `gdcmconv --raw`."


@dataclass(frozen=True)
class DicomHeader:
    """The header of a DICOM file; `display` applies to gray images, `palette` to others."""

    height: int
    width: int
    samples: int
    planar: int
    bits_allocated: int
    photometric: str
    transfer_syntax: str
    display: Display
    pixel_data: PixelData
    facts: dict[str, str]
    frames: int = 1
    palette: Palette | None = None

    @property
    def scale(self) -> GrayScale:
        """How stored gray values are displayed as far as the header says."""
        return self.display.scale


def parse_header(file: BinaryIO) -> DicomHeader:
    """Return the header of a DICOM file; only the lengths of the pixel data are read.

    Args:
        file: seekable binary file, positioned at its start.

    Raises:
        UnreadableError: the file is damaged or truncated, has no pixel data, or is too large.
    """
    dataset = _read_elements(file)
    pixel_data = find_pixel_data(file)
    meta, elements = Elements(dataset.file_meta), Elements(dataset)
    syntax = meta.text("TransferSyntaxUID") or _syntax_of(dataset)
    height, width = elements.number("Rows"), elements.number("Columns")
    require_plausible_size(height, width)
    frames = elements.text("NumberOfFrames") or "1"
    if not frames.isdecimal():
        raise UnreadableError(f"its header says {frames!r} frames; expected a whole number")
    photometric = elements.text("PhotometricInterpretation")
    return DicomHeader(
        height=height,
        width=width,
        samples=elements.number("SamplesPerPixel", 1),
        planar=elements.number("PlanarConfiguration", 0),
        bits_allocated=elements.number("BitsAllocated"),
        photometric=photometric,
        transfer_syntax=syntax,
        display=read_display(elements, max(1, int(frames)) // 2),
        pixel_data=pixel_data,
        facts=_facts(elements, syntax),
        frames=max(1, int(frames)),
        palette=_palette(elements) if photometric == "PALETTE COLOR" else None,
    )


def _read_elements(file: BinaryIO) -> pydicom.Dataset:
    """Return the elements before the pixel data, and leave `file` positioned there."""
    try:
        with PYDICOM_SILENCE:
            return pydicom.dcmread(
                file, stop_before_pixels=True, specific_tags=list(TAGS.values()), force=True
            )
    except Exception as error:  # a parser that meets broken bytes may raise anything
        raise UnreadableError(f"its DICOM header is truncated or damaged ({error})") from error


def _syntax_of(dataset: pydicom.Dataset) -> str:
    """Return the transfer syntax of a file that does not name it, as its elements are written."""
    implicit, little = dataset.original_encoding
    if not little:
        return str(uid.ExplicitVRBigEndian)
    return str(uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian)


def _palette(elements: Elements) -> Palette:
    """Return the colours of the pixel values."""
    tables = [f"{colour}PaletteColorLookupTable" for colour in COLOURS]
    return make_palette(
        [elements.integers(f"{table}Descriptor") for table in tables],
        [elements.little_endian_words(f"{table}Data") for table in tables],
        elements.number("PixelRepresentation", 0) == 1,
    )


def _facts(elements: Elements, syntax: str) -> dict[str, str]:
    """Return a value for each of `FACTS`."""
    spacing = elements.text("PixelSpacing") or elements.text("ImagerPixelSpacing")
    sides = [side.strip() for side in spacing.split("\\")]
    return {
        "patient": elements.text("PatientID"),
        "sex": elements.text("PatientSex"),
        "age": elements.text("PatientAge"),
        "view": elements.text("ViewPosition"),
        "spacing_mm": sides[0] if len(set(sides)) == 1 else " ".join(sides),
        "transfer_syntax": syntax_name(syntax),
        "photometric": elements.text("PhotometricInterpretation"),
        "sop_instance_uid": elements.text("SOPInstanceUID"),
        "study": elements.text("StudyInstanceUID"),
        "series": elements.text("SeriesInstanceUID"),
        "frames": elements.text("NumberOfFrames"),
        "position_mm": _position(elements),
        "instance_number": elements.text("InstanceNumber"),
    }


def _position(elements: Elements) -> str:
    """Return where a slice lies along its normal in mm, "" where the header does not say.

    The normal points to the head, the left or the back of the patient, whichever is nearest, so
    that the order does not depend on how the rows of the image run. Of an axial slice it is the z
    of ImagePositionPatient.

    Source: DICOM PS3.3, C.7.6.2.1.1.
    """
    try:
        corner = elements.floats("ImagePositionPatient")
        cosines = elements.floats("ImageOrientationPatient")
    except UnreadableError:  # only models that are shown neighbours need it
        return ""
    if len(corner) != 3:
        return ""
    normal = np.array([0.0, 0.0, 1.0])
    if len(cosines) == 6:
        crossed = np.cross(cosines[:3], cosines[3:])
        if (length := float(np.linalg.norm(crossed))) > 0:
            normal = crossed / length
    along = float(normal @ corner) * (1 if normal[np.argmax(np.abs(normal))] > 0 else -1)
    return f"{round(along, 3) + 0.0:.3f}"


@lru_cache(maxsize=64)
def syntax_name(syntax: str) -> str:
    """Return the name of a transfer syntax.

    >>> syntax_name("1.2.840.10008.1.2.4.50")
    'JPEG Baseline (Process 1)'
    """
    with PYDICOM_SILENCE:
        return str(uid.UID(syntax).name)
