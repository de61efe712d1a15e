"""What values of mask files may mean: the lines that settings need for each likely meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from goldfold.competitions.mask_pixels import MaskPixels, values_in
from goldfold.settings_values import toml_key

Token = int | str
_LISTED = 12  # values in a message
_MOST = 300  # values of a file that are kept
_FEW = 24  # more values than these are no classes that one would list
_SOFT = 0.5  # pixels between the lowest and the highest level, as a share of those of the highest
_STEPS = 4  # soft edges have more levels
_IGNORED = 255
_MEANINGS = "Say what the values mean with one of these lines in [competition.labels]:"


@dataclass(frozen=True)
class FileValues:
    """The values of a mask file.

    Attributes:
        tokens: as settings write them, sorted; at most 300.
        count: number of all values.
        numbered: whether they are 0, 1, 2 ... without a gap.
        soft: whether few pixels have a level between the lowest and the highest.
        lossy: whether compression has changed them.
    """

    tokens: tuple[Token, ...]
    count: int
    numbered: bool = False
    soft: bool = False
    lossy: bool = False


def file_values(pixels: MaskPixels) -> FileValues:
    """Return the values of a mask file."""
    shown = pixels.shown
    codes = values_in(shown)
    tokens = tuple(pixels.token(code) for code in codes[:_MOST].tolist())
    others = [code for code in codes.tolist() if code]
    numbered = others == list(range(1, len(others) + 1))
    return FileValues(
        tokens,
        len(codes),
        numbered,
        not numbered and pixels.what == "levels" and _is_soft(shown, codes),
        pixels.lossy,
    )


def _is_soft(shown: Any, codes: Any) -> bool:
    low, high = codes.min(), codes.max()
    if len(codes) < 3 or low < 0 or low > high / 4:
        return False
    between = (codes > high / 8) & (codes < high - high / 8)
    edges = np.count_nonzero((shown > low) & (shown < high - high / 8))
    bright = np.count_nonzero(shown >= high - high / 8)
    return bool(between.any() and len(codes) > _STEPS and edges <= _SOFT * bright)


def counted_values(files: Iterable[FileValues]) -> str:
    """Return in how many files each value occurs, the most common first."""
    counts = Counter(token for file in files for token in file.tokens)
    order = sorted(counts.items(), key=lambda item: (-item[1], _order(item[0])))
    listed = [f"{token} in {count:,}" for token, count in order[:_LISTED]]
    more = len(order) - _LISTED
    if more > 0:
        listed.append(f"and {more:,} more, up to {max(map(_sortable, counts))[1]}")
    return ", ".join(listed)


def _sortable(token: Token) -> tuple[float, Token]:
    return (float(token), token) if isinstance(token, int) else (-1.0, token)


def advice(files: Sequence[FileValues]) -> str:
    """Return lines for the settings, one for each likely meaning of these values."""
    return "\n".join([_MEANINGS, *(f"    {line}" for line in advice_lines(files))])


def advice_lines(files: Sequence[FileValues]) -> list[str]:
    """Return a line of TOML, with a comment, for each likely meaning, the likeliest first."""
    tokens = sorted({token for file in files for token in file.tokens}, key=_order)
    colours = any(str(token).startswith("#") for token in tokens)
    background = _background(tokens)
    others = [token for token in tokens if token != background]
    lines: list[tuple[str, str]] = []
    if not colours and any(file.soft or file.lossy for file in files):
        high = max(float(token) for token in tokens)
        low = high / 2 if high < 2 else (high + 1) // 2
        lines.append(
            (f'values = ["{low:g}..{high:g}"]', "soft edges: the brighter half is the mask")
        )
    lossy = any(file.lossy for file in files)
    if all(file.numbered for file in files) and len(others) > 1:
        lines.append(('values = "objects"', "numbers of objects: all of them are the mask"))
    if background is not None and others and not lossy and not _is_ignored(others):
        lines.append(('values = "nonzero"', f"everything but {background} is the mask"))
    if _is_ignored(others):
        rest = [token for token in others if token != _IGNORED]
        lines.append(
            ("ignored_values = [255]", "255 is not labelled: neither loss nor metric uses it")
        )
        if len(rest) > 1:
            lines[-1] = (f"values = {_toml(rest)}\n    ignored_values = [255]", lines[-1][1])
    if not lossy and background is None:
        lines += [(f"values = {_toml([token])}", "this is the mask") for token in tokens[:4]]
    if not lossy and 1 < len(others) <= _FEW:
        named = ", ".join(
            f"{toml_key(f'class_{place}')} = {_toml([token])}"
            for place, token in enumerate(others, 1)
        )
        lines.append(
            (f"values = {{ {named} }}", "classes, with their names as in competition.classes")
        )
        if len(others) > 2 or not lines:
            lines.append(
                (f"values = {_toml(others[:1])}", "only this is the mask, the rest is not")
            )
    if not lines:
        lines.append((f"values = {_toml(tokens[-1:])}", "the values of the mask"))
    return [f"{line}  # {comment}" for line, comment in lines]


def _background(tokens: Sequence[Token]) -> Token | None:
    return next((token for token in tokens if token in (0, "#000000")), None)


def _is_ignored(others: Sequence[Token]) -> bool:
    """Return whether 255 stands beside low levels, as unlabelled pixels do."""
    levels = [token for token in others if isinstance(token, int) and token != _IGNORED]
    return _IGNORED in others and 0 < len(levels) <= _FEW and max(levels) < 128


def _order(token: Token) -> tuple[bool, float, str]:
    number = isinstance(token, int) or token[:1] != "#"
    return (not number, float(token) if number else 0.0, str(token))


def _toml(tokens: Sequence[Token]) -> str:
    return "[" + ", ".join(str(t) if isinstance(t, int) else f'"{t}"' for t in tokens) + "]"
