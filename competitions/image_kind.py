"""Which kind of image a file is: its first bytes decide, not its name."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Literal

from goldfold.competitions.codestream import (
    JPEG_SIGNATURE,
    LEAVE_OUT,
    PNG_SIGNATURE,
    UnreadableError,
)

HEAD_BYTES = 132
"""How much of a file `kind_of` looks at."""
IMAGE_ENDINGS = frozenset(
    {".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".gif", ".bmp"}
    | {".webp"}
)
"""Endings, in lower case, of files in a folder that are taken for images."""

_PREAMBLE = 128
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_GROUPS = (2, 8)  # the groups that a DICOM file without a preamble may begin with
_LONGEST_FIRST = 256  # bytes of its first element
_KNOWN = "DICOM (no DICM at byte 128), PNG, JPEG, TIFF, GIF, BMP or WEBP"


def ending_of(path: PurePath) -> str:
    """Return the ending of a file's name in lower case; digits are a part of the name.

    >>> ending_of(PurePath("a/Scan.PNG")), ending_of(PurePath("1.2.840.10008"))
    ('.png', '')
    """
    return "" if path.suffix[1:].isdecimal() else path.suffix.lower()


def bare_name(path: PurePath) -> str:
    """Return the name of a file without its ending.

    >>> bare_name(PurePath("a/Scan.PNG")), bare_name(PurePath("1.2.840.10008"))
    ('Scan', '1.2.840.10008')
    """
    return path.stem if ending_of(path) else path.name


def is_image_of_folder(path: Path) -> bool:
    """Return whether a file of a folder is taken for an image.

    A file with an ending is judged by it, so that a damaged one is reported; without one, as DICOM
    files often are, it must begin like an image. Hidden files and DICOMDIR, an index, are none.
    """
    if not path.is_file() or path.name.startswith(".") or path.name == "DICOMDIR":
        return False
    if ending := ending_of(path):
        return ending in IMAGE_ENDINGS
    try:
        with path.open("rb") as file:
            kind_of(file.read(HEAD_BYTES))
    except (OSError, UnreadableError):
        return False
    return True


def kind_of(start: bytes) -> str:
    """Return DICOM, PNG, JPEG, TIFF, GIF, BMP or WEBP.

    Args:
        start: the first `HEAD_BYTES` bytes of a file.

    Raises:
        UnreadableError: the file is empty, or of no kind that is read.
    """
    fitting = {
        "DICOM": start[_PREAMBLE:HEAD_BYTES] == b"DICM" or _begins_like_dicom(start),
        "PNG": start.startswith(PNG_SIGNATURE),
        "JPEG": start.startswith(JPEG_SIGNATURE),
        "TIFF": start.startswith(_TIFF),
        "GIF": start.startswith((b"GIF87a", b"GIF89a")),
        "WEBP": start[:4] == b"RIFF" and start[8:12] == b"WEBP",
        "BMP": start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BMP_HEADERS,
    }
    if kinds := [kind for kind, fits in fitting.items() if fits]:
        return kinds[0]
    if not start:
        raise UnreadableError("it is empty (0 bytes)")
    raise UnreadableError(
        f"it is not a {_KNOWN} file; {_described(start)}",
        f"Copy or download it again, convert it, or {LEAVE_OUT}.",
    )


def _begins_like_dicom(start: bytes) -> bool:
    """Return whether the bytes are the first element of a DICOM file without preamble."""
    if len(start) < 12:
        return False
    order: Literal["big", "little"] = "big" if start[0] == 0 else "little"
    explicit = start[4:6].isalpha() and start[4:6].isupper()  # its value representation
    length = int.from_bytes(start[6:8] if explicit else start[4:8], order)
    return int.from_bytes(start[:2], order) in _GROUPS and length <= _LONGEST_FIRST


def _described(start: bytes) -> str:
    """Return in words what a file starts with."""
    if start.lstrip()[:1] == b"<":
        text = start[:24].decode("ascii", "replace")
        return f"it starts with the text {text!r}, so it is a web page or other text"
    shown = start[:24]
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in shown):
        return f"it starts with the text {shown.decode('ascii')!r}"
    return f"it starts with the bytes {shown[:8].hex(' ')}"
