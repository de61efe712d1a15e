"""What the header of a DICOM file says: size, kind of pixels, and facts for the image table.

pydicom walks the elements; their values are taken as they stand in the file, so that odd ones that
do not matter here are neither converted nor complained of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom import uid
from pydicom.tag import Tag

from goldfold.competitions.codestream import (
    LEAVE_OUT,
    UnreadableError,
    require_plausible_size,
)
from goldfold.competitions.palette import Palette, make_palette
from goldfold.competitions.pixel_data import PixelData, find_pixel_data
from goldfold.competitions.pydicom_silence import PYDICOM_SILENCE
from goldfold.competitions.window import GrayScale, LookupTable, Window

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
)
"""Names of the facts of an image; one that is not known is ""."""

COLOURS, PARTS = ("Red", "Green", "Blue"), ("Descriptor", "Data")

RECODE = "Rewrite it uncompressed, e.g. with `dcmdjpeg`, `dcmdjpls` or `gdcmconv --raw`."
CONVERT = f"Convert it to 8- or 16-bit PNG, or {LEAVE_OUT}."

_TAGS = {
    keyword: Tag(keyword)
    for keyword in (
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "PatientID",
        "PatientSex",
        "PatientAge",
        "ViewPosition",
        "PixelSpacing",
        "ImagerPixelSpacing",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "PixelRepresentation",
        "WindowCenter",
        "WindowWidth",
        "VOILUTFunction",
        "RescaleIntercept",
        "RescaleSlope",
        "ModalityLUTSequence",
        "VOILUTSequence",
        "LUTDescriptor",
        "LUTData",
        *(f"{colour}PaletteColorLookupTable{part}" for colour in COLOURS for part in PARTS),
        "TransferSyntaxUID",
    )
}


@dataclass(frozen=True)
class DicomHeader:
    """What a DICOM file says of its image; `scale` matters for gray, `palette` for others."""

    height: int
    width: int
    samples: int
    planar: int
    bits_allocated: int
    photometric: str
    transfer_syntax: str
    scale: GrayScale
    pixel_data: PixelData
    facts: dict[str, str]
    frames: int = 1
    palette: Palette | None = None


def parse_header(file: BinaryIO) -> DicomHeader:
    """Return the header of a DICOM file; of the pixel data only lengths are looked at.

    Args:
        file: seekable, at its beginning, opened for reading bytes.

    Raises:
        UnreadableError: damaged, truncated, without pixel data, of a size that is not read.
    """
    dataset = _read_elements(file)
    pixel_data = find_pixel_data(file)
    meta, elements = _Elements(dataset.file_meta), _Elements(dataset)
    syntax = meta.text("TransferSyntaxUID") or str(uid.ImplicitVRLittleEndian)
    height, width = elements.number("Rows"), elements.number("Columns")
    require_plausible_size(height, width)
    frames = elements.text("NumberOfFrames") or "1"
    if not frames.isdecimal():
        raise UnreadableError(f"its header says {frames!r} frames, a whole number was expected")
    photometric = elements.text("PhotometricInterpretation")
    return DicomHeader(
        height=height,
        width=width,
        samples=elements.number("SamplesPerPixel", 1),
        planar=elements.number("PlanarConfiguration", 0),
        bits_allocated=elements.number("BitsAllocated"),
        photometric=photometric,
        transfer_syntax=syntax,
        scale=_gray_scale(elements),
        pixel_data=pixel_data,
        facts=_facts(elements, syntax),
        frames=max(1, int(frames)),
        palette=_palette(elements) if photometric == "PALETTE COLOR" else None,
    )


def _read_elements(file: BinaryIO) -> pydicom.Dataset:
    """Return the elements before the pixel data, where `file` then stands."""
    try:
        with PYDICOM_SILENCE:
            return pydicom.dcmread(
                file, stop_before_pixels=True, specific_tags=list(_TAGS.values())
            )
    except Exception as error:  # a parser that meets broken bytes may raise anything
        raise UnreadableError(f"its DICOM header is broken off or damaged ({error})") from error


class _Elements:
    """Values of a header as they stand in the file: none is converted, so none is complained of.

    Text is taken as UTF-8 or, failing that, Latin-1.
    """

    def __init__(self, dataset: pydicom.Dataset) -> None:
        self._dataset = dataset

    def _raw(self, tag: int) -> tuple[bytes, bool]:
        if tag not in self._dataset:
            return b"", True
        element = self._dataset.get_item(tag)
        value = element.value
        if isinstance(value, str):  # pydicom looked at it before us
            return value.encode(), True
        if not isinstance(value, bytes):
            return b"", True
        return value, bool(getattr(element, "is_little_endian", True))

    def text(self, keyword: str) -> str:
        """Return the text of an element without padding, "" where it is missing."""
        value, _ = self._raw(_TAGS[keyword])
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        return text.strip(" \0")

    def integers(self, keyword: str) -> list[int]:
        """Return the 16-bit numbers of an element, without sign."""
        value, little = self._raw(_TAGS[keyword])
        kind = "<u2" if little else ">u2"
        return [int(n) for n in np.frombuffer(value[: len(value) // 2 * 2], dtype=kind)]

    def little_endian_words(self, keyword: str) -> bytes:
        """Return the bytes of an element of words, in little-endian order."""
        value, little = self._raw(_TAGS[keyword])
        if little:
            return value
        return np.frombuffer(value[: len(value) // 2 * 2], dtype=">u2").astype("<u2").tobytes()

    def number(self, keyword: str, otherwise: int | None = None) -> int:
        """Return the first 16-bit number of an element."""
        numbers = self.integers(keyword)
        if numbers:
            return numbers[0]
        if otherwise is None:
            raise UnreadableError(f"its header has no {keyword}")
        return otherwise

    def floats(self, keyword: str) -> list[float]:
        """Return the decimal numbers of an element."""
        text = self.text(keyword)
        try:
            numbers = [float(part) for part in text.split("\\")] if text else []
        except ValueError:
            numbers = [math.nan]
        if not all(map(math.isfinite, numbers)):
            raise UnreadableError(f"its header has {keyword} = {text!r}, numbers were expected")
        return numbers

    def lookup_table(self, keyword: str, signed: bool) -> LookupTable | None:
        """Return the lookup table in the first item of a sequence."""
        if _TAGS[keyword] not in self._dataset:
            return None
        try:
            with PYDICOM_SILENCE:
                items = self._dataset[_TAGS[keyword]].value
        except Exception as error:  # as above
            raise UnreadableError(f"its {keyword} is damaged ({error})") from error
        if not isinstance(items, pydicom.Sequence) or not items:
            return None
        item = _Elements(items[0])
        descriptor, levels = item.integers("LUTDescriptor"), item.integers("LUTData")
        entries, first, bits = (*descriptor, 0, 0, 0)[:3]
        entries = entries or 2**16
        if not 8 <= bits <= 16 or len(levels) < entries:
            raise UnreadableError(
                f"its {keyword} describes {entries} entries of {bits} bits, "
                f"{len(levels)} entries are there"
            )
        kind = item.kind("LUTDescriptor")
        if first >= 2**15 and (kind == "SS" or (kind != "US" and signed)):
            first -= 2**16
        return LookupTable(first, bits, tuple(levels[:entries]))

    def kind(self, keyword: str) -> str | None:
        """Return the value representation that stands in the file, None where it does not."""
        kind = self._dataset.get_item(_TAGS[keyword]).VR
        return None if kind is None else str(kind)


def _gray_scale(elements: _Elements) -> GrayScale:
    """Return how gray values are to be seen."""
    bits = elements.number("BitsStored")
    if not 1 <= bits <= min(16, elements.number("BitsAllocated")):
        raise UnreadableError(
            f"its header says {bits} bits stored of {elements.number('BitsAllocated')} "
            "allocated, 1 to 16 were expected",
            CONVERT,
        )
    signed = elements.number("PixelRepresentation", 0) == 1
    function = elements.text("VOILUTFunction").upper() or "LINEAR"
    pairs = zip(elements.floats("WindowCenter"), elements.floats("WindowWidth"), strict=False)
    slope, intercept = elements.floats("RescaleSlope"), elements.floats("RescaleIntercept")
    return GrayScale(
        bits=bits,
        signed=signed,
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        modality=elements.lookup_table("ModalityLUTSequence", signed),
        voi=elements.lookup_table("VOILUTSequence", signed),
        windows=tuple(Window(center, width, function) for center, width in pairs),
        inverted=elements.text("PhotometricInterpretation") == "MONOCHROME1",
    )


def _palette(elements: _Elements) -> Palette:
    """Return the colours of the pixel values."""
    tables = [f"{colour}PaletteColorLookupTable" for colour in COLOURS]
    return make_palette(
        [elements.integers(f"{table}Descriptor") for table in tables],
        [elements.little_endian_words(f"{table}Data") for table in tables],
        elements.number("PixelRepresentation", 0) == 1,
    )


def _facts(elements: _Elements, syntax: str) -> dict[str, str]:
    """Return what is worth a column, one entry for each of `FACTS`."""
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
    }


@lru_cache(maxsize=64)
def syntax_name(syntax: str) -> str:
    """Return the name of a transfer syntax.

    >>> syntax_name("1.2.840.10008.1.2.4.50")
    'JPEG Baseline (Process 1)'
    """
    with PYDICOM_SILENCE:
        return str(uid.UID(syntax).name)
