"""Whether a network is compiled: measured once for each kind of training, and remembered.

On a processor it is not: nine tenths of a step are convolutions, which the compiler leaves to the
same library, and a U-Net came out no faster (benchmarks/README.md).
"""

from __future__ import annotations

import time
import typing
from collections.abc import Callable, Mapping, Sequence
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
from goldfold.training.compile_trial import Gradients, Trial, distance
from goldfold.training.compiled import Compilation, CompiledNetwork
from goldfold.training.compiled_graphs import first_line
from goldfold.training.device import Device
from goldfold.training.memory import free_memory, is_library_failure, is_out_of_memory
from goldfold.training.runtime import Machine

WORTH_TRYING_S = 600.0
"""Training that lies ahead, without validation, from which compiling is tried: it takes about a
minute, and saves a tenth to a quarter."""

WORTH_HAVING = 1.05
"""Times as fast that a compiled network has to be."""

GRAPH_PIXELS = 1 << 21
"""Pixels of a pass up to which CUDA graphs are tried: there, starting kernels takes as long as
running them."""


@dataclass(frozen=True)
class Choice:
    """How a network is trained.

    Attributes:
        compilation: off, on or graphs.
        because: the measurement behind it, in words.
        tried: whether compiling was tried.
        lasts: whether another try would come to the same; not where memory was short this time.
    """

    compilation: Compilation
    because: str
    tried: bool = True
    lasts: bool = True

    @property
    def in_words(self) -> str:
        """A line for the user."""
        state = {"off": "off", "on": "on", "graphs": "on, with CUDA graphs"}[self.compilation]
        return f"compile: {state} ({self.because})"


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
    if reason := _reason_not_tried(machine):
        say(f"compile: off ({reason})")
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
        say(choice.in_words)
        if choice.lasts:
            write_json(path, {"compile": choice.compilation, "because": choice.because, **what})
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
    trial = Trial(model, device, shape, frozen, clock)
    cuda = [device.device] if device.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        try:
            plain = trial.seconds(trial.copy())
            if plain * passes < WORTH_TRYING_S:
                because = f"only {plain * passes:.0f} s of training ahead, not worth compiling"
                return Choice("off", because, tried=False)
            reference = trial.reference()
            wanted: list[Compilation] = ["on"]
            if graphs and shape[0] * shape[2] * shape[3] <= GRAPH_PIXELS:
                wanted.append("graphs")
            return _fastest(trial, wanted, reference, plain, passes, compiled or _compile)
        except Exception as error:
            # If the network itself is at fault, its training will say so, and how to go on.
            short = _is_short_of_memory(error)
            reason = "out of memory" if short else first_line(error)
        finally:
            torch.compiler.reset()  # what was compiled here, with its memory
            free_memory(device)
    return Choice("off", f"could not be tried: {reason}", lasts=not short)


def _fastest(
    trial: Trial,
    wanted: Sequence[Compilation],
    reference: tuple[Gradients, float],
    plain: float,
    passes: int,
    compiled: Callable[[nn.Module, Compilation], nn.Module],
) -> Choice:
    """Return the fastest of the compiled networks that are right, if it is worth it."""
    best, least = Choice("off", ""), plain / WORTH_HAVING
    reasons, short = [], False
    for compilation in wanted:
        begun = trial.clock()
        try:
            network = compiled(trial.copy(), compilation)
            gradients = trial.gradients(network)
            start_up = trial.clock() - begun
            fast = trial.seconds(network)
        except Exception as error:
            # Compilation fails in many ways, and the plain network still works.
            reasons.append(f"torch.compile failed: {first_line(error)}")
            short = short or _is_short_of_memory(error)
            continue
        if distance(gradients, reference[0]) > reference[1]:
            reasons.append("its gradients are not those of the plain network")
        elif fast < least and (plain - fast) * passes > start_up:
            because = f"{plain / fast:.2f} times as fast, compiled in {start_up:.0f} s"
            best, least = Choice(compilation, because), fast
        else:
            reasons.append(f"only {plain / fast:.2f} times as fast, not worth compiling")
    if best.because:
        return best
    return Choice("off", "; ".join(dict.fromkeys(reasons)), lasts=not short)


def _is_short_of_memory(error: Exception) -> bool:
    """Return whether another time the same may work; a library hides that it lacked memory."""
    return is_out_of_memory(error) or is_library_failure(error)


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


def _reason_not_tried(machine: Machine) -> str:
    """Return why compiling is not tried, empty where it is."""
    if machine.ranks.world > 1:
        return "not supported where several processes train one fold"
    if machine.settings.gradient_checkpointing:
        return "not supported with gradient_checkpointing"
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
