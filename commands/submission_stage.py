"""The submission of a run: thresholds on the blended test maps, encoded, written, explained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.commands.context import Run
    from goldfold.ensemble.blend import Blend
    from goldfold.ensemble.threshold import Rule
    from goldfold.submissions.table import Sample


def submission_made_from(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return what the submission and submission.json depend on.

    Raises:
        InputError: predictions, ensemble or sample are missing or outdated.
    """
    from goldfold.commands.ensemble_stage import prediction_facts, require_ensemble
    from goldfold.files import file_hash

    require_ensemble(run, images, folds)
    return {
        "predictions": prediction_facts(run, images, folds, "test"),
        "folds": file_hash(run.directory.folds),
        "seeds": _seeds(run),
        "checkpoints": _checkpoints(run),
        "ensemble": file_hash(run.directory.ensemble),
        "sample": file_hash(sample_path(run)),
        "form": run.settings.competition.submission.model_dump(mode="json"),
        "file": run.settings.submission.file,
    }


def refuse_foreign_submission(run: Run, path: Path) -> None:
    """Raise InputError if a file of that name is there that was not written here."""
    from goldfold.commands.context import recorded
    from goldfold.errors import InputError
    from goldfold.files import file_hash

    if not path.is_file():
        return
    known = recorded(run.directory.submission_facts, "files", "submission", "sha256")
    if known != file_hash(path):
        raise InputError(
            f"{path} is not the file that goldfold wrote. Move it away, or add --overwrite "
            f"to `{run.command('submit write')}`."
        )


def write_run_submission(run: Run, images: pd.DataFrame, folds: pd.DataFrame, path: Path) -> None:
    """Write the submission and, beside it, submission.json.

    The file is made under another name and takes its place last: a kill leaves the old pair, or
    no submission, or the new pair, but never a file that submission.json does not speak of.

    Raises:
        InputError: a sample id has no prediction.
        OutputError: a file cannot be written.
    """
    from goldfold.commands.ensemble_stage import open_members
    from goldfold.competitions.rle import get_dialect
    from goldfold.ensemble.blend import Blend
    from goldfold.ensemble.report import read_rule
    from goldfold.files import write_json
    from goldfold.submissions.provenance import submission_facts
    from goldfold.submissions.table import read_sample
    from goldfold.submissions.write import write_submission

    form = run.settings.competition.submission
    sample = read_sample(sample_path(run), form.id_column, form.rle_column)
    rule = read_rule(run.directory.ensemble)
    staged = run.directory.root / "stages" / path.name
    blend = Blend(open_members(run, images, folds, "test"), "test")
    try:
        write_submission(
            staged,
            sample.image_ids,
            list(_masks(run, blend, rule, sample)),
            id_column=form.id_column,
            rle_column=form.rle_column,
            columns=sample.columns,
            dialect=get_dialect(form.dialect),
            shapes=test_shapes(images),
        )
    finally:
        blend.close()
    facts = submission_facts(
        settings=_portable_settings(run),
        seeds=_seeds(run),
        checkpoints=_checkpoints(run),
        files={
            "submission": staged,
            "folds": run.directory.folds,
            "ensemble": run.directory.ensemble,
            "sample": sample_path(run),
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    write_json(run.directory.submission_facts, facts)
    staged.replace(path)


def sample_path(run: Run) -> Path:
    """Return the sample submission of a run's competition.

    Raises:
        InputError: there is none.
    """
    from goldfold.competitions.find import require_table

    return require_table(
        run.settings.competition.data,
        run.settings.competition.submission.sample,
        "sample submission",
        "competition.submission.sample",
    )


def _masks(run: Run, blend: Blend, rule: Rule, sample: Sample) -> Iterator[tuple[str, str]]:
    """Yield id and encoded mask of each sample image, one map in memory at a time.

    A test image that images.exclude leaves out gets an empty mask.

    Raises:
        InputError: images of the sample have no prediction; all are counted.
    """
    from goldfold.competitions.collect import excluded_test_ids
    from goldfold.competitions.rle import encode, get_dialect
    from goldfold.errors import InputError, list_problems

    dialect = get_dialect(run.settings.competition.submission.dialect)
    predicted = set(blend.image_ids)
    left_out = excluded_test_ids(run.settings.competition) - predicted
    missing = sorted(set(sample.image_ids) - predicted - left_out)
    if missing:
        raise InputError(
            list_problems(
                f"{len(missing)} of {len(sample.image_ids)} images of the sample submission have "
                "no prediction:",
                missing,
                f"Are their files in {run.settings.competition.data}? `{run.command('check')}`",
                limit=5,
            )
        )
    with run.progress.task("encode", len(sample.image_ids)) as task:
        for image_id in sample.image_ids:
            if image_id in left_out:
                yield image_id, dialect.empty
            else:
                yield image_id, encode(_mask(blend, rule, image_id), dialect)
            task.advance()


def _mask(blend: Blend, rule: Rule, image_id: str) -> NDArray[np.uint8]:
    from goldfold.ensemble.threshold import apply_rule

    presence = blend.presence(image_id) if rule.gate else None
    return apply_rule(blend.read(image_id), rule, presence)


def test_shapes(images: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return height and width of each test image."""
    from goldfold.competitions.images_table import test_images

    test = test_images(images)
    sizes = zip(test["height"].tolist(), test["width"].tolist(), strict=True)
    return dict(zip(test["image_id"], sizes, strict=True))


def _portable_settings(run: Run) -> dict[str, Any]:
    """Return the settings without what differs between machines and changes no byte."""
    settings = run.settings.model_dump(mode="json")
    settings["competition"]["data"] = run.settings.competition.data.name
    settings.pop("workers")
    return settings


def _seeds(run: Run) -> dict[str, Any]:
    """Return what each seed is used for, and its value."""
    return {
        "folds": run.settings.folds.seed,
        "models": {model.name: model.seeds for model in run.settings.models},
        "ensemble": run.settings.ensemble.seed,
    }


def _checkpoints(run: Run) -> dict[str, str]:
    """Return the hash of each checkpoint that was used, by its path in the run."""
    from goldfold.commands.prediction_stage import expected_folds
    from goldfold.training.checkpoint import list_checkpoints

    found = {}
    for model in run.settings.models:
        if model.name not in (run.settings.ensemble.members or [model.name]):
            continue
        for seed in model.seeds:
            for fold in expected_folds(run, model.name, seed):
                folder = run.directory.training(model.name, seed, fold, len(model.stages))
                for one in list_checkpoints(folder)[: run.settings.inference.checkpoints]:
                    found[one.path.relative_to(run.directory.root).as_posix()] = one.sha256
    return found
