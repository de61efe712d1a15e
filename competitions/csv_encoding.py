"""The text of a table, whatever encoding it was saved in."""

from __future__ import annotations

import codecs
from pathlib import Path

from goldfold.errors import InputError

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
)
"""Byte-order marks; that of UTF-32 begins like that of UTF-16."""
_NO_TABLES = (
    (b"PK\x03\x04", "an Excel file or a ZIP archive; save the sheet as CSV, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file; save the sheet as CSV"),
    (b"\x1f\x8b", "compressed with gzip; unpack it"),
    (b"BZh", "compressed with bzip2; unpack it"),
    (b"\xfd7zXZ", "compressed with xz; unpack it"),
    (b"PAR1", "a Parquet file; save it as CSV, e.g. with pandas"),
    (b"%PDF", "a PDF"),
    (b"version https://git-lfs", "the pointer of Git LFS to a file; run `git lfs pull`"),
)
"""First bytes of files that are named .csv by mistake, and what they are."""
_PAGES = (b"<!doctype html", b"<html")
_LOOKED_AT = 4096
_ZEROS_OF_UTF16 = 0.4
"""Share of zero bytes at every other place from which text without a mark is UTF-16."""
_ALONE = 0.5
"""Share of the letters beyond ASCII that stand between ASCII in text of western languages."""


def decode_table(path: Path) -> tuple[str, str]:
    """Return the text of a file, and the name of its encoding.

    Without a byte-order mark it is UTF-8, else UTF-16 where every other byte is zero, else
    Windows-1252 (Latin-1 with quotation marks) where that gives text of a western language.

    Raises:
        InputError: the file cannot be read, is no text, or is text in another encoding.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path} as a CSV table: {error.strerror}.") from error
    _refuse_other_files(path, content)
    text, encoding = _decode(path, content)
    if "\0" in text:
        places = [line for line, row in enumerate(text.split("\n"), 1) if "\0" in row]
        raise InputError(
            f"cannot read {path} as a CSV table: line {places[0]:,} contains zero bytes "
            f"({len(places):,} such lines in all), so the file is damaged or is no text. Download "
            "it again."
        )
    return text, encoding


def _refuse_other_files(path: Path, content: bytes) -> None:
    for first_bytes, what in _NO_TABLES:
        if content.startswith(first_bytes):
            raise InputError(f"cannot read {path} as a CSV table: it is {what}.")
    if content[:200].lstrip().lower().startswith(_PAGES):
        raise InputError(
            f"cannot read {path} as a CSV table: it is a web page, such as a login page that was "
            "saved in place of the table. Download it again."
        )


def _decode(path: Path, content: bytes) -> tuple[str, str]:
    for mark, codec, name in _MARKS:
        if content.startswith(mark):
            return _strict(path, content, codec, name), name
    if (unmarked := _utf16_without_mark(content)) is not None:
        return _strict(path, content, unmarked, "UTF-16"), "UTF-16"
    try:
        return content.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"byte 0x{content[error.start]:02x} in line {line:,} is not UTF-8"
    damaged = content.decode("utf-8", errors="replace")
    lost = damaged.count("\ufffd")
    if lost < sum(not sign.isascii() for sign in damaged) - lost:
        raise InputError(
            f"cannot read {path} as a CSV table: {where}, although the rest is ({lost:,} such "
            "bytes in all). The file is damaged; download it again, or correct these bytes."
        )
    if not _is_western(content):
        raise InputError(
            f"cannot read {path} as a CSV table: {where}, and the text is of no western language "
            "in Windows-1252 either. Save it as UTF-8, e.g. with `iconv -f GB18030 -t UTF-8`."
        )
    return content.decode("cp1252"), "Windows-1252"


def _strict(path: Path, content: bytes, codec: str, name: str) -> str:
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        raise InputError(
            f"cannot read {path} as a CSV table: it begins like {name}, but byte {error.start:,} "
            "does not fit. The file is damaged; download it again, or save it as UTF-8."
        ) from None


def _utf16_without_mark(content: bytes) -> str | None:
    """Return the codec of text whose ASCII characters have two bytes, None if it is not such."""
    some = content[:_LOOKED_AT]
    pairs = len(some) // 2
    if not pairs or b"\0" not in some:
        return None
    for codec, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        zeros = some[first::2].count(0)
        if zeros > 2 * _ZEROS_OF_UTF16 * pairs and not some[1 - first :: 2].count(0):
            return codec
    return None


def _is_western(content: bytes) -> bool:
    """Return whether bytes beyond ASCII are single letters or signs, as in western languages."""
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return False
    beyond = [place for place, byte in enumerate(content) if byte > 127]
    neighbours = set(beyond)
    alone = sum(place - 1 not in neighbours and place + 1 not in neighbours for place in beyond)
    return alone > _ALONE * len(beyond)
