"""`goldfold train pseudo-label`: labels for unlabelled images, fold by fold, without a leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from goldfold.commands.options import Assignments, Overwrite, RunFolder

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.commands.context import Run
    from goldfold.ensemble.blend import Member
    from goldfold.errors import InputError
    from goldfold.extent import Given
    from goldfold.inference.reader import MapReader
    from goldfold.training.pseudo_labels import PseudoLabels

Kind = Literal["soft", "hard"]


def pseudo_label_command(
    run_folder: RunFolder,
    into: Annotated[
        Path | None,
        typer.Option(help="Run that will learn from them, with the same folds; RUN unless given."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the pseudo-labels.")] = "pseudo-labels",
    labels: Annotated[Kind, typer.Option(help="Probabilities (soft), or 0 and 1 (hard).")] = "soft",
    confidence: Annotated[
        float, typer.Option(help="Least confidence of an image that is kept.", min=0.0, max=1.0)
    ] = 0.9,
    overwrite: Overwrite = False,
    assignments: Assignments = None,
) -> None:
    """Turn the predictions on the test images into labels for further training.

    Fold K is taught by the models of fold K alone: the others have seen its labels. Images whose
    group (patient) has labelled images are left out. Confidence is the Dice that a map expects of
    its own mask, or, for an empty mask, one minus its highest probability; of several masks an
    image, the lowest counts. Of exclusive classes it is the highest probability; of others that of
    the least certain class, each being as certain as the more likely of yes and no.

    Example:
    goldfold train pseudo-label runs/first --into runs/second --confidence 0.9

    Next: set pseudo_labels = { name = "pseudo-labels", share = 0.3 } in a stage, then goldfold
    train run
    """
    from goldfold.commands import show
    from goldfold.commands.context import ensure_images, open_run
    from goldfold.commands.ensemble_members import open_members
    from goldfold.commands.folds_stage import require_folds
    from goldfold.commands.label_pseudo import label_classes
    from goldfold.commands.same_classes import require_same_classes

    run = open_run(run_folder, assignments)
    images = ensure_images(run)
    folds = require_folds(run, images)
    target = run if into is None else open_run(into)
    if into is not None:
        require_same_classes(run, target)
        _require_same_folds(run, target, folds)
    wanted = _free_images(run, images)
    contents = _test_contents(images if into is None else ensure_images(target))
    if run.settings.competition.is_classification:
        tables = label_classes(
            run, target, images, folds, wanted, contents, name, labels, confidence, overwrite
        )
    else:
        by_class = {
            one: open_members(run, images, folds, "test", of_class=one)
            for one in run.settings.competition.mask_classes or [""]
        }
        tables = [
            _write_fold(
                target, by_class, fold, wanted, contents, folds, name, labels, confidence, overwrite
            )
            for fold in _folds_of(next(iter(by_class.values())))
        ]
    _write_table(target, name, tables)
    for line in _summary(tables):
        show.out(line)
    show.out(f"pseudo-labels: {_folder(target, name)}")
    show.out(
        f'next: set pseudo_labels = {{ name = "{name}", share = 0.3 }} in a stage of '
        f"{target.directory.settings}, then `{target.command('train run')}`"
    )


def pseudo_labels_fingerprint(run: Run, name: str, fold: int) -> str:
    """Return what changes when the pseudo-labels of a fold do, "" where there are none."""
    from goldfold.commands.context import recorded
    from goldfold.files import fingerprint

    facts = recorded(pseudo_path(run, name, fold).with_suffix(".json"), "facts")
    return fingerprint(facts) if facts else ""


def count_pseudo_labels(run: Run, name: str, fold: int) -> int:
    """Return how many pseudo-labelled images a fold has, 0 where there are none."""
    from goldfold.commands.context import recorded

    count = recorded(pseudo_path(run, name, fold).with_suffix(".json"), "images")
    form = run.settings.competition
    maps = 1 if form.is_classification else form.outputs  # of an image
    return count // maps if isinstance(count, int) else 0


def open_pseudo_labels(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, name: str, fold: int, size: Given
) -> PseudoLabels:
    """Return the pseudo-labels that the training of a fold may learn from.

    Raises:
        InputError: there are none, the test images changed since they were written, or their
            models have seen the fold.
    """
    from goldfold.commands.label_pseudo import read_label_pseudo
    from goldfold.files import fingerprint
    from goldfold.inference.reader import MapReader
    from goldfold.training.pseudo_labels import cached_pseudo_labels

    path = require_pseudo_labels(run, images, name, fold)
    if run.settings.competition.is_classification:
        return read_label_pseudo(run, path, held_out_print(folds, fold))
    classes = run.settings.competition.mask_classes or [""]
    with ExitStack() as stack:
        readers = [stack.enter_context(MapReader(path, one)) for one in classes]
        reader = readers[0]
        if reader.facts["held_out_images"] != held_out_print(folds, fold):
            raise seen_by_models(path, fold)
        return cached_pseudo_labels(
            run.directory.cache,
            f"{name}-fold-{fold}",
            size,
            image_ids=reader.image_ids,
            read=[one.read for one in readers],
            made_from=fingerprint([pseudo_labels_fingerprint(run, name, fold), *classes]),
        )


def require_pseudo_labels(run: Run, images: pd.DataFrame, name: str, fold: int) -> Path:
    """Return where the pseudo-labels of a fold lie, which are of the present test images.

    Raises:
        InputError: there are none, or the test images changed since they were written.
    """
    from goldfold.commands.context import recorded
    from goldfold.errors import InputError

    path = pseudo_path(run, name, fold)
    write = f"goldfold train pseudo-label TEACHER --into {run.directory.root} --name {name}"
    teacher = "TEACHER being a run with predictions on the test images."
    if not path.with_suffix(".json").is_file():
        raise InputError(
            f"there are no pseudo-labels {name!r} for fold {fold} ({path} does not exist). "
            f"Write them with `{write}`, {teacher}"
        )
    then = recorded(path.with_suffix(".json"), "facts", "test_images")
    if then != _test_contents(images):
        raise InputError(
            f"the test images changed since {path} was written. Write it again with "
            f"`{write} --overwrite`, {teacher}"
        )
    return path


def _test_contents(images: pd.DataFrame) -> str:
    from goldfold.commands.changed_images import images_fingerprint
    from goldfold.competitions.images_table import test_images

    return images_fingerprint(test_images(images))


def _require_same_folds(run: Run, target: Run, folds: pd.DataFrame) -> None:
    """Raise InputError unless the other run's folds hold the same images."""
    from goldfold.commands.context import ensure_images
    from goldfold.commands.folds_stage import require_folds
    from goldfold.errors import InputError

    others = require_folds(target, ensure_images(target))
    ours = dict(zip(folds["image_id"], folds["fold"], strict=True))
    theirs = dict(zip(others["image_id"], others["fold"], strict=True))
    if ours != theirs:
        differ = sum(ours.get(k) != theirs.get(k) for k in set(ours) | set(theirs))
        raise InputError(
            f"{target.directory.folds} and {run.directory.folds} put {differ:,} images into "
            "different folds, so models of one have seen what the other holds out. Copy "
            "goldfold.toml's [folds] from one run to the other and build the folds again."
        )


def _free_images(run: Run, images: pd.DataFrame) -> list[str]:
    """Return the test images whose group has no labelled image, sorted.

    Raises:
        InputError: there are none.
    """
    from goldfold.competitions.images_table import group_column, test_images, training_images
    from goldfold.errors import InputError

    test = test_images(images).sort_values("image_id")
    column = run.settings.folds.group
    seen = set(group_column(training_images(images), column)) - {""}
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
    target: Run,
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
    refuse_others(path, facts, overwrite)
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


def refuse_others(path: Path, facts: dict[str, Any], overwrite: bool) -> None:
    """Accept a place where there are no pseudo-labels, or the same ones.

    Raises:
        InputError: there are others, and `overwrite` is not set.
    """
    from goldfold.commands.context import recorded
    from goldfold.errors import InputError

    known = recorded(path.with_suffix(".json"), "facts")
    if path.is_file() and not overwrite and known != facts:
        raise InputError(f"{path} holds other pseudo-labels. Use --overwrite, or another --name.")


def seen_by_models(path: Path, fold: int) -> InputError:
    """Return the error of pseudo-labels whose models have seen what a fold holds out."""
    from goldfold.errors import InputError

    return InputError(
        f"the models behind {path} held out other images than fold {fold} of this run: "
        "they have seen some of its labels. Write the pseudo-labels from a run with the "
        "same folds.csv."
    )


def held_out_print(folds: pd.DataFrame, fold: int) -> str:
    """Return the fingerprint of the images that a fold holds out."""
    from goldfold.files import fingerprint

    return fingerprint(sorted(folds.loc[folds["fold"] == fold, "image_id"]))


def _folder(run: Run, name: str) -> Path:
    return run.directory.root / "pseudo-labels" / name


def pseudo_path(run: Run, name: str, fold: int) -> Path:
    """Return where the pseudo-labels of a fold lie: maps, or a table of classes."""
    ending = ".csv" if run.settings.competition.is_classification else ".maps"
    return _folder(run, name) / f"fold-{fold}{ending}"


def _write_table(run: Run, name: str, tables: Sequence[list[dict[str, Any]]]) -> None:
    import pandas as pd

    from goldfold.files import write_text

    rows = [row for table in tables for row in table]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    write_text(_folder(run, name) / "pseudo-labels.csv", text)


def _summary(tables: Sequence[list[dict[str, Any]]]) -> list[str]:
    from collections import Counter

    from goldfold.competitions.images_table import JOINT

    lines = []
    for table in tables:
        kept = [row for row in table if row["kept"]]
        if "area_px" in table[0]:
            count = sum(row["area_px"] > 0 for row in kept)
            told = f"{count:,} with a mask"
        else:
            named = Counter(name for row in kept for name in row["classes"].split(JOINT))
            told = ", ".join(f"{count:,} {name or 'of no class'}" for name, count in named.items())
        images = f"{len(kept):,} of {len(table):,} images kept"
        lines.append(f"fold {table[0]['fold']}: {images}{', ' + told if told else ''}")
    return lines
