"""Labels for unlabelled images, written fold by fold, without a leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.blend import Member
    from goldfold.inference.reader import MapReader
    from goldfold.pipeline.open_run import OpenRun

Kind = Literal["soft", "hard"]
Table = list[dict[str, Any]]


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
    """
    from goldfold.pipeline.class_pseudo_labels import label_classes
    from goldfold.pipeline.members import open_members
    from goldfold.pipeline.pseudo_labels import test_contents
    from goldfold.pipeline.same_classes import require_same_classes

    if target is not run:
        require_same_classes(run, target)
        _require_same_folds(run, target)
    wanted = _free_images(run)
    contents = test_contents(target.images)
    if run.settings.competition.is_classification:
        tables = label_classes(run, target, wanted, contents, name, labels, confidence, overwrite)
    else:
        by_class = {
            mask_class: open_members(run, "test", of_class=mask_class)
            for mask_class in run.settings.competition.mask_classes or [""]
        }
        tables = [
            _write_fold(
                target, by_class, fold, wanted, contents, run.folds, name, labels, confidence,
                overwrite,
            )
            for fold in _folds_of(next(iter(by_class.values())))
        ]  # fmt: skip
    _write_table(target, name, tables)
    return tables


def _require_same_folds(run: OpenRun, target: OpenRun) -> None:
    """Raise InputError unless the other run's folds hold the same images."""
    from goldfold.errors import InputError

    folds, others = run.folds, target.folds
    ours = dict(zip(folds["image_id"], folds["fold"], strict=True))
    theirs = dict(zip(others["image_id"], others["fold"], strict=True))
    if ours != theirs:
        differ = sum(ours.get(k) != theirs.get(k) for k in set(ours) | set(theirs))
        raise InputError(
            f"{target.directory.folds} and {run.directory.folds} put {differ:,} images into "
            "different folds, so models of one have seen what the other holds out. Copy "
            "goldfold.toml's [folds] from one run to the other and build the folds again."
        )


def _free_images(run: OpenRun) -> list[str]:
    """Return the test images whose group has no labelled image, sorted.

    Raises:
        InputError: there are none.
    """
    from goldfold.competitions.images_table import group_column, test_images, training_images
    from goldfold.errors import InputError

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


def _write_fold(
    target: OpenRun,
    members: Mapping[str, Sequence[Member]],
    fold: int,
    wanted: Sequence[str],
    contents: str,
    folds: pd.DataFrame,
    name: str,
    labels: Kind,
    least: float,
    overwrite: bool,
) -> list[dict[str, Any]]:
    """Write the labels of one fold, from members by class, and return a row for each image.

    Raises:
        InputError: there are others, and `overwrite` is not set.
    """
    import numpy as np

    from goldfold.files import fingerprint
    from goldfold.inference.store import MapWriter, map_name
    from goldfold.pipeline.pseudo_labels import (
        held_out_print,
        pseudo_path,
        refuse_other_labels,
    )
    from goldfold.training.pseudo_labels import HALF, confidence, label_of

    readers = {
        one: [
            (reader, member.weight)
            for member in of_class
            for seed in member.seeds
            for reader in seed
            if _fold_of(reader) == fold
        ]
        for one, of_class in members.items()
    }
    facts = {
        "fold": fold,
        "held_out_images": held_out_print(folds, fold),
        "labels": labels,
        "confidence": least,
        "images": fingerprint(list(wanted)),
        "test_images": contents,
        "predictions": [
            [fingerprint(reader.facts), weight] for reader, weight in next(iter(readers.values()))
        ],
    }
    if len(readers) > 1:
        facts["classes"] = list(readers)
    path = pseudo_path(target, name, fold)
    refuse_other_labels(path, facts, overwrite)
    rows = []
    with (
        MapWriter(path, facts, restart=True) as writer,
        target.progress.task(f"pseudo-label fold-{fold}", len(wanted)) as task,
    ):
        for image_id in wanted:
            maps = {one: _blended(found, image_id) for one, found in readers.items()}
            certain = min(confidence(levels) for levels in maps.values())
            kept = certain >= least
            for one, levels in maps.items():
                if kept and map_name(image_id, one) not in writer:
                    label = label_of(levels, hard=labels == "hard")
                    writer.append(map_name(image_id, one), label)
            area = int(np.logical_or.reduce([levels > HALF for levels in maps.values()]).sum())
            rows.append(
                {
                    "image_id": image_id,
                    "fold": fold,
                    "kept": kept,
                    "confidence": round(certain, 4),
                    "area_px": area,
                }
            )
            task.advance()
        writer.finish()
    return rows


def _blended(readers: Sequence[tuple[MapReader, int]], image_id: str) -> NDArray[np.uint8]:
    from goldfold.ensemble.blend import blend_maps

    weights = [weight for _, weight in readers]
    return blend_maps((reader.read(image_id) for reader, _ in readers), weights)


def _write_table(run: OpenRun, name: str, tables: Sequence[list[dict[str, Any]]]) -> None:
    import pandas as pd

    from goldfold.files import write_text
    from goldfold.pipeline.pseudo_labels import pseudo_folder

    rows = [row for table in tables for row in table]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    write_text(pseudo_folder(run, name) / "pseudo-labels.csv", text)
