"""Augmentation steps of the user's own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.own_code import Role, once, running, wrong_value

Pixels = NDArray[np.uint8]

STEP = Role(
    "augmentation.steps",
    "step(image, mask, random)",
    "a pair of the changed image and the changed mask, uint8 and of the shapes they came in",
    positional=3,
)


def take_step(
    step: str, image: Pixels, mask: Pixels, random: np.random.Generator
) -> tuple[Pixels, Pixels]:
    """Return what a step makes of an image and its mask.

    Args:
        step: bound reference.
        image: uint8 (H, W) or (H, W, C).
        mask: uint8 (H, W) or (C, H, W); 0 and 1, or coverage of 0 to 255 with pseudo-labels.
        random: of this image in this epoch, and of nothing else.

    Raises:
        InputError: the step fails, or returns something else than such a pair.
    """
    function = once(step, STEP)
    with running(step, STEP):
        result = function(image.copy(), mask.copy(), random)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise wrong_value(step, STEP, f"{type(result).__name__}, no pair")
    for name, before, after in zip(("image", "mask"), (image, mask), result, strict=True):
        if _facts(after) != _facts(before):
            difference = f"{_facts(after)} for the {name}, which came as {_facts(before)}"
            raise wrong_value(step, STEP, difference)
    if result[1].max(initial=0) > max(1, int(mask.max(initial=0))) and mask.max(initial=0) <= 1:
        raise wrong_value(step, STEP, "a mask with values above 1, which came as 0 and 1")
    return np.ascontiguousarray(result[0]), np.ascontiguousarray(result[1])


def _facts(array: Any) -> str:
    """Return dtype and shape in words, or the type of what is no array."""
    if not isinstance(array, np.ndarray):
        return type(array).__name__
    return f"{array.dtype} {array.shape}"
