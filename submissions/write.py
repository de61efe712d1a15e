"""A submission file in the sample's order, checked before it takes its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from goldfold.competitions.rle import Dialect
from goldfold.errors import InputError, list_problems, plural
from goldfold.files import write_text
from goldfold.submissions.check import find_cell_fault
from goldfold.submissions.table import pixels_of


def write_submission(
    path: Path,
    image_ids: Sequence[str],
    masks: Mapping[str, str] | Iterable[tuple[str, str]],
    *,
    id_column: str,
    rle_column: str,
    columns: Sequence[str] | None = None,
    dialect: Dialect | None = None,
    shape: tuple[int, int] | None = None,
    shapes: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Write one row an image, in the order of `image_ids`; the same masks give the same bytes.

    Lines end with a line feed, on every system. The file is written whole or not at all, and
    not at all if anything is wrong.

    Args:
        path: the file.
        image_ids: the sample's ids in the sample's order (`read_sample`).
        masks: encoded mask of each image, in any order.
        id_column: header of the ids.
        rle_column: header of the masks.
        columns: the sample's header, if its columns stand in another order.
        dialect: check every mask against this dialect first.
        shape: height and width of the images, for that check.
        shapes: image id -> height and width, where they differ.

    Raises:
        InputError: an id is missing, unknown or repeated, a mask is malformed, or the header
            has other columns.
        OutputError: the file cannot be written.
    """
    header = list(columns) if columns is not None else [id_column, rle_column]
    if sorted(header) != sorted([id_column, rle_column]):
        raise InputError(
            f"expected a sample with the columns {id_column!r} and {rle_column!r}, found "
            f"{header}. Other columns cannot be filled."
        )
    texts, problems = _gather(masks)
    problems += _id_problems(image_ids, texts)
    if dialect is not None:
        for image_id, text in texts.items():
            fault = find_cell_fault(text, dialect, pixels_of(image_id, shape, shapes))
            if fault is not None:
                problems.append(f"{image_id}: {fault[1]}")
    if problems:
        title = f"{path} was not written, {plural(len(problems), 'problem', 'problems')}:"
        raise InputError(list_problems(title, problems, "Predict the images of the sample again."))
    write_text(path, _format_rows(header, image_ids, texts, header.index(id_column)))


def _gather(
    masks: Mapping[str, str] | Iterable[tuple[str, str]],
) -> tuple[dict[str, str], list[str]]:
    """Return the masks by id, and the ids that came twice as problems."""
    texts: dict[str, str] = {}
    problems = []
    for image_id, text in masks.items() if isinstance(masks, Mapping) else masks:
        if image_id in texts:
            problems.append(f"{image_id}: two masks")
        texts[image_id] = text
    return texts, problems


def _id_problems(image_ids: Sequence[str], texts: Mapping[str, str]) -> list[str]:
    wanted = set(image_ids)
    problems = [f"{image_id}: no mask" for image_id in image_ids if image_id not in texts]
    problems += [f"{image_id}: not in the sample" for image_id in texts if image_id not in wanted]
    if len(wanted) < len(image_ids):
        repeats = plural(len(image_ids) - len(wanted), "row repeats", "rows repeat")
        problems.append(f"{repeats} an id of the sample")
    return problems


def _format_rows(
    header: list[str], image_ids: Sequence[str], texts: Mapping[str, str], id_place: int
) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for image_id in image_ids:
        cells = [image_id, texts[image_id]]
        writer.writerow(cells if id_place == 0 else cells[::-1])
    return buffer.getvalue()
