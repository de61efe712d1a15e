"""NaN and infinity, in weights and in logits: found, named and refused.

A probability that is not a number compares as below every threshold, so an unnoticed one becomes an
empty mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.errors import NotFiniteError, list_problems, plural
from goldfold.training.device import Device
from goldfold.training.networks.output import split_output

Flags = NDArray[np.bool_]

RETRAIN = (
    'Train with a lower learning_rate, or with training.precision = "float32": '
    "`goldfold train run RUN --fold N --overwrite`."
)


def bad_tensors(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Return a line for each tensor with values that are NaN or infinite: its name and how many.

    A GPU is waited for once if all is well.
    """
    floating = {name: t for name, t in tensors.items() if t.is_floating_point()}
    if not floating:
        return []
    whole = torch.stack([tensor.isfinite().all() for tensor in floating.values()]).tolist()
    bad = [name for name, is_whole in zip(floating, whole, strict=True) if not is_whole]
    return [_count_of(name, floating[name]) for name in bad]


def _count_of(name: str, tensor: torch.Tensor) -> str:
    bad = int((~tensor.isfinite()).sum())
    return f"{name}: {bad:,} of {plural(tensor.numel(), 'value', 'values')}"


def refuse_bad_weights(
    tensors: Mapping[str, torch.Tensor], where: str | Path, remedy: str = RETRAIN
) -> None:
    """Raise NotFiniteError if weights are NaN or infinite.

    Args:
        tensors: weights and buffers by name.
        where: whose they are, for the message.
        remedy: what to do about it.
    """
    bad = bad_tensors(tensors)
    if bad:
        title = f"{where}: {plural(len(bad), 'tensor has', 'tensors have')} NaN or infinite values:"
        raise NotFiniteError(list_problems(title, bad, remedy))


def finite_images(*outputs: torch.Tensor | None) -> torch.Tensor:
    """Return for which images everything is finite, bool (N,), on the outputs' device.

    Args:
        outputs: (N, ...) each; None is passed over.
    """
    given = [output for output in outputs if output is not None]
    flags = [output.isfinite().reshape(len(output), -1).all(dim=1) for output in given]
    return torch.stack(flags).all(dim=0)


@torch.inference_mode()
def checked_logits(
    model: Callable[[torch.Tensor], Any],
    images: torch.Tensor,
    device: Device,
    retried: Callable[[int], None] = lambda _: None,
) -> tuple[torch.Tensor, Flags]:
    """Return a network's logits, and for which images they are finite, bool (N,).

    Where they are not in the device's precision, the whole batch passes once more in float32.

    Args:
        model: gives logits, or a pair of mask and presence logits; both are looked at.
        images: network input (N, C, H, W).
        device: its autocast holds for the first pass.
        retried: takes the number of images for which float32 has helped.
    """
    with device.autocast():
        logits, presence = split_output(model(images))
    finite: Flags = finite_images(logits, presence).cpu().numpy()
    if finite.all() or device.autocast_dtype is None:
        return logits, finite
    logits, presence = split_output(model(images))
    now: Flags = finite_images(logits, presence).cpu().numpy()
    retried(int((now & ~finite).sum()))
    return logits, now


def refuse_unseen(unseen: NDArray[np.int64], image_ids: Sequence[str]) -> None:
    """Raise NotFiniteError naming the held-out images whose logits are not finite.

    Args:
        unseen: (N,), above 0 for such an image.
        image_ids: N ids.
    """
    named = [name for name, bad in zip(image_ids, unseen.tolist(), strict=True) if bad]
    if named:
        count = plural(len(named), "held-out image", "held-out images")
        raise NotFiniteError(
            list_problems(f"NaN or infinite logits, in float32 too, on {count}:", named)
        )
