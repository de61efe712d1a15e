"""Whether a network is compiled: measured once for each kind of training, and remembered.

On a processor it is not: nine tenths of a step are convolutions, which the compiler leaves to the
same library, and a U-Net came out no faster (benchmarks/README.md).
"""

from __future__ import annotations

import math
import time
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from goldfold.files import fingerprint, write_json
from goldfold.image_size import height_and_width
from goldfold.rundirectory import recorded
from goldfold.settings import StageSettings
from goldfold.training.assembly import prepare_model
from goldfold.training.compiled import Compilation, CompiledNetwork, first_line
from goldfold.training.device import Device
from goldfold.training.memory import free_memory, is_out_of_memory
from goldfold.training.networks.freezing import set_training_mode
from goldfold.training.runtime import Machine

WORTH_TRYING_S = 600.0
"""Training that lies ahead, without validation, from which compiling is tried: it takes about a
minute, and saves a tenth to a quarter."""

WORTH_HAVING = 1.05
"""Times as fast that a compiled network has to be."""

GRAPH_PIXELS = 1 << 21
"""Pixels of a pass up to which CUDA graphs are tried: there, starting kernels takes as long as
running them."""

ROUNDING = 0.01
"""Share of a gradient by which two ways of computing it may differ in any precision."""

REPEATS = 3

Gradients = list[torch.Tensor]


@dataclass(frozen=True)
class Choice:
    """How a network is trained, the measurement behind it in words, and whether it was tried."""

    compilation: Compilation
    because: str
    tried: bool = True

    @property
    def in_words(self) -> str:
        """A line for the user."""
        state = {"off": "off", "on": "on", "graphs": "on, with CUDA graphs"}[self.compilation]
        return f"compile: {state}, {self.because}"


def choose_compilation(
    model: nn.Module,
    stage: StageSettings,
    machine: Machine,
    facts: Mapping[str, Any],
    *,
    images: int,
    folder: Path,
    say: Callable[[str], None],
) -> Compilation:
    """Return how a stage is trained, as set, as remembered, or measured now.

    Args:
        model: anywhere; neither it nor the random numbers are changed.
        stage: its sizes and what is frozen.
        machine: device and settings.
        facts: of `network_facts`.
        images: that an epoch shows.
        folder: of the model, where the choice is remembered; folds and resumed trainings share it.
        say: takes a line.

    Raises:
        OutputError: the choice cannot be written.
    """
    setting = machine.settings.compile
    if setting != "auto":
        return "on" if setting else "off"
    # What a measurement decides may be otherwise the next time.
    repeatable = machine.settings.deterministic
    if machine.device.device.type != "cuda" or repeatable:
        return "off"
    if hindrance := _hindrance(machine):
        say(f"compile: off, not tried {hindrance}")
        return "off"
    what = _what(stage, machine, facts)
    path = folder / f"compile-{fingerprint(what)}.json"
    known = _remembered(path)
    if known is not None:
        say(known.in_words)
        return known.compilation
    height, width = height_and_width(stage.crop_size or stage.image_size)
    choice = measure_compilation(
        prepare_model(deepcopy(model), stage, machine),
        machine.device,
        (stage.batch_size, int(facts["channels"]), height, width),
        passes=stage.epochs * max(1, images // stage.batch_size),
        frozen=stage.frozen,
        graphs=stage.accumulation == 1,
    )
    if choice.tried:  # more epochs may repay it
        write_json(path, {"compile": choice.compilation, "because": choice.because, **what})
        say(choice.in_words)
    return choice.compilation


def measure_compilation(
    model: nn.Module,
    device: Device,
    shape: tuple[int, int, int, int],
    *,
    passes: int,
    frozen: Sequence[str] = (),
    graphs: bool = False,
    compiled: Callable[[nn.Module, Compilation], nn.Module] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:
    """Return what trains a network soonest, timed with copies of it on random images.

    A compiled network is a candidate only if its gradients are as near to those in float32 as the
    plain network's are.

    Args:
        model: on the device; neither it nor the random numbers are changed.
        device: where, and in which precision.
        shape: of a pass, (N, C, H, W).
        passes: forward and backward passes that lie ahead.
        frozen: as in the stage's settings.
        graphs: whether CUDA graphs may be tried.
        compiled: compiles a network; raises where it cannot.
        clock: in seconds.
    """
    trial = _Trial(model, device, shape, frozen, clock)
    cuda = [device.device] if device.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        try:
            plain = trial.seconds(trial.copy())
            if plain * passes < WORTH_TRYING_S:
                told = f"{plain * passes:.0f} s of training do not repay it"
                return Choice("off", told, tried=False)
            reference = trial.allowed_difference()
            wanted: list[Compilation] = ["on"]
            if graphs and shape[0] * shape[2] * shape[3] <= GRAPH_PIXELS:
                wanted.append("graphs")
            return _fastest(trial, wanted, reference, plain, passes, compiled or _compile)
        except Exception as error:
            # If the network itself is at fault, its training will say so, and how to go on.
            lacking = "memory does not suffice" if is_out_of_memory(error) else first_line(error)
        finally:
            torch.compiler.reset()  # what was compiled here, with its memory
            free_memory(device)
    return Choice("off", f"as it could not be tried ({lacking})")


def _fastest(
    trial: _Trial,
    wanted: Sequence[Compilation],
    reference: tuple[Gradients, float],
    plain: float,
    passes: int,
    compiled: Callable[[nn.Module, Compilation], nn.Module],
) -> Choice:
    """Return the fastest of the compiled networks that are right, if it is worth it."""
    best, least = Choice("off", ""), plain / WORTH_HAVING
    reasons = []
    for compilation in wanted:
        begun = trial.clock()
        try:
            network = compiled(trial.copy(), compilation)
            gradients = trial.gradients(network)
            start_up = trial.clock() - begun
            fast = trial.seconds(network)
        except Exception as error:
            # Compilation fails in many ways, and the plain network still works.
            reasons.append(f"torch.compile failed ({first_line(error)})")
            continue
        if distance(gradients, reference[0]) > reference[1]:
            reasons.append("as its gradients are not those of the plain network")
        elif fast < least and (plain - fast) * passes > start_up:
            told = f"{plain / fast:.2f} times as fast, compiled in {start_up:.0f} s"
            best, least = Choice(compilation, told), fast
        else:
            reasons.append(f"as {plain / fast:.2f} times as fast does not repay it")
    return best if best.because else Choice("off", "; ".join(dict.fromkeys(reasons)))


class _Trial:
    """Passes of copies of a network over the same random images."""

    def __init__(
        self,
        model: nn.Module,
        device: Device,
        shape: tuple[int, int, int, int],
        frozen: Sequence[str],
        clock: Callable[[], float],
    ) -> None:
        self._model, self._device, self._frozen, self.clock = model, device, frozen, clock
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        layout = torch.channels_last if device.channels_last else torch.contiguous_format
        self._images = noise.to(device.device).contiguous(memory_format=layout)
        self._weights: dict[torch.Size, torch.Tensor] = {}

    def copy(self) -> nn.Module:
        """Return a copy in the modes of training."""
        copied = deepcopy(self._model)
        set_training_mode(copied, self._frozen)
        return copied

    def seconds(self, network: nn.Module) -> float:
        """Return the seconds of a forward and backward pass, the least of some after the first."""
        self._pass(network)
        times = []
        for _ in range(REPEATS):
            self._wait()
            begun = self.clock()
            self._pass(network)
            self._wait()
            times.append(self.clock() - begun)
        return min(times)

    def gradients(self, network: nn.Module, *, exact: bool = False) -> Gradients:
        """Return the gradients of the weights, float32, `exact` without autocast."""
        torch.manual_seed(0)  # the same dropout in all networks
        self._pass(network, exact=exact)
        self._wait()
        learned = [p.grad for p in network.parameters() if p.grad is not None]
        return [gradient.detach().float().clone() for gradient in learned]

    def allowed_difference(self) -> tuple[Gradients, float]:
        """Return the gradients in float32, and how far from them others may be."""
        exact = self.gradients(self.copy(), exact=True)
        rounded = self.gradients(self.copy())
        size = distance(exact, [torch.zeros_like(gradient) for gradient in exact])
        return exact, 2 * distance(rounded, exact) + ROUNDING * size

    def _pass(self, network: nn.Module, *, exact: bool = False) -> None:
        network.zero_grad(set_to_none=True)
        with nullcontext() if exact else self._device.autocast():
            output = network(self._images)
        parts = [output] if isinstance(output, torch.Tensor) else list(output)
        total = torch.zeros((), device=self._device.device)
        for part in parts:
            total = total + (part.float() * self._weights_of(part)).sum()
        total.backward()  # type: ignore[no-untyped-call]

    def _weights_of(self, output: torch.Tensor) -> torch.Tensor:
        """Return random weights that make a loss of an output, its gradient in fp16's range."""
        if output.shape not in self._weights:
            noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
            self._weights[output.shape] = noise.to(output.device) / output.numel() ** 0.25
        return self._weights[output.shape]

    def _wait(self) -> None:
        if self._device.device.type == "cuda":
            torch.cuda.synchronize(self._device.device)


def distance(gradients: Gradients, others: Gradients) -> float:
    """Return the length of the difference of two gradients, infinite where one lacks weights.

    >>> distance([torch.tensor([3.0, 0.0])], [torch.tensor([0.0, 4.0])])
    5.0
    """
    if [g.shape for g in gradients] != [g.shape for g in others]:
        return float("inf")
    squares = [(a - b).square().sum() for a, b in zip(gradients, others, strict=True)]
    length = float(torch.stack(squares).sum().sqrt())
    return float("inf") if math.isnan(length) else length


def _compile(model: nn.Module, compilation: Compilation) -> nn.Module:
    """Return the compiled network.

    Raises:
        RuntimeError: at the first call, where it cannot be compiled.
    """

    def refuse(text: str) -> None:
        raise RuntimeError(text)

    return CompiledNetwork(model, refuse, compilation)


def _remembered(path: Path) -> Choice | None:
    """Return the choice that a file holds, None where it holds none."""
    because = str(recorded(path, "because"))
    for compilation in typing.get_args(Compilation):
        if recorded(path, "compile") == compilation:
            return Choice(compilation, because)
    return None


def _hindrance(machine: Machine) -> str:
    """Return with what compiling is not tried, empty where nothing is in its way."""
    if machine.ranks.world > 1:
        return "where several processes train one fold"
    if machine.settings.gradient_checkpointing:
        return "with gradient_checkpointing"
    return ""


def _what(stage: StageSettings, machine: Machine, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that a measurement depends on, as JSON values."""
    return {
        "network": dict(facts),
        "crop_size": stage.crop_size if stage.crop_size is None else str(stage.crop_size),
        "batch_size": stage.batch_size,
        "accumulation": stage.accumulation,
        "frozen": list(stage.frozen),
        "device": machine.device.description,
        "torch": torch.__version__,
    }
