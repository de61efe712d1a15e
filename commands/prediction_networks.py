"""The networks that predict for one fold: which checkpoints, in which engine, in which views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from goldfold.commands.context import Run
    from goldfold.commands.prediction_stage import Split
    from goldfold.commands.training_stage import Job
    from goldfold.extent import Extent
    from goldfold.inference.predictor import Network, Predictor
    from goldfold.training.cache import ImageCache
    from goldfold.training.checkpoint import Checkpoint
    from goldfold.training.device import Device


class Networks:
    """The networks of one fold's training, loaded when the first of its maps is missing."""

    def __init__(self, run: Run, job: Job) -> None:
        """Take the job; nothing is loaded yet."""
        self.run, self.job = run, job
        self.description = ""
        self._predictor: Predictor | None = None

    def predictor(self, cache: ImageCache) -> Predictor:
        """Return the fold's predictor.

        Args:
            cache: images as it will see them.

        Raises:
            InputError: a checkpoint is damaged, or the engine is not installed.
        """
        if self._predictor is None:
            self._predictor = self._load(cache)
        return self._predictor

    def _load(self, cache: ImageCache) -> Predictor:
        from goldfold.errors import plural
        from goldfold.inference.predictor import Predictor
        from goldfold.inference.views import get_views
        from goldfold.training.checkpoint import load_model

        inference = self.run.settings.inference
        device, engine = predicting_device(self.run), known_engine(self.run)
        checkpoints = predicting_checkpoints(self.run, self.job)
        example = _example(self.run, cache, device)
        networks = [
            _start(
                self.run,
                load_model(checkpoint, device.device, channels_last=device.channels_last),
                device,
                example,
                engine,
            )
            for checkpoint in checkpoints
        ]
        number = plural(len(checkpoints), "checkpoint", "checkpoints")
        self.description = f"{number}, {engine} on {device.description}"
        views = get_views(inference.views, self.run.settings.competition.mirror)
        return Predictor(
            networks,
            device,
            views,
            inference.merge,
            names=[str(checkpoint.path) for checkpoint in checkpoints],
            progress=self.run.progress,
        )


def predicting_checkpoints(run: Run, job: Job) -> list[Checkpoint]:
    """Return the checkpoints of a finished training that predict: its best, or their average.

    Raises:
        InputError: an average is asked for that has not been made from these checkpoints.
    """
    from goldfold.commands.average_stage import averaged_checkpoint, best_checkpoints, chosen_way

    way = chosen_way(run, job)
    if way in ("uniform", "greedy"):
        return [averaged_checkpoint(run, job, way)]
    return best_checkpoints(run, job)[: 1 if way == "best" else None]


def predicting_device(run: Run) -> Device:
    """Return where the networks of a run predict."""
    from goldfold.training.device import choose_device

    return choose_device(run.settings.training.precision, run.settings.training.channels_last)


def known_engine(run: Run) -> str:
    """Return the engine of a run's predictions: as set, as measured once, or else PyTorch."""
    from goldfold.commands.context import recorded

    if run.settings.inference.engine != "auto":
        return run.settings.inference.engine
    found = recorded(_engine_path(run), "engine")
    return found if isinstance(found, str) else "torch"


def resolve_engine(
    run: Run, jobs: Sequence[Job], images: pd.DataFrame, splits: Sequence[Split]
) -> None:
    """Choose the engine of `auto` and write it down, once a run: thresholds are chosen on its maps.

    Raises:
        OutputError: the file cannot be written.
    """
    from goldfold.competitions.images_table import test_images, training_images
    from goldfold.extent import extent_of
    from goldfold.files import write_json
    from goldfold.inference.engine import choose_engine
    from goldfold.inference.views import get_views
    from goldfold.training.checkpoint import load_model

    if run.settings.inference.engine != "auto" or _engine_path(run).is_file() or not jobs:
        return
    inference, device = run.settings.inference, predicting_device(run)
    first = jobs[0]
    folds = len({(job.model.name, job.seed) for job in jobs}) / len(jobs)
    counts = {"out-of-fold": len(training_images(images)) * folds, "test": len(test_images(images))}
    batches = sum(counts[split] for split in splits) / inference.batch_size
    passes = max(1, int(batches * len(get_views(inference.views))))  # of each network
    size = inference.tile or inference.image_size or first.model.stages[-1].image_size
    example = _noise(device, first, extent_of(size), inference.batch_size)
    checkpoint = predicting_checkpoints(run, first)[0]
    model = load_model(checkpoint, device.device, channels_last=device.channels_last)
    choice = choose_engine(model, device, example, passes=passes, say=run.progress.say)
    if _engine_path(run).is_file():  # another process that shares the work was faster
        return
    run.progress.say(f"engine: {choice.engine}, because {choice.reason}")
    record = {"engine": choice.engine, "because": choice.reason, "device": device.description}
    write_json(_engine_path(run), record)


def _engine_path(run: Run) -> Any:
    return run.directory.root / "predictions" / "engine.json"


def _start(
    run: Run, model: torch.nn.Module, device: Device, example: torch.Tensor, engine: str
) -> Network:
    from goldfold.inference.engine import start_engine
    from goldfold.inference.tiles import TiledNetwork

    inference = run.settings.inference
    network = start_engine(model, device, example, engine)
    if inference.tile is None:
        return network
    return TiledNetwork(
        network, inference.tile, overlap=inference.tile_overlap, batch_size=inference.batch_size
    )


def _example(run: Run, cache: ImageCache, device: Device) -> torch.Tensor:
    """Return one image as a network will see it, or a tile of it."""
    from goldfold.training.batch import network_input

    side = run.settings.inference.tile
    images = network_input(
        cache.pixels[:1].copy(), device.device, channels_last=device.channels_last
    )
    return images if side is None else images[:, :, :side, :side].contiguous()


def _noise(device: Device, job: Job, extent: Extent, count: int) -> torch.Tensor:
    """Return a batch to time a network with."""
    import torch

    generator = torch.Generator().manual_seed(0)
    images = torch.randn((count, job.model.channels, *extent), generator=generator)
    layout = torch.channels_last if device.channels_last else torch.contiguous_format
    return images.to(device.device).contiguous(memory_format=layout)
