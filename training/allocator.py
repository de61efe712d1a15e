"""The C library's allocator, set so that large tensors are not faulted in again and again."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # names of mallopt(3)
_NEVER = 2**31 - 1
_LARGEST = 1 << 30


def keep_freed_memory() -> bool:
    """Let the process keep memory that it frees, and return whether the C library could be told.

    By default glibc maps every large block anew and gives it back when it is freed. A network's
    activations are such blocks: in training on a processor a third of the time went into the
    system's clearing of pages that had just been in use (benchmarks/README.md). The process holds
    what it needed at most until it ends; that is some per cent more than before.

    Nothing changes on systems without glibc, nor in what is computed.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    kept = bool(mallopt(_TRIM_THRESHOLD, _NEVER))
    # Where the threshold has a lower limit, blocks are not mapped at all.
    return kept and bool(mallopt(_MMAP_THRESHOLD, _LARGEST) or mallopt(_MMAP_MAX, 0))
