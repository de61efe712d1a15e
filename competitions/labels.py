"""The label table: one row an image, whatever the number of rows it was written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_csv_text
from goldfold.competitions.rle import Dialect, Runs, area_px, format_runs, is_empty, parse, unite
from goldfold.errors import RunLengthError

COLUMNS = ("image_id", "mask_rle", "area_px", "rows", "overlap_px", "end_px", "end_row")


@dataclass(frozen=True)
class Labels:
    """Labels of a table.

    Attributes:
        table: image_id, mask_rle (united, "" if empty), area_px, rows, overlap_px, end_px (one
            past the last pixel of the mask) and end_row (the row that says so); one row an
            image, in order of first appearance.
        problems: one line for each bad row.
        malformed: those of them whose mask cannot be read.
        masks: rows that are not empty, malformed ones included.
    """

    table: pd.DataFrame
    problems: list[str]
    malformed: list[str]
    masks: int


def read_labels(path: Path, id_column: str, rle_column: str, dialect: Dialect) -> Labels:
    """Return the labels of a run-length table, the rows of an image united.

    An empty row beside others of the same image adds nothing. Bad rows are collected, not
    raised, so that all can be shown at once.

    Raises:
        InputError: the table cannot be read or lacks a column.
    """
    table = read_csv_text(path, [id_column, rle_column])
    problems: list[str] = []
    malformed: list[str] = []
    masks = 0
    parts: dict[str, _Parts] = {}
    cells = zip(table.index, table[id_column].str.strip(), table[rle_column], strict=True)
    for row, image_id, text in cells:
        if not image_id:
            problems.append(f"{path.name} row {row}: no image id")
            continue
        of_image = parts.setdefault(image_id, _Parts())
        of_image.rows += 1
        if is_empty(text):
            continue
        masks += 1
        try:
            of_image.add(parse(text, dialect, name=image_id), int(row))
        except RunLengthError as error:
            malformed.append(f"{path.name} row {row}: {error}")
            problems.append(malformed[-1])
    united = [(image_id, *of_image.unite(dialect)) for image_id, of_image in parts.items()]
    return Labels(pd.DataFrame(united, columns=list(COLUMNS)), problems, malformed, masks)


@dataclass
class _Parts:
    """What the rows of one image say."""

    rows: int = 0
    runs: list[Runs] = field(default_factory=list)
    end_px: int = 0
    end_row: int = 0

    def add(self, runs: Runs, row: int) -> None:
        self.runs.append(runs)
        end = int(runs.ends.max(initial=0))
        if end > self.end_px:
            self.end_px, self.end_row = end, row

    def unite(self, dialect: Dialect) -> tuple[str, int, int, int, int, int]:
        """Return the columns of `Labels.table` behind image_id."""
        whole = unite(self.runs)
        area = area_px(whole)
        overlap = sum(area_px(part) for part in self.runs) - area
        text = format_runs(whole, dialect) if area else ""
        return text, area, self.rows, overlap, self.end_px, self.end_row
