"""One fold's checkpoints, the averages of their weights, and what each says of held-out images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from goldfold.files import file_hash, write_json
from goldfold.pipeline.checkpoint_choice import averages_folder, best_checkpoints
from goldfold.pipeline.engine_choice import predicting_device
from goldfold.pipeline.image_caches import training_cache
from goldfold.pipeline.predictions import image_size, images_to_predict
from goldfold.training.stage_plan import split_batches

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.training.cache import ImageCache
    from goldfold.training.checkpoint import Checkpoint
    from goldfold.training.device import Device

    Seen = NDArray[Any]

STATISTICS_IMAGES = 512


class FoldAverages:
    """One fold's checkpoints and the images they were not trained on."""

    def __init__(self, run: OpenRun, job: FoldTraining) -> None:
        """Take a finished training of the run; its checkpoints are loaded when they are needed."""
        self.run, self.job = run, job
        self.device: Device = predicting_device(run)
        self.checkpoints = best_checkpoints(run, job)
        size = image_size(run, job)
        self.cache: ImageCache = training_cache(run, size, job.model)
        self.fold = run.fold(job.fold)
        self.held_out = images_to_predict(run, job.fold, "out-of-fold")
        self.greedy: tuple[int, ...] = ()
        self._known: dict[tuple[int, ...], Seen] = {}

    def compare(self) -> dict[str, Seen]:
        """Return what each way says of the held-out images; the averages are written.

        Histograms (N C, 2 or 3, 256) of their masks, or probabilities (N, C) of their classes.
        """
        import numpy as np

        from goldfold.ensemble.soup import greedy_soup, halve_groups, honest_greedy

        task, count = self.run.task, len(self.checkpoints)
        halves = halve_groups(
            self.run.fold_view.group_numbers(list(self.held_out["image_id"])),
            self.run.settings.ensemble.seed,
        )
        half = halves.repeat(task.seen_per_image)  # an image's masks go together
        score_of = task.score_of(self.run, self.held_out)
        everything = np.ones(len(half), bool)
        self.run.progress.say(
            f"average {self.job.model.name} seed-{self.job.seed} fold-{self.job.fold}: "
            f"{count} checkpoints"
        )
        soup = greedy_soup(count, self._seen_by, everything, score_of)
        self.greedy = soup.places
        self._write("uniform", tuple(range(count)))
        self._write("greedy", soup.places)
        return {
            "best": self._seen_by((0,)),
            "predictions": self._predict(
                [self._load(checkpoint) for checkpoint in self.checkpoints],
                [str(checkpoint.path) for checkpoint in self.checkpoints],
            ),
            "uniform": self._seen_by(tuple(range(count))),
            "greedy": honest_greedy(count, self._seen_by, half, score_of),
        }

    def _load(self, checkpoint: Checkpoint) -> torch.nn.Module:
        from goldfold.training.checkpoint import load_model

        layout = self.device.channels_last
        return load_model(checkpoint, self.device.device, channels_last=layout)

    def _average(self, places: tuple[int, ...]) -> torch.nn.Module:
        from goldfold.ensemble.soup import average_weights

        models = [self._load(self.checkpoints[place]) for place in places]
        return average_weights(models, self._statistics, self.device)

    def _seen_by(self, places: tuple[int, ...]) -> Seen:
        if places not in self._known:
            paths = ", ".join(str(self.checkpoints[place].path) for place in places)
            self._known[places] = self._predict([self._average(places)], [f"average of {paths}"])
        return self._known[places]

    def _statistics_images(self) -> list[str]:
        """Return the images that BatchNorm statistics are taken from, spread over the training."""
        import numpy as np

        seen = self.fold.training
        places = np.linspace(0, len(seen) - 1, min(len(seen), STATISTICS_IMAGES)).astype(int)
        return [seen[place] for place in places]

    def _statistics(self) -> Iterator[torch.Tensor]:
        """Yield batches of training images for BatchNorm statistics.

        Raises:
            LeakError: the fold holds one of them out.
        """
        from goldfold.training.batch import network_input

        rows = self.cache.rows(self._statistics_images())
        self.fold.refuse_held_out(self.cache.ids_read(rows), "taking BatchNorm statistics")
        # Of equal size, as in training: a single left-over image has no statistics of its own.
        for batch in split_batches(rows, self.job.model.stages[-1].batch_size):
            pixels = self.cache.images(batch)
            yield network_input(pixels, self.device.device, channels_last=self.device.channels_last)

    def _predict(self, models: Sequence[torch.nn.Module], names: Sequence[str]) -> Seen:
        from goldfold.inference.predictor import Predictor
        from goldfold.inference.views import get_views

        inference, form = self.run.settings.inference, self.run.settings.competition
        views = get_views(inference.views, form.mirror)
        predictor = Predictor(
            models,
            self.device,
            views,
            inference.merge,
            names=names,
            progress=self.run.progress,
            activation=self.run.task.activation,
        )
        judged = self.cache.ids_read(self.cache.rows(self.held_out["image_id"]))
        self.fold.require_held_out(judged, "comparing averages of weights")
        seen: Seen = self.run.task.see(self.run, predictor, self.cache, self.held_out)
        return seen

    def _write(self, way: str, places: tuple[int, ...]) -> None:
        """Write averaged weights and their facts, which count only once the .json stands."""
        from goldfold.training.checkpoint import save_tensors
        from goldfold.training.finite import refuse_bad_weights

        path = averages_folder(self.run, self.job) / f"{way}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
        weights = self._average(places).state_dict()
        refuse_bad_weights(weights, f"the {way} average of the weights, {path},")
        save_tensors(path, weights)
        facts = dict(self.checkpoints[0].facts)
        facts |= {
            "weights": way,
            "sha256": file_hash(path),
            "averaged_from": [checkpoint.sha256 for checkpoint in self.checkpoints],
            "taken": [self.checkpoints[place].path.stem for place in places],
        }
        write_json(path.with_suffix(".json"), facts)
