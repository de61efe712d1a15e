"""Recognises columns of unknown tables that look like groups, such as patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goldfold.competitions.group_columns import free_name, values_by_image
from goldfold.competitions.group_rule import FLAGS, is_group, naming
from goldfold.competitions.recognise_tables import Table
from goldfold.competitions.table_ids import Ids


@dataclass(frozen=True)
class GroupTable:
    """A table other than the labels with columns that look like groups.

    Attributes:
        path: path of the table.
        id_column: its column with the image ids.
        columns: name in images.csv -> column of the table.
    """

    path: Path
    id_column: str
    columns: dict[str, str]


def without_groups(table: Table) -> Table:
    """Return the table without columns that look like groups, as these are never labels."""
    first = table.rows.iloc[:, 0].str.strip()
    groups = []
    for name in map(str, table.rows.columns[1:]):
        values = list(values_by_image(first, table.rows[name]).values())
        flags = {value.lower() for value in values} <= FLAGS
        if is_group(name, values) or (naming(name) == "certain" and not flags):
            groups.append(name)
    return Table(table.path, table.rows.drop(columns=groups))


def table_groups(table: Table, images: Sequence[str], *, joined: bool) -> dict[str, list[str]]:
    """Return the columns that look like groups: name -> value of each image, "" = unknown.

    Args:
        table: a table with ids in its first column.
        images: ids of the images.
        joined: whether a class follows the last "_" of the table's ids.
    """
    ids = table.rows.iloc[:, 0].str.strip()
    if joined:
        ids = ids.str.rsplit("_", n=1).str[0]
    groups_of_table = {}
    for name in table.rows.columns[1:]:
        known = values_by_image(ids, table.rows[name])
        values = [known.get(image, "") for image in images]
        if is_group(str(name), values):
            groups_of_table[str(name)] = values
    return groups_of_table


def add_groups_of_tables(
    groups: dict[str, list[str]],
    tables: Sequence[Table],
    *,
    labels: Table,
    images: Sequence[str],
    ids: Ids,
) -> list[GroupTable]:
    """Add the columns that look like groups; return the tables other than the labels with some.

    Args:
        groups: name -> value of each image, "" = unknown; columns of tables are added in place.
        tables: all tables.
        labels: the table with the labels.
        images: ids of the training images.
        ids: how the label table refers to them.
    """
    group_tables = []
    for table in tables:
        is_labels = table.path == labels.path
        id_column = str(table.rows.columns[0])
        if not is_labels and table.rows[id_column].str.strip().duplicated().any():
            continue  # its rows are not images
        columns = table_groups(table, images, joined=ids.joined and is_labels)
        own = {free_name(groups, name, values, "table"): name for name, values in columns.items()}
        groups |= {name: columns[old] for name, old in own.items()}
        if own and not is_labels:
            group_tables.append(GroupTable(table.path, id_column, own))
    return group_tables
