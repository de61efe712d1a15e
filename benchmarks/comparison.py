"""Sampling schedules, and what to make of a training's checkpoints, at equal budget.

    python benchmarks/comparison.py --out compared                    (synthetic competition)
    python benchmarks/comparison.py --out compared --run runs/tgs --epochs 20 --folds 0 1

Trains one network with three sampling schedules and at least three seeds, each training until
it has seen the same number of images, keeping every checkpoint, an exponential moving average
(EMA) and the mean over the last epochs (SWA). So all variants come from the same trainings:

    last         weights after the last step
    best         best of all epochs, chosen on the other half of the fold's groups
    top-3 mean   mean probability of the three best, chosen in the same way
    EMA, SWA     averaged weights after the last step

The score is the honest one of `goldfold ensemble run`: every image under the thresholds chosen
on the other folds (with one fold: on other parts of it). One view, no test-time augmentation.

A difference is paired by seed and image, and has two intervals of 95 %: Student's t over the
differences of single trainings (each seed and fold; chance of training), and the bootstrap over
groups of images (chance of the images). "better" and "worse" stand only where both leave 0 out;
with many comparisons one in twenty does so by chance. The table goes to stdout, all figures to
scores.csv and differences.csv in --out. A stopped comparison resumes with the same command.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from compared.statistics import (
    Difference,
    Images,
    Outcome,
    by_way,
    difference,
    difference_row,
    epochs_within,
    markdown,
    score_rows,
)
from compared.variants import VARIANTS, HeldOut, variant_histograms
from numpy.typing import NDArray

from goldfold.competitions.images_table import training_images
from goldfold.competitions.rle import get_dialect
from goldfold.competitions.synthetic import synthesize
from goldfold.ensemble.honest import assess
from goldfold.errors import GoldfoldError, InputError, plural
from goldfold.files import write_text
from goldfold.folds.fold_view import FoldView
from goldfold.pipeline.fold_trainings import FoldTraining, choose_trainings
from goldfold.pipeline.image_caches import training_cache
from goldfold.pipeline.open_run import OpenRun
from goldfold.pipeline.split import split_images
from goldfold.settings_text import to_toml
from goldfold.training.device import choose_device
from goldfold.training.sampler import EpochPlan
from goldfold.training.validation import ValidationImages

if TYPE_CHECKING:
    from goldfold.training.cache import ImageCache

SAMPLINGS: dict[str, dict[str, Any]] = {
    "constant 0.5": {"schedule": "constant", "start": 0.5},
    "natural": {"schedule": "natural"},
    "linear 0.8 to natural": {"schedule": "linear", "start": 0.8, "end": "natural"},
}
PRESET = "siim-acr-pneumothorax"


def model_name(sampling: str) -> str:
    """Return the name of the model's folder."""
    return sampling.replace(" ", "-")


# --- the run ------------------------------------------------------------------------------------


def goldfold(*words: object) -> None:
    """Run a goldfold command, its output to stderr.

    Raises:
        GoldfoldError: it failed; it has said why.
    """
    command = [sys.executable, "-m", "goldfold", *map(str, words)]
    code = subprocess.run(command, check=False, stdout=sys.stderr).returncode
    if code:
        raise GoldfoldError(f"`goldfold {' '.join(map(str, words))}` ended with exit code {code}.")


def make_source(options: argparse.Namespace) -> Path:
    """Return the run that is compared upon: the one asked for, or one of phantoms."""
    if options.run:
        return Path(options.run)
    out: Path = options.out
    data, run, side = out / "data", out / "source", options.source_size
    synthesize(data, train=options.images, test=8, size=side, seed=0)
    shape = f"competition.images.shape=[{side}, {side}]"
    goldfold("init", PRESET, "--data", data, "-o", run, "--recipe", "demo", "--set", shape,
             "--overwrite")  # fmt: skip
    return run


def make_run(source: OpenRun, options: argparse.Namespace) -> OpenRun:
    """Write the goldfold.toml of the comparison, one model a sampling schedule; return its run."""
    content = source.settings.model_dump(mode="json", exclude_none=True)
    content["competition"].pop("preset", None)  # its values are all there
    content.pop("ensemble")  # may name models
    if options.fold_count:
        content["folds"]["count"] = options.fold_count
    content["folds"].pop("train", None)
    if options.folds:
        content["folds"]["train"] = options.folds
    models = {model["name"]: model for model in content["models"]}
    name = options.model or next(iter(models))
    if name not in models:
        raise InputError(f"there is no model {name!r} in the run; it has {', '.join(models)}.")
    model = models[name] | ({"encoder": options.encoder} if options.encoder else {})
    stage = _stage(model["stages"][0], options)
    content["models"] = [
        {**model, "name": model_name(sampling), "seeds": options.seeds,
         "stages": [{**stage, "sampling": words}]}
        for sampling, words in SAMPLINGS.items()
    ]  # fmt: skip
    path = options.out / "run" / "goldfold.toml"
    write_text(path, to_toml(content))
    _set_epochs(content, path, options.epochs)
    return OpenRun.open(path.parent)


def _stage(base: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    changes = {
        "image_size": options.size,
        "batch_size": options.batch,
        "learning_rate": options.learning_rate,
    }
    dropped = ("early_stopping", "pseudo_labels", "sampling")
    kept = {key: value for key, value in base.items() if key not in dropped}
    given = {key: value for key, value in changes.items() if value is not None}
    every = {"validate_every": 1, "validate_from": 1, "keep_checkpoints": 1000}
    return {**kept, **given, **every, "ema": options.ema, "swa_from": options.swa_from}


def _set_epochs(content: dict[str, Any], path: Path, epochs: int) -> None:
    """Write goldfold.toml again: as many epochs as show what `epochs` natural ones do."""
    run = OpenRun.open(path.parent)
    folds = split_images(run)
    held_out = min(run.settings.folds.train or range(run.settings.folds.count))
    learned = folds["image_id"].isin(FoldView(folds).training(held_out))
    flags = (folds.loc[learned, "area_px"] > 0).to_numpy()
    for model, words in zip(content["models"], SAMPLINGS.values(), strict=True):
        stage = model["stages"][0]
        stage["epochs"] = epochs_within(epochs * flags.size, _images_shown(flags, words))
        stage["keep_checkpoints"] = 3 * stage["epochs"]  # raw, EMA and SWA
    write_text(path, to_toml(content))


def _images_shown(flags: NDArray[np.bool_], words: Mapping[str, Any]) -> Any:
    return lambda epochs: sum(
        sum(plan.counts(epoch))
        for plan in [EpochPlan(flags, **words, epochs=epochs, seed=0)]
        for epoch in range(epochs)
    )


# --- the scores ---------------------------------------------------------------------------------


def held_out_images(run: OpenRun, cache: ImageCache, fold: int) -> HeldOut:
    """Return the images of a fold, sorted by id."""
    train = training_images(run.images).set_index("image_id")
    ids = run.fold_view.held_out(fold)
    images = ValidationImages(
        rows=cache.rows(ids),
        sizes=list(zip(train.loc[ids, "height"], train.loc[ids, "width"], strict=True)),
        masks=list(train.loc[ids, "mask_rle"]),
        dialect=get_dialect(run.settings.competition.labels.dialect),
    )
    groups = run.fold_view.group_numbers(ids)
    return HeldOut(cache, images, groups, run.settings.competition.metric)


def all_outcomes(run: OpenRun) -> tuple[list[Outcome], Images]:
    """Return the honest scores of every sampling, seed and variant, and the images' folds."""
    view, stage = run.fold_view, run.settings.models[0].stages[0]
    cache = training_cache(run, stage.image_size, run.settings.models[0])
    numbers = sorted(run.settings.folds.train or range(run.settings.folds.count))
    parts = {fold: held_out_images(run, cache, fold) for fold in numbers}
    ids = [image_id for fold in numbers for image_id in view.held_out(fold)]
    names = view.groups(ids)
    images = Images(view.folds_of(ids), view.group_numbers(ids))
    outcomes = []
    for sampling, seed, jobs in _trainings(run):
        kinds = [_variants(run, job, parts[job.fold]) for job in jobs]
        for variant in VARIANTS:
            if all(variant in by_variant for by_variant in kinds):
                histograms = np.concatenate([by_variant[variant] for by_variant in kinds])
                assessment = assess(
                    histograms,
                    images.folds,
                    names,
                    metric=parts[numbers[0]].metric,
                    samples=100,
                )
                outcomes.append(Outcome(sampling, variant, seed, assessment.scores))
    return outcomes, images


def _trainings(run: OpenRun) -> Iterator[tuple[str, int, list[FoldTraining]]]:
    """Yield sampling, seed and the trainings of all folds, in the folds' order."""
    for sampling in SAMPLINGS:
        jobs = choose_trainings(run, model=model_name(sampling))
        for seed in sorted({job.seed for job in jobs}):
            mine = [job for job in jobs if job.seed == seed]
            yield sampling, seed, sorted(mine, key=lambda job: job.fold)


def _variants(run: OpenRun, job: FoldTraining, held_out: HeldOut) -> dict[str, NDArray[np.int64]]:
    name = f"{job.model.name}-seed-{job.seed}-fold-{job.fold}"
    run.progress.say(f"predicting with all checkpoints of {name}")
    kept = run.directory.root.parent / "histograms" / f"{name}.npz"
    return variant_histograms(job.folder(run), held_out, choose_device(), kept)


def images_seen(run: OpenRun) -> dict[str, str]:
    """Return, for each sampling, epochs and images seen in one training, in words."""
    words = {}
    for sampling, _, jobs in _trainings(run):
        history = pd.read_csv(jobs[0].folder(run) / "history.csv")
        words[sampling] = (
            f"{int(history['images'].sum()):,} in {plural(len(history), 'epoch', 'epochs')}"
        )
    return words


# --- the tables ---------------------------------------------------------------------------------


def all_differences(
    outcomes: Sequence[Outcome], images: Images
) -> list[tuple[str, str, str, Difference]]:
    """Return (first, second, within, difference): of samplings, and of variants."""
    ways = by_way(outcomes)
    samplings = list(dict.fromkeys(sampling for sampling, _ in ways))
    variants = list(dict.fromkeys(variant for _, variant in ways))
    pairs = [
        (first, second) for place, first in enumerate(samplings) for second in samplings[:place]
    ]
    differences = [
        (first, second, variant, difference(ways[first, variant], ways[second, variant], images))
        for variant in variants
        for first, second in pairs
    ]
    differences += [
        (variant, "last", sampling, difference(ways[sampling, variant], ways[sampling, "last"],
                                               images))
        for sampling in samplings
        for variant in variants
        if variant != "last"
    ]  # fmt: skip
    return differences


def write_csvs(
    folder: Path,
    outcomes: Sequence[Outcome],
    images: Images,
    differences: Sequence[tuple[str, str, str, Difference]],
) -> None:
    """Write scores.csv (a row a training and variant) and differences.csv."""
    scores = [
        [
            outcome.sampling,
            outcome.variant,
            outcome.seed,
            int(fold),
            outcome.scores[images.folds == fold].mean(),
        ]
        for outcome in outcomes
        for fold in np.unique(images.folds)
    ]
    columns = ["sampling", "variant", "seed", "fold", "honest_score"]
    table = pd.DataFrame(scores, columns=columns)
    write_text(folder / "scores.csv", table.to_csv(index=False))
    rows = [
        [first, second, within, d.mean, d.low, d.high, d.pairs, d.images.low, d.images.high]
        for first, second, within, d in differences
    ]
    columns = ["first", "second", "within", "difference", "t_low", "t_high", "pairs",
               "groups_low", "groups_high"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    write_text(folder / "differences.csv", table.to_csv(index=False))


def print_tables(
    run: OpenRun,
    outcomes: Sequence[Outcome],
    images: Images,
    differences: Sequence[tuple[str, str, str, Difference]],
) -> None:
    """Print two Markdown tables: scores and differences."""
    metric, stage = run.settings.competition.metric, run.settings.models[0].stages[0]
    folds = np.unique(images.folds)
    print(
        f"{run.settings.competition.title}: {images.folds.size:,} held-out images of "
        f"{images.groups.max() + 1:,} groups in {folds.size} of {run.settings.folds.count} folds; "
        f"{run.settings.models[0].architecture} {run.settings.models[0].encoder} at "
        f"{stage.image_size} px; seeds {run.settings.models[0].seeds}; mean over seeds of the "
        f"honest {metric}\n"
    )
    headers = ["sampling", "weights", metric, "95 % over groups", "s.d. over seeds", "images seen"]
    print(markdown(headers, score_rows(outcomes, images, images_seen(run)), left=2))
    headers = ["difference", "within", "mean", "95 % t over seeds x folds", "pairs",
               "95 % over groups", "verdict"]  # fmt: skip
    rows = [difference_row(*difference) for difference in differences]
    print(f"\n{markdown(headers, rows, left=2)}")


def read_options() -> argparse.Namespace:
    """Return the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    parser.add_argument("--run", help="run directory whose data, folds and first stage to take")
    parser.add_argument("--model", help="model of that run; the first unless given")
    parser.add_argument("--images", type=int, default=240, help="synthetic images")
    parser.add_argument("--source-size", type=int, default=256, help="their side in pixels")
    parser.add_argument("--epochs", type=int, default=16, help="budget, in natural epochs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", type=int, nargs="+", help="folds to train; all unless given")
    parser.add_argument("--fold-count", type=int, help="folds of the split")
    parser.add_argument("--size", type=int, help="network's image size in pixels")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--encoder")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--ema", type=float, default=0.99, help="decay a step")
    parser.add_argument("--swa-from", type=float, default=0.75, help="share of the epochs before")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    if len(options.seeds) < 3:
        print("warning: fewer than three seeds are no ground for a claim", file=sys.stderr)
    try:
        run = make_run(OpenRun.open(make_source(options)), options)
        goldfold("folds", "build", run.directory.root)
        goldfold("train", "run", run.directory.root)
        outcomes, images = all_outcomes(run)
    except GoldfoldError as error:
        sys.exit(f"error: {error}")
    differences = all_differences(outcomes, images)
    write_csvs(options.out, outcomes, images, differences)
    print_tables(run, outcomes, images, differences)


if __name__ == "__main__":
    main()
