"""Which images a training was made from, so that images changed since are named, not just noticed.

A training records one fingerprint of its images. What that fingerprint stands for, the hash of each
image, is kept once for each state of the images in stages/contents/.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.competitions.images_table import CONTENT, training_images
from goldfold.errors import InputError, first_few, list_problems, plural
from goldfold.files import fingerprint, write_json
from goldfold.rundirectory import recorded

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.stage_runs import StageRun

KEYS = ("images", "test_images")
"""What a training is made from that is the content of images."""
SEQUENCES = ("sequences", "test_sequences")
"""What says which images are neighbours, for models that are shown them."""


def images_fingerprint(images: pd.DataFrame) -> str:
    """Return what changes with the content of any image of a table."""
    return fingerprint(_contents(images))


def keep_contents(run: OpenRun) -> None:
    """Write down what the fingerprint of the training images stands for.

    Raises:
        OutputError: the file cannot be written.
    """
    train = training_images(run.images)
    path = _contents_path(run, images_fingerprint(train))
    if not path.is_file():
        write_json(path, _contents(train))


def refuse_others(run: OpenRun, stages: Sequence[StageRun]) -> None:
    """Raise InputError if folders hold trainings made from something else.

    A training is hours of work, so it is never made again unasked.
    """
    reasons = {stage.name: _stale_because(run, stage) for stage in stages}
    stale = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    if stale:
        title = f"{plural(len(stale), 'training is', 'trainings are')} out of date:"
        remedy = (
            f"Train again with `{run.command('run')} --overwrite`, or put the former images back."
        )
        raise InputError(list_problems(title, stale, remedy))
    for stage in stages:
        stage.fold_run.refuse_other()


def _stale_because(run: OpenRun, stage: StageRun) -> str:
    """Return in words how images and labels changed since a stage was trained.

    "" if they did not, or settings changed as well: the differences are then listed one by one.
    """
    changed = stage.fold_run.differences()
    if not changed or not set(changed) <= {*KEYS, *SEQUENCES, "data"}:
        return ""
    if set(changed) <= {*SEQUENCES}:
        return "images have other neighbours than when it was trained"
    if "images" in changed and changed["images"][0] is None:
        return "an earlier version of goldfold trained it, without hashes of the images' content"
    if "data" in changed:
        return "ids, masks or classes of training images changed since it was trained"
    if "images" not in changed:
        return "test images changed since its pseudo-labels were written"
    return _words(run, changed["images"][0])


def _words(run: OpenRun, before: object) -> str:

    then = recorded(_contents_path(run, str(before)))
    if not isinstance(then, dict):
        return "images changed since it was trained"
    now = _contents(training_images(run.images))
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    return f"images changed since it was trained: {first_few(names)}"


def _contents(images: pd.DataFrame) -> dict[str, str]:

    return dict(zip(images["image_id"], images[CONTENT], strict=True))


def _contents_path(run: OpenRun, fingerprint: str) -> Path:
    return run.directory.root / "stages" / "contents" / f"{fingerprint}.json"
