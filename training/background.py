"""A thread that does one thing after the other while the caller goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait


class Background:
    """Does jobs in the order they are given, one at a time.

    After a job that fails none is done any more, as the later ones may build on it; its error is
    raised by whatever is asked of this object next.
    """

    def __init__(self, name: str) -> None:
        """Take the name of the thread, which begins with the first job."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._last: Future[None] | None = None
        self._error: BaseException | None = None

    def submit(self, job: Callable[[], object]) -> Future[None]:
        """Let a job be done after those before."""
        self.check()
        self._last = self._pool.submit(self._do, job)
        return self._last

    def check(self) -> None:
        """Raise the error of a job that has failed."""
        if self._error is not None:
            raise self._error

    def settle(self, upto: Future[None] | None = None) -> None:
        """Wait until all jobs are done, or those up to one of them; raise if one has failed."""
        awaited = self._last if upto is None else upto
        if awaited is not None:
            wait([awaited])
        self.check()

    def _do(self, job: Callable[[], object]) -> None:
        if self._error is not None:
            return
        try:
            job()
        except BaseException as error:  # whatever it is, the main thread has to know
            self._error = error

    def close(self) -> None:
        """Let all jobs end; no more can be given."""
        self._pool.shutdown(wait=True)
