"""Tables as text, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A plain table: numbers to the right, columns two spaces apart.

    >>> print(Table(["fold", "Dice"], [[0, "0.812"], [1, "0.799"]]))
    fold   Dice
       0  0.812
       1  0.799
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[object]]

    def __str__(self) -> str:
        """Return the table as text."""
        return _text(self.headers, self.rows)


Line = str | Table
"""What a result says of itself: a line, or a table."""


def _text(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [
        max(len(header), *(len(row[column]) for row in cells)) if cells else len(header)
        for column, header in enumerate(headers)
    ]
    numeric = [all(_is_number(row[column]) for row in cells) for column in range(len(headers))]

    def line(texts: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return "\n".join([line(list(headers)), *(line(row) for row in cells)])


def _is_number(text: str) -> bool:
    stripped = text.replace(",", "").replace("%", "").lstrip("+-")
    return stripped in ("", "n/a") or stripped.replace(".", "", 1).isdigit()
