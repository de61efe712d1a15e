"""Passes of a network over a batch, in halves once memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from goldfold.errors import plural
from goldfold.training.device import Device
from goldfold.training.memory import Judge, free_memory

Part = TypeVar("Part")

_WAY_OUT = (
    "Close other programs that use the device, lower the batch or image size, set inference.tile "
    "to see large images in tiles, or update the driver of the device."
)


class Passes:
    """How many images pass a network at once: the whole batch, until memory does not suffice.

    From then on each batch passes in parts of half the size. Batches stay what they were, so
    nothing that is recorded changes. The last bit of a result may: a GPU chooses its kernels by the
    number of images.

    Attributes:
        most: images in a pass; None as long as whole batches fit.
    """

    def __init__(self) -> None:
        """Begin with whole batches."""
        self.most: int | None = None
        self._judge = Judge()
        self._release: Callable[[], bool] = lambda: False

    @contextmanager
    def releasing(self, release: Callable[[], bool]) -> Iterator[None]:
        """Give other memory back before a pass is halved, as long as the context lasts.

        Args:
            release: gives memory back that is not needed; returns whether there was any.
        """
        before, self._release = self._release, release
        try:
            yield
        finally:
            self._release = before

    def in_halves(
        self,
        count: int,
        attempt: Callable[[slice], Part],
        device: Device,
        say: Callable[[str], None] = lambda _: None,
    ) -> list[Part]:
        """Return what came of a batch's parts, in order: one part where memory suffices.

        Args:
            count: images of the batch.
            attempt: lets the images of a slice pass; it may be called again for some of them.
            device: where that happens.
            say: takes a line each time that the size of a pass is halved.

        Raises:
            GoldfoldError: out of memory with a single image, or cuDNN, cuBLAS or their like failed
                with a smaller pass too.
        """
        parts: list[Part] = []
        start = 0
        while start < count:
            stop = min(count, start + (self.most or count))
            try:
                parts.append(attempt(slice(start, stop)))
            except (RuntimeError, MemoryError) as error:
                self._halve(stop - start, error, device, say)
            else:
                start = stop
                continue
            # Outside the handler, as the error holds on to the tensors of the failed pass.
            free_memory(device)
        return parts

    def _halve(
        self, size: int, error: BaseException, device: Device, say: Callable[[str], None]
    ) -> None:
        """Allow half as many images in a pass, or raise what is left to say."""
        failure = self._judge.failure(error, size)
        if failure.is_memory and self._release():
            return
        if failure.is_hopeless:
            raise failure.told(size, device, _WAY_OUT) from error
        self.most = (size + 1) // 2
        images = plural(self.most, "image", "images")
        say(
            f"{failure.what} on {device.description}: continuing with {images} per pass instead of "
            f"{size}"
        )


def join_lists(parts: list[list[Part]]) -> list[Part]:
    """Return the lists of a batch's parts as one."""
    return [item for part in parts for item in part]


def join_parts(parts: list[Any], dim: int = 0) -> Any:
    """Return the results of a batch's parts as the result of the batch.

    Args:
        parts: tensors, None, or equal nestings of lists and tuples of them.
        dim: of the tensors, that of the images.

    >>> join_parts([(torch.zeros(2, 3), None), (torch.ones(1, 3), None)])[0].shape
    torch.Size([3, 3])
    """
    first = parts[0]
    if len(parts) == 1 or first is None:
        return first
    if isinstance(first, torch.Tensor):
        return torch.cat(parts, dim=dim)
    return type(first)(join_parts(list(same), dim) for same in zip(*parts, strict=True))
