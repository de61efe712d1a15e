"""`goldfold train`: the fold runs of every model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from goldfold.commands.options import Assignments, DryRun, Overwrite, RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.settings import ModelSettings
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData, FoldRun

app = typer.Typer(
    help="Train the models of a run on its folds.\n\nExample:\n\ngoldfold train run runs/first",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep `run` a subcommand while it is the only one."""


@app.command("run")
def run_command(
    run_folder: RunFolder,
    fold: Annotated[int | None, typer.Option(help="Only this fold.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    assignments: Assignments = None,
) -> None:
    """Train every model on every fold; what is finished is skipped, what stopped goes on.

    Example:
    goldfold train run runs/first --fold 0

    Next: goldfold predict run runs/first
    """
    from goldfold.commands import show
    from goldfold.commands.context import ensure_images, open_run, peek_images
    from goldfold.commands.folds_stage import require_folds
    from goldfold.commands.plan import plan_training

    run = open_run(run_folder, assignments)
    jobs = choose_jobs(run, fold, model)
    if dry_run:
        images, _ = peek_images(run)
        for line in plan_training(run, jobs, images, require_folds(run, images), overwrite):
            show.out(line)
        return
    images = ensure_images(run)
    train_jobs(run, jobs, images, require_folds(run, images), overwrite=overwrite)
    print_results(run, jobs)
    show.out(f"next: {run.command('predict run')}")


@dataclass(frozen=True)
class Job:
    """One model, one seed, one fold."""

    model: ModelSettings
    seed: int
    fold: int

    def folder(self, run: Run) -> Path:
        """Return the folder of the fold run."""
        return run.directory.fold(self.model.name, self.seed, self.fold)


def choose_jobs(run: Run, fold: int | None = None, model: str | None = None) -> list[Job]:
    """Return the fold runs of the settings, or the asked for among them.

    Raises:
        InputError: there is no such model or fold.
    """
    from goldfold.errors import InputError

    names = [one.name for one in run.settings.models]
    if model is not None and model not in names:
        raise InputError(f"there is no model {model!r}; goldfold.toml has {', '.join(names)}.")
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
        Job(one, seed, number)
        for one in run.settings.models
        if model in (None, one.name)
        for seed in one.seeds
        for number in folds
        if fold in (None, number)
    ]


def trained_folds(run: Run) -> list[int]:
    """Return the folds that are trained: all, or those of folds.train."""
    return sorted(run.settings.folds.train or range(run.settings.folds.count))


def train_jobs(
    run: Run,
    jobs: Sequence[Job],
    images: pd.DataFrame,
    folds: pd.DataFrame,
    *,
    overwrite: bool = False,
) -> None:
    """Train the jobs in order, skipping what is finished.

    Raises:
        InputError: images are missing, or a fold folder holds a training made from other input.
    """
    from goldfold.training.device import choose_device
    from goldfold.training.fold_run import train_fold

    if overwrite:
        for job in jobs:
            _remove_training(job.folder(run))
    device = choose_device()
    caches: dict[tuple[int, int], ImageCache] = {}
    waiting = []
    for job, fold_run in fold_runs(run, jobs, images, folds):
        if fold_run.finished():
            run.progress.say(f"train {job.model.name} seed-{job.seed} fold-{job.fold}: up to date")
        else:
            waiting.append((job, fold_run))
    if waiting:
        run.progress.say(f"device: {device.description}")
    _try_networks(waiting)
    for job, fold_run in waiting:
        key = (job.model.stages[0].image_size, job.model.channels)
        if key not in caches:
            caches[key] = training_cache(run, images, *key)
        data = _fold_data(run, caches[key], images, folds, job.fold)
        train_fold(
            fold_run,
            job.model,
            job.model.stages[0],
            data,
            device=device,
            workers=run.workers,
            progress=run.progress,
        )


def _try_networks(waiting: Sequence[tuple[Job, FoldRun]]) -> None:
    """Build every network once, so that a wrong one fails before the images are decoded.

    Raises:
        InputError: a network cannot be built, or its weights cannot be had.
    """
    from goldfold.files import fingerprint
    from goldfold.training.model import build_model

    wanted = {}
    for job, fold_run in waiting:
        model = job.model
        # As in train_fold: a training that goes on needs no download.
        weights = "none" if fold_run.started() else model.encoder_weights
        words = [model.architecture, model.encoder, weights, model.channels, model.options]
        wanted[fingerprint(words)] = (model, weights)
    for model, weights in wanted.values():
        build_model(
            model.architecture,
            model.encoder,
            encoder_weights=weights,
            channels=model.channels,
            options=model.options,
        )


def refuse_other_trainings(
    run: Run, jobs: Sequence[Job], images: pd.DataFrame, folds: pd.DataFrame
) -> None:
    """Raise InputError if a fold folder holds a training made from other settings or data."""
    for _, fold_run in fold_runs(run, jobs, images, folds):
        fold_run.refuse_other()


def _remove_training(folder: Path) -> None:
    """Remove a fold's training, result and state first: what a kill leaves counts for nothing.

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


def training_cache(run: Run, images: pd.DataFrame, size: int, channels: int) -> ImageCache:
    """Return the cache of all labelled training images.

    Raises:
        InputError: some of them have no image file.
    """
    from goldfold.competitions.images_table import training_images
    from goldfold.competitions.rle import get_dialect
    from goldfold.errors import InputError
    from goldfold.training.cache import build_cache

    train = training_images(images)
    bare = train[train["path"] == ""]
    if len(bare):
        raise InputError(
            f"{len(bare):,} of {len(train):,} training images have no image file (the first: "
            f'{bare["image_id"].iloc[0]}). Download them, or set competition.imageless = "drop".'
        )
    data = run.settings.competition.data
    return build_cache(
        run.directory.cache,
        "train",
        image_ids=list(train["image_id"]),
        paths=[data / path for path in train["path"]],
        sizes=list(zip(train["height"], train["width"], strict=True)),
        masks=list(train["mask_rle"]),
        dialect=get_dialect(run.settings.competition.labels.dialect),
        size=size,
        channels=channels,
        workers=run.workers,
        progress=run.progress,
    )


def _data_fingerprint(run: Run, images: pd.DataFrame) -> str:
    """Return what changes when images or masks do; copying the data folder changes nothing."""
    from goldfold.competitions.images_table import training_images
    from goldfold.files import fingerprint

    train = training_images(images)
    data = run.settings.competition.data
    sizes = [(data / path).stat().st_size if path else 0 for path in train["path"]]
    return fingerprint([list(train["image_id"]), list(train["mask_rle"]), sizes])


def fold_runs(
    run: Run, jobs: Sequence[Job], images: pd.DataFrame, folds: pd.DataFrame
) -> list[tuple[Job, FoldRun]]:
    """Return each job with the folder of its training and what this is made from."""
    data = _data_fingerprint(run, images)
    return [(job, _fold_run(run, job, folds, data)) for job in jobs]


def _fold_run(run: Run, job: Job, folds: pd.DataFrame, data_fingerprint: str) -> FoldRun:
    from goldfold.files import fingerprint
    from goldfold.training.fold_run import FoldRun

    held_out = sorted(folds.loc[folds["fold"] == job.fold, "image_id"])
    made_from = {
        "model": job.model.model_dump(mode="json", exclude={"name", "seeds"}),
        "metric": run.settings.competition.metric,
        "seed": job.seed,
        "data": data_fingerprint,
        "held_out_images": fingerprint(held_out),
    }
    return FoldRun(job.folder(run), job.seed, made_from)


def _fold_data(
    run: Run, cache: ImageCache, images: pd.DataFrame, folds: pd.DataFrame, fold: int
) -> FoldData:
    from goldfold.competitions.images_table import training_images
    from goldfold.competitions.rle import get_dialect
    from goldfold.training.fold_run import FoldData
    from goldfold.training.validation import ValidationImages

    train = training_images(images).set_index("image_id")
    inside = sorted(folds.loc[folds["fold"] != fold, "image_id"])
    held_out = sorted(folds.loc[folds["fold"] == fold, "image_id"])
    validation = ValidationImages(
        rows=cache.rows(held_out),
        sizes=list(zip(train.loc[held_out, "height"], train.loc[held_out, "width"], strict=True)),
        masks=list(train.loc[held_out, "mask_rle"]),
        dialect=get_dialect(run.settings.competition.labels.dialect),
    )
    return FoldData(
        cache=cache,
        rows=cache.rows(inside),
        non_empty=(train.loc[inside, "area_px"] > 0).to_numpy(),
        validation=validation,
        metric=run.settings.competition.metric,
    )


def print_results(run: Run, jobs: Sequence[Job]) -> None:
    """Print the best checkpoint of each fold run."""
    from goldfold.commands import show
    from goldfold.files import read_json

    rows = []
    for job in jobs:
        result = read_json(job.folder(run) / "result.json")
        best = result["checkpoints"][0]
        rows.append([job.model.name, job.seed, job.fold, best["epoch"], f"{best['score']:.4f}"])
    headers = ["model", "seed", "fold", "best epoch", run.settings.competition.metric]
    show.out(show.table(headers, rows))
