"""What a pretend GPU was asked to do."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import RLock
from types import FrameType

import torch

_REPOSITORY = Path(__file__).parents[3]
_HERE = Path(__file__).parent
_OTHERS = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Wait:
    """The host waited for the device: what for, and where in the source."""

    reason: str
    place: str


@dataclass(frozen=True)
class Copy:
    """A copy from the host to the device: shape, dtype, whether the host waited, and where."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    blocking: bool
    place: str


@dataclass
class Ledger:
    """Launches by operator, waits and copies to the device, in order.

    Attributes:
        launches: how often each operator was launched.
        waits: of the host for the device.
        copies: from the host to the device.
    """

    launches: Counter[str] = field(default_factory=Counter)
    waits: list[Wait] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    _reads: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list, repr=False)
    _read: int = field(default=0, repr=False)
    _lock: RLock = field(default_factory=RLock, repr=False)

    @property
    def launched(self) -> int:
        """Operators launched."""
        return sum(self.launches.values())

    @property
    def blocking_copies(self) -> list[Copy]:
        """Copies to the device for which the host waited."""
        return [copy for copy in self.copies if copy.blocking]

    def copy(self) -> Ledger:
        """Return the present state, which does not change any more."""
        with self._lock:
            return Ledger(Counter(self.launches), list(self.waits), list(self.copies))

    def since(self, earlier: Ledger) -> Ledger:
        """Return what was added since `earlier`, a `copy`."""
        with self._lock:
            return Ledger(
                self.launches - earlier.launches,
                self.waits[len(earlier.waits) :],
                self.copies[len(earlier.copies) :],
            )

    def launch(self, operator: str) -> None:
        """Count an operator."""
        with self._lock:
            self.launches[operator] += 1

    def wait(self, reason: str, reads: int | None = None) -> None:
        """Count a wait; asynchronous reads that were begun before it are done.

        Args:
            reason: operator or method.
            reads: how many reads were begun before what is waited for; all unless given.
        """
        with self._lock:
            self.waits.append(Wait(reason, calling_place()))
            self.finish_reads(reads)

    def copy_to_device(self, source: torch.Tensor, blocking: bool) -> None:
        """Count a copy from the host."""
        with self._lock:
            copy = Copy(tuple(source.shape), source.dtype, blocking, calling_place())
            self.copies.append(copy)

    def begin_read(self, target: torch.Tensor, values: torch.Tensor) -> None:
        """Fill a tensor of the host with rubbish; the values come when they are waited for."""
        with self._lock:
            self._reads.append((target, values))
            target.copy_(_rubbish(values))

    @property
    def reads_begun(self) -> int:
        """Asynchronous reads so far."""
        with self._lock:
            return self._read + len(self._reads)

    def finish_reads(self, count: int | None = None) -> None:
        """Bring the values of the first `count` reads ever begun, or of all."""
        with self._lock:
            due = len(self._reads) if count is None else max(0, count - self._read)
            for target, values in self._reads[:due]:
                target.copy_(values)
            del self._reads[:due]
            self._read += due


def _rubbish(values: torch.Tensor) -> torch.Tensor:
    """Return what nobody could take for the values."""
    if values.dtype is torch.bool:
        return ~values
    if values.is_floating_point():
        return torch.full_like(values, float("nan"))
    return torch.full_like(values, 85) + (values == 85).to(values.dtype)


def calling_place() -> str:
    """Return the innermost line of the repository's source that led here, as path:line."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if path := _path_of(frame.f_code.co_filename):
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back
    return "backward pass"


@cache
def _path_of(filename: str) -> str:
    """Return the path of a source file in the repository, "" for any other."""
    path = Path(filename)
    inside = path.is_relative_to(_REPOSITORY) and not path.is_relative_to(_HERE)
    if not inside or any(name in path.parts for name in _OTHERS):
        return ""
    return path.relative_to(_REPOSITORY).as_posix()
