"""What a training needs to resume where it stopped, within an epoch or after the last.

Randomness is a function of (seed, epoch, step, index), so no generator needs saving: weights,
averages of them, optimizer, history and the place in the epoch are all there is, and in fp16 the
scale of the loss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from goldfold.errors import InputError
from goldfold.files import read_json, write_json
from goldfold.training.checkpoint import write_tensors
from goldfold.training.epoch import EpochSoFar
from goldfold.training.finite import refuse_bad_weights
from goldfold.training.host_copy import HostCopy

Averages = Mapping[str, Any]
"""Averages of the weights by name: objects with state_tensors() and load_state_tensors()."""


@dataclass(frozen=True)
class Progressed:
    """How far a training has come.

    Attributes:
        epoch: finished epochs.
        history: their rows.
        so_far: of the epoch that is under way.
        parts: forward passes a step.
        on_device: whether the device augments, None while that is not decided.
        goal: epochs after which the stage ends, where more were asked for than the settings say,
            or more after an early end; None otherwise.
        finished: whether this was the last epoch.
    """

    epoch: int
    history: list[dict[str, Any]]
    so_far: EpochSoFar = field(default_factory=EpochSoFar)
    parts: int = 1
    on_device: bool | None = None
    goal: int | None = None
    finished: bool = False


@dataclass(frozen=True)
class Trained:
    """The objects that change while training, and are saved and loaded together."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    averages: Averages = field(default_factory=dict)
    scaler: torch.amp.GradScaler | None = None


@dataclass(frozen=True)
class StateCopy:
    """A state as it is at one moment, in memory that nobody changes.

    Attributes:
        tensors: of weights, optimizer and averages.
        content: of the .json, which names their `file`.
    """

    tensors: HostCopy
    content: dict[str, Any]

    @classmethod
    def of(
        cls, trained: Trained, progressed: Progressed, made_from: Mapping[str, Any]
    ) -> StateCopy:
        """Copy what changes while the training goes on.

        A GPU is not waited for, but in fp16: the scale of the loss is read at once.

        Args:
            trained: model, optimizer, averages, scaler.
            progressed: how far they have come.
            made_from: what the training depends on.
        """
        tensors = {f"model.{key}": value for key, value in trained.model.state_dict().items()}
        for index, values in trained.optimizer.state_dict()["state"].items():
            for key, value in values.items():
                if value is not None:  # the momentum before the first step
                    tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
        for kind, average in trained.averages.items():
            for key, value in average.state_tensors().items():
                tensors[f"average.{kind}.{key}"] = value
        name = f"epoch-{progressed.epoch:04d}-step-{progressed.so_far.step:06d}.safetensors"
        content = {**asdict(progressed), "file": name, "made_from": dict(made_from)}
        if trained.scaler is not None:
            content["scaler"] = trained.scaler.state_dict()
        return cls(HostCopy(tensors), content)


def save_state(folder: Path, state: StateCopy) -> None:
    """Write the tensors under a new name, then the .json that points at them, then tidy up."""
    name = state.content["file"]
    write_tensors(folder / name, state.tensors.wait())
    write_json(folder / "state.json", state.content)
    for old in folder.glob("epoch-*.safetensors"):
        if old.name != name:
            old.unlink(missing_ok=True)


def read_made_from(path: Path) -> dict[str, Any] | None:
    """Return what a state or result (its .json) was made from, or None where there is none."""
    return read_json(path).get("made_from") if path.is_file() else None


def read_progressed(folder: Path) -> Progressed:
    """Return how far a training has come, without its tensors."""
    content = read_json(folder / "state.json")
    known = {name: content[name] for name in Progressed.__dataclass_fields__}
    return Progressed(**{**known, "so_far": EpochSoFar(**content["so_far"])})


def load_state(folder: Path, trained: Trained) -> Progressed:
    """Put the saved weights, averages and optimizer state in place; return how far they had come.

    A scaler takes over the saved scale, if there is one: bf16 and float32 have none.

    Raises:
        InputError: the state is damaged, or does not fit the network as it is built now.
        NotFiniteError: its weights are NaN or infinite, so that no step could mend them.
    """
    content = read_json(folder / "state.json")
    try:
        tensors = load_file(folder / content["file"])
        refuse_bad_weights(_below(tensors, "model."), f"the state in {folder}")
        trained.model.load_state_dict(_below(tensors, "model."))
        trained.optimizer.load_state_dict(_optimizer_state(tensors, trained.optimizer))
        for kind, average in trained.averages.items():
            average.load_state_tensors(_below(tensors, f"average.{kind}."))
        if trained.scaler is not None and "scaler" in content:
            trained.scaler.load_state_dict(content["scaler"])
        return read_progressed(folder)
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise _cannot_go_on(folder, error) from error


def load_last_weights(folder: Path, kind: str = "raw") -> dict[str, torch.Tensor]:
    """Return the weights that a state holds: the `raw` ones, or an average's, by name.

    Raises:
        InputError: there is no state, or it has none of that kind.
    """
    try:
        tensors = load_file(folder / read_json(folder / "state.json")["file"])
    except (OSError, SafetensorError, KeyError) as error:
        raise _cannot_go_on(folder, error) from error
    weights = _below(tensors, "model." if kind == "raw" else f"average.{kind}.model.")
    if not weights:
        raise _cannot_go_on(folder, KeyError(f"it has no {kind} weights"))
    return weights


def weights_digest(model: nn.Module) -> str:
    """Return the SHA-256 of a model's weights and buffers, whatever their layout in memory."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _cannot_go_on(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"cannot resume from the state in {folder}: {error}. "
        "Train the fold again with `goldfold train run RUN --fold N --overwrite`."
    )


def _optimizer_state(
    tensors: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Return the optimizer's state dict, its tensors laid out in memory as the weights are."""
    groups = optimizer.param_groups
    weights = [weight for group in groups for weight in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            like = weights[int(index)]
            fitted = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            state.setdefault(int(index), {})[key] = fitted
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
