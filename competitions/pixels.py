"""Masks and probability maps as people pass them, checked before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError

LEVELS = 256
_ROUNDING = 1e-6
"""Float32 sums of probabilities may leave 0..1 by this much."""


def as_array(value: Any) -> NDArray[Any]:
    """Return a NumPy array of an array, a list or a PyTorch tensor (on any device)."""
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        # NumPy has no bfloat16.
        return np.asarray(tensor.float() if tensor.is_floating_point() else tensor)
    return np.asarray(value)


def as_mask(value: Any, name: str = "the mask") -> NDArray[Any]:
    """Return a mask (H, W) whose values are booleans or the whole numbers 0 and 1.

    Args:
        value: array, nested list or PyTorch tensor.
        name: what errors call it.

    Raises:
        InputError: another shape, another dtype, or values other than 0 and 1.

    >>> as_mask([[0, 1], [1, 1]]).sum()
    np.int64(3)
    """
    mask = as_array(value)
    if mask.ndim != 2:
        raise InputError(
            f"{name}: expected shape (H, W), found {mask.shape}. Pass one image at a time and "
            "drop the batch and channel axes, for example mask[0, 0]."
        )
    if mask.dtype == np.bool_:
        return mask
    if not np.issubdtype(mask.dtype, np.integer):
        raise InputError(
            f"{name}: expected booleans or the whole numbers 0 and 1, found shape {mask.shape} "
            f"with {mask.dtype}. Threshold probabilities first, for example mask > 0.5."
        )
    if mask.size and (mask.max() > 1 or mask.min() < 0):
        values = np.unique(mask)
        shown = ", ".join(map(str, values[:5])) + (" ..." if len(values) > 5 else "")
        raise InputError(
            f"{name}: expected 0 and 1, found the values {shown}. Use mask > 0 if every other "
            "value belongs to the mask, or mask == VALUE for one class of several."
        )
    return mask


def as_levels(value: Any, name: str = "the map") -> NDArray[np.uint8]:
    """Return a probability map as 8-bit levels, q = min(floor(256 p), 255), uint8 (H, W).

    Args:
        value: (H, W), floats from 0 to 1, or uint8 levels, which are returned as they are.
        name: what errors call it.

    Raises:
        InputError: another shape or dtype, NaN, or floats outside 0..1.

    >>> as_levels([[0.0, 0.5, 1.0]]).tolist()
    [[0, 128, 255]]
    """
    given = as_array(value)
    if given.ndim != 2:
        raise InputError(
            f"{name}: expected a probability map of shape (H, W), found {given.shape}. Pass one "
            "image at a time and drop the batch and channel axes, for example map[0, 0]."
        )
    if given.dtype == np.uint8:
        return given
    if not np.issubdtype(given.dtype, np.floating):
        raise InputError(
            f"{name}: expected probabilities as floats from 0 to 1 or as uint8 levels, found "
            f"{given.dtype}. A mask holds no probabilities; levels of 0 to 255 need "
            ".astype(numpy.uint8)."
        )
    check_probabilities(given, name)
    # In float32 or wider: float16 has no room for 256 p.
    scaled = given.astype(np.promote_types(given.dtype, np.float32)) * LEVELS
    levels: NDArray[np.uint8] = np.clip(np.floor(scaled), 0, LEVELS - 1).astype(np.uint8)
    return levels


def check_probabilities(given: NDArray[np.floating[Any]], name: str) -> None:
    """Raise an InputError unless all values are finite and lie from 0 to 1.

    Args:
        given: floats of any shape.
        name: what errors call them.
    """
    if not given.size:
        return
    bad = int(given.size - np.isfinite(given).sum())
    if bad:
        raise InputError(
            f"{name}: {bad:,} of {given.size:,} probabilities are NaN or infinite. Look for NaN "
            "in the weights and logits they come from."
        )
    low, high = float(given.min()), float(given.max())
    if low >= -_ROUNDING and high <= 1 + _ROUNDING:
        return
    if low >= 0 and high < LEVELS and (given == np.floor(given)).all():
        cure = "They look like 8-bit levels: use .astype(numpy.uint8)."
    else:
        cure = "They look like logits: apply the sigmoid (or the softmax) first."
    raise InputError(
        f"{name}: expected probabilities from 0 to 1, found {low:g} to {high:g}. {cure}"
    )
