"""How many threads decode and load."""

from __future__ import annotations

import os

MOST_WORKERS = 8


def cores() -> int:
    """Return the cores this process may use, which a container can limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers() -> int:
    """Return the number of threads that is used unless one is given."""
    return min(cores(), MOST_WORKERS)
