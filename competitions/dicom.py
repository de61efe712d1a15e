"""DICOM files: the header without pixels, and the pixels as 8-bit gray or colour.

If a file has several frames, the middle frame is read. 8-bit JPEG frames are decoded as JPEG files
are, so damage is found; those of colour images once more by pydicom, which knows their colours. All
others are decoded by pydicom with an explicitly named decoder, as pydicom would choose python-gdcm
for everything, which is slower.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder

from goldfold.competitions.codestream import (
    Claim,
    UnreadableError,
    jpeg2000_claim,
    jpeg2000_codestream,
    jpeg_claim,
    require_whole_jpeg,
)
from goldfold.competitions.deflated_dicom import DEFLATED, inflate, is_deflated
from goldfold.competitions.dicom_header import RECODE, DicomHeader, parse_header, syntax_name
from goldfold.competitions.dicom_scale import CONVERT, displayed
from goldfold.competitions.jpeg import decode_jpeg
from goldfold.competitions.pydicom_silence import PYDICOM_SILENCE
from goldfold.competitions.reading import PLAIN, Reading
from goldfold.competitions.stretch import count_patterns, range_of_counts, spread
from goldfold.competitions.window import repair_ct, to_gray

_NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
_JPEG_OTHER = (
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
)
_JPEG2000 = tuple(uid.JPEG2000TransferSyntaxes)
# Transfer syntax -> the name of pydicom's decoder for it.
_DECODERS: dict[str, str] = {
    **dict.fromkeys(_NATIVE, ""),
    **dict.fromkeys(_JPEG, "pillow"),
    **dict.fromkeys(_JPEG_OTHER, "gdcm"),
    **dict.fromkeys(_JPEG2000, "pylibjpeg"),
    uid.RLELossless: "pydicom",
}
# Lossy JPEG of 12 bits is read where pylibjpeg-libjpeg is installed; it is GPL, so not required.
_TWELVE_BITS = "pylibjpeg"
_PACKAGES = {"gdcm": "python-gdcm", _TWELVE_BITS: "pylibjpeg pylibjpeg-libjpeg"}
_SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), 3),
}


def read_dicom_header(file: BinaryIO) -> DicomHeader:
    """Return the header of a DICOM file; only the lengths of the pixel data are read.

    Args:
        file: seekable binary file, positioned at its start.

    Raises:
        UnreadableError: the file is damaged or truncated, has no pixel data, or is of a size or
            kind that is not supported.
    """
    deflated = is_deflated(file.read(4096))
    file.seek(0)
    header = parse_header(BytesIO(inflate(file.read())) if deflated else file)
    if deflated:
        header.facts["transfer_syntax"] = syntax_name(DEFLATED)
    _require_known_pixels(header)
    _require_known_encoding(header)
    return header


def read_dicom_pixels(
    data: bytes, reading: Reading = PLAIN, bits: Literal[8, 16] = 8
) -> NDArray[np.uint8 | np.uint16]:
    """Return the image in a DICOM file: (H, W) gray or (H, W, 3) RGB.

    Steps: decode, modality LUT (rescale), VOI LUT or window, invert MONOCHROME1. A palette gives
    colour; colour of more than 8 bits is reduced to 8. Of n frames, frame n // 2 (counted from 0)
    is read.

    Args:
        data: the bytes of the file.
        reading: windows applied to a gray image instead of its own (several give (H, W, C)),
            stretch and repair.
        bits: bits of the levels, uint8 or uint16; colour has 8.

    Raises:
        UnreadableError: as `read_dicom_header`, or the pixel data cannot be decoded, or nothing
            says which values of CT become black and white.
    """
    if is_deflated(data):
        data = inflate(data)
    header = read_dicom_header(BytesIO(data))
    stored = _decode(header, data)
    shape = (header.height, header.width) + ((3,) if header.samples == 3 else ())
    if stored.shape != shape:
        raise UnreadableError(f"its header says {shape} pixels, its frame holds {stored.shape}")
    if header.palette is not None:
        return header.palette.look_up(stored)
    if header.samples == 3:
        return _colour_levels(stored, header.scale.bits, reading)
    if not reading.windows:
        return to_gray(stored, displayed(header.display, stored, reading), bits)
    scale = repair_ct(header.scale) if reading.repair else header.scale
    seen = [
        to_gray(stored, replace(scale, voi=None, windows=(window,)), bits)
        for window in reading.windows
    ]
    return seen[0] if len(seen) == 1 else np.dstack(seen)


def _colour_levels(stored: NDArray[Any], bits: int, reading: Reading) -> NDArray[np.uint8]:
    """Return RGB values of `bits` bits as 8-bit levels."""
    most = 2**bits - 1
    if reading.stretch in ("image", "percentile"):
        unsigned = stored.view(np.dtype(f"u{stored.dtype.itemsize}")) & np.uint16(most)
        counts = count_patterns(unsigned, most + 1)
        ends = range_of_counts(np.arange(most + 1.0), counts, reading.limits)
        return np.ascontiguousarray(spread(unsigned, *ends, 255), np.uint8)
    if bits == 8:
        return np.ascontiguousarray(stored, dtype=np.uint8)
    return np.ascontiguousarray((stored.astype(np.uint32) * 255 + most // 2) // most, np.uint8)


def _require_known_pixels(header: DicomHeader) -> None:
    """Raise an error unless samples, photometric interpretation and bits are supported."""
    kind = header.photometric
    if _SAMPLES.get(kind) != header.samples:
        raise UnreadableError(
            f"its photometric interpretation is {kind!r} with {header.samples} samples; expected "
            "MONOCHROME1, MONOCHROME2 or PALETTE COLOR with 1, or RGB or YBR with 3",
            CONVERT,
        )
    if header.bits_allocated not in (8, 16):
        raise UnreadableError(
            f"its pixels have {header.bits_allocated} bits; expected 8 or 16", CONVERT
        )


def _require_known_encoding(header: DicomHeader) -> None:
    """Raise an error unless the transfer syntax is supported and agrees with the pixel data."""
    syntax = header.transfer_syntax
    name, plugin = syntax_name(syntax), _plugin(header)
    if plugin is None:
        raise UnreadableError(f"its transfer syntax, {name}, is not supported", RECODE)
    if plugin and plugin not in get_decoder(syntax).available_plugins:
        deep = " of more than 8 bits" if syntax in _JPEG else ""
        package = "pylibjpeg-openjpeg" if syntax in _JPEG2000 else _PACKAGES[plugin]
        raise UnreadableError(
            f"its transfer syntax, {name}{deep}, needs a decoder that is not installed",
            f"Run `pip install {package}`, or {RECODE[0].lower()}{RECODE[1:]}",
        )
    if header.pixel_data.encapsulated != bool(plugin):
        encoding = "compressed" if header.pixel_data.encapsulated else "not compressed"
        raise UnreadableError(f"its transfer syntax is {name}, but its pixels are {encoding}")
    if plugin:
        return
    expected = _native_bytes(header) * header.frames
    found_bytes = header.pixel_data.end - header.pixel_data.start
    if found_bytes < expected:
        times = f"{header.frames} x " if header.frames > 1 else ""
        raise UnreadableError(
            f"it is truncated: {times}{header.height} x {header.width} pixels need "
            f"{expected:,} bytes, its pixel data have {found_bytes:,}"
        )


def _plugin(header: DicomHeader) -> str | None:
    """Return the name of pydicom's decoder, "" if none is needed, None for an unknown syntax."""
    if header.transfer_syntax in _JPEG and header.scale.bits > 8:
        return _TWELVE_BITS
    return _DECODERS.get(header.transfer_syntax)


def _native_bytes(header: DicomHeader) -> int:
    """Return the number of bytes of an uncompressed frame."""
    pixels = header.height * header.width
    if header.photometric == "YBR_FULL_422":
        return pixels * 2
    return pixels * header.samples * header.bits_allocated // 8


def _decode(header: DicomHeader, data: bytes) -> NDArray[Any]:
    """Return the stored values, (H, W) integers or (H, W, 3) RGB."""
    syntax, place = header.transfer_syntax, header.frames // 2
    if not header.pixel_data.encapsulated:
        start = header.pixel_data.start
        if header.frames > 1:
            size = _native_bytes(header)
            return _decode_by_pydicom(header, data[start + place * size :][:size])
        return _decode_by_pydicom(header, data[start : header.pixel_data.end])
    frame = header.pixel_data.frame(data)
    if header.frames > 1:
        frame = _compressed_frame(header, data, place)
    if syntax in _JPEG2000:
        # Without the JP2 boxes around it: pydicom 3.0 never returns from a box of length 0.
        frame = jpeg2000_codestream(frame)
        _require_agreement(header, jpeg2000_claim(frame), exact_bits=False)
        require_whole_jpeg(frame)
    elif syntax != uid.RLELossless:
        claim = jpeg_claim(frame)
        _require_agreement(header, claim, exact_bits=syntax in _JPEG)
        require_whole_jpeg(frame)
        if syntax in _JPEG and claim.bits == 8:
            decoded = decode_jpeg(frame, claim)
            if claim.channels == 1:
                return decoded
    return _decode_by_pydicom(header, encapsulate([frame]))


def _compressed_frame(header: DicomHeader, data: bytes, place: int) -> bytes:
    """Return one of several compressed frames."""
    value = data[header.pixel_data.start : header.pixel_data.end]
    try:
        with PYDICOM_SILENCE:
            return bytes(get_frame(value, place, number_of_frames=header.frames))
    except Exception as error:  # a parser that meets broken bytes may raise anything
        raise UnreadableError(
            f"its {header.frames} compressed frames cannot be separated ({error})"
        ) from error


def _require_agreement(header: DicomHeader, claim: Claim, *, exact_bits: bool) -> None:
    """Raise an error unless the compressed frame agrees with the header."""
    said = (header.height, header.width, header.samples, header.scale.bits)
    claimed = (claim.height, claim.width, claim.channels, claim.bits)
    if said[: 4 if exact_bits else 3] != claimed[: 4 if exact_bits else 3]:
        raise UnreadableError(
            "its header says {} x {} pixels (height x width), {} channels of {} bits, ".format(
                *said
            )
            + "but its compressed frame holds {} x {}, {} of {}".format(*claimed),
            "Copy the file again; if the error remains, correct its header or convert it to PNG.",
        )


def _decode_by_pydicom(header: DicomHeader, value: bytes) -> NDArray[Any]:
    """Return the value of Pixel Data as decoded by the decoder for its transfer syntax."""
    decoder = get_decoder(header.transfer_syntax)
    try:
        with PYDICOM_SILENCE:
            decoded, _ = decoder.as_array(
                value,
                index=0,
                decoding_plugin=_plugin(header) or "",
                rows=header.height,
                columns=header.width,
                number_of_frames=1,
                samples_per_pixel=header.samples,
                bits_allocated=header.bits_allocated,
                bits_stored=header.scale.bits,
                photometric_interpretation=header.photometric,
                pixel_representation=int(header.scale.signed),
                planar_configuration=header.planar,
                pixel_keyword="PixelData",
                pixel_vr="OW" if header.pixel_data.words or header.bits_allocated > 8 else "OB",
                correct_unused_bits=False,
            )
    except Exception as error:  # a decoder that meets broken bytes may raise anything
        name = syntax_name(header.transfer_syntax)
        raise UnreadableError(f"its {name} pixel data cannot be decoded ({error})") from error
    return np.asarray(decoded, dtype=decoded.dtype.newbyteorder("="))
