"""Where the time of a training goes: its parts one after the other, in one thread."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from loops import plain
from loops.goldfold_loop import RECIPE, fresh_model
from loops.images import Pngs

from goldfold.training.augmentation import augment, get_recipe
from goldfold.training.batch import network_input
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.losses import WeightedLoss
from goldfold.training.optimizer import build_optimizer


def milliseconds(work: Callable[[], object], images: int, repeats: int) -> float:
    """Return the mean time of an image, the device's work included, after one warm-up."""
    work()
    _synchronize()
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    _synchronize()
    return 1000 * (time.perf_counter() - began) / (images * repeats)


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def plain_parts(pngs: Pngs, options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """Return the milliseconds per image of each part of the plain loop."""
    count, repeats = options.batch, options.repeats
    files = [pngs.files[place % pngs.train] for place in range(count)]
    raw = [plain.read_pair(file) for file in files]
    change = plain.pipeline(options.size, augment=True)

    def augmented() -> list[plain.Tensors]:
        changed = [change(image=image, mask=mask) for image, mask in raw]
        return [plain.to_tensors(pair["image"], pair["mask"]) for pair in changed]

    ready = augmented()

    def transferred() -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.stack([image for image, _ in ready]).to(device)
        return images, torch.stack([mask for _, mask in ready]).to(device)

    model = fresh_model(options).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), options.learning_rate)
    images, masks = transferred()
    return {
        "decode": milliseconds(lambda: [plain.read_pair(file) for file in files], count,
                               repeats),
        "augment": milliseconds(augmented, count, repeats),
        "transfer": milliseconds(transferred, count, repeats),
        **network_parts(lambda: plain.bce_and_dice(model(images), masks), optimizer.step,
                        model, options),
    }  # fmt: skip


def goldfold_parts(
    cache: ImageCache, options: argparse.Namespace, device: Device
) -> dict[str, float]:
    """Return the milliseconds per image of the same parts of goldfold's loop."""
    count, repeats, recipe = options.batch, options.repeats, get_recipe(RECIPE)
    rows = range(count)

    def read() -> list[tuple[Any, Any]]:
        return [(np.array(cache.pixels[row]), np.array(cache.mask(row))) for row in rows]

    raw, epochs = read(), iter(range(1_000_000))

    def augmented() -> list[tuple[Any, Any]]:
        epoch = next(epochs)
        return [augment(*pair, recipe, 0, epoch, row) for row, pair in zip(rows, raw, strict=True)]

    ready = augmented()

    def transferred() -> tuple[torch.Tensor, torch.Tensor]:
        images = network_input(np.stack([image for image, _ in ready]), device.device)
        masks = torch.as_tensor(np.stack([mask for _, mask in ready])).to(device.device)
        return images, masks.unsqueeze(1).float()

    layout = torch.channels_last
    model = fresh_model(options).to(device.device, memory_format=layout)  # type: ignore[call-overload]
    model.train()
    optimizer = build_optimizer(model, name="adam", learning_rate=options.learning_rate,
                                weight_decay=0.0)  # fmt: skip
    loss, (images, masks) = WeightedLoss(bce=1, dice=1), transferred()

    def forward() -> torch.Tensor:
        with device.autocast():
            logits = model(images)
        value: torch.Tensor = loss(logits.float(), masks)
        return value

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return {
        "decode": milliseconds(read, count, repeats),
        "augment": milliseconds(augmented, count, repeats),
        "transfer": milliseconds(transferred, count, repeats),
        **network_parts(forward, step, model, options),
    }


def network_parts(
    forward: Callable[[], torch.Tensor],
    step: Callable[[], object],
    model: torch.nn.Module,
    options: argparse.Namespace,
) -> dict[str, float]:
    """Return the milliseconds per image of forward with loss, backward and optimizer."""
    times: dict[str, list[float]] = {"forward": [], "backward": [], "optimizer": []}
    for _ in range(options.repeats + 1):
        model.zero_grad(set_to_none=True)
        loss: list[torch.Tensor] = []
        works: list[Callable[[], object]] = [
            lambda loss=loss: loss.append(forward()),  # type: ignore[misc]
            lambda loss=loss: loss[0].backward(),  # type: ignore[misc]
            step,
        ]
        for name, work in zip(times, works, strict=True):
            _synchronize()
            began = time.perf_counter()
            work()
            _synchronize()
            times[name].append(time.perf_counter() - began)
    # The first pass warms up.
    return {
        name: 1000 * float(np.mean(seconds[1:])) / options.batch for name, seconds in times.items()
    }
