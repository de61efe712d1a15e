"""Pseudo-labels that a run learns from: where they lie, and whether a fold may learn from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import test_images
from goldfold.errors import InputError, LeakInputError
from goldfold.files import fingerprint
from goldfold.pipeline.changed_images import images_fingerprint
from goldfold.rundirectory import recorded

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.image_size import SizeLike
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.training.pseudo_labels import PseudoLabels


def pseudo_labels_fingerprint(run: OpenRun, name: str, fold: int) -> str:
    """Return what changes when the pseudo-labels of a fold do, "" where there are none."""
    facts = recorded(pseudo_path(run, name, fold).with_suffix(".json"), "facts")
    return fingerprint(facts) if facts else ""


def count_pseudo_labels(run: OpenRun, name: str, fold: int) -> int:
    """Return how many pseudo-labelled images a fold has, 0 where there are none."""
    count = recorded(pseudo_path(run, name, fold).with_suffix(".json"), "images")
    return count // len(run.task.records) if isinstance(count, int) else 0


def open_pseudo_labels(run: OpenRun, name: str, fold: int, size: SizeLike) -> PseudoLabels:
    """Return the pseudo-labels that the training of a fold may learn from.

    Raises:
        InputError: there are none, the test images changed since they were written, or their
            models have seen the fold.
    """
    path = require_pseudo_labels(run, name, fold)
    taught_by = recorded(path.with_suffix(".json"), "facts", "held_out_images")
    if taught_by != run.fold(fold).fingerprint:
        raise seen_by_models(path, fold)
    return run.task.read_pseudo(path, run.directory.cache, f"{name}-fold-{fold}", size)


def require_pseudo_labels(run: OpenRun, name: str, fold: int) -> Path:
    """Return where the pseudo-labels of a fold lie, which are of the present test images.

    Raises:
        InputError: there are none, or the test images changed since they were written.
    """
    path = pseudo_path(run, name, fold)
    write = f"goldfold train pseudo-label TEACHER --into {run.directory.root} --name {name}"
    teacher = "TEACHER being a run with predictions on the test images."
    if not path.with_suffix(".json").is_file():
        raise InputError(
            f"there are no pseudo-labels {name!r} for fold {fold} ({path} does not exist). "
            f"Write them with `{write}`, {teacher}"
        )
    then = recorded(path.with_suffix(".json"), "facts", "test_images")
    if then != test_contents(run.images):
        raise InputError(
            f"the test images changed since {path} was written. Write it again with "
            f"`{write} --overwrite`, {teacher}"
        )
    return path


def test_contents(images: pd.DataFrame) -> str:
    """Return the fingerprint of the content of the test images of a table."""
    return images_fingerprint(test_images(images))


def seen_by_models(path: Path, fold: int) -> LeakInputError:
    """Return the error of pseudo-labels whose models have seen what a fold holds out."""
    return LeakInputError(
        f"the models behind {path} held out other images than fold {fold} of this run: "
        "they have seen some of its labels. Write the pseudo-labels from a run with the "
        "same folds.csv."
    )


def pseudo_folder(run: OpenRun, name: str) -> Path:
    """Return the folder of the pseudo-labels of a name."""
    return run.directory.root / "pseudo-labels" / name


def pseudo_path(run: OpenRun, name: str, fold: int) -> Path:
    """Return where the pseudo-labels of a fold lie."""
    return pseudo_folder(run, name) / f"fold-{fold}.maps"


def refuse_other_labels(path: Path, facts: dict[str, Any], overwrite: bool) -> None:
    """Accept a place where there are no pseudo-labels, or the same ones.

    Raises:
        InputError: there are others, and `overwrite` is not set.
    """
    known = recorded(path.with_suffix(".json"), "facts")
    if path.is_file() and not overwrite and known != facts:
        raise InputError(f"{path} holds other pseudo-labels. Use --overwrite, or another --name.")


test_contents.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it
