"""What runs a trained network: PyTorch with folded BatchNorms, compiled, or OpenVINO."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from goldfold.errors import InputError, did_you_mean
from goldfold.inference.fold_batchnorm import fold_batchnorms
from goldfold.inference.network import Network, WrappedNetwork
from goldfold.training.device import Device
from goldfold.vocabulary import Engine, names_of

ENGINES = names_of(Engine)

WORTH_TRYING_S = 240.0
"""`auto` compiles where PyTorch alone would need longer: compiling takes about a minute and makes
predicting one and a half times as fast, so from three minutes on it begins to pay."""


@dataclass(frozen=True)
class Choice:
    """The engine of `auto`, and the measurement behind it in words."""

    engine: str
    reason: str


def start_engine(model: nn.Module, device: Device, images: torch.Tensor, engine: str) -> Network:
    """Return a network that predicts with an engine: the same function, up to rounding.

    Args:
        model: in eval mode on the device, float32.
        device: its precision is the engine's.
        images: example input (N, C, S, S) on the device.
        engine: one of `ENGINES`.

    Raises:
        InputError: there is no such engine, or it is not installed.
    """
    if engine not in ENGINES:
        hint = did_you_mean(engine, ENGINES)
        raise InputError(f"unknown engine {engine!r}; there are {', '.join(ENGINES)}.{hint}")
    folded, _ = fold_batchnorms(model, images[:1])
    if device.channels_last:
        folded = folded.to(memory_format=torch.channels_last)
    if engine == "compile":
        return _SameBatch(_compile(folded), folded)
    if engine == "openvino":
        from goldfold.inference.openvino_network import OpenvinoNetwork

        return _SameBatch(OpenvinoNetwork(folded, device), folded)
    return folded


def choose_engine(
    model: nn.Module,
    device: Device,
    images: torch.Tensor,
    *,
    passes: int,
    say: Callable[[str], None],
) -> Choice:
    """Return the engine that predicts soonest, measured on this machine with this network.

    PyTorch is timed; only where all passes would take longer than `WORTH_TRYING_S` is the network
    compiled and timed too. OpenVINO is not among the candidates: what `auto` gives must not depend
    on an optional package.

    Args:
        model: in eval mode on the device.
        device: where it is.
        images: one batch of network input, on the device.
        passes: forward passes of such a batch that lie ahead.
        say: takes one line.
    """
    plain = seconds_a_pass(start_engine(model, device, images, "torch"), device, images)
    expected = plain * passes
    if expected < WORTH_TRYING_S:
        return Choice("torch", f"{expected:.0f} s of predicting do not repay compiling")
    say(f"engine: {expected / 60:.0f} minutes ahead with PyTorch; trying torch.compile")
    begun = time.perf_counter()
    try:
        compiled = start_engine(model, device, images, "compile")
        _run(compiled, device, images)
        start_up = time.perf_counter() - begun
        fast = seconds_a_pass(compiled, device, images)
    except Exception as error:
        # Compilation fails in many ways (no C++ compiler is one), and PyTorch itself still works.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return Choice("torch", f"torch.compile failed ({reason[0][:120]})")
    ratio = plain / fast
    told = f"compiled in {start_up:.0f} s, {ratio:.2f} times as fast"
    return Choice("compile" if fast < plain else "torch", told)


def seconds_a_pass(
    network: Network, device: Device, images: torch.Tensor, repeats: int = 3
) -> float:
    """Return the seconds of a forward pass, the least of some repeats after one to warm up."""
    _run(network, device, images)
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        _run(network, device, images)
        times.append(time.perf_counter() - begun)
    return min(times)


@torch.inference_mode()
def _run(network: Network, device: Device, images: torch.Tensor) -> None:
    with device.autocast():
        network(images)
    if device.device.type == "cuda":
        torch.cuda.synchronize(device.device)


def _compile(model: nn.Module) -> Network:
    """Return the network compiled with its weights as constants, for one shape at a time."""
    import torch._inductor.config as inductor

    compiled = torch.compile(model, dynamic=False)

    def call(images: torch.Tensor) -> Any:
        with inductor.patch(freezing=True):  # weights cast and laid out once, not in every pass
            return compiled(images)

    return call


class _SameBatch(WrappedNetwork):
    """Fills a smaller last batch up to the size of the others: a new shape costs a start-up."""

    def __init__(self, network: Network, plain: nn.Module) -> None:
        self._network, self._plain = network, plain
        self._largest = 0

    @property
    def plain(self) -> Network:
        return self._plain

    def __call__(self, images: torch.Tensor) -> Any:
        count = len(images)
        self._largest = max(self._largest, count)
        if count == self._largest:
            return self._network(images)
        filler = images[-1:].expand(self._largest - count, *images.shape[1:])
        output = self._network(torch.cat([images, filler]))
        if isinstance(output, torch.Tensor):
            return output[:count]
        return tuple(tensor[:count] for tensor in output)
