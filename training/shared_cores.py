"""A training on a processor takes its share of the cores, and all of them where it is alone.

Between two parallel loops OpenMP's threads spin. Where other processes need the cores, a thread
spins for one that is not running: two trainings of two threads each on two cores take up to twice
as long as one after the other, while with one thread each they take three quarters of that time
(benchmarks/side_by_side.py). Threads that sleep instead cost a training that is alone 5 to 15 %.

The number of threads decides in which order a convolution's gradient is summed, so its last bits
depend on it. It stays the same where the user has set it by one of `CHOICES`, or where a run is
to be repeated to the last bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, sleep

import torch

from goldfold.processor_load import ForeignLoad
from goldfold.roll_call import RollCall
from goldfold.workers import cores, processors

CHOICES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables by which a user says how many threads compute."""

CHECK_SECONDS = 2.0
"""Least time between two looks at the machine."""

FIRST_SECONDS = 0.3
"""How long the load of other programs is measured before a training begins."""

NOTEWORTHY = 0.5
"""Cores by which the load of other programs has to differ, twice in a row, to be acted upon."""

LEAST_SHARE = 0.25
"""Share of the cores that trainings claim from other programs, however busy these are."""


class SharedCores:
    """Keeps the number of PyTorch's threads at this process's share while it is `active`."""

    def __init__(
        self,
        *,
        roll_call: RollCall | None = None,
        load: ForeignLoad | None = None,
        clock: Callable[[], float] = monotonic,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        """Take what tells of other processes, a clock in seconds, and what waits for seconds."""
        self._roll_call, self._load, self._clock = roll_call, load, clock
        self._pause = pause
        self._active = False
        self._most = self._threads = 1
        self._foreign = self._doubted = 0.0
        self._looked = 0.0
        self._say: Callable[[str], None] = lambda _: None

    @contextmanager
    def active(self, say: Callable[[str], None]) -> Iterator[None]:
        """Share the cores until the end of this context, and have all of them again after it.

        Args:
            say: takes a line when the number of threads changes.
        """
        threads = torch.get_num_threads()
        if self._active or threads == 1:
            yield
            return
        self._most = self._threads = threads
        self._say, self._active = say, True
        self._roll_call = self._roll_call or RollCall()
        self._load = self._load or ForeignLoad()
        self._roll_call.join()
        try:
            present = self._roll_call.present()
            self._load.measure(present)
            self._pause(FIRST_SECONDS)
            self._foreign = self._doubted = self._load.measure(present) or 0.0
            self._take_share()
            yield
        finally:
            self._active = False
            self._roll_call.leave()
            torch.set_num_threads(self._most)

    def look(self) -> None:
        """Take the share that this process has now; call it between steps, from their thread."""
        if self._active and self._clock() - self._looked >= CHECK_SECONDS:
            self._take_share()

    def _take_share(self) -> None:
        assert self._roll_call is not None and self._load is not None
        self._looked = self._clock()
        present = self._roll_call.present()
        self._observe(self._load.measure(present))
        threads = fair_threads(
            self._most,
            processors(),
            allowed=cores(),
            sharing=len(present),
            place=present.index(os.getpid()),
            foreign=self._foreign,
        )
        if threads == self._threads:
            return
        self._threads = threads
        torch.set_num_threads(threads)
        self._say(
            f"using {threads} of {self._most} threads{_because(len(present), self._foreign)}"
            if threads < self._most
            else f"using all {threads} threads again"
        )

    def _observe(self, foreign: float | None) -> None:
        """Believe a load of other programs once it was seen twice in a row."""
        if foreign is None:
            return
        seen = (self._doubted - self._foreign, foreign - self._foreign)
        if min(seen) > NOTEWORTHY or max(seen) < -NOTEWORTHY:
            self._foreign += min(seen, key=abs)
        self._doubted = foreign


def shares_cores(
    device: torch.device, processes: int, environment: Mapping[str, str] = os.environ
) -> bool:
    """Return whether a training's number of threads is goldfold's to choose.

    Args:
        device: where the network is.
        processes: that train one fold together; torchrun gives them their threads.
        environment: in which the user may have set one of `CHOICES`.
    """
    chosen = any(environment.get(name) for name in CHOICES)
    return device.type == "cpu" and processes == 1 and not chosen


def fair_threads(
    most: int, cores: int, *, allowed: int, sharing: int, place: int, foreign: float
) -> int:
    """Return how many threads one of several trainings computes with, at least 1.

    Args:
        most: threads of a training that is alone.
        cores: it may run on.
        allowed: of these, by how much of their time a container grants.
        sharing: trainings on these cores.
        place: of this one among them, from 0; the first get what does not divide evenly.
        foreign: cores that other programs keep busy.

    >>> [fair_threads(16, 16, allowed=16, sharing=3, place=n, foreign=0.2) for n in range(3)]
    [6, 5, 5]
    >>> fair_threads(2, 2, allowed=2, sharing=1, place=0, foreign=0.7)
    1
    >>> fair_threads(16, 16, allowed=16, sharing=1, place=0, foreign=16.0)
    4
    """
    free = min(allowed, max(cores - foreign, cores * LEAST_SHARE))
    share, rest = divmod(int(free + 0.5), sharing)
    return min(most, max(1, share + (place < rest)))


def _because(sharing: int, foreign: float) -> str:
    reasons = []
    if sharing > 1:
        reasons.append(f"{sharing} goldfold processes share the cores")
    if foreign > NOTEWORTHY:
        reasons.append(f"other programs keep {foreign:.1f} cores busy")
    return f": {' and '.join(reasons)}" if reasons else ""
