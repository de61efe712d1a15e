"""The networks that predict for one fold: which checkpoints, in which engine, in which views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.errors import plural
from goldfold.pipeline.checkpoint_choice import predicting_checkpoints
from goldfold.pipeline.engine_choice import known_engine, predicting_device

if TYPE_CHECKING:
    import torch

    from goldfold.inference.predictor import Network, Predictor
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.training.cache import ImageCache
    from goldfold.training.device import Device


class Networks:
    """The networks of one fold's training, loaded when the first of its maps is missing."""

    def __init__(self, run: OpenRun, job: FoldTraining) -> None:
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
            activation=self.run.task.activation,
        )


def _start(
    run: OpenRun, model: torch.nn.Module, device: Device, example: torch.Tensor, engine: str
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


def _example(run: OpenRun, cache: ImageCache, device: Device) -> torch.Tensor:
    """Return one image as a network will see it, or a tile of it."""
    from goldfold.training.batch import network_input

    side = run.settings.inference.tile
    images = network_input(cache.images([0]), device.device, channels_last=device.channels_last)
    return images if side is None else images[:, :, :side, :side].contiguous()
