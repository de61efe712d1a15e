"""How busy the processor is with other programs, as Linux counts it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from time import monotonic

_BUSY = (0, 1, 2, 5, 6)
"""user, nice, system, irq and softirq among the numbers of a processor in /proc/stat; what a
hypervisor takes away (steal) is left out, as fewer threads would not bring it back."""


class ForeignLoad:
    """Measures how many cores are busy with programs other than some known ones.

    Source: proc(5), /proc/stat and /proc/PID/stat.
    """

    def __init__(self, proc: Path = Path("/proc"), clock: Callable[[], float] = monotonic) -> None:
        """Take where the system tells, and a clock in seconds."""
        self._proc, self._clock = proc, clock
        self._ticks = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
        self._last: tuple[float, float, dict[int, float]] | None = None

    def measure(self, known: Collection[int]) -> float | None:
        """Return the cores that were busy on average since the last call, without known processes.

        None where the system does not tell, at the first call, and where the known processes are
        not those of the last call.
        """
        try:
            spent = {process: self._seconds_of(process) for process in known}
            now = (self._clock(), self._busy_seconds(), spent)
        except (OSError, ValueError, IndexError):
            self._last = None
            return None
        before, self._last = self._last, now
        if before is None or set(before[2]) != set(spent) or now[0] <= before[0]:
            return None
        own = sum(spent.values()) - sum(before[2].values())
        return max(0.0, (now[1] - before[1] - own) / (now[0] - before[0]))

    def _busy_seconds(self) -> float:
        """Return the seconds for which the cores that this process may use were busy, summed."""
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        total = 0
        for line in (self._proc / "stat").read_text(encoding="ascii").splitlines():
            name, _, numbers = line.partition(" ")
            number = name.removeprefix("cpu")
            if name.startswith("cpu") and number and (allowed is None or int(number) in allowed):
                ticks = [int(word) for word in numbers.split()]
                total += sum(ticks[place] for place in _BUSY)
        return total / self._ticks

    def _seconds_of(self, process: int) -> float:
        """Return the processor time of all threads of a process."""
        text = (self._proc / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()  # a program's name may have blanks
        return (int(fields[11]) + int(fields[12])) / self._ticks
