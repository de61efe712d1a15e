"""The optimizer: AdamW, Adam or SGD, with a rate of its own for the encoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.vocabulary import OptimizerName, names_of


def build_optimizer(
    model: nn.Module,
    *,
    name: OptimizerName = "adamw",
    learning_rate: float,
    encoder_learning_rate: float | None = None,
    layer_decay: float = 1.0,
    weight_decay: float,
    momentum: float = 0.9,
) -> torch.optim.Optimizer:
    """Return an optimizer that decays kernels only; frozen weights are left out.

    Decaying biases and BatchNorm gains regularises nothing; it only shrinks the signal.
    Autocast keeps float32 weights, so there is no master copy. Each group carries its own
    highest rate under `highest`: the schedule is a fraction of it.

    Args:
        model: its submodule `encoder`, if there is one, has a rate of its own.
        name: adamw, adam or sgd (Nesterov).
        learning_rate: highest rate.
        encoder_learning_rate: highest rate of the encoder; the same unless given.
        layer_decay: each block of the encoder (a child that has weights; of a container its
            members) learns at this multiple of the rate of the one behind it.
        weight_decay: decoupled for adamw; else added to the gradient.
        momentum: of sgd.

    Raises:
        InputError: nothing is left to learn.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019.
    """
    encoder = getattr(model, "encoder", None)
    blocks = encoder_blocks(encoder) if isinstance(encoder, nn.Module) else []
    if layer_decay == 1.0 and blocks:
        blocks = [[p for block in blocks for p in block]]
    of_encoder = encoder_learning_rate or learning_rate
    parts = [
        (block, of_encoder * layer_decay ** (len(blocks) - 1 - place))
        for place, block in enumerate(blocks)
    ]
    inside = {id(p) for block in blocks for p in block}
    parts.append(([p for p in model.parameters() if id(p) not in inside], learning_rate))
    groups: list[dict[str, Any]] = []
    for part, highest in parts:
        learned = [p for p in part if p.requires_grad]
        kernels = [p for p in learned if p.ndim > 1]
        rest = [p for p in learned if p.ndim <= 1]
        for weights, decay in ((kernels, weight_decay), (rest, 0.0)):
            if weights:
                groups.append({"params": weights, "weight_decay": decay, "highest": highest})
    if not groups:
        raise InputError("nothing is left to learn: everything is frozen. Shorten `frozen`.")
    # Fused: one pass over the weights, half the time of the default on a CPU.
    match name:
        case "adamw":
            return torch.optim.AdamW(groups, lr=learning_rate, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr=learning_rate, fused=True)
        case "sgd":
            return torch.optim.SGD(
                groups, lr=learning_rate, momentum=momentum, nesterov=momentum > 0, fused=True
            )
    raise InputError(
        f"unknown optimizer {name!r}: choose one of {', '.join(names_of(OptimizerName))}."
    )


def begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Give SGD's momenta their beginning, 0, in the step that first needs them.

    PyTorch leaves them as they lie in memory if `found_inf` skips that step. From 0 the first
    momentum is the gradient, as it is without this.
    """
    for group in optimizer.param_groups:
        if not group.get("momentum"):
            continue
        for weight in group["params"]:
            state = optimizer.state[weight] if weight.grad is not None else None
            if state is not None and state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(weight.grad)


def encoder_blocks(encoder: nn.Module) -> list[list[nn.Parameter]]:
    """Return the weights of an encoder block by block, from the image on; each weight once.

    A block is a child that has weights; the members of a child that is a list or a sequence are
    blocks of their own.
    """
    blocks: list[list[nn.Parameter]] = []
    seen: set[int] = set()

    def take(parameters: Iterable[nn.Parameter]) -> None:
        block = [p for p in parameters if id(p) not in seen]
        seen.update(id(p) for p in block)
        if block:
            blocks.append(block)

    take(encoder.parameters(recurse=False))
    for child in encoder.children():
        members = list(child) if isinstance(child, nn.ModuleList | nn.Sequential) else [child]
        for member in members:
            take(member.parameters())
        take(child.parameters())  # of the container itself, if it has any
    return blocks
