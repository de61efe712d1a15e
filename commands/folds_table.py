"""`goldfold folds build` and `folds audit` of any CSV, without a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from goldfold.errors import InputError


def require_table_alone(table: Path | None, run_folder: Path | None, command: str) -> Path:
    """Return the table of a command that was given no run.

    Raises:
        InputError: there is none, or a run, too.
    """
    if table is None:
        raise InputError(
            f"`goldfold {command}` needs a run directory, or --table FILE.csv for a table of yours."
        )
    if run_folder is not None:
        raise InputError(
            f"`goldfold {command}` takes a run directory or --table, not both. To split a run as a "
            f'table of folds says, set folds.kind = "file" and folds.file = "{table}".'
        )
    return table


def build_of_table(
    table: Path,
    id_column: str | None,
    group: str | None,
    strata: Sequence[str],
    *,
    count: int,
    seed: int,
    separator: str | None,
    not_groups: Sequence[str],
    kind: str,
    column: str | None,
    output: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Split the images of a table, write the folds, and print their balance and their audit.

    Args:
        table: CSV to split.
        id_column: its column with the image id.
        group: its column whose equal values stay together; "none" for no groups.
        strata: its columns to spread evenly.
        count: number of folds.
        seed: of the split.
        separator: what separates the labels of a cell.
        not_groups: columns that look like groups but are none.
        kind: of folds: balanced, leave-one-out or ordered.
        column: whose values are left out in turn, or that orders the images.
        output: CSV to write; None only prints.
        overwrite: replace a file that is there.
        as_json: print the balance as JSON.

    Raises:
        InputError: the table cannot be split as asked for, or the output is there.
    """
    from goldfold.commands import show
    from goldfold.files import write_text
    from goldfold.folds.any_table import fold_any_table
    from goldfold.folds.labels import label_balance
    from goldfold.pipeline.folds_words import label_lines

    if id_column is None:
        raise InputError(f"which column of {table} is the image id? Name it with --id.")
    if output is not None and output.exists() and not overwrite:
        raise InputError(f"{output} already exists. Use --overwrite, or another name.")
    folds = fold_any_table(
        table,
        id_column,
        group,
        strata,
        count=count,
        seed=seed,
        separator=separator,
        not_groups=not_groups,
        kind=kind,  # type: ignore[arg-type]  # checked there
        column=column,
    )
    if output is not None:
        write_text(output, folds.table.to_csv(index=False, lineterminator="\n"))
    if as_json:
        show.out_json(label_balance(folds.placed["fold"], folds.labels).to_dict("records"))
        return
    for notice in folds.notices:
        show.out(f"notice: {notice}")
    show.lines(label_lines(folds.placed, folds.labels))
    groups = folds.placed.groupby("group")["fold"].nunique()
    show.out(f"groups: {len(groups):,}, {int((groups > 1).sum()):,} of them in several folds")
    if output is None:
        show.out("nothing was written; -o FILE.csv does it")
        return
    show.out(f"folds: {output}")
    words = ["--table", str(output), "--id", id_column]
    words += [word for name in not_groups for word in ("--not-group", name)]
    show.out(f"next: goldfold folds audit {shlex.join(words)}")
