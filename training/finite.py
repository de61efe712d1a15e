"""NaN and infinity, in weights and in logits: found, named and refused.

A probability that is not a number compares as below every threshold, so an unnoticed one becomes an
empty mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.errors import NotFiniteError, list_problems, plural
from goldfold.training.batch import Pixels, network_input
from goldfold.training.device import Device
from goldfold.training.networks.output import split_output
from goldfold.training.passes import Passes, join_parts

Flags = NDArray[np.bool_]
T = TypeVar("T")

Attempt = Callable[[slice, Device], tuple[T, torch.Tensor]]
"""Images of a batch and how their device computes -> what is seen of them, (n, ...) on the device
or on its way to the host, and which logits are finite, bool (n,) on the device."""

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


def look(
    model: Callable[[torch.Tensor], Any], pixels: Pixels, device: Device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a network's logits of images, and for which they are finite, bool (N,).

    Args:
        model: gives logits, or a pair of mask and presence logits; both are looked at.
        pixels: cached images, uint8 (N, H, W) or (N, H, W, C).
        device: where the network is.
    """
    inputs = network_input(pixels, device.device, channels_last=device.channels_last)
    with device.autocast():
        logits, presence = split_output(model(inputs))
    return logits, finite_images(logits, presence)


@torch.inference_mode()
def checked(
    attempt: Attempt[T],
    count: int,
    device: Device,
    *,
    retried: Callable[[int], None] = lambda _: None,
    passes: Passes | None = None,
    say: Callable[[str], None] = lambda _: None,
    join: Callable[[list[T]], T] = join_parts,
) -> tuple[T, Flags]:
    """Return what is seen of a batch, and for which images the logits are finite, bool (N,).

    Where they are not in the device's precision, the whole batch passes once more in float32.
    A device is waited for once in each pass over the batch, where it is asked what is finite.

    Args:
        attempt: looks at a part of the batch.
        count: N.
        device: its autocast holds for the first attempt.
        retried: takes the number of images for which float32 has helped.
        passes: how many images pass at once, for the batches to come, too.
        say: takes a line where memory does not suffice for a whole batch.
        join: makes one of what is seen of the parts of a batch.
    """
    passes = passes if passes is not None else Passes()
    seen, finite = _in_passes(attempt, count, device, passes, say, join)
    if finite.all() or device.autocast_dtype is None:
        return seen, finite
    in_float32 = replace(device, autocast_dtype=None)
    seen, now = _in_passes(attempt, count, in_float32, passes, say, join)
    retried(int((now & ~finite).sum()))
    return seen, now


def _in_passes(
    attempt: Attempt[T],
    count: int,
    device: Device,
    passes: Passes,
    say: Callable[[str], None],
    join: Callable[[list[T]], T],
) -> tuple[T, Flags]:
    parts = passes.in_halves(count, lambda part: attempt(part, device), device, say)
    # What is read first ends the wait for what an attempt has sent to the host, too.
    finite: Flags = torch.cat([flags for _, flags in parts]).cpu().numpy()
    return join([seen for seen, _ in parts]), finite


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
