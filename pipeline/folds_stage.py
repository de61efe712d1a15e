"""The fold table of a run: made, required, and never replaced under the trainings that used it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import CLASSES, NUMBER, group_column, training_images
from goldfold.errors import InputError, plural
from goldfold.files import file_hash, fingerprint
from goldfold.folds.fold_view import FoldView
from goldfold.folds.table import read_folds, write_folds
from goldfold.pipeline.group_questions import refuse_open_groups
from goldfold.pipeline.prediction_rows import refuse_split_rows
from goldfold.pipeline.sequences import refuse_split_sequences
from goldfold.pipeline.split import placing_facts, split_images, view_of
from goldfold.rundirectory import recorded

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.pipeline.open_run import OpenRun

_PLACING = ("kind", "column", "file", "id_column", "fold_column")
"""Settings of folds that are not searched for; folds from before they existed stay up to date."""


def folds_made_from(run: OpenRun) -> dict[str, Any]:
    """Return what folds.csv is made from: ids, groups, areas and the settings of the split."""
    train = training_images(run.images)
    groups = group_column(train, run.settings.folds.group)
    rows = [list(train["image_id"]), list(groups), [int(area) for area in train["area_px"]]]
    rows += [list(train[column]) for column in (CLASSES, NUMBER) if column in train.columns]
    own, facts = run.settings.folds, placing_facts(run)
    # What is declined changes no fold.
    unused = {"train", "not_groups", "ungrouped", *(_PLACING if own.kind == "balanced" else ())}
    settings = own.model_dump(mode="json", exclude=unused)
    return {"images": fingerprint([*rows, facts] if facts else rows), "settings": settings}


def ensure_folds(run: OpenRun, overwrite: bool = False, retrain: bool = False) -> pd.DataFrame:
    """Return the fold table, split anew if images or settings of the split changed.

    Only for `folds build` and `run`; the other stages require a table that fits.

    Args:
        run: the run.
        overwrite: replace whatever folds.csv there is.
        retrain: replace a table of ours although trainings used it: they are made again.

    Raises:
        InputError: a column looks like a group and is neither used nor declined, the split is
            impossible or splits a sequence whose images are neighbours for a model, folds.csv was
            put there or changed by hand, or trainings were made with it.
    """
    folds, current = plan_folds(run, overwrite, retrain)
    run.take_tables(run.images, folds)
    if current:
        run.progress.say("folds: up to date")
        return folds
    path = run.directory.folds
    write_folds(path, folds)
    made_from = folds_made_from(run)
    run.directory.stage("folds").write({**made_from, "sha256": file_hash(path)})
    return folds


def plan_folds(
    run: OpenRun, overwrite: bool = False, retrain: bool = False
) -> tuple[pd.DataFrame, bool]:
    """Return what `ensure_folds` would, writing nothing, and whether folds.csv is up to date.

    Raises:
        InputError: as `ensure_folds`.
    """
    folds, current = _planned(run, overwrite, retrain)
    refuse_split_sequences(run, view_of(run, folds))
    refuse_split_rows(run, folds)
    return folds, current


def _planned(run: OpenRun, overwrite: bool, retrain: bool) -> tuple[pd.DataFrame, bool]:
    """Return the fold table, and whether folds.csv is up to date."""
    made_from = folds_made_from(run)
    refuse_open_groups(run)
    path = run.directory.folds
    there = file_hash(path) if path.is_file() else None
    if there and not overwrite:
        if run.directory.stage("folds").is_current({**made_from, "sha256": there}):
            return read_folds(path), True
        folds = split_images(run)
        # The same table without its record is what a kill between the two leaves.
        if _hash_of(folds) != there:
            _refuse_foreign(run, there)
            if not retrain:
                _refuse_used(run, made_from)
        return folds, False
    return split_images(run), False


def require_folds(run: OpenRun) -> pd.DataFrame:
    """Return folds.csv as it stands; it is never written.

    Raises:
        InputError: it is not there, was changed by hand, or is not the split of the present
            images and settings, or splits a sequence whose images are neighbours for a model.
    """
    build = run.command("folds build")
    path = run.directory.require(run.directory.folds, build)
    made_from = folds_made_from(run)
    if run.directory.stage("folds").is_current({**made_from, "sha256": file_hash(path)}):
        folds = read_folds(path)
        refuse_split_sequences(run, view_of(run, folds))
        refuse_split_rows(run, folds)
        return folds
    _refuse_foreign(run, file_hash(path), unrecorded=True)
    raise InputError(
        f"{path} is not the split of the present images and settings "
        f"({_changes(run, made_from)}). Set these back, or run `{build}`."
    )


def _changes(run: OpenRun, made_from: dict[str, Any]) -> str:
    """Return in words why folds.csv is not up to date."""
    record = run.directory.stage("folds").path
    if recorded(record, "fingerprint") is None:
        return "what it was made from is not recorded"
    old = recorded(record, "made_from", "settings")
    old = old if isinstance(old, dict) else {}
    changes = [
        f"folds.{name}: it was {old.get(name)!r}, now {value!r}"
        for name, value in made_from["settings"].items()
        if old.get(name) != value
    ]
    if recorded(record, "made_from", "images") != made_from["images"]:
        changes.append("ids, groups or mask areas of the images changed")
    return "; ".join(changes)


def _refuse_foreign(run: OpenRun, there: str, unrecorded: bool = False) -> None:
    """Raise InputError if folds.csv, of hash `there`, is not the one that was recorded.

    Without a record it counts as foreign, too, or as ours where `unrecorded` is set.
    """
    known = recorded(run.directory.stage("folds").path, "made_from", "sha256")
    if known == there or (known is None and unrecorded):
        return
    raise InputError(
        f"{run.directory.folds} is not the table that goldfold wrote. Move it away, or add "
        f"--overwrite to `{run.command('folds build')}` to replace it."
    )


def _refuse_used(run: OpenRun, made_from: dict[str, Any]) -> None:
    """Raise InputError if trainings of this run held out the folds of the present folds.csv."""
    view = _view_at_training(run)
    held_out = {view.fingerprint(fold) for fold in view.folds}
    used = [
        folder
        for folder in sorted((run.directory.root / "models").glob("*/seed-*/fold-*/stage-*"))
        for record in (folder / "result.json", folder / "state" / "state.json")
        if recorded(record, "made_from", "held_out_images") in held_out
    ]
    if used:
        count = plural(len(set(used)), "fold training was", "fold trainings were")
        raise InputError(
            f"{run.directory.folds} would be another table ({_changes(run, made_from)}), but "
            f"{count} made with the present one, such as {used[0]}. Set these back, use another "
            f"run directory, or add --overwrite to `{run.command('folds build')}` and then to "
            f"`{run.command('train run')}`."
        )


def _view_at_training(run: OpenRun) -> FoldView:
    """Return who may see which image by the present folds.csv, ordered if it was made so."""
    kind = recorded(run.directory.stage("folds").path, "made_from", "settings", "kind")
    return FoldView(read_folds(run.directory.folds), ordered=kind == "ordered")


def _hash_of(folds: pd.DataFrame) -> str:
    """Return the hash that folds.csv has if it is this table."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        built = Path(folder) / "folds.csv"
        write_folds(built, folds)
        return file_hash(built)
