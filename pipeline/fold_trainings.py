"""The fold trainings of a run: every model, seed and fold, each with its stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.errors import InputError
from goldfold.pipeline.split import fold_numbers

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings import ModelSettings


@dataclass(frozen=True)
class FoldTraining:
    """One model, one seed, one fold: all stages of it."""

    model: ModelSettings
    seed: int
    fold: int

    def folder(self, run: OpenRun) -> Path:
        """Return the folder of the last stage, whose checkpoints predict."""
        return self.stage_folder(run, len(self.model.stages))

    def stage_folder(self, run: OpenRun, number: int) -> Path:
        """Return the folder of a stage, counted from 1."""
        return run.directory.training(self.model.name, self.seed, self.fold, number)


def choose_trainings(
    run: OpenRun, fold: int | None = None, model: str | None = None, seed: int | None = None
) -> list[FoldTraining]:
    """Return the fold trainings of the settings, or those that are asked for.

    Args:
        run: the run.
        fold: only this one.
        model: only this one.
        seed: only this one.

    Raises:
        InputError: there is no such model, fold or seed.
    """
    names = [settings.name for settings in run.settings.models]
    if model is not None and model not in names:
        raise InputError(f"there is no model {model!r}; goldfold.toml has {', '.join(names)}.")
    models = [settings for settings in run.settings.models if model in (None, settings.name)]
    if seed is not None and not any(seed in settings.seeds for settings in models):
        known = "; ".join(f"{each.name}: {', '.join(map(str, each.seeds))}" for each in models)
        raise InputError(f"no model is trained with seed {seed}; the seeds are {known}.")
    folds = trained_folds(run)
    if fold is not None and fold not in folds:
        numbers = fold_numbers(run)
        if fold not in numbers:
            raise InputError(f"there is no fold {fold}: {_folds_in_words(run, numbers)}.")
        raise InputError(
            f"fold {fold} is not trained in this run: folds.train = {folds}. Name one of these, "
            "or add it to folds.train."
        )
    return [
        FoldTraining(settings, own_seed, number)
        for settings in models
        for own_seed in settings.seeds
        if seed in (None, own_seed)
        for number in folds
        if fold in (None, number)
    ]


def trained_folds(run: OpenRun) -> list[int]:
    """Return the folds that are trained: all, or those of folds.train.

    Raises:
        InputError: folds.train names a fold that the data does not have.
    """
    known, wanted = fold_numbers(run), run.settings.folds.train
    if wanted and (strange := sorted(set(wanted) - set(known))):
        raise InputError(f"folds.train names fold {strange[0]}, but {_folds_in_words(run, known)}.")
    return sorted(wanted or known)


def _folds_in_words(run: OpenRun, known: Sequence[int]) -> str:
    settings = run.settings.folds
    if settings.kind == "balanced":
        return f"folds.count = {settings.count} makes the folds 0 to {settings.count - 1}"
    alone = "; fold 0 is only trained on" if settings.kind == "ordered" else ""
    return f'folds.kind = "{settings.kind}" makes the folds {", ".join(map(str, known))}{alone}'


def stage_numbers(
    jobs: Sequence[FoldTraining], stage: int | None
) -> list[tuple[FoldTraining, int]]:
    """Return each job with each of its stages, from 1, or with the asked for alone.

    Raises:
        InputError: no job has such a stage.
    """
    most = max(len(job.model.stages) for job in jobs)
    if stage is not None and not 1 <= stage <= most:
        raise InputError(f"there is no stage {stage}: stages count from 1 to {most}.")
    return [
        (job, number)
        for job in jobs
        for number in range(1, len(job.model.stages) + 1)
        if stage in (None, number)
    ]
