"""Recognises cells that are masks as text, and how they are spelled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from goldfold.competitions.coco_counts import from_letters, unpack
from goldfold.competitions.dialect import DialectLike, get_dialect
from goldfold.competitions.rle import is_empty
from goldfold.errors import RunLengthError
from goldfold.settings_dialect import is_empty_setting

MaskForm = Literal["numbers", "letters", "packed", "object"]
"""Numbers; COCO's letters; these through zlib and base64; an object with counts."""

_NUMBER = r"-?[0-9]+(\.0*)?"
_LIST = re.compile(rf"[\[(]?\s*{_NUMBER}([\s,;]+{_NUMBER})+[\s,;]*[\])]?")
_PAIRS = re.compile(r"[\[(]\s*([\[(]\s*[0-9]+[\s,]+[0-9]+\s*[\])][\s,]*)+[\])]")
_LETTERS, _PACKED = re.compile(r"[0-o]{4,}"), re.compile(r"eJ[A-Za-z0-9+/]{8,}={0,2}")
_PACKED_9 = re.compile(r"eN[A-Za-z0-9+/]{8,}={0,2}")
_LOOKED_AT, _LEAST_PX, _LONG = 300, 1024, 30


def mask_form(cell: str) -> MaskForm | None:
    """Return how a cell writes a mask, None if it cannot be one; a single number is none.

    >>> [mask_form(text) for text in ("1 3 10 5", "[1, 3]", "52203", "7", "a mask")]
    ['numbers', 'numbers', 'letters', None, None]
    """
    text = cell.strip().strip("'\"").strip()
    if " " in text and text.isascii() and not text.encode().translate(None, b"0123456789 "):
        return "numbers"  # as nearly all cells of masks are
    if _LIST.fullmatch(text) or _PAIRS.fullmatch(text):
        return "numbers"
    if text.startswith("{") and text.endswith("}") and "counts" in text:
        return "object"
    for form, pattern in (("packed", _PACKED), ("packed", _PACKED_9), ("letters", _LETTERS)):
        if pattern.fullmatch(text):
            try:
                counts = from_letters(unpack(text, "coco-base64" if form == "packed" else "coco"))
            except RunLengthError:
                continue
            if len(counts) > 1 and (counts >= 0).all():
                return "packed" if form == "packed" else "letters"
    return None


def is_mask_column(cells: Sequence[str]) -> bool:
    """Return whether all of the first cells are masks or empty, and at least one is a mask.

    Ids and words may happen to consist of COCO's letters. Masks have thousands of pixels, and
    either images of equal sizes or texts of very different lengths.
    """
    looked_at = cells[:_LOOKED_AT]
    nothing = empty_word(looked_at)
    filled = [cell.strip() for cell in looked_at if not is_empty(cell)]
    filled = [cell for cell in filled if cell not in ("-", nothing)]
    forms = [mask_form(cell) for cell in filled]
    if not forms or None in forms or are_not_pairs(filled):
        return False
    letters = [cell for cell, form in zip(filled, forms, strict=True) if form == "letters"]
    return not letters or _are_masks(letters)


def are_not_pairs(cells: Sequence[str]) -> bool:
    """Return whether numbers between spaces are no pairs in many cells: classes, not runs.

    >>> are_not_pairs(["13 147 813", "14 148 813"]), are_not_pairs(["1 3 10 2"])
    (True, False)
    """
    spaced = [cell.split() for cell in cells if "," not in cell and "[" not in cell]
    numbers = [parts for parts in spaced if len(parts) > 1 and all(map(str.isdigit, parts))]
    return 5 * sum(len(parts) % 2 for parts in numbers) > len(cells)


def _are_masks(letters: Sequence[str]) -> bool:
    """Return whether texts of COCO's letters are masks, not ids or words."""
    pixels = [int(from_letters(text.strip("'\"")).sum()) for text in letters]
    lengths = [len(text) for text in letters]
    few_sizes = len(set(pixels)) <= max(1, len(pixels) // 3)
    uneven = max(lengths) >= _LONG and max(lengths) >= 2 * min(lengths)
    return min(pixels) >= _LEAST_PX and (few_sizes or uneven)


def submission_dialect(dialect: DialectLike, sample: Sequence[str]) -> str | dict[str, Any]:
    """Return a dialect, as a setting, that is spelled as the masks of a sample submission are.

    Brackets, separator and the word for an empty mask are taken from the sample; where it has no
    lists or no empty masks, they stay those of the dialect.

    >>> submission_dialect("kaggle", ["[1, 1]", "[1, 1]"])
    {'separator': ', ', 'brackets': '[]'}

    Args:
        dialect: how the masks of the label table are written.
        sample: cells of the sample submission.
    """
    settings: dict[str, Any] = get_dialect(dialect).table()
    if settings.get("text", "numbers") == "numbers":
        spelled = Counter(
            spelling for cell in sample[:_LOOKED_AT] if (spelling := _spelling(cell)) is not None
        )
        if spelled:
            settings["separator"], settings["brackets"] = spelled.most_common(1)[0][0]
    empties = Counter(
        cell.strip() for cell in sample[:_LOOKED_AT] if is_empty(cell) or cell.strip() == "-"
    )
    if empties:
        settings["empty"] = empties.most_common(1)[0][0]
    return get_dialect(settings).setting()


def empty_word(cells: Sequence[str]) -> str:
    """Return the one unusual word that recurs among masks, as empty ones do; "" if there is none.

    >>> empty_word(["1 3 10 5", "no mask", "4 4", "no mask", "8 2"])
    'no mask'
    """
    texts = [cell.strip() for cell in cells if not is_empty(cell)]
    words = Counter(text for text in texts if mask_form(text) != "numbers")
    word, count = next(iter(words.most_common(1)), ("", 0))
    recurs = len(words) == 1 and count > 1 and len(texts) - count > 1
    return word if recurs and is_empty_setting(word) else ""


def empty_token(empties: Mapping[str, int]) -> str:
    """Return the word for empty masks that a dialect should write, given how often each occurs.

    `nan`, `None` and `null` are what programs make of an empty cell, so they stand for one.
    """
    tokens = {token: count for token, count in empties.items() if token in ("-1", "-")}
    usual = max(tokens, key=lambda token: tokens[token], default="")
    return usual if 2 * tokens.get(usual, 0) > sum(empties.values()) else ""


def _spelling(cell: str) -> tuple[str, str] | None:
    """Return separator and brackets of a list of numbers, None if it is not one."""
    text = cell.strip()
    if not _LIST.fullmatch(text):
        return None
    brackets = text[0] + text[-1] if text[0] in "[(" else ""
    between = re.findall(r"[0-9](\s*[,;]\s*|\s+)-?[0-9]", text)
    separator = between[0] if between else " "
    return (separator if len(separator) <= 3 and "\n" not in separator else " "), brackets
