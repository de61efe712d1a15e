"""What came of a step, known at once or when the device has got there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch

from goldfold.training.host_copy import HostCopy

MOST_UNREAD = 2
"""Steps on the device whose outcome nobody has looked at: one more waits for the first of them."""


@dataclass(frozen=True)
class Outcome:
    """What came of a step.

    Attributes:
        loss_sum: summed over this rank's images.
        gradient_norm: before clipping.
        moved: whether the weights were changed.
        finite: whether loss and gradient were, or a scaler is still looking for its scale.
        stop: whether any rank was asked to stop when it took the step.
    """

    loss_sum: float
    gradient_norm: float
    moved: bool
    finite: bool
    stop: bool = False


class StepResult:
    """The outcome of a step. Where the device runs ahead, the first look at it waits.

    Attributes:
        images: how many this rank had.
        share: 0-dim float32 on the device, 1 if the weights were changed, else 0; None where the
            outcome is known without waiting.
    """

    def __init__(
        self,
        images: int,
        outcome: Outcome | None = None,
        *,
        share: torch.Tensor | None = None,
        read: Callable[[StepResult], None] = lambda _: None,
    ) -> None:
        """Take the outcome, or what sets `outcome` when it is asked for."""
        self.images, self.share = images, share
        self._outcome, self._read = outcome, read

    @property
    def outcome(self) -> Outcome:
        """All of it; waits if need be."""
        if self._outcome is None:
            self._read(self)
        assert self._outcome is not None
        return self._outcome

    @outcome.setter
    def outcome(self, outcome: Outcome) -> None:
        self._outcome = outcome

    @property
    def loss_sum(self) -> float:
        """As in `Outcome`."""
        return self.outcome.loss_sum

    @property
    def gradient_norm(self) -> float:
        """As in `Outcome`."""
        return self.outcome.gradient_norm

    @property
    def moved(self) -> bool:
        """As in `Outcome`."""
        return self.outcome.moved

    @property
    def finite(self) -> bool:
        """As in `Outcome`."""
        return self.outcome.finite

    @property
    def stop(self) -> bool:
        """As in `Outcome`."""
        return self.outcome.stop


class ResultQueue:
    """The results of steps that the device has not told of yet, read in the order of the steps."""

    def __init__(self, judge: Callable[[float, float, bool, bool], Outcome]) -> None:
        """Take what makes an outcome of loss, gradient norm, and whether it is bad or to stop."""
        self._judge = judge
        self._unread: deque[tuple[StepResult, HostCopy]] = deque()

    def queue(self, images: int, values: torch.Tensor, share: torch.Tensor) -> StepResult:
        """Return the result of a step whose values, (4,) in that order, are on the device."""
        result = StepResult(images, share=share, read=self._read_up_to)
        self._unread.append((result, HostCopy({"values": values}, spins=True)))
        while len(self._unread) > MOST_UNREAD:
            self._read_first()
        return result

    def _read_up_to(self, result: StepResult) -> None:
        while result in (unread for unread, _ in self._unread):
            self._read_first()

    def _read_first(self) -> None:
        result, copy = self._unread.popleft()
        loss, norm, bad, stop = copy.wait()["values"].tolist()
        result.outcome = self._judge(loss, norm, bool(bad), bool(stop))
