"""What a training needs to go on where it stopped, written between epochs.

Randomness is a function of (seed, epoch, index), so no generator needs saving: weights,
optimizer, history and the epoch are all there is, and in fp16 the scale of the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from goldfold.errors import InputError
from goldfold.files import read_json, write_json
from goldfold.training.checkpoint import save_tensors


@dataclass(frozen=True)
class Progressed:
    """How far a training has come: finished epochs and their rows of history."""

    epoch: int
    history: list[dict[str, Any]]


def save_state(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progressed: Progressed,
    made_from: dict[str, Any],
    scaler: torch.amp.GradScaler | None = None,
) -> None:
    """Write the tensors under a new name, then the .json that points at them, then tidy up."""
    name = f"epoch-{progressed.epoch:04d}.safetensors"
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
    save_tensors(folder / name, tensors)
    content = {
        "epoch": progressed.epoch,
        "file": name,
        "history": progressed.history,
        "made_from": made_from,
    }
    if scaler is not None:
        content["scaler"] = scaler.state_dict()
    write_json(folder / "state.json", content)
    for old in folder.glob("epoch-*.safetensors"):
        if old.name != name:
            old.unlink(missing_ok=True)


def remove_state(folder: Path) -> None:
    """Remove the state of a finished training: several times the weights, and of no more use."""
    with suppress(OSError):  # dead weight, but no harm
        (folder / "state.json").unlink(missing_ok=True)
        for tensors in folder.glob("epoch-*.safetensors"):
            tensors.unlink(missing_ok=True)
        folder.rmdir()


def read_made_from(path: Path) -> dict[str, Any] | None:
    """Return what a state or result (its .json) was made from, or None where there is none."""
    return read_json(path).get("made_from") if path.is_file() else None


def load_state(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None = None,
) -> Progressed:
    """Put the saved weights and optimizer state in place and return how far they had come.

    A scaler takes over the saved scale, if there is one: bf16 and float32 have none.

    Raises:
        InputError: the state is damaged, or does not fit the network as it is built now.
    """
    content = read_json(folder / "state.json")
    try:
        tensors = load_file(folder / content["file"])
        model.load_state_dict(
            {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        )
        optimizer.load_state_dict(_optimizer_state(tensors, optimizer))
        if scaler is not None and "scaler" in content:
            scaler.load_state_dict(content["scaler"])
        return Progressed(content["epoch"], content["history"])
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise InputError(
            f"cannot go on from the state in {folder}: {error}. "
            "Train the fold again with `goldfold train run RUN --fold N --overwrite`."
        ) from error


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
