"""Networks of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from goldfold.errors import InputError
from goldfold.image_size import SizeLike, height_and_width
from goldfold.own_code import Role, parse, resolve, running, wrong_value
from goldfold.training.memory import is_out_of_memory
from goldfold.training.networks.output import split_output

RETURNS = (
    "a torch.nn.Module from images (N, channels, H, W) to logits (N, classes, H, W), or "
    "(N, classes) where classes are predicted"
)


def network_role(options: Mapping[str, Any]) -> Role:
    """Return how the function that builds a network is called with some options."""
    named = "".join(f", {name}" for name in options)
    signature = f"build(*, channels, classes{named})"
    keywords = ("channels", "classes", *options)
    return Role("architecture", signature, RETURNS, keywords=keywords)


def build_own_network(
    reference: str, *, channels: int, classes: int, options: Mapping[str, Any]
) -> nn.Module:
    """Return the network that a function of the user's own builds.

    Logits of classes, (N, C), become (N, 1, 1, C) on their way out, the form of goldfold's losses.

    Args:
        reference: bound `module:object`.
        channels: of the images.
        classes: outputs.
        options: of the model, passed on as they are.

    Raises:
        InputError: the function fails, does not take these arguments, or returns no network.
    """
    role = network_role(options)
    build = resolve(reference, role)
    with running(reference, role, _memory):
        network = build(channels=channels, classes=classes, **options)
    if not isinstance(network, nn.Module):
        raise wrong_value(reference, role, type(network).__name__)
    if any(isinstance(weights, UninitializedParameter) for weights in network.parameters()):
        returned = "a network with lazy layers, whose weights have no shape before its first pass"
        raise wrong_value(reference, role, returned)
    network.register_forward_hook(_as_pixels)
    return network


def check_own_network(
    network: nn.Module,
    reference: str,
    *,
    channels: int,
    classes: int,
    classifies: bool,
    presence_head: bool,
    size: SizeLike,
    images: int = 1,
    mode: Callable[[], object] | None = None,
) -> None:
    """Show the network images of zeros, and accept logits of the right shape.

    Args:
        network: of `build_own_network`.
        reference: its bound `module:object`.
        channels: of the images.
        classes: outputs.
        classifies: whether classes are predicted.
        presence_head: whether a presence logit is expected beside the mask's.
        size: of the training images, a side or (height, width).
        images: how many it is shown.
        mode: puts the network into the mode that it is shown them in; that of evaluation unless
            given.

    Raises:
        InputError: it fails, or gives something else.
    """
    role = network_role({})
    height, width = height_and_width(size)
    before = network.training
    if mode is None:
        network.eval()
    else:
        mode()
    with torch.no_grad(), torch.random.fork_rng(devices=[]), running(reference, role, _memory):
        output = network(torch.zeros(images, channels, height, width))
    network.train(before)
    expected = (images, 1, 1, classes) if classifies else (images, classes, height, width)
    if presence_head:
        fits = isinstance(output, tuple | list) and len(output) == 2
        if not fits or not all(isinstance(tensor, torch.Tensor) for tensor in output):
            returned = "a network that gives no pair of logits and presence logits (N, 1)"
            raise wrong_value(reference, role, returned)
        output, presence = split_output(output)
        if tuple(presence.shape) != (images,):  # type: ignore[union-attr]
            raise wrong_value(reference, role, "a network whose presence logits are not (N, 1)")
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if shape != expected:
        shown = "an image" if images == 1 else f"{images} images"
        returned = (
            f"a network that makes {shape} of {shown} ({channels}, {height}, {width}), "
            f"not {expected}"
        )
        raise wrong_value(reference, role, returned)


def require_encoder(network: nn.Module, reference: str, settings: list[str]) -> None:
    """Raise InputError where settings of the encoder are given and the network has none."""
    if settings and not isinstance(getattr(network, "encoder", None), nn.Module):
        raise InputError(
            f"{' and '.join(settings)} need an encoder, but the network of "
            f"{parse(reference).text} has no submodule `encoder`. Name it so, or leave these out."
        )


def _as_pixels(module: nn.Module, inputs: Any, output: Any) -> Any:
    """Return logits of classes as those of one row with a pixel for each."""
    if isinstance(output, torch.Tensor) and output.ndim == 2:
        return output[:, None, None, :]
    return output


def _memory(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and is_out_of_memory(error)
