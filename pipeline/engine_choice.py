"""Where and in which engine a run predicts: chosen once per run, as thresholds depend on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import test_images, training_images
from goldfold.files import write_json
from goldfold.image_size import height_and_width
from goldfold.pipeline.checkpoint_choice import predicting_checkpoints
from goldfold.pipeline.devices import device_of
from goldfold.rundirectory import recorded

if TYPE_CHECKING:
    import torch

    from goldfold.image_size import ImageSize
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.predictions import Split
    from goldfold.training.device import Device


def predicting_device(run: OpenRun) -> Device:
    """Return where the networks of a run predict.

    Raises:
        InputError: the device that was asked for is not there, or cannot compute.
    """
    training = run.settings.training
    return device_of(
        training.precision,
        training.channels_last,
        deterministic=training.deterministic,
        named=run.devices,
    )


def known_engine(run: OpenRun) -> str:
    """Return the engine of a run's predictions: as set, as measured once, or else PyTorch."""
    if run.settings.inference.engine != "auto":
        return run.settings.inference.engine
    engine = recorded(_engine_path(run), "engine")
    return engine if isinstance(engine, str) else "torch"


def engine_is_known(run: OpenRun) -> bool:
    """Return whether the engine of a run's predictions is set, or was measured."""
    return run.settings.inference.engine != "auto" or _engine_path(run).is_file()


def resolve_engine(run: OpenRun, jobs: Sequence[FoldTraining], splits: Sequence[Split]) -> None:
    """Choose the engine of `auto` and write it down, once a run: thresholds are chosen on its maps.

    Raises:
        OutputError: the file cannot be written.
    """
    from goldfold.inference.engine import choose_engine
    from goldfold.inference.views import get_views
    from goldfold.training.checkpoint import load_model

    if engine_is_known(run) or not jobs:
        return
    inference, device = run.settings.inference, predicting_device(run)
    first = jobs[0]
    folds = len({(job.model.name, job.seed) for job in jobs}) / len(jobs)
    counts = {
        "out-of-fold": len(training_images(run.images)) * folds,
        "test": len(test_images(run.images)),
    }
    batches = sum(counts[split] for split in splits) / inference.batch_size
    passes = max(1, int(batches * len(get_views(inference.views))))  # of each network
    size = inference.tile or inference.image_size or first.model.stages[-1].image_size
    example = _noise(device, first, height_and_width(size), inference.batch_size)
    checkpoint = predicting_checkpoints(run, first)[0]
    model = load_model(checkpoint, device.device, channels_last=device.channels_last)
    choice = choose_engine(model, device, example, passes=passes, say=run.progress.say)
    if _engine_path(run).is_file():  # another process that shares the work was faster
        return
    run.progress.say(f"engine: {choice.engine}, because {choice.reason}")
    record = {"engine": choice.engine, "because": choice.reason, "device": device.description}
    write_json(_engine_path(run), record)


def _engine_path(run: OpenRun) -> Any:
    return run.directory.root / "predictions" / "engine.json"


def _noise(device: Device, job: FoldTraining, input_size: ImageSize, count: int) -> torch.Tensor:
    """Return a batch to time a network with."""
    import torch

    generator = torch.Generator().manual_seed(0)
    images = torch.randn((count, job.model.inputs, *input_size), generator=generator)
    layout = torch.channels_last if device.channels_last else torch.contiguous_format
    return images.to(device.device).contiguous(memory_format=layout)
