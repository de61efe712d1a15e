"""How long an image takes in training and in validation here, measured on random images."""

from __future__ import annotations

from math import prod
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from goldfold.image_size import height_and_width

if TYPE_CHECKING:
    from goldfold.image_size import ImageSize
    from goldfold.settings import ModelSettings, StageSettings
    from goldfold.tasks.task import Task
    from goldfold.training.runtime import Machine


def seconds_an_image(
    model: ModelSettings,
    stage: StageSettings,
    machine: Machine,
    task: Task,
    *,
    count: int,
    size: ImageSize,
    steps: int,
) -> tuple[float, float]:
    """Return the seconds that an image of the stage's sizes takes in training and in validation.

    Args:
        model: the network.
        stage: how it is trained.
        machine: where it would be trained.
        task: says what its network gives.
        count: images of a step.
        size: that is measured at; time is taken to grow with the number of pixels.
        steps: that are measured, of training and of validation each, after one to warm up.

    Raises:
        InputError: the network cannot be built.
    """
    import numpy as np
    import torch

    from goldfold.training.assembly import build_network, build_step, prepare_model
    from goldfold.training.batch import network_input
    from goldfold.training.loader import Batch
    from goldfold.training.networks.freezing import set_training_mode
    from goldfold.training.networks.output import split_output
    from goldfold.training.passes import Passes

    network = build_network(model, classes=task.form.outputs)
    network = prepare_model(network, stage, machine)
    step = build_step(network, stage, machine, classes_per_pixel=task.classes_per_pixel)
    shape = (count, *size) if model.inputs == 1 else (count, *size, model.inputs)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, shape).astype(np.uint8)
    masks = random.integers(0, 2, task.target_shape(count, size)).astype(np.uint8) * np.uint8(255)
    batch = Batch(pixels, masks, np.arange(count), classes=task.classes_per_pixel)
    set_training_mode(network, stage.frozen)
    times = []
    for _ in range(steps + 1):
        began = perf_counter()
        _ = step.take(batch, 0.0).moved  # waits for the device
        times.append(perf_counter() - began)
    network.eval()
    device = machine.device

    @torch.inference_mode()
    def see(part: slice) -> float:
        inputs = network_input(pixels[part], device.device, channels_last=device.channels_last)
        with device.autocast():
            logits, _ = split_output(network(inputs))
        return float(logits.sum())

    passes = []
    for _ in range(steps + 1):
        began = perf_counter()
        Passes().in_halves(count, see, device)
        passes.append(perf_counter() - began)
    validating = median(passes[1:]) / count
    pixels_of_image = prod(height_and_width(stage.crop_size or stage.image_size))
    whole = prod(height_and_width(stage.image_size))
    training = median(times[1:]) / count * pixels_of_image / prod(size)
    return training, validating * whole / prod(size)
