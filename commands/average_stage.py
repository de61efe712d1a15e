"""Averages of the weights of each fold's best checkpoints, compared with what they replace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from numpy.typing import NDArray

    from goldfold.commands.context import Run
    from goldfold.commands.training_stage import Job
    from goldfold.training.cache import ImageCache
    from goldfold.training.checkpoint import Checkpoint
    from goldfold.training.device import Device

WAYS = ("best", "predictions", "uniform", "greedy")
"""The best checkpoint; the mean of the best ones' predictions; the two averages of weights."""

STATISTICS_IMAGES = 512


@dataclass(frozen=True)
class Compared:
    """How the ways to use a model's checkpoints score, all folds together.

    Attributes:
        model: its name.
        honest: by way, mean score with thresholds chosen on other folds.
        difference: by way, mean difference from `predictions` and its 95 % interval over groups.
        taken: by fold, how many checkpoints the greedy average took in.
    """

    model: str
    honest: dict[str, float]
    difference: dict[str, tuple[float, float, float]]
    taken: list[int]

    @property
    def best(self) -> str:
        """Return the way with the best honest score; of equals, the first of `WAYS`."""
        return max(WAYS, key=lambda way: self.honest[way])


def average_all(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> list[Compared]:
    """Average every fold's best checkpoints, write the averages, and compare; write averages.json.

    Raises:
        InputError: a fold has no finished training.
    """
    from dataclasses import asdict

    from goldfold.commands.prediction_stage import ready_jobs
    from goldfold.files import write_json

    jobs = ready_jobs(run, images, folds)
    found = []
    for name in dict.fromkeys(job.model.name for job in jobs):
        found.append(_average_model(run, [j for j in jobs if j.model.name == name], images, folds))
    content = {one.model: {**asdict(one), "best": one.best} for one in found}
    write_json(averages_path(run), content)
    return found


def averages_path(run: Run) -> Path:
    """Return where the comparison is written."""
    return run.directory.root / "averages.json"


def averaged_checkpoint(run: Run, job: Job, way: str) -> Checkpoint:
    """Return a fold's averaged weights.

    Raises:
        InputError: they are not made yet, or from other checkpoints.
    """
    from goldfold.errors import InputError
    from goldfold.files import read_json
    from goldfold.training.checkpoint import Checkpoint

    facts_path = _folder(run, job) / f"{way}.json"
    command = run.command("ensemble average")
    if not facts_path.is_file():
        raise InputError(f"{facts_path} does not exist yet. Run `{command}` first.")
    facts = read_json(facts_path)
    present = [one.sha256 for one in best_checkpoints(run, job)]
    if facts.get("averaged_from") != present:
        raise InputError(f"{facts_path} was made from other checkpoints. Run `{command}` again.")
    weights = facts_path.with_suffix(".safetensors")
    return Checkpoint(weights, facts["epoch"], facts["score"], facts["sha256"], facts)


def best_checkpoints(run: Run, job: Job) -> list[Checkpoint]:
    """Return a finished training's checkpoints that count, the best first."""
    from goldfold.training.checkpoint import list_checkpoints

    return list_checkpoints(job.folder(run))[: run.settings.inference.checkpoints]


def _average_model(
    run: Run, jobs: Sequence[Job], images: pd.DataFrame, folds: pd.DataFrame
) -> Compared:
    import numpy as np

    from goldfold.ensemble.honest import group_interval, number_groups, parts_of
    from goldfold.ensemble.several import cross_fit_classes

    by_way: dict[str, list[NDArray[np.int64]]] = {way: [] for way in WAYS}
    held_out: list[pd.DataFrame] = []
    taken = []
    for job in jobs:
        fold = _Fold(run, job, images, folds)
        for way, histograms in fold.compare().items():
            by_way[way].append(histograms)
        taken.append(len(fold.greedy))
        held_out.append(fold.held_out)
    fold_of = np.concatenate([one["fold"].to_numpy() for one in held_out])
    groups = [group for one in held_out for group in one["group"]]
    settings = run.settings.ensemble
    parts = parts_of(fold_of, groups, settings.seed)
    numbers = number_groups(groups)
    scores = {
        way: cross_fit_classes(
            np.concatenate(histograms),
            parts,
            run.settings.competition.metric,
            classes=run.settings.competition.outputs,
            choice=settings.rule,
        )
        for way, histograms in by_way.items()
    }
    difference = {}
    for way in WAYS:
        gap = scores[way] - scores["predictions"]
        interval = group_interval(
            gap, numbers, samples=settings.bootstrap_samples, seed=settings.seed
        )
        difference[way] = (float(gap.mean()), interval.low, interval.high)
    honest = {way: float(one.mean()) for way, one in scores.items()}
    return Compared(jobs[0].model.name, honest, difference, taken)


class _Fold:
    """One fold's checkpoints and the images they were not trained on."""

    def __init__(self, run: Run, job: Job, images: pd.DataFrame, folds: pd.DataFrame) -> None:
        from goldfold.commands.prediction_networks import predicting_device
        from goldfold.commands.prediction_stage import image_size
        from goldfold.commands.training_data import training_cache
        from goldfold.competitions.images_table import training_images

        self.run, self.job = run, job
        self.device: Device = predicting_device(run)
        self.checkpoints = best_checkpoints(run, job)
        size = image_size(run, job)
        self.cache: ImageCache = training_cache(run, images, size, job.model.channels)
        train = training_images(images).merge(folds[["image_id", "fold", "group"]], on="image_id")
        self.held_out = train[train["fold"] == job.fold].sort_values("image_id", ignore_index=True)
        self.seen = sorted(train.loc[train["fold"] != job.fold, "image_id"])
        self.greedy: tuple[int, ...] = ()
        self._known: dict[tuple[int, ...], NDArray[np.int64]] = {}

    def compare(self) -> dict[str, NDArray[np.int64]]:
        """Return the histograms of the held-out images by each way; the averages are written."""
        import numpy as np

        from goldfold.ensemble.honest import number_groups
        from goldfold.ensemble.soup import greedy_soup, halve_groups, honest_greedy

        metric = self.run.settings.competition.metric
        count = len(self.checkpoints)
        halves = halve_groups(
            number_groups(list(self.held_out["group"])), self.run.settings.ensemble.seed
        )
        half = halves.repeat(self.run.settings.competition.outputs)  # an image's masks go together
        everything = np.ones(len(half), bool)
        self.run.progress.say(
            f"average {self.job.model.name} seed-{self.job.seed} fold-{self.job.fold}: "
            f"{count} checkpoints"
        )
        soup = greedy_soup(count, self._soup_histograms, everything, metric)
        self.greedy = soup.places
        self._write("uniform", tuple(range(count)))
        self._write("greedy", soup.places)
        return {
            "best": self._soup_histograms((0,)),
            "predictions": self._predict([self._load(one) for one in self.checkpoints]),
            "uniform": self._soup_histograms(tuple(range(count))),
            "greedy": honest_greedy(count, self._soup_histograms, half, metric),
        }

    def _load(self, checkpoint: Checkpoint) -> torch.nn.Module:
        from goldfold.training.checkpoint import load_model

        return load_model(checkpoint, self.device.device)

    def _average(self, places: tuple[int, ...]) -> torch.nn.Module:
        from goldfold.ensemble.soup import average_weights

        models = [self._load(self.checkpoints[place]) for place in places]
        return average_weights(models, self._statistics, self.device)

    def _soup_histograms(self, places: tuple[int, ...]) -> NDArray[np.int64]:
        if places not in self._known:
            self._known[places] = self._predict([self._average(places)])
        return self._known[places]

    def _statistics(self) -> Iterator[torch.Tensor]:
        """Yield batches of training images, spread evenly over them."""
        import numpy as np

        from goldfold.training.batch import network_input

        rows = self.cache.rows(self.seen)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), STATISTICS_IMAGES)).astype(int)]
        size = self.job.model.stages[-1].batch_size
        for start in range(0, len(rows), size):
            pixels = np.stack([self.cache.pixels[row] for row in rows[start : start + size]])
            yield network_input(pixels, self.device.device, channels_last=self.device.channels_last)

    def _predict(self, models: Sequence[torch.nn.Module]) -> NDArray[np.int64]:
        """Return the histograms of the held-out images' masks, (N C, 2 or 3, 256)."""
        from goldfold.commands.training_data import encoded_masks
        from goldfold.competitions.images_table import object_cells
        from goldfold.competitions.rle import get_dialect
        from goldfold.inference.held_out import held_out_histograms
        from goldfold.inference.predictor import Predictor
        from goldfold.inference.views import get_views

        inference, form = self.run.settings.inference, self.run.settings.competition
        return held_out_histograms(
            Predictor(
                models, self.device, get_views(inference.views, form.mirror), inference.merge
            ),
            self.cache,
            list(self.held_out["image_id"]),
            sizes=list(zip(self.held_out["height"], self.held_out["width"], strict=True)),
            masks=[text for texts in encoded_masks(form, self.held_out) for text in texts],
            dialect=get_dialect(form.labels.dialect),
            objects=object_cells(self.held_out),
            batch_size=inference.batch_size,
            progress=self.run.progress,
        )

    def _write(self, way: str, places: tuple[int, ...]) -> None:
        """Write averaged weights and their facts, which count only once the .json stands."""
        from goldfold.files import file_hash, write_json
        from goldfold.training.checkpoint import save_tensors

        path = _folder(self.run, self.job) / f"{way}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
        save_tensors(path, self._average(places).state_dict())
        facts = dict(self.checkpoints[0].facts)
        facts |= {
            "weights": way,
            "sha256": file_hash(path),
            "averaged_from": [one.sha256 for one in self.checkpoints],
            "taken": [self.checkpoints[place].path.stem for place in places],
        }
        write_json(path.with_suffix(".json"), facts)


def _folder(run: Run, job: Job) -> Path:
    return job.folder(run) / "averages"


def chosen_way(run: Run, model: str) -> str:
    """Return how a model's checkpoints are used, one of `WAYS`.

    Raises:
        InputError: the settings say `auto`, and the averages have not been compared yet.
    """
    from goldfold.commands.context import recorded
    from goldfold.errors import InputError

    way = run.settings.inference.average
    if way == "off":
        return "predictions"
    if way != "auto":
        return way
    found: Any = recorded(averages_path(run), model, "best")
    if found not in WAYS:
        raise InputError(
            f'inference.average is "auto", but {averages_path(run)} does not say what is best for '
            f"{model}. Run `{run.command('ensemble average')}` first."
        )
    return str(found)
