"""What values of mask files may mean: the lines that settings need for each likely meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.mask_pixels import MaskPixels, values_in

Token = int | str
_LISTED = 12  # values in a message
_MOST = 300  # values of a file that are kept
_FEW = 24  # more values than these are no classes that one would list
_FLAT = 0.3  # most pixels between dark and bright that are like their neighbours, of soft edges
_WHOLE = 2  # lower levels are shares
_STEPS = 4  # soft edges have more levels
_IGNORED = 255
_STRANGE = "So many values are unusual: does the pattern match mask files alone?"
_MEANINGS = "Say what the values mean with one of these lines in [competition.labels]:"


@dataclass(frozen=True)
class FileValues:
    """The values of a mask file.

    Attributes:
        tokens: as settings write them, sorted; at most 300.
        count: number of all values.
        numbered: whether they are 0, 1, 2 ... without a gap.
        soft: whether levels between the lowest and the highest lie along soft edges.
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
        not numbered and pixels.what.startswith("levels") and _is_soft(shown, codes),
        pixels.lossy,
    )


def _is_soft(shown: NDArray[Any], codes: NDArray[Any]) -> bool:
    """Return whether most pixels are dark or bright, and levels between change at every pixel."""
    low, high = codes.min(), codes.max()
    if len(codes) <= _STEPS or low < 0 or low > high / 4:
        return False
    margin = (high - low) / 16
    between = (shown > low + margin) & (shown < high - margin)
    if not between.any() or 2 * np.count_nonzero(between) > between.size:
        return False
    inner = between[1:, 1:]
    flat = (shown[1:, 1:] == shown[:-1, 1:]) & (shown[1:, 1:] == shown[1:, :-1]) & inner
    return bool(np.count_nonzero(flat) <= _FLAT * max(1, int(np.count_nonzero(inner))))


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
    lines = "\n".join([_MEANINGS, *(f"    {line}" for line in advice_lines(files))])
    strange = any(file.count > _FEW and not (file.numbered or file.soft) for file in files)
    return f"{_STRANGE} {lines}" if strange else lines


def advice_lines(files: Sequence[FileValues]) -> list[str]:
    """Return a line of TOML, with a comment, for each likely meaning, the likeliest first."""
    tokens = sorted({token for file in files for token in file.tokens}, key=_order)
    background = next((token for token in tokens if token in (0, "#000000")), None)
    others = [token for token in tokens if token != background]
    # 255 beside low levels is what neither has a label nor is background.
    unlabelled = _is_ignored(others)
    named = [token for token in others if not (unlabelled and token == _IGNORED)]
    also = f"\n    ignored_values = [{_IGNORED}]" if unlabelled else ""
    rest = f", {_IGNORED} is not labelled" if unlabelled else ""
    lines: list[tuple[str, str]] = []
    if any(file.soft or file.lossy for file in files):
        lines.append((f"values = [{_bright_half(tokens)}]", "soft edges: the brighter half"))
    lossy = any(file.lossy for file in files)
    soft = any(file.soft for file in files)
    numbers = all(file.numbered for file in files) or (len(tokens) > _FEW and not soft)
    if numbers and background is not None and len(named) > 1 and not lossy:
        lines.append(
            (f'values = "objects"{also}', f"numbers of objects, all of them the mask{rest}")
        )
    if background is not None and len(named) > 1 and not lossy:
        lines.append(
            (f'values = "nonzero"{also}', f"everything but {background} is the mask{rest}")
        )
    if background is not None and len(named) == 1:
        lines.append((f"values = {_toml(named)}{also}", f"{named[0]} is the mask{rest}"))
    if background is None and not lossy:
        lines += [(f"values = {_toml([token])}", f"{token} is the mask") for token in tokens[:4]]
    if 1 < len(named) <= _FEW and not lossy and not soft:
        classes = ", ".join(f"NAME_{at} = {_toml([of])}" for at, of in enumerate(named, 1))
        lines.append((f"values = {{ {classes} }}{also}", f"classes{rest}"))
    if not lines:
        lines.append((f"values = {_toml(tokens[-1:])}", f"{tokens[-1]} is the mask"))
    return [f"{line}  # {comment}" for line, comment in lines]


def _bright_half(tokens: Sequence[Token]) -> str:
    """Return the range of the levels from the middle on."""
    high = max((float(token) for token in tokens if str(token)[:1] != "#"), default=255.0)
    low = high / 2 if high < _WHOLE else (high + 1) // 2
    return f'"{low:g}..{high:g}"'


def _is_ignored(others: Sequence[Token]) -> bool:
    """Return whether 255 stands beside low levels, as unlabelled pixels do."""
    levels = [token for token in others if isinstance(token, int) and token != _IGNORED]
    return _IGNORED in others and 0 < len(levels) <= _FEW and max(levels) < 128


def _order(token: Token) -> tuple[bool, float, str]:
    number = isinstance(token, int) or token[:1] != "#"
    return (not number, float(token) if number else 0.0, str(token))


def _toml(tokens: Sequence[Token]) -> str:
    return "[" + ", ".join(str(t) if isinstance(t, int) else f'"{t}"' for t in tokens) + "]"
