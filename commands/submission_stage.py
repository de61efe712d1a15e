"""The submission of a run: thresholds on the blended test maps, encoded, written, explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.commands.context import Run
    from goldfold.commands.prediction_stage import Split
    from goldfold.ensemble.blend import Blend
    from goldfold.ensemble.post_processing import PostProcessing
    from goldfold.ensemble.threshold import Rule
    from goldfold.settings import CompetitionSettings
    from goldfold.submissions.layout import Layout
    from goldfold.submissions.table import Sample


def ensure_submission(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, overwrite: bool = False
) -> Path:
    """Return the submission, written anew if what it is made from changed.

    Raises:
        InputError: predictions, ensemble or sample are missing or outdated, or a file of that
            name is there that was not written here.
    """
    path = run.directory.submission(run.settings.submission.file)
    made_from = submission_made_from(run, images, folds)
    record = run.directory.stage("submission")
    if not overwrite:
        refuse_foreign_submission(run, path)
        if path.is_file() and record.is_current(made_from):
            run.progress.say("submission: up to date")
            return path
    record.forget()
    write_run_submission(run, images, folds, path)
    record.write(made_from)
    return path


def submission_made_from(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return what the submission and submission.json depend on.

    Raises:
        InputError: predictions, ensemble or sample are missing or outdated.
    """
    from goldfold.commands.ensemble_members import prediction_facts
    from goldfold.commands.ensemble_stage import require_ensemble
    from goldfold.commands.label_members import open_label_members
    from goldfold.files import file_hash

    require_ensemble(run, images, folds)
    classifies = run.settings.competition.is_classification
    return {
        "predictions": open_label_members(run, images, folds, "test").facts
        if classifies
        else prediction_facts(run, images, folds, "test"),
        "folds": file_hash(run.directory.folds),
        "seeds": _seeds(run),
        "checkpoints": _checkpoints(run),
        "ensemble": file_hash(run.directory.ensemble),
        "sample": file_hash(sample_path(run)) if _has_sample(run) else None,
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
    from goldfold.commands.label_submission import label_cells, write_plain_table
    from goldfold.files import write_json
    from goldfold.submissions.provenance import submission_facts
    from goldfold.submissions.table import read_sample
    from goldfold.submissions.write import write_submission

    staged = run.directory.root / "stages" / path.name
    if not _has_sample(run):
        write_plain_table(run, images, folds, staged)
    elif run.settings.competition.is_classification:
        layout = layout_of(run.settings.competition)
        sample = read_sample(sample_path(run), layout)
        cells = label_cells(run, images, folds, sample.image_ids, layout)
        write_submission(staged, sample.image_ids, cells, layout=layout, columns=sample.columns)
    else:
        _write_masks(run, images, folds, staged)
    facts = submission_facts(
        settings=_portable_settings(run),
        seeds=_seeds(run),
        checkpoints=_checkpoints(run),
        files={
            "submission": staged,
            "folds": run.directory.folds,
            "ensemble": run.directory.ensemble,
            **({"sample": sample_path(run)} if _has_sample(run) else {}),
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    write_json(run.directory.submission_facts, facts)
    staged.replace(path)


def _has_sample(run: Run) -> bool:
    """Return whether a submission is written like a sample; without one, a plain table of classes.

    Masks always need one.
    """
    form = run.settings.competition
    return not form.is_classification or bool(form.submission.sample)


def _write_masks(run: Run, images: pd.DataFrame, folds: pd.DataFrame, path: Path) -> None:
    from goldfold.submissions.table import read_sample
    from goldfold.submissions.write import write_submission

    layout = layout_of(run.settings.competition)
    sample = read_sample(sample_path(run), layout)
    with ExitStack() as stack:
        decided = {}
        for name in run.settings.competition.mask_classes or [""]:
            decided[name] = open_masks(run, images, folds, "test", name)
            stack.callback(decided[name].blend.close)
        write_submission(
            path,
            sample.image_ids,
            list(_masks(run, decided, sample, layout)),
            layout=layout,
            columns=sample.columns,
            shapes=test_shapes(images),
        )


def layout_of(competition: CompetitionSettings) -> Layout:
    """Return the columns of a competition's submission and what they hold."""
    from goldfold.competitions.rle import get_dialect
    from goldfold.submissions.layout import Layout

    form = competition.submission
    keys = (form.id_column, *([form.class_column] if form.class_column else []))
    if form.label_column is not None:
        return Layout(keys, (form.label_column,), "label", labels=tuple(competition.classes))
    return Layout(
        keys,
        tuple(form.probability_columns) or (form.rle_column,),
        "probability" if form.probability_columns else "mask",
        get_dialect(form.dialect),
        class_separator=form.class_separator,
        objects=form.objects,
    )


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


@dataclass(frozen=True)
class DecidedMasks:
    """Blended maps and what makes masks of them, as ensemble.json says."""

    blend: Blend
    rule: Rule
    steps: PostProcessing

    def mask(self, image_id: str) -> NDArray[np.uint8]:
        """Return the mask of an image, uint8 (H, W) of 0 and 1."""
        from goldfold.ensemble.post_processing import post_process
        from goldfold.ensemble.threshold import apply_rule

        presence = self.blend.presence(image_id) if self.rule.gate else None
        return post_process(apply_rule(self.blend.read(image_id), self.rule, presence), self.steps)


def open_masks(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, split: Split, of_class: str = ""
) -> DecidedMasks:
    """Return the masks of the test images, or of the training images out of fold.

    They are those of a class, where an image has several. The caller closes the blend.

    Raises:
        InputError: predictions or ensemble are missing or outdated.
    """
    from goldfold.commands.ensemble_members import open_members
    from goldfold.ensemble.blend import Blend
    from goldfold.ensemble.report import (
        read_post_processing,
        read_rule,
        read_scales,
        read_weights,
    )

    path = run.directory.ensemble
    members = open_members(run, images, folds, split, read_weights(path, of_class), of_class)
    partial = split == "out-of-fold" and run.settings.inference.allow_missing_folds
    blend = Blend(members, split, partial=partial, scales=read_scales(path, of_class))
    return DecidedMasks(blend, read_rule(path, of_class), read_post_processing(path, of_class))


def _masks(
    run: Run, decided: Mapping[str, DecidedMasks], sample: Sample, layout: Layout
) -> Iterator[tuple[str, str | list[str]]]:
    """Yield key and encoded mask of each row of the sample, some maps in memory at a time.

    A test image that images.exclude leaves out gets an empty mask.

    Args:
        run: the run.
        decided: by class; "" where an image has one mask.
        sample: what is asked for.
        layout: how its rows name images and classes.

    Raises:
        InputError: images of the sample have no prediction, or its classes are others; all are
            counted.
    """
    from goldfold.competitions.collect import excluded_test_ids
    from goldfold.competitions.rle import get_dialect
    from goldfold.errors import InputError, list_problems
    from goldfold.submissions.encode import encode_masks

    dialect = get_dialect(run.settings.competition.submission.dialect)
    predicted = set(next(iter(decided.values())).blend.image_ids)
    left_out = excluded_test_ids(run.settings.competition) - predicted
    images = {layout.image_of(key) for key in sample.image_ids}
    missing = sorted(images - predicted - left_out)
    if missing:
        raise InputError(
            list_problems(
                f"{len(missing)} of {len(images)} images of the sample submission have "
                "no prediction:",
                missing,
                f"Are their files in {run.settings.competition.data}? `{run.command('check')}`",
                limit=5,
            )
        )
    unknown = [key for key in sample.image_ids if layout.class_of(key) not in decided]
    if unknown:
        names = ", ".join(name for name in decided if name) or "none"
        raise InputError(
            list_problems(
                f"{len(unknown)} of {len(sample.image_ids)} rows of the sample submission are of "
                f"no class of the competition ({names}):",
                unknown,
                "Set competition.classes, and submission.class_separator or class_column, as the "
                "sample has them.",
                limit=5,
            )
        )

    def mask_of(key: str) -> NDArray[np.uint8] | None:
        image_id = layout.image_of(key)
        return None if image_id in left_out else decided[layout.class_of(key)].mask(image_id)

    yield from encode_masks(
        mask_of,
        sample.image_ids,
        dialect,
        objects=run.settings.competition.submission.objects,
        workers=run.workers,
        progress=run.progress,
    )


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
    settings["ensemble"]["runs"] = [path.name for path in run.settings.ensemble.runs]
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
    from goldfold.commands.prediction_networks import predicting_checkpoints
    from goldfold.commands.prediction_stage import finished_jobs
    from goldfold.commands.training_stage import choose_jobs

    chosen = run.settings.ensemble.members
    jobs = finished_jobs(run, choose_jobs(run))
    return {
        one.path.relative_to(run.directory.root).as_posix(): one.sha256
        for job in jobs
        if chosen is None or job.model.name in chosen
        for one in predicting_checkpoints(run, job)
    }
