"""What runs a trained network: PyTorch with folded BatchNorms, compiled, or OpenVINO."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from goldfold.errors import InputError, did_you_mean
from goldfold.inference.compiled import CompiledEngine
from goldfold.inference.fold_batchnorm import (
    count_batchnorms,
    fold_batchnorms,
    folding_in_words,
)
from goldfold.inference.network import Network, WrappedNetwork
from goldfold.training.compiled_graphs import first_line
from goldfold.training.device import Device
from goldfold.training.memory import free_memory, is_library_failure, is_out_of_memory
from goldfold.training.passes import Passes
from goldfold.vocabulary import Engine, names_of

ENGINES = names_of(Engine)

WORTH_TRYING_S = 240.0
"""`auto` tries to compile where PyTorch alone would need longer: compiling takes up to a minute and
makes predicting up to one and a half times as fast, so from three minutes on it can pay."""


@dataclass(frozen=True)
class Choice:
    """The engine of `auto`, and the measurement behind it in words."""

    engine: str
    reason: str


@dataclass
class Started:
    """What came of starting networks, one entry each.

    Attributes:
        folded: BatchNorms folded into convolutions.
        norms: BatchNorms there were.
        compiled: those run through torch.compile.
    """

    folded: list[int] = field(default_factory=list)
    norms: list[int] = field(default_factory=list)
    compiled: list[CompiledEngine] = field(default_factory=list)

    @property
    def words(self) -> str:
        """What became of the BatchNorms, "" without any."""
        return folding_in_words(self.folded, self.norms)


def start_engine(
    model: nn.Module,
    device: Device,
    images: torch.Tensor,
    engine: str,
    *,
    started: Started | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Network:
    """Return a network that predicts with an engine: the same function, up to rounding.

    Args:
        model: in eval mode on the device, float32.
        device: its precision is the engine's.
        images: example input (N, C, S, S) on the device.
        engine: one of `ENGINES`.
        started: is told what came of it.
        warn: takes a line where a compiled network runs without a compiled graph.

    Raises:
        InputError: there is no such engine, or it is not installed.
    """
    if engine not in ENGINES:
        hint = did_you_mean(engine, ENGINES)
        raise InputError(f"unknown engine {engine!r}; there are {', '.join(ENGINES)}.{hint}")
    started = started if started is not None else Started()
    folded, count = fold_batchnorms(model, images[:1])
    started.folded.append(count)
    started.norms.append(count_batchnorms(model))
    if device.channels_last:
        folded = folded.to(memory_format=torch.channels_last)
    if engine == "compile":
        compiled = _compile(folded, device, images[:1], warn)
        started.compiled.append(compiled)
        return _SameBatch(compiled, folded)
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
        return Choice("torch", f"only {expected:.0f} s of prediction ahead, not worth compiling")
    say(f"engine: {expected / 60:.0f} minutes ahead with PyTorch; trying torch.compile")
    tried = _try_compiled(model, device, images)
    if isinstance(tried, str):
        free_memory(device)
        return Choice("torch", tried)
    start_up, fast = tried
    reason = f"compiled in {start_up:.0f} s, {plain / fast:.2f} times as fast"
    return Choice("compile" if fast < plain else "torch", reason)


def _try_compiled(
    model: nn.Module, device: Device, images: torch.Tensor
) -> tuple[float, float] | str:
    """Return the seconds to start the compiled network and of a pass, or why there are none."""
    begun, started = time.perf_counter(), Started()
    try:
        compiled = start_engine(model, device, images, "compile", started=started)
        _run(compiled, device, images)
        start_up = time.perf_counter() - begun
        if any(network.eager for network in started.compiled):
            return "torch.compile made no graph of this network"
        return start_up, _seconds(partial(_run, compiled, device, images))
    except InputError as error:
        return first_line(error).split(". ")[0]
    except Exception as error:
        # Memory may not suffice for it, and PyTorch itself still works.
        return f"torch.compile failed ({first_line(error)})"


def seconds_a_pass(
    network: Network, device: Device, images: torch.Tensor, repeats: int = 3
) -> float:
    """Return the seconds of a forward pass, the least of some repeats after one to warm up.

    Where memory does not suffice, of one in smaller parts, as prediction would take it.
    """
    passes = Passes()

    def whole() -> None:
        passes.in_halves(len(images), lambda part: _run(network, device, images[part]), device)

    whole()
    return _seconds(whole, repeats)


def _seconds(work: Callable[[], None], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


@torch.inference_mode()
def _run(network: Network, device: Device, images: torch.Tensor) -> None:
    with device.autocast():
        network(images)
    device.wait()


def _compile(
    model: nn.Module, device: Device, example: torch.Tensor, warn: Callable[[str], None]
) -> CompiledEngine:
    return CompiledEngine(model, device, example, warn)


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
        try:
            return self._filled(images, self._largest)
        except (RuntimeError, MemoryError) as error:
            if not (is_out_of_memory(error) or is_library_failure(error)):
                raise
            self._largest, filled = 0, self._largest > count
            if not filled:
                raise
        # Outside the handler, as the error holds on to the tensors of the failed pass.
        return self(images)

    def _filled(self, images: torch.Tensor, size: int) -> Any:
        count = len(images)
        if count == size:
            return self._network(images)
        filler = images[-1:].expand(size - count, *images.shape[1:])
        output = self._network(torch.cat([images, filler]))
        if isinstance(output, torch.Tensor):
            return output[:count]
        return tuple(tensor[:count] for tensor in output)
