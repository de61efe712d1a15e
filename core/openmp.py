"""How OpenMP's threads wait for each other, settled before PyTorch loads its OpenMP library."""

from __future__ import annotations

import sys
from collections.abc import Container, MutableMapping

CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user chooses for himself: the standard's, GNU's and Intel's."""


def let_waiting_threads_sleep(
    environment: MutableMapping[str, str], imported: Container[str] = sys.modules
) -> bool:
    """Return whether the wait policy was set to passive in this environment.

    Between two parallel loops OpenMP's threads spin, for as long as a millisecond or more. Where
    another process needs the core, a thread spins for one that is not running, and two trainings
    on the same cores take up to 1.7 times as long as one after the other. Threads that sleep cost
    a training that is alone 4 to 8 % at 256 px, more at smaller sizes, whose parallel loops are
    shorter (benchmarks/side_by_side.py).

    Nothing is set where the user has chosen (one of `CHOICES`), or where PyTorch was imported
    before: its OpenMP library reads the environment once, when it is loaded. Processes started
    from this one inherit the choice.

    Source: OpenMP 5.2, section 21.7, OMP_WAIT_POLICY.
    """
    if "torch" in imported or any(name in environment for name in CHOICES):
        return False
    environment["OMP_WAIT_POLICY"] = "passive"
    return True
