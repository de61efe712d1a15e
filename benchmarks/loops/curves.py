"""What training_speed.py records of a training, whoever's loop it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass
class Curve:
    """One training: one value per epoch in each list, times in seconds of time.perf_counter.

    Attributes:
        images: seen in an epoch.
        validated: images that are validated after an epoch.
        losses: mean over the epoch's images.
        scores: validation Dice at probability 0.5.
        ended: when the training part of the epoch was over.
        trained: seconds of the training part.
        validating: seconds of the validation.
        busy: seconds of the training parts of all epochs but the first in which the GPU was at
            work on a step; None on a CPU.
    """

    images: int
    validated: int
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    trained: list[float] = field(default_factory=list)
    validating: list[float] = field(default_factory=list)
    busy: float | None = None

    def images_per_second(self) -> float:
        """Return the training images a second end to end, validation included.

        From the end of the first epoch's training, which is warm-up, to the end of the last's:
        as many validations as epochs lie between.
        """
        return self.images * (len(self.ended) - 1) / (self.ended[-1] - self.ended[0])

    def busy_share(self) -> float | None:
        """Return the share of the training time, warm-up left out, that the GPU was at work."""
        return None if self.busy is None else self.busy / sum(self.trained[1:])


class GpuClock:
    """Sums the GPU's time from the begin to the end of each step, by events in its own queue.

    What the GPU waits inside a step for the next kernel counts as work, so the sum is an upper
    bound; what it waits for data or for the host between steps does not.
    """

    def __init__(self, device: torch.device) -> None:
        """Take the device; on a CPU nothing is counted."""
        self._cuda = device.type == "cuda"
        self._pairs: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def begin(self) -> None:
        """Mark the begin of a step."""
        if self._cuda:
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            first.record()
            self._pairs.append((first, last))

    def end(self) -> None:
        """Mark its end."""
        if self._cuda:
            self._pairs[-1][1].record()

    def seconds(self, skip: int = 0) -> float | None:
        """Return the sum over all steps but the first `skip`; None on a CPU."""
        if not self._cuda:
            return None
        torch.cuda.synchronize()
        return float(sum(first.elapsed_time(last) for first, last in self._pairs[skip:])) / 1000


def relative_differences(first: list[float], other: list[float]) -> list[float]:
    """Return |a - b| / mean of both, an epoch each.

    >>> relative_differences([1.0, 3.0], [1.0, 1.0])
    [0.0, 1.0]
    """
    return [2 * abs(a - b) / (a + b) for a, b in zip(first, other, strict=True)]
