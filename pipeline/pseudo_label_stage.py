"""Labels for unlabelled images, written fold by fold, without a leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from goldfold.competitions.images_table import group_column, test_images, training_images
from goldfold.errors import InputError
from goldfold.files import fingerprint, write_text
from goldfold.pipeline.members import Members
from goldfold.pipeline.pseudo_labels import (
    pseudo_folder,
    pseudo_path,
    refuse_other_labels,
    test_contents,
)
from goldfold.pipeline.same_classes import require_same_classes
from goldfold.vocabulary import Stacking, names_of

if TYPE_CHECKING:
    from goldfold.ensemble.blend import Member
    from goldfold.inference.reader import MapReader
    from goldfold.pipeline.open_run import OpenRun

Kind = Literal["soft", "hard"]
Table = list[dict[str, Any]]
Readers = Sequence[tuple["MapReader", int]]


def write_pseudo_labels(
    run: OpenRun,
    target: OpenRun,
    *,
    name: str = "pseudo-labels",
    labels: Kind = "soft",
    confidence: float = 0.9,
    overwrite: bool = False,
) -> list[Table]:
    """Write the labels of every fold, and return for each fold one row per image.

    Fold K is taught by the models of fold K alone: the others have seen its labels.

    Args:
        run: whose models label.
        target: the run that will learn from them; may be the same.
        name: of the pseudo-labels.
        labels: probabilities (soft), or 0 and 1 (hard).
        confidence: least confidence of an image that is kept.
        overwrite: replace others of that name.

    Raises:
        InputError: predictions are missing or outdated, the other run has other folds or classes,
            there is nothing to label, or there are other pseudo-labels of that name.
        LeakError: models that have seen what a fold holds out would teach it.
    """
    if target is not run:
        require_same_classes(run, target)
        _require_same_folds(run, target)
    _say_what_is_left_out(run)
    wanted = _free_images(run)
    contents = test_contents(target.images)
    members = {record: Members(run).open("test", record) for record in run.task.records}
    tables = []
    for fold in _folds_of(next(iter(members.values()))):
        facts = {
            "fold": fold,
            "held_out_images": run.fold(fold).fingerprint,
            "labels": labels,
            "confidence": confidence,
            "images": fingerprint(list(wanted)),
            "test_images": contents,
        }
        readers = {record: _readers_of(fold, own) for record, own in members.items()}
        models = [_fold_of(reader) for own in readers.values() for reader, _ in own]
        run.fold(fold).refuse_models(models, "pseudo-labelling")
        tables.append(_write_fold(target, readers, wanted, name, facts, overwrite))
    _write_table(target, name, tables)
    return tables


def _say_what_is_left_out(run: OpenRun) -> None:
    """Say that calibration and stacking are not applied, where they are set.

    They were fitted on the labels of every fold: a fold that learns from them would learn something
    of the labels that it holds out.
    """
    settings = run.settings.ensemble
    names = [f"calibration {settings.calibration}"] * (settings.calibration != "none")
    names += [f"weights {settings.weights}"] * (settings.weights in names_of(Stacking))
    if names:
        run.progress.say(
            f"pseudo-labels are plain means: {' and '.join(names)} were fitted on labels that a "
            "fold holds out"
        )


def _require_same_folds(run: OpenRun, target: OpenRun) -> None:
    """Raise InputError unless the other run's folds hold the same images."""
    differ = run.fold_view.placed_otherwise(target.fold_view)
    if differ:
        raise InputError(
            f"{target.directory.folds} and {run.directory.folds} put {len(differ):,} images into "
            "different folds, so models of one have seen what the other holds out. Copy "
            "goldfold.toml's [folds] from one run to the other and build the folds again."
        )


def _free_images(run: OpenRun) -> list[str]:
    """Return the test images whose group has no labelled image, sorted.

    Raises:
        InputError: there are none.
    """
    test = test_images(run.images).sort_values("image_id")
    column = run.settings.folds.group
    seen = set(group_column(training_images(run.images), column)) - {""}
    groups = group_column(test, column)
    free = [i for i, group in zip(test["image_id"], groups, strict=True) if group not in seen]
    if not free:
        raise InputError(
            "there are no unlabelled images to label: the competition has no test images, or "
            f"their groups ({column}) all have labelled images."
        )
    if len(free) < len(test):
        run.progress.say(
            f"{len(test) - len(free):,} of {len(test):,} test images are left out, as their "
            f"{column} has labelled images"
        )
    return free


def _folds_of(members: Sequence[Member]) -> list[int]:
    return sorted({_fold_of(r) for member in members for readers in member.seeds for r in readers})


def _fold_of(reader: MapReader) -> int:
    return int(reader.path.parent.name.removeprefix("fold-"))


def _readers_of(fold: int, members: Sequence[Member]) -> Readers:
    """Return the stores of a fold's models, each with the weight of its member."""
    return [
        (reader, member.weight)
        for member in members
        for seed in member.seeds
        for reader in seed
        if _fold_of(reader) == fold
    ]


def _write_fold(
    target: OpenRun,
    readers: Mapping[str, Readers],
    wanted: Sequence[str],
    name: str,
    facts: dict[str, Any],
    overwrite: bool,
) -> Table:
    """Write the labels of one fold and return one row per image.

    Raises:
        InputError: there are others, and `overwrite` is not set.
    """
    from goldfold.inference.store import MapWriter, map_name

    fold, hard = facts["fold"], facts["labels"] == "hard"
    facts["predictions"] = [
        [fingerprint(reader.facts), weight] for reader, weight in next(iter(readers.values()))
    ]
    if len(target.settings.competition.classes) > 1:
        facts["classes"] = target.settings.competition.classes
    path = pseudo_path(target, name, fold)
    refuse_other_labels(path, facts, overwrite)
    rows = []
    with (
        MapWriter(path, facts, restart=True) as writer,
        target.progress.task(f"pseudo-label fold-{fold}", len(wanted)) as task,
    ):
        for image_id in wanted:
            taught = target.task.teach(readers, image_id, hard=hard)
            kept = taught.confidence >= facts["confidence"]
            for record, array in taught.arrays.items():
                if kept and map_name(image_id, record) not in writer:
                    writer.append(map_name(image_id, record), array)
            rows.append(
                {
                    "image_id": image_id,
                    "fold": fold,
                    "kept": kept,
                    "confidence": round(taught.confidence, 4),
                    **taught.facts,
                }
            )
            task.advance()
        writer.finish()
    return rows


def _write_table(run: OpenRun, name: str, tables: Sequence[list[dict[str, Any]]]) -> None:
    import pandas as pd

    rows = [row for table in tables for row in table]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    write_text(pseudo_folder(run, name) / "pseudo-labels.csv", text)
