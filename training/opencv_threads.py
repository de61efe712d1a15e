"""OpenCV's own threads, kept still while ours work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2


class _Blocks:
    """The blocks that are open in this process, and OpenCV's number of threads before them."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open, self._before = 0, 1

    def begin(self) -> None:
        """Remember the number at the first block, and set it to one."""
        with self._guard:
            if self._open == 0:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._open += 1

    def end(self) -> None:
        """Put the number back after the last block."""
        with self._guard:
            self._open -= 1
            if self._open == 0:
                cv2.setNumThreads(self._before)


_BLOCKS = _Blocks()


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV work in its callers' threads alone until the block ends.

    Where several threads each handle an image, splitting every image among further threads
    makes all of them wait for each other. OpenCV knows one number for the whole process, so
    blocks may overlap: it is put back after the last.
    """
    _BLOCKS.begin()
    try:
        yield
    finally:
        _BLOCKS.end()
