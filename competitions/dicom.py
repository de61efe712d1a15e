"""DICOM files: the header without pixels, and the pixels as 8-bit gray or colour.

8-bit JPEG frames of gray images are decoded by OpenCV, which yields the same pixels sooner, all
others by pydicom. Its decoder is always named: left to choose, pydicom takes python-gdcm where it
is installed, which is slower.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder

from goldfold.competitions.codestream import (
    Claim,
    UnreadableError,
    jpeg2000_claim,
    jpeg2000_codestream,
    jpeg_claim,
    require_whole_jpeg,
)
from goldfold.competitions.dicom_header import (
    CONVERT,
    RECODE,
    DicomHeader,
    parse_header,
    syntax_name,
)
from goldfold.competitions.pydicom_silence import PYDICOM_SILENCE
from goldfold.competitions.window import to_gray

_NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
# Read where the user has installed pylibjpeg-libjpeg; it is GPL, so it is not required here.
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
    **dict.fromkeys(_JPEG_OTHER, "pylibjpeg"),
    **dict.fromkeys(_JPEG2000, "pylibjpeg"),
    uid.RLELossless: "pydicom",
}
_SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), 3),
}


def read_dicom_header(file: BinaryIO) -> DicomHeader:
    """Return the header of a DICOM file; of the pixel data only lengths are looked at.

    Args:
        file: seekable, at its beginning, opened for reading bytes.

    Raises:
        UnreadableError: damaged, truncated, without pixel data, of a size or kind not read.
    """
    header = parse_header(file)
    _require_known_pixels(header)
    _require_known_encoding(header)
    return header


def read_dicom_pixels(data: bytes) -> NDArray[np.uint8]:
    """Return the image in a DICOM file: (H, W) gray or (H, W, 3) RGB, uint8.

    In this order: decode, modality LUT (rescale), VOI LUT or first window, invert MONOCHROME1.

    Args:
        data: the bytes of the file.

    Raises:
        UnreadableError: see `read_dicom_header`; also where the pixel data cannot be decoded.
    """
    header = read_dicom_header(BytesIO(data))
    stored = _decode(header, data)
    shape = (header.height, header.width) + ((3,) if header.samples == 3 else ())
    if stored.shape != shape:
        raise UnreadableError(f"its header says {shape} pixels, its frame holds {stored.shape}")
    if header.samples == 3:
        return np.ascontiguousarray(stored, dtype=np.uint8)
    return to_gray(stored, header.scale)


def _require_known_pixels(header: DicomHeader) -> None:
    """Return nothing if samples, photometric interpretation and bits are of a kind read here."""
    kind = header.photometric
    if _SAMPLES.get(kind) != header.samples:
        raise UnreadableError(
            f"its pixels are of the kind {kind!r} with {header.samples} samples; "
            "MONOCHROME1 or MONOCHROME2 with 1, RGB or YBR with 3 were expected",
            CONVERT,
        )
    if header.bits_allocated not in (8, 16):
        raise UnreadableError(
            f"its pixels have {header.bits_allocated} bits, 8 or 16 were expected", CONVERT
        )
    if header.samples == 3 and (header.scale.bits, header.bits_allocated) != (8, 8):
        raise UnreadableError(
            f"it is a colour image with {header.scale.bits} bits, 8 were expected", CONVERT
        )


def _require_known_encoding(header: DicomHeader) -> None:
    """Return nothing if the transfer syntax is read here and agrees with the pixel data."""
    name, plugin = syntax_name(header.transfer_syntax), _DECODERS.get(header.transfer_syntax)
    if plugin is None:
        raise UnreadableError(f"its transfer syntax, {name}, is not read", RECODE)
    if plugin and plugin not in get_decoder(header.transfer_syntax).available_plugins:
        codec = "openjpeg" if header.transfer_syntax in _JPEG2000 else "libjpeg"
        raise UnreadableError(
            f"its transfer syntax, {name}, needs a decoder that is not installed",
            f"`pip install pylibjpeg pylibjpeg-{codec}`; or else, {RECODE[0].lower()}{RECODE[1:]}",
        )
    if header.pixel_data.encapsulated != bool(plugin):
        found = "compressed" if header.pixel_data.encapsulated else "not compressed"
        raise UnreadableError(f"its transfer syntax is {name}, but its pixels are {found}")
    if plugin:
        return
    pixels = header.height * header.width
    expected = pixels * header.samples * header.bits_allocated // 8
    if header.photometric == "YBR_FULL_422":
        expected = pixels * 2
    found_bytes = header.pixel_data.end - header.pixel_data.start
    if found_bytes < expected:
        raise UnreadableError(
            f"it is truncated: {header.height} x {header.width} pixels take {expected:,} bytes, "
            f"its pixel data have {found_bytes:,}"
        )


def _decode(header: DicomHeader, data: bytes) -> NDArray[Any]:
    """Return the stored values, (H, W) integers or (H, W, 3) RGB."""
    syntax = header.transfer_syntax
    if not header.pixel_data.encapsulated:
        return _decode_by_pydicom(header, data[header.pixel_data.start : header.pixel_data.end])
    frame = header.pixel_data.frame(data)
    if syntax in _JPEG2000:
        # Without JP2 boxes around it: pydicom 3.0 loops for ever over a box of length 0.
        frame = jpeg2000_codestream(frame)
        _require_agreement(header, jpeg2000_claim(frame), exact_bits=False)
        require_whole_jpeg(frame)
    elif syntax != uid.RLELossless:
        claim = jpeg_claim(frame)
        _require_agreement(header, claim, exact_bits=True)
        require_whole_jpeg(frame)
        if syntax in _JPEG and (claim.channels, claim.bits) == (1, 8):
            return _decode_by_opencv(frame)
    return _decode_by_pydicom(header, encapsulate([frame]))


def _require_agreement(header: DicomHeader, claim: Claim, *, exact_bits: bool) -> None:
    """Return nothing if the compressed frame claims what the header says."""
    said = (header.height, header.width, header.samples, header.scale.bits)
    found = (claim.height, claim.width, claim.channels, claim.bits)
    if said[: 4 if exact_bits else 3] != found[: 4 if exact_bits else 3]:
        raise UnreadableError(
            "its header says {} x {} pixels (height x width), {} channels of {} bits, ".format(
                *said
            )
            + "but its compressed frame holds {} x {}, {} of {}".format(*found),
            "Copy the file again; if it stays so, correct its header or convert it to PNG.",
        )


def _decode_by_opencv(frame: bytes) -> NDArray[Any]:
    """Return a JPEG frame decoded as it is, (H, W) uint8 if it is gray."""
    try:
        decoded = cv2.imdecode(np.frombuffer(frame, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableError("its JPEG frame is damaged and cannot be decoded") from error
    if decoded is None:
        raise UnreadableError("its JPEG frame is damaged and cannot be decoded")
    return np.asarray(decoded)


def _decode_by_pydicom(header: DicomHeader, value: bytes) -> NDArray[Any]:
    """Return what the decoder named for this transfer syntax makes of the value of Pixel Data."""
    decoder = get_decoder(header.transfer_syntax)
    try:
        with PYDICOM_SILENCE:
            decoded, _ = decoder.as_array(
                value,
                index=0,
                decoding_plugin=_DECODERS[header.transfer_syntax],
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
                pixel_vr="OB" if header.bits_allocated == 8 else "OW",
                correct_unused_bits=False,
            )
    except Exception as error:  # a decoder that meets broken bytes may raise anything
        name = syntax_name(header.transfer_syntax)
        raise UnreadableError(f"its {name} pixel data cannot be decoded ({error})") from error
    return np.asarray(decoded, dtype=decoded.dtype.newbyteorder("="))
