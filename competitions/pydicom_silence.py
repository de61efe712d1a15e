"""Suppresses the warnings of pydicom and other decoders; whatever matters is raised as an error."""

from __future__ import annotations

import warnings
from threading import Lock
from types import TracebackType


class Silence:
    """A thread-safe context manager that suppresses the warnings of some modules.

    `warnings.catch_warnings` alone is not thread-safe: a thread that leaves late restores filters
    that another one has set. Here the first thread saves the filters and the last restores them.
    """

    def __init__(self, modules: str) -> None:
        self._modules = modules
        self._lock = Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=self._modules)
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(kind, error, trace)


PYDICOM_SILENCE = Silence(r"(pydicom|pylibjpeg|openjpeg|PIL|tifffile|imagecodecs)\b")
