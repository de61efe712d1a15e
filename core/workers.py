"""How many threads decode and load, and how processes side by side share them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from goldfold.cpu_quota import quota_in_cores

MOST_WORKERS = 8


def cores() -> int:
    """Return the cores whose time this process may use, which a container can limit."""
    quota = quota_in_cores()
    return processors() if quota is None else min(processors(), quota)


def processors() -> int:
    """Return the cores this process may run on, even if it may not use all of their time."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers(processes: int = 1) -> int:
    """Return the number of threads that each of some processes uses unless one is given."""
    return max(1, min(cores() // processes, MOST_WORKERS))


def workers_each(workers: int | None, processes: int) -> int:
    """Return the threads of each of some processes side by side.

    Args:
        workers: of all together; None for the cores, at most 8 for each; 0 stays 0.
        processes: how many there are, at least 1.

    >>> workers_each(8, 3), workers_each(1, 2), workers_each(0, 2)
    (2, 1, 0)
    """
    if workers is None:
        return default_workers(processes)
    return max(1, workers // processes) if workers else 0


def processes_here(environment: Mapping[str, str] = os.environ) -> int:
    """Return the processes that torchrun started on this machine, this one among them."""
    return max(1, int(environment.get("LOCAL_WORLD_SIZE", "1")))
