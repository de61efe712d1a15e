"""The parts of a training put together from the settings of a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from goldfold.image_size import compact_size
from goldfold.own_code import is_reference
from goldfold.settings import Loss, ModelSettings, StageSettings
from goldfold.training.compiled import CompiledNetwork
from goldfold.training.losses.class_map import ClassMapLoss
from goldfold.training.losses.weighted import WeightedLoss
from goldfold.training.mixing import Mixing
from goldfold.training.networks.build import build_model
from goldfold.training.networks.freezing import freeze
from goldfold.training.networks.gradient_checkpointing import enable_gradient_checkpointing
from goldfold.training.networks.own import check_own_network, require_encoder
from goldfold.training.optimizer import build_optimizer
from goldfold.training.runtime import Machine
from goldfold.training.step import Step


def build_network(
    model: ModelSettings, encoder_weights: str = "none", classes: int = 1
) -> nn.Module:
    """Return the network that a model's settings name, with random or the given encoder weights.

    Args:
        model: its settings.
        encoder_weights: as in `build_model`.
        classes: outputs.

    Raises:
        InputError: it cannot be built, or the weights cannot be had.
    """
    return build_model(
        model.architecture,
        model.encoder,
        encoder_weights=encoder_weights,
        channels=model.inputs,
        presence_head=model.presence_head,
        classes=classes,
        options=model.options,
    )


def require_fitting_network(
    network: nn.Module,
    model: ModelSettings,
    stage: StageSettings,
    classes: int,
    *,
    classifies: bool,
) -> None:
    """Accept a network of the user's own that gives what the stage needs, and any other.

    Args:
        network: of `build_network`.
        model: its settings.
        stage: that it is trained in.
        classes: outputs.
        classifies: whether classes are predicted, not masks.

    Raises:
        InputError: it fails on an image, gives logits of another shape, or has no encoder though
            the stage has settings of one.
    """
    if not is_reference(model.architecture):
        return
    of_encoder = {
        'frozen = ["encoder"]': "encoder" in stage.frozen,
        "encoder_learning_rate": stage.encoder_learning_rate is not None,
        "layer_decay": stage.layer_decay != 1.0,
    }
    asked = [name for name, is_set in of_encoder.items() if is_set]
    require_encoder(network, model.architecture, asked)
    check_own_network(
        network,
        model.architecture,
        channels=model.inputs,
        classes=classes,
        classifies=classifies,
        presence_head=model.presence_head,
        size=stage.crop_size or stage.image_size,
    )


def network_facts(
    model: ModelSettings, stage: StageSettings, classes: int | None
) -> dict[str, Any]:
    """Return what a checkpoint says of its network; `classes` only where it has several outputs."""
    facts: dict[str, Any] = {
        "architecture": model.architecture,
        "encoder": model.encoder,
        "channels": model.inputs,
        "presence_head": model.presence_head,
        "options": model.options,
        "image_size": compact_size(stage.image_size),
    }
    return facts if classes is None else {**facts, "classes": classes}


def prepare_model(model: nn.Module, stage: StageSettings, machine: Machine) -> nn.Module:
    """Return the model on the device, frozen where the stage says so."""
    freeze(model, stage.frozen)
    if machine.settings.gradient_checkpointing:
        enable_gradient_checkpointing(model)
    layout = torch.channels_last if machine.device.channels_last else torch.contiguous_format
    return model.to(device=machine.device.device, memory_format=layout)  # type: ignore[call-overload, no-any-return]


def build_loss(
    loss: Loss, class_weights: Sequence[float] | None = None, classes_per_pixel: int = 0
) -> nn.Module:
    """Return the loss of a stage; arguments as in `build_step`."""
    if not classes_per_pixel:
        return WeightedLoss(**loss.shipped, class_weights=class_weights)
    names = ("cross_entropy", "dice", "dice_over", "smoothing", "own")
    parts = {name: loss.shipped[name] for name in names}
    return ClassMapLoss(**parts, class_weights=class_weights)


def build_step(
    model: nn.Module,
    stage: StageSettings,
    machine: Machine,
    *,
    class_weights: Sequence[float] | None = None,
    classes_per_pixel: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Step:
    """Return how one step of this stage is taken on this machine.

    Args:
        model: of `prepare_model`.
        stage: loss, optimizer, accumulation, clipping.
        machine: device, ranks, compilation.
        class_weights: of the loss, one per class.
        classes_per_pixel: where a pixel has exactly one class, how many there are.
        say: takes a line about what had to be done differently.
    """
    optimizer = build_optimizer(
        model,
        name=stage.optimizer,
        learning_rate=stage.learning_rate,
        encoder_learning_rate=stage.encoder_learning_rate,
        layer_decay=stage.layer_decay,
        weight_decay=stage.weight_decay,
        momentum=stage.momentum,
    )
    how = machine.compilation
    called = model if how == "off" else CompiledNetwork(model, say, how)
    return Step(
        model,
        # With its class weights, which every step would copy otherwise.
        build_loss(stage.loss, class_weights, classes_per_pixel).to(machine.device.device),
        optimizer,
        machine.device,
        gradient_clip=stage.gradient_clip,
        parts=stage.accumulation,
        scaler=machine.device.scaler(),
        ranks=machine.ranks,
        network=machine.ranks.wrap(called, model),
        stopping=lambda: machine.stop.exit_code != 0,
        mixing=Mixing(stage.mixup, stage.cutmix) if stage.mixup or stage.cutmix else None,
        say=say,
    )
