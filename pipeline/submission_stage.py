"""The submission of a run: thresholds on the blended test maps, encoded, written, explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.errors import InputError
from goldfold.files import file_hash, write_json, write_text
from goldfold.pipeline.checkpoint_choice import predicting_checkpoints
from goldfold.pipeline.ensemble_stage import require_ensemble
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.members import Members, prediction_facts
from goldfold.pipeline.predictions import finished_jobs
from goldfold.pipeline.submission_layout import sample_path
from goldfold.rundirectory import recorded
from goldfold.submissions.provenance import submission_facts
from goldfold.submissions.table import read_sample
from goldfold.submissions.write import write_rows

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


def ensure_submission(run: OpenRun, overwrite: bool = False) -> Path:
    """Return the submission, written anew if what it is made from changed.

    Raises:
        InputError: predictions, ensemble or sample are missing or outdated, or a file of that
            name is there that was not written here.
    """
    path = run.directory.submission(run.settings.submission.file)
    made_from = submission_made_from(run)
    record = run.directory.stage("submission")
    if not overwrite:
        refuse_foreign_submission(run, path)
        if path.is_file() and record.is_current(made_from):
            run.progress.say("submission: up to date")
            return path
    record.forget()
    write_run_submission(run, path)
    record.write(made_from)
    return path


def require_submission(run: OpenRun) -> Path:
    """Return the submission, which is what `submit write` would write now.

    Raises:
        InputError: it is missing, outdated or not written here, or what it is made from is.
    """
    write = run.command("submit write")
    path = run.directory.require(run.directory.submission(run.settings.submission.file), write)
    refuse_foreign_submission(run, path)
    if not run.directory.stage("submission").is_current(submission_made_from(run)):
        raise InputError(f"{path} was made from other input. Run `{write}` first.")
    return path


def submission_made_from(run: OpenRun) -> dict[str, Any]:
    """Return what the submission and submission.json depend on.

    Raises:
        InputError: predictions, ensemble or sample are missing or outdated.
    """
    require_ensemble(run)
    return {
        "predictions": prediction_facts(run, "test"),
        "folds": file_hash(run.directory.folds),
        "seeds": _seeds(run),
        "checkpoints": _checkpoints(run),
        "ensemble": file_hash(run.directory.ensemble),
        "sample": file_hash(sample_path(run)) if run.task.needs_sample else None,
        "form": run.settings.competition.submission.model_dump(mode="json"),
        "file": run.settings.submission.file,
    }


def refuse_foreign_submission(run: OpenRun, path: Path) -> None:
    """Raise InputError if a file of that name is there that was not written here."""
    if not path.is_file():
        return
    known = recorded(run.directory.submission_facts, "files", "submission", "sha256")
    if known != file_hash(path):
        raise InputError(
            f"{path} is not the file that goldfold wrote. Move it away, or add --overwrite "
            f"to `{run.command('submit write')}`."
        )


def write_run_submission(run: OpenRun, path: Path) -> None:
    """Write the submission and, beside it, submission.json.

    The file is made under another name and takes its place last: a kill leaves the old pair, or
    no submission, or the new pair, but never a file that submission.json does not speak of.

    Raises:
        InputError: a sample id has no prediction.
        OutputError: a file cannot be written.
    """
    staged = run.directory.root / "stages" / path.name
    if run.task.needs_sample:
        layout = run.task.layout()
        sample = read_sample(sample_path(run), layout)
        cells = run.task.cells(run, Members(run), sample, layout)
        shapes = run.task.shapes(run.images)
        write_rows(
            staged, sample.image_ids, cells, layout=layout, columns=sample.columns, shapes=shapes
        )
    else:
        table = run.task.plain_table(run, Members(run))
        text = table.to_csv(index=False, lineterminator="\n", float_format="%.6g")
        write_text(staged, text)
    facts = submission_facts(
        settings=_portable_settings(run),
        seeds=_seeds(run),
        checkpoints=_checkpoints(run),
        files={
            "submission": staged,
            "folds": run.directory.folds,
            "ensemble": run.directory.ensemble,
            **({"sample": sample_path(run)} if run.task.needs_sample else {}),
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    write_json(run.directory.submission_facts, facts)
    staged.replace(path)


def _portable_settings(run: OpenRun) -> dict[str, Any]:
    """Return the settings without what differs between machines and changes no byte."""
    settings = run.settings.model_dump(mode="json")
    settings["competition"]["data"] = run.settings.competition.data.name
    settings["ensemble"]["runs"] = [path.name for path in run.settings.ensemble.runs]
    settings.pop("workers")
    return settings


def _seeds(run: OpenRun) -> dict[str, Any]:
    """Return what each seed is used for, and its value."""
    return {
        "folds": run.settings.folds.seed,
        "models": {model.name: model.seeds for model in run.settings.models},
        "ensemble": run.settings.ensemble.seed,
    }


def _checkpoints(run: OpenRun) -> dict[str, str]:
    """Return the hash of each checkpoint that was used, by its path in the run."""
    chosen = run.settings.ensemble.members
    jobs = finished_jobs(run, choose_trainings(run))
    return {
        checkpoint.path.relative_to(run.directory.root).as_posix(): checkpoint.sha256
        for job in jobs
        if chosen is None or job.model.name in chosen
        for checkpoint in predicting_checkpoints(run, job)
    }
