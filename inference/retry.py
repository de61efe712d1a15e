"""NaN or infinite logits: one retry in float32, then an error naming checkpoint and images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from goldfold.errors import NotFiniteError, first_few, plural
from goldfold.inference.network import Network, plain_network
from goldfold.training.device import Device
from goldfold.training.finite import RETRAIN
from goldfold.training.host_copy import HostCopy
from goldfold.training.passes import join_parts

if TYPE_CHECKING:
    from goldfold.inference.predictor import Predictor

T = TypeVar("T")
Flags = NDArray[np.bool_]

Attempt = Callable[[Sequence[Network], Device, slice], tuple[T, torch.Tensor]]
"""K networks, where they run, and a part of a batch -> what they give of its n images, tensors
(n, ...) in any nesting of lists and tuples, and whether all logits of an image are finite, bool
(K, n)."""

_NAMED = 10  # images or checkpoints of one message


def finite_or_retried(
    attempt: Attempt[T],
    predictor: Predictor,
    count: int,
    image_ids: Sequence[str],
    *,
    join: Callable[[list[T]], T] = join_parts,
) -> Callable[[], T]:
    """Start predicting a batch, and return what waits for it.

    The call that is returned gives the result. It waits for one flag of each network and image, so
    that a GPU is waited for once a batch, up to this batch, and only where its result is needed;
    what an attempt has sent to the host is there, too. If logits are NaN or
    infinite it predicts the batch again in float32 without autocast; a network that is compiled or
    runs in OpenVINO is run by PyTorch then, as the precision of those is fixed.

    A batch for which memory does not suffice passes in halves (`Passes`), which is told once.

    Args:
        attempt: predicts a part of the batch.
        predictor: whose networks, names of checkpoints and warnings.
        count: N, images of the batch.
        image_ids: N ids for the message; () if there are none.
        join: makes one of the results of a batch's parts.

    Raises:
        NotFiniteError: logits are NaN or infinite in float32 too (raised by the returned call).
        GoldfoldError: out of memory with a single image.
    """

    def whole(networks: Sequence[Network], device: Device) -> Callable[[], tuple[T, Flags]]:
        parts = predictor.passes.in_halves(
            count, lambda part: attempt(networks, device, part), device, predictor.progress.say
        )
        flags = HostCopy({"finite": torch.cat([finite for _, finite in parts], dim=1)})

        def arrived() -> tuple[T, Flags]:
            finite: Flags = flags.wait()["finite"].numpy()
            return join([outcome for outcome, _ in parts]), finite

        return arrived

    begun = whole(predictor.networks, predictor.device)

    @torch.inference_mode()
    def result() -> T:
        outcome, finite = begun()
        broken: Flags = ~finite
        if not broken.any():
            return outcome
        plain = [plain_network(network) for network in predictor.networks]
        changed = any(a is not b for a, b in zip(plain, predictor.networks, strict=True))
        if predictor.device.autocast_dtype is None and not changed:
            raise _not_finite(broken, predictor, image_ids)
        again, now_finite = whole(plain, replace(predictor.device, autocast_dtype=None))()
        still: Flags = ~now_finite
        if still.any():
            raise _not_finite(still, predictor, image_ids)
        _warn_once(broken, predictor, image_ids)
        return again

    return result


def _warn_once(broken: Flags, predictor: Predictor, image_ids: Sequence[str]) -> None:
    """Tell of the first batch that needed float32: there may be thousands."""
    if not predictor.warned:
        predictor.warned.append(True)
        predictor.progress.warn(
            f"{_where(broken, predictor, image_ids)} are NaN or infinite in "
            f"{predictor.device.description}; the batch was predicted again in float32. Further "
            "batches like it are predicted again without a warning."
        )


def _not_finite(broken: Flags, predictor: Predictor, image_ids: Sequence[str]) -> NotFiniteError:
    return NotFiniteError(
        f"{_where(broken, predictor, image_ids)} are NaN or infinite, in float32 too, so "
        f"nothing can be predicted from them. {RETRAIN}"
    )


def _where(broken: Flags, predictor: Predictor, image_ids: Sequence[str]) -> str:
    """Return which checkpoints' logits of which images, in words."""
    count = broken.shape[1]
    ids = list(image_ids) or [f"number {place + 1} of the batch" for place in range(count)]
    images = [ids[place] for place in np.flatnonzero(broken.any(axis=0))]
    names = list(predictor.names) or [
        f"checkpoint {place + 1} of {len(broken)}" for place in range(len(broken))
    ]
    checkpoints = [names[place] for place in np.flatnonzero(broken.any(axis=1))]
    what = plural(len(images), "image", "images")
    return f"{first_few(checkpoints, _NAMED)}: the logits of {what} ({first_few(images, _NAMED)})"
