"""The networks that predict for one fold: which checkpoints, in which engine, in which views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.errors import plural
from goldfold.pipeline.checkpoint_choice import predicting_checkpoints
from goldfold.pipeline.engine_choice import known_engine, predicting_device

if TYPE_CHECKING:
    import torch

    from goldfold.inference.engine import Started
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
        from goldfold.inference.engine import Started
        from goldfold.inference.predictor import Predictor
        from goldfold.inference.views import get_views
        from goldfold.training.checkpoint import load_model

        inference = self.run.settings.inference
        device, engine = predicting_device(self.run), known_engine(self.run)
        checkpoints = predicting_checkpoints(self.run, self.job)
        count = min(inference.batch_size, len(cache)) if engine == "compile" else 1
        example = _example(self.run, cache, device, count)
        started = Started()
        networks = [
            _start(
                self.run,
                load_model(checkpoint, device.device, channels_last=device.channels_last),
                device,
                example,
                engine,
                started,
            )
            for checkpoint in checkpoints
        ]
        number = plural(len(checkpoints), "checkpoint", "checkpoints")
        views = get_views(inference.views, self.run.settings.competition.mirror)
        predictor = Predictor(
            networks,
            device,
            views,
            inference.merge,
            names=[str(checkpoint.path) for checkpoint in checkpoints],
            progress=self.run.progress,
            activation=self.run.task.activation,
        )
        if started.compiled:
            _warm_up(predictor, example)
            if started.compiled[0].eager:
                engine = "torch (torch.compile made no graph)"
        parts = [number, f"{engine} on {device.description}", started.words]
        self.description = ", ".join(words for words in parts if words)
        return predictor


def _start(
    run: OpenRun,
    model: torch.nn.Module,
    device: Device,
    example: torch.Tensor,
    engine: str,
    started: Started,
) -> Network:
    from goldfold.inference.engine import start_engine
    from goldfold.inference.tiles import TiledNetwork

    inference = run.settings.inference
    network = start_engine(model, device, example, engine, started=started, warn=run.progress.warn)
    if inference.tile is None:
        return network
    return TiledNetwork(
        network, inference.tile, overlap=inference.tile_overlap, batch_size=inference.batch_size
    )


def _warm_up(predictor: Predictor, example: torch.Tensor) -> None:
    """Let the first network see a batch, so that it is known whether it is compiled."""
    import torch

    @torch.inference_mode()
    def see(part: slice) -> None:
        with predictor.device.autocast():
            predictor.networks[0](example[part])

    predictor.passes.in_halves(len(example), see, predictor.device, predictor.progress.say)


def _example(run: OpenRun, cache: ImageCache, device: Device, count: int) -> torch.Tensor:
    """Return images as a network will see them, or tiles of them."""
    from goldfold.training.batch import network_input

    side = run.settings.inference.tile
    images = network_input(
        cache.images([0] * count), device.device, channels_last=device.channels_last
    )
    return images if side is None else images[:, :, :side, :side].contiguous()
