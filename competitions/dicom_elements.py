"""The values of a DICOM header as they are in the file.

pydicom finds the elements; their values are not converted by it, so that odd values which do not
matter here raise neither errors nor warnings.
"""

from __future__ import annotations

import math

import numpy as np
import pydicom
from pydicom.tag import Tag

from goldfold.competitions.codestream import UnreadableError
from goldfold.competitions.pydicom_silence import PYDICOM_SILENCE
from goldfold.competitions.window import LookupTable

COLOURS, PARTS = ("Red", "Green", "Blue"), ("Descriptor", "Data")

TAGS = {
    keyword: Tag(keyword)
    for keyword in (
        "SOPClassUID",
        "SOPInstanceUID",
        "Modality",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "PatientID",
        "PatientSex",
        "PatientAge",
        "ViewPosition",
        "InstanceNumber",
        "ImagePositionPatient",
        "ImageOrientationPatient",
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
        "RescaleType",
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "FrameVOILUTSequence",
        "PixelValueTransformationSequence",
        "ModalityLUTSequence",
        "VOILUTSequence",
        "LUTDescriptor",
        "LUTData",
        *(f"{colour}PaletteColorLookupTable{part}" for colour in COLOURS for part in PARTS),
        "TransferSyntaxUID",
    )
}


class Elements:
    """The values of a header as they are in the file; text is UTF-8 or, failing that, Latin-1."""

    def __init__(self, dataset: pydicom.Dataset) -> None:
        self._dataset = dataset

    def _raw(self, tag: int) -> tuple[bytes, bool]:
        if tag not in self._dataset:
            return b"", True
        element = self._dataset.get_item(tag)
        value = element.value
        if isinstance(value, str):  # pydicom has already converted it
            return value.encode(), True
        if not isinstance(value, bytes):
            return b"", True
        return value, bool(getattr(element, "is_little_endian", True))

    def text(self, keyword: str) -> str:
        """Return the text of an element without padding, "" if it is missing."""
        value, _ = self._raw(TAGS[keyword])
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        return text.strip(" \0")

    def integers(self, keyword: str) -> list[int]:
        """Return the unsigned 16-bit numbers of an element."""
        value, little = self._raw(TAGS[keyword])
        kind = "<u2" if little else ">u2"
        return [int(n) for n in np.frombuffer(value[: len(value) // 2 * 2], dtype=kind)]

    def little_endian_words(self, keyword: str) -> bytes:
        """Return the bytes of an element of 16-bit words, in little-endian order."""
        value, little = self._raw(TAGS[keyword])
        if little:
            return value
        return np.frombuffer(value[: len(value) // 2 * 2], dtype=">u2").astype("<u2").tobytes()

    def number(self, keyword: str, otherwise: int | None = None) -> int:
        """Return the first 16-bit number of an element.

        Raises:
            UnreadableError: the element is missing, and there is no default.
        """
        numbers = self.integers(keyword)
        if numbers:
            return numbers[0]
        if otherwise is None:
            raise UnreadableError(f"its header has no {keyword}")
        return otherwise

    def floats(self, keyword: str) -> list[float]:
        """Return the decimal numbers of an element.

        Raises:
            UnreadableError: some are not finite numbers.
        """
        text = self.text(keyword)
        try:
            numbers = [float(part) for part in text.split("\\")] if text else []
        except ValueError:
            numbers = [math.nan]
        if not all(map(math.isfinite, numbers)):
            raise UnreadableError(f"its header has {keyword} = {text!r}; expected numbers")
        return numbers

    def items(self, keyword: str) -> list[Elements]:
        """Return the items of a sequence, none if it is missing.

        Raises:
            UnreadableError: the sequence is damaged.
        """
        if TAGS[keyword] not in self._dataset:
            return []
        try:
            with PYDICOM_SILENCE:
                items = self._dataset[TAGS[keyword]].value
                known = isinstance(items, pydicom.Sequence)
                return [Elements(item) for item in items] if known else []
        except Exception as error:  # a parser that meets broken bytes may raise anything
            raise UnreadableError(f"its {keyword} is damaged ({error})") from error

    def lookup_table(self, keyword: str, signed: bool) -> LookupTable | None:
        """Return the lookup table in the first item of a sequence, None if there is none.

        Raises:
            UnreadableError: the table is damaged.
        """
        items = self.items(keyword)
        if not items:
            return None
        item = items[0]
        descriptor, levels = item.integers("LUTDescriptor"), item.integers("LUTData")
        entries, first, bits = (*descriptor, 0, 0, 0)[:3]
        entries = entries or 2**16
        if not 8 <= bits <= 16 or len(levels) < entries:
            raise UnreadableError(
                f"its {keyword} describes {entries} entries of {bits} bits, but has {len(levels)}"
            )
        kind = item.kind("LUTDescriptor")
        if first >= 2**15 and (kind == "SS" or (kind != "US" and signed)):
            first -= 2**16
        return LookupTable(first, bits, tuple(levels[:entries]))

    def kind(self, keyword: str) -> str | None:
        """Return the value representation in the file, None if the file does not contain it."""
        kind = self._dataset.get_item(TAGS[keyword]).VR
        return None if kind is None else str(kind)
