"""A submission of people's own predictions, in the form of the competition's sample."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from goldfold.competitions.pixels import as_array
from goldfold.competitions.rle import DialectLike, encode, get_dialect, is_empty
from goldfold.errors import InputError, first_few, list_problems, plural
from goldfold.folds.group_keys import label_text
from goldfold.submissions.layout import KEY_JOINT, Content, Layout, format_probability
from goldfold.submissions.table import Table, read_sample, read_table
from goldfold.submissions.write import id_problems, write_rows

_PROBABILITY_SLACK = 1e-6


def write_submission(
    predictions: pd.DataFrame | Mapping[Hashable, Any],
    sample: str | Path,
    path: str | Path,
    *,
    dialect: DialectLike | None = None,
    content: Content | None = None,
    objects: bool = False,
    shape: tuple[int, int] | None = None,
) -> Path:
    """Write predictions with exactly the sample's ids, order and columns; return the path.

    Everything is checked first, and nothing is written if anything is wrong. The same predictions
    give the same bytes.

    Args:
        predictions: a table with the columns of the sample, in any order and beside any others; or
            id -> what its row holds: a mask (H, W) of 0 and 1, a run-length encoding, None for an
            empty mask, a probability, a label, or a list with one value per column. Where the
            sample has an id and a class column, keys are pairs.
        sample: the competition's sample submission, a CSV file.
        path: where to write.
        dialect: name of the run-length dialect; needed for masks.
        content: what rows hold: "mask", "probability" or "label". Unless given, masks where there
            is a dialect, else probabilities where there are floats, else labels.
        objects: an id may have several rows, one for each object; a mapping holds lists of masks.
        shape: height and width of all images, so that run-length encodings are known to fit.

    Raises:
        InputError: an id is missing, unknown or repeated, a column is missing, or a mask,
            probability or label is malformed; all such problems are listed.
        OutputError: the file cannot be written.
    """
    source, target = Path(sample), Path(path)
    table = read_table(source)
    keys = _key_columns(table, objects)
    values = tuple(name.strip() for name in table.columns[len(keys) :])
    rows = list(_rows(predictions, keys, values, objects))
    kind = _content(rows, content, dialect)
    layout = Layout(
        keys,
        values,
        kind,
        get_dialect(dialect) if dialect is not None else None,
        objects=objects,
    )
    wanted = read_sample(source, layout)
    cells, shapes, problems = _cells(rows, layout)
    if problems:
        given = dict.fromkeys(row.key for row in rows)
        problems = [*id_problems(wanted.image_ids, given, layout), *problems]
        title = f"{target} was not written, {plural(len(problems), 'problem', 'problems')}:"
        raise InputError(list_problems(title, problems))
    write_rows(
        target,
        wanted.image_ids,
        cells,
        layout=layout,
        columns=[name.strip() for name in wanted.columns],
        shape=shape,
        shapes=shapes,
    )
    return target


@dataclass(frozen=True)
class _Row:
    """What is predicted for one key: a value for each column."""

    key: str
    values: list[Any]


def _key_columns(table: Table, objects: bool) -> tuple[str, ...]:
    """Return the columns that name a row: the first, or the first two where its values repeat."""
    names = [name.strip() for name in table.columns]
    if len(names) < 2:
        raise InputError(
            f"{table.path}: expected an id column and at least one more, found the header "
            f"{','.join(table.columns)!r}. Name the competition's sample submission."
        )
    table.check_widths()
    ids = [row.key([0]) for row in table.rows]
    pairs = [row.key([0, 1]) for row in table.rows]
    repeated = len(set(ids)) < len(ids) and not objects
    several = repeated and len(names) > 2 and len(set(pairs)) == len(pairs)
    return tuple(names[: 2 if several else 1])


def _rows(
    predictions: Any, keys: tuple[str, ...], values: tuple[str, ...], objects: bool
) -> Iterator[_Row]:
    """Yield the rows of a table or a mapping."""
    if isinstance(predictions, pd.DataFrame):
        yield from _table_rows(predictions, keys, values)
    elif isinstance(predictions, Mapping):
        for given, value in predictions.items():
            key = KEY_JOINT.join(map(label_text, given if isinstance(given, tuple) else [given]))
            if objects:
                masks = value if isinstance(value, list | tuple) else [value]
                yield from (_Row(key, [mask]) for mask in masks or [None])
            elif len(values) > 1:
                yield _Row(key, list(value))
            else:
                yield _Row(key, [value])
    else:
        raise InputError(
            "expected predictions as a pandas DataFrame or as a mapping from ids, found a "
            f"{type(predictions).__name__}. Pass dict(zip(ids, masks)), for example."
        )


def _table_rows(
    table: pd.DataFrame, keys: tuple[str, ...], values: tuple[str, ...]
) -> Iterator[_Row]:
    missing = [name for name in (*keys, *values) if list(table.columns).count(name) != 1]
    if missing:
        raise InputError(
            f"expected one column each named like the sample's {', '.join((*keys, *values))}; "
            f"{first_few(missing)} not found once among {', '.join(map(str, table.columns))}. "
            f"Rename "
            "columns, or use reset_index() if the ids are the index."
        )
    names = [table[name].tolist() for name in keys]
    cells = [table[name].tolist() for name in values]
    for key, row in zip(zip(*names, strict=True), zip(*cells, strict=True), strict=True):
        yield _Row(KEY_JOINT.join(map(label_text, key)), list(row))


def _content(rows: list[_Row], asked: Content | None, dialect: Any) -> Content:
    """Return what the rows hold."""
    if asked is not None and asked not in get_args(Content):
        known = ", ".join(map(repr, get_args(Content)))
        raise InputError(f"unknown content {asked!r}; there are {known}.")
    flat = [value for row in rows for value in row.values if not _is_missing(value)]
    if asked == "mask" or dialect is not None or any(_is_mask(value) for value in flat):
        if dialect is None:
            raise InputError(
                'expected the run-length dialect of the masks, for example dialect="kaggle". '
                "goldfold.rle.DIALECTS lists them; the sample or the data page tells which."
            )
        return "mask"
    if asked is not None:
        return asked
    if any(isinstance(value, str) and set(value) <= set("0123456789 ") for value in flat):
        raise InputError(
            "some cells are text of digits, which may be run-length encodings or labels: pass "
            'dialect="kaggle" (or another one), or content="label".'
        )
    floats = any(isinstance(value, float | np.floating) for value in flat)
    return "probability" if floats else "label"


def _is_mask(value: Any) -> bool:
    return not isinstance(value, str) and as_array(value).ndim == 2


def _is_missing(value: Any) -> bool:
    return value is None or (not isinstance(value, str) and np.ndim(value) == 0 and pd.isna(value))


def _cells(
    rows: list[_Row], layout: Layout
) -> tuple[list[tuple[str, list[str]]], dict[str, tuple[int, int]], list[str]]:
    """Return the text of every row, the sizes of images whose masks are arrays, and problems."""
    cells: list[tuple[str, list[str]]] = []
    objects: dict[str, list[str]] = {}
    shapes: dict[str, tuple[int, int]] = {}
    problems = []
    for row in rows:
        try:
            texts = [_cell(value, layout) for value in row.values]
        except InputError as error:
            problems.append(f"{row.key}: {error}")
            continue
        if layout.content == "mask" and _is_mask_array(row.values[0]):
            height, width = as_array(row.values[0]).shape
            shapes[layout.image_of(row.key)] = height, width
        if layout.objects:
            objects.setdefault(row.key, []).extend(texts)
        else:
            cells.append((row.key, texts))
    return [*cells, *objects.items()], shapes, problems


def _is_mask_array(value: Any) -> bool:
    return not _is_missing(value) and _is_mask(value)


def _cell(value: Any, layout: Layout) -> str:
    """Return one value as it is written.

    Raises:
        InputError: it is no mask, probability or label.
    """
    if layout.content == "mask":
        assert layout.dialect is not None
        if isinstance(value, str) or _is_missing(value):
            return layout.dialect.empty if is_empty(value) else str(value)
        return encode(value, layout.dialect)
    if _is_missing(value):
        raise InputError(f"found {value}; expected a {layout.what}")
    if layout.content == "label" or isinstance(value, str):
        return label_text(value)
    number = float(value)
    if not -_PROBABILITY_SLACK <= number <= 1 + _PROBABILITY_SLACK:
        raise InputError(f"found {number:g}; expected a probability from 0 to 1")
    return format_probability(number)
