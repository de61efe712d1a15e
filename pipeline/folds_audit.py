"""A fold table, a run's own or anyone's, audited against the images of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.competitions.group_columns import group_candidates, site_candidates
from goldfold.competitions.images_table import group_column, training_images
from goldfold.folds.audit import audit_folds
from goldfold.folds.table import read_fold_table

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.folds.audit import AuditReport
    from goldfold.pipeline.open_run import OpenRun

PIXELS_UP_TO = 2_000_000_000
"""Bytes of image files that an audit decodes without being asked to."""


def audit_table(
    run: OpenRun,
    table: Path,
    id_column: str | None = None,
    fold_column: str | None = None,
    *,
    pixels: bool | None = None,
) -> tuple[AuditReport, bool]:
    """Return the audit of a fold table, and whether pixels were compared.

    Args:
        run: whose images it splits.
        table: CSV with one row per image.
        id_column: its column with the image id; told by the content unless given.
        fold_column: its column with the fold, likewise.
        pixels: compare pixels across folds; None = up to `PIXELS_UP_TO` bytes of files.

    Raises:
        InputError: the table cannot be read, or an image cannot.
    """
    train = training_images(run.images)
    used, ids = run.settings.folds.group, list(train["image_id"])
    groups = group_column(train, used)
    fold_table = read_fold_table(table, id_column, fold_column, ids)
    content = _contents(run, train, pixels)
    sites = site_candidates(train)
    report = audit_folds(
        fold_table,
        groups=dict(zip(ids, groups, strict=True)),
        expected_ids=ids,
        non_empty=run.task.masks_present(train),
        content=content,
        columns={
            name: dict(zip(ids, values, strict=True))
            for name, values in (group_candidates(train) | sites).items()
            if name != used
        },
        declined=run.settings.folds.not_groups,
        sites=list(sites),
    )
    return report, content is not None


def _contents(run: OpenRun, train: pd.DataFrame, wanted: bool | None) -> dict[str, str] | None:
    """Return pixel hashes of the images that are there, or None if they are not to be compared."""
    from goldfold.competitions.image import Reading
    from goldfold.folds.pixel_hash import content_hashes

    data = run.settings.competition.data
    there = train[train["path"] != ""]
    if wanted is False:
        return None
    if there.empty:
        run.progress.say("no pixels were compared: there are no image files")
        return None
    paths = {i: data / p for i, p in zip(there["image_id"], there["path"], strict=True)}
    if wanted is None and (size := sum(p.stat().st_size for p in paths.values())) > PIXELS_UP_TO:
        run.progress.say(
            f"the pixels of {len(there):,} images ({size / 1e9:.1f} GB) were not compared; "
            "--pixels does it, by decoding them all"
        )
        return None
    # Windows and crops are for networks; levels that are too low to be told apart are not.
    reading = Reading(stretch=run.settings.competition.images.stretch == "image")
    return content_hashes(paths, run.workers, run.progress, reading)
