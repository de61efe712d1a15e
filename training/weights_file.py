"""Weights in .safetensors, whose header is compared with the network before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from goldfold.errors import InputError, list_problems, plural

Shapes = Mapping[str, tuple[int, ...]]

_HEADER_BYTES = 100_000_000  # the most that safetensors itself reads
_NUMBER_BYTES = 8  # of the largest numbers that a network holds


def require_plausible_size(path: Path, shapes: Shapes, remedy: str) -> None:
    """Accept a file that is no larger than tensors of these shapes can be.

    Raises:
        InputError: it is larger, or not a regular file.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing, or not a regular file. {remedy}")
    numbers = sum(torch.Size(shape).numel() for shape in shapes.values())
    most, size = _HEADER_BYTES + numbers * _NUMBER_BYTES, path.stat().st_size
    if size > most:
        raise InputError(
            f"{path} has {size:,} bytes, but its network needs at most {most:,}. {remedy}"
        )


def read_weights(path: Path, shapes: Shapes | None, remedy: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a file, by name.

    Args:
        path: .safetensors.
        shapes: of the network's tensors; None where they are not known beforehand.
        remedy: what to do about a bad file.

    Raises:
        InputError: the file is damaged, or its tensors have other names or shapes.
    """
    try:
        if shapes is not None:
            _require_shapes(path, shapes, remedy)
        weights: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot read the weights {path}: {error}. {remedy}") from error
    return weights


def _require_shapes(path: Path, shapes: Shapes, remedy: str) -> None:
    """Raise InputError unless the header names exactly these tensors."""
    with safe_open(path, framework="pt") as file:
        claims = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    problems = [
        f"{name}: {list(claims[name]) if name in claims else 'missing'} in the file, "
        f"{list(shapes[name]) if name in shapes else 'none'} in the network"
        for name in sorted(claims.keys() | shapes.keys())
        if claims.get(name) != shapes.get(name)
    ]
    if problems:
        title = f"{path} does not fit its network ({plural(len(problems), 'tensor', 'tensors')}):"
        raise InputError(list_problems(title, problems, remedy, limit=5))
