"""The trainings of a run: every model, seed, fold and stage, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.extent import Extent
    from goldfold.settings import ModelSettings, StageSettings
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldRun
    from goldfold.training.machine import Machine
    from goldfold.training.ranks import Ranks


@dataclass(frozen=True)
class Job:
    """One model, one seed, one fold: all stages of it."""

    model: ModelSettings
    seed: int
    fold: int

    def folder(self, run: Run) -> Path:
        """Return the folder of the last stage, whose checkpoints predict."""
        return self.stage_folder(run, len(self.model.stages))

    def stage_folder(self, run: Run, number: int) -> Path:
        """Return the folder of a stage, counted from 1."""
        return run.directory.training(self.model.name, self.seed, self.fold, number)


@dataclass(frozen=True)
class StageRun:
    """One stage of a job, and the folder of its training with what it is made from."""

    job: Job
    number: int
    fold_run: FoldRun

    @property
    def settings(self) -> StageSettings:
        """Of the stage."""
        return self.job.model.stages[self.number - 1]

    @property
    def name(self) -> str:
        """What messages call it; a model's only stage is not numbered."""
        name = f"{self.job.model.name} seed-{self.job.seed} fold-{self.job.fold}"
        return f"{name} stage-{self.number}" if len(self.job.model.stages) > 1 else name


def choose_jobs(
    run: Run, fold: int | None = None, model: str | None = None, seed: int | None = None
) -> list[Job]:
    """Return the fold trainings of the settings, or the asked for among them.

    Raises:
        InputError: there is no such model, fold or seed.
    """
    from goldfold.errors import InputError

    names = [one.name for one in run.settings.models]
    if model is not None and model not in names:
        raise InputError(f"there is no model {model!r}; goldfold.toml has {', '.join(names)}.")
    asked = [one for one in run.settings.models if model in (None, one.name)]
    if seed is not None and not any(seed in one.seeds for one in asked):
        known = "; ".join(f"{one.name}: {', '.join(map(str, one.seeds))}" for one in asked)
        raise InputError(f"no model is trained with seed {seed}; the seeds are {known}.")
    folds = trained_folds(run)
    if fold is not None and fold not in folds:
        count = run.settings.folds.count
        if not 0 <= fold < count:
            raise InputError(
                f"there is no fold {fold}: folds.count = {count} makes the folds 0 to {count - 1}."
            )
        raise InputError(
            f"fold {fold} is not trained in this run: folds.train = {folds}. Name one of these, "
            "or add it to folds.train."
        )
    return [
        Job(one, own, number)
        for one in asked
        for own in one.seeds
        if seed in (None, own)
        for number in folds
        if fold in (None, number)
    ]


def trained_folds(run: Run) -> list[int]:
    """Return the folds that are trained: all, or those of folds.train."""
    return sorted(run.settings.folds.train or range(run.settings.folds.count))


def stage_numbers(jobs: Sequence[Job], stage: int | None) -> list[tuple[Job, int]]:
    """Return each job with each of its stages, from 1, or with the asked for alone.

    Raises:
        InputError: no job has such a stage.
    """
    from goldfold.errors import InputError

    most = max(len(job.model.stages) for job in jobs)
    if stage is not None and not 1 <= stage <= most:
        raise InputError(f"there is no stage {stage}: stages count from 1 to {most}.")
    return [
        (job, number)
        for job in jobs
        for number in range(1, len(job.model.stages) + 1)
        if stage in (None, number)
    ]


def stage_runs(
    run: Run,
    jobs: Sequence[Job],
    images: pd.DataFrame,
    folds: pd.DataFrame,
    stage: int | None = None,
) -> list[StageRun]:
    """Return the stages of each job with what they are made from, as far as that is known now."""
    data = _data_facts(run, images)
    return [
        StageRun(job, number, _fold_run(run, job, number, folds, data))
        for job, number in stage_numbers(jobs, stage)
    ]


def train_jobs(
    run: Run,
    jobs: Sequence[Job],
    images: pd.DataFrame,
    folds: pd.DataFrame,
    *,
    stage: int | None = None,
    overwrite: bool = False,
    extend_epochs: int = 0,
    machine: Machine | None = None,
) -> None:
    """Train the jobs in order, stage by stage, skipping what is finished.

    Args:
        run: the run.
        jobs: what to train.
        images: of the run.
        folds: of the run.
        stage: only this one, from 1; all unless given.
        overwrite: delete the stages that are asked for, and train them again.
        extend_epochs: train so many more epochs in the stages that are asked for.
        machine: where; this one unless given.

    Raises:
        InputError: images are missing, or a folder holds a training made from other input.
    """
    from goldfold.commands.changed_images import keep_contents
    from goldfold.commands.training_data import fold_data
    from goldfold.training.fold_run import train_fold
    from goldfold.training.own_objects import load_own_objects

    machine = machine if machine is not None else choose_machine(run)
    run = quiet_unless_writer(run, machine)
    with writer_first(machine.ranks):
        if overwrite and machine.ranks.is_writer:
            for job, number in stage_numbers(jobs, stage):
                _remove_training(job.stage_folder(run, number))
        waiting = _waiting(run, jobs, images, folds, stage, extend_epochs > 0)
        if waiting:
            run.progress.say(f"device: {machine.device.description}{machine.ranks.in_words}")
            _say_idle_schedules(run, waiting, images)
            if machine.ranks.is_writer:
                keep_contents(run, images)
        _try_networks(waiting, outputs(run))
        load_own_objects([one.settings for one in waiting], run.settings.competition)
    caches: dict[tuple[str, Extent, int], ImageCache] = {}
    data_facts = _data_facts(run, images)
    for one in waiting:
        # Only now is the stage before finished, and what this one is made from known.
        fold_run = _fold_run(run, one.job, one.number, folds, data_facts)
        with writer_first(machine.ranks):
            data = fold_data(run, one, images, folds, caches)
        train_fold(
            fold_run,
            one.job.model,
            one.settings,
            data,
            machine=machine,
            extend_epochs=extend_epochs,
            progress=run.progress,
        )


def _say_idle_schedules(run: Run, waiting: Sequence[StageRun], images: pd.DataFrame) -> None:
    """Say so where a sampling schedule has nothing to do, as no mask is empty."""
    from goldfold.competitions.images_table import training_images

    scheduled = {one.settings.sampling.schedule for one in waiting} - {"natural"}
    classifies = run.settings.competition.is_classification
    if scheduled and not classifies and (training_images(images)["area_px"] > 0).all():
        run.progress.say(
            f"no training mask is empty, so sampling schedule {', '.join(sorted(scheduled))} is "
            "off: every epoch shows all images"
        )


def choose_machine(run: Run, stop_after: str | None = None) -> Machine:
    """Return the device and the processes that train, and when they stop.

    Raises:
        InputError: the precision of the settings is not to be had, or `stop_after` is no duration.
    """
    from goldfold.training.machine import Machine
    from goldfold.training.stopping import StopRequest, parse_duration

    seconds = None if stop_after is None else parse_duration(stop_after)
    return Machine.choose(run.settings.training, run.workers, StopRequest.after(seconds))


def quiet_unless_writer(run: Run, machine: Machine) -> Run:
    """Return the run, silent in all processes but the one that writes."""
    from goldfold.progress import SILENT

    return run if machine.ranks.is_writer else replace(run, progress=SILENT)


@contextmanager
def writer_first(ranks: Ranks) -> Iterator[None]:
    """Let the others find what the writing process has made."""
    if not ranks.is_writer:
        ranks.barrier()
    yield
    if ranks.is_writer:
        ranks.barrier()


def _waiting(
    run: Run,
    jobs: Sequence[Job],
    images: pd.DataFrame,
    folds: pd.DataFrame,
    stage: int | None,
    extend: bool,
) -> list[StageRun]:
    """Return the stages that are to be trained, and say which are not."""
    from goldfold.commands.changed_images import refuse_others

    waiting = []
    stages = stage_runs(run, jobs, images, folds, stage)
    refuse_others(run, stages, images)
    for one in stages:
        if one.fold_run.finished() and not extend:
            run.progress.say(f"train {one.name}: up to date")
        else:
            waiting.append(one)
    return waiting


def outputs(run: Run) -> int:
    """Return the outputs of a run's networks: one mask, or one for each class, or its number."""
    return run.settings.competition.outputs


def _try_networks(waiting: Sequence[StageRun], classes: int) -> None:
    """Build every network once, so that a wrong one fails before the images are decoded.

    Raises:
        InputError: a network cannot be built, or its weights cannot be had.
    """
    from goldfold.files import fingerprint
    from goldfold.training.assembly import build_network

    wanted = {}
    for one in waiting:
        model = one.job.model
        # As in train_fold: a training that goes on needs no download.
        own = one.fold_run.started() or one.number > 1
        weights = "none" if own else model.encoder_weights
        words = [model.architecture, model.encoder, weights, model.channels, model.options]
        wanted[fingerprint([*words, model.presence_head])] = (model, weights)
    for model, weights in wanted.values():
        build_network(model, weights, classes)


def refuse_other_trainings(
    run: Run, jobs: Sequence[Job], images: pd.DataFrame, folds: pd.DataFrame
) -> None:
    """Raise InputError if a folder holds a training made from other settings or data."""
    from goldfold.commands.changed_images import refuse_others

    refuse_others(run, stage_runs(run, jobs, images, folds), images)


def _remove_training(folder: Path) -> None:
    """Remove a stage's training, result and state first: what a kill leaves counts for nothing.

    Raises:
        OutputError: it cannot be removed, or another process is training there.
    """
    import shutil

    from goldfold.errors import OutputError
    from goldfold.files import locked_folder

    if not folder.exists():
        return
    try:
        with locked_folder(folder):
            (folder / "result.json").unlink(missing_ok=True)
            (folder / "state" / "state.json").unlink(missing_ok=True)
            shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(f"cannot remove {folder}: {error.strerror or error}.") from error


def _data_facts(run: Run, images: pd.DataFrame) -> dict[str, str]:
    """Return fingerprints of the labels and of the content of training and test images.

    Copying the data folder changes nothing.
    """
    from goldfold.commands.changed_images import images_fingerprint
    from goldfold.commands.training_data import labels_fingerprint
    from goldfold.competitions.images_table import test_images, training_images

    return {
        "data": labels_fingerprint(run, training_images(images)),
        "images": images_fingerprint(training_images(images)),
        "test_images": images_fingerprint(test_images(images)),
    }


def _fold_run(
    run: Run, job: Job, number: int, folds: pd.DataFrame, data_facts: Mapping[str, str]
) -> FoldRun:
    from goldfold.commands.pseudo_label import pseudo_labels_fingerprint
    from goldfold.files import fingerprint
    from goldfold.training.fold_run import FoldRun
    from goldfold.training.start import start_fingerprint

    held_out = sorted(folds.loc[folds["fold"] == job.fold, "image_id"])
    stages = {
        f"stage-{n}": one.model_dump(mode="json")
        for n, one in enumerate(job.model.stages[:number], 1)
    }
    made_from: dict[str, Any] = {
        "model": job.model.model_dump(mode="json", exclude={"name", "seeds", "stages"}),
        **stages,
        "metric": _metric(run),
        "seed": job.seed,
        "data": data_facts["data"],
        "images": data_facts["images"],
        "held_out_images": fingerprint(held_out),
    }
    before = job.stage_folder(run, number - 1) if number > 1 else None
    if before is not None:
        made_from["weights_of_the_stage_before"] = start_fingerprint(before)
    pseudo = job.model.stages[number - 1].pseudo_labels
    if pseudo is not None:
        made_from["test_images"] = data_facts["test_images"]
        made_from["pseudo_labels"] = pseudo_labels_fingerprint(run, pseudo.name, job.fold)
    return FoldRun(job.stage_folder(run, number), job.seed, made_from, before)


def _metric(run: Run) -> object:
    """Return the metric, with its weights where it has any."""
    form = run.settings.competition
    return [form.metric, form.metric_weights] if form.metric_weights else form.metric


def print_results(run: Run, jobs: Sequence[Job], stage: int | None = None) -> None:
    """Print the best checkpoint of each stage that was trained."""
    from goldfold.commands import show
    from goldfold.files import read_json

    rows = []
    several = any(len(job.model.stages) > 1 for job in jobs)
    for job, number in stage_numbers(jobs, stage):
        result = read_json(job.stage_folder(run, number) / "result.json")
        best = result["checkpoints"][0]
        row = [job.model.name, job.seed, job.fold, *([number] if several else [])]
        rows.append([*row, best["epoch"], best["weights"], f"{best['score']:.4f}"])
    first = ["model", "seed", "fold", *(["stage"] if several else [])]
    headers = [*first, "best epoch", "weights", run.settings.competition.metric]
    show.out(show.table(headers, rows))
