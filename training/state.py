"""What a training needs to go on where it stopped, written after every epoch.

Randomness is a function of (seed, epoch, index), so no generator needs saving: weights,
optimizer, history and the epoch are all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

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
) -> None:
    """Write the tensors under a new name, then the .json that points at them, then tidy up."""
    name = f"epoch-{progressed.epoch:04d}.safetensors"
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
    save_tensors(folder / name, tensors)
    write_json(
        folder / "state.json",
        {
            "epoch": progressed.epoch,
            "file": name,
            "history": progressed.history,
            "made_from": made_from,
        },
    )
    for old in folder.glob("epoch-*.safetensors"):
        if old.name != name:
            old.unlink(missing_ok=True)


def read_made_from(folder: Path) -> dict[str, Any] | None:
    """Return what a saved state was made from, or None where there is no state."""
    path = folder / "state.json"
    return dict(read_json(path)["made_from"]) if path.is_file() else None


def load_state(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progressed:
    """Put the saved weights and optimizer state in place and return how far they had come."""
    content = read_json(folder / "state.json")
    tensors = load_file(folder / content["file"])
    model.load_state_dict(
        {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    )
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return Progressed(content["epoch"], content["history"])
