"""Being asked to stop: by SIGTERM or SIGINT, or because the time is up."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from types import FrameType

from goldfold.errors import InputError

TIME_IS_UP = 75
"""Exit code when `--stop-after` ended a training: try again later (EX_TEMPFAIL of sysexits.h)."""

LEAST_MARGIN = 10.0
"""Seconds before the deadline in which no further step is begun, at least."""

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass
class StopRequest:
    """Whether to stop, asked between steps.

    Attributes:
        deadline: time of `time.monotonic` by which the process has to have ended, None for none.
        margin: seconds that a step, or writing the state, takes at most; the loop keeps it right.
        signal_number: of the signal that came, 0 for none.
    """

    deadline: float | None = None
    margin: float = LEAST_MARGIN
    signal_number: int = field(default=0)

    @classmethod
    def after(cls, seconds: float | None) -> StopRequest:
        """Return a request that comes so many seconds from now; None never comes by itself."""
        return cls(None if seconds is None else monotonic() + seconds)

    def observe(self, seconds: float) -> None:
        """Take account of how long something lasted that cannot be broken off."""
        self.margin = max(self.margin, 2.0 * seconds)

    @property
    def exit_code(self) -> int:
        """What the process ends with if it stops now: 0 means continue."""
        if self.signal_number:
            return 128 + self.signal_number
        late = self.deadline is not None and monotonic() + self.margin >= self.deadline
        return TIME_IS_UP if late else 0

    @property
    def reason(self) -> str:
        """Why, in words."""
        if self.signal_number:
            return f"stopped by {signal.Signals(self.signal_number).name}"
        return "stopped because the time is up"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as requests; a second SIGINT interrupts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python delivers signals to the main thread alone
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def asked(number: int, frame: FrameType | None) -> None:
            if self.signal_number and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.signal_number = number

        try:
            for number in before:
                signal.signal(number, asked)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as 8h30m, 45m, 90s or 1d; a bare number is seconds.

    >>> parse_duration("8h30m")
    30600.0

    Raises:
        InputError: it is none, or not above 0.
    """
    cleaned = text.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", cleaned)
    whole = "".join(number + unit for number, unit in parts) == cleaned
    if re.fullmatch(r"\d+(?:\.\d+)?", cleaned):
        parts, whole = [(cleaned, "s")], True
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not parts or not whole or seconds <= 0:
        raise InputError(f"expected a duration such as 8h30m, 45m or 90s, found {text!r}.")
    return float(seconds)
