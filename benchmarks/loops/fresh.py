"""A process of its own for what goldfold is compared with.

goldfold lets a process on a processor keep the memory that it frees, which makes PyTorch faster
whoever calls it. A plain loop has no such help, so it must not run where goldfold has run.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

Result = TypeVar("Result")


def in_fresh_process(work: Callable[..., Result], *arguments: Any) -> Result:
    """Return what `work` returns for the arguments in a process that has run nothing before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()
