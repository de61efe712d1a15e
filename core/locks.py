"""Locks between processes, by filelock: one writer of a folder, one or several of a file.

A lock is the operating system's, held on an empty hidden file beside what it protects: `fold-0` is
locked by `.fold-0.lock`. It ends with its process, whatever ends that. The empty file stays: if it
were removed, two processes could hold locks on two files of the same name.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from goldfold.errors import OutputError

_POLL_SECONDS = 0.002
"""Between two attempts of a process that waits for its turn, which lasts about a millisecond."""


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same out of a folder, which is made if missing.

    Where the file system has no locks (some network drives), or the folder above is read-only,
    nobody is kept out.

    Raises:
        OutputError: another process has the folder, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}. "
            "Free some space or choose a folder you may write to."
        ) from error
    lock = _lock_beside(folder)
    try:
        with suppress(OSError):  # no locks here
            _take(lock, folder)
        yield
    finally:
        lock.release()


class WriterLock:
    """Keeps the writers of a file apart: one alone, or several that take turns.

    filelock's locks are exclusive, so each of several writers holds one of its own
    (`.NAME.share-0.lock`, `.NAME.share-1.lock`, ...), and one that wants to be alone holds
    `.NAME.lock` and finds all of those free.
    """

    def __init__(self, path: Path, *, shared: bool) -> None:
        """Take the lock until `release`.

        Args:
            path: the file, in a folder that exists.
            shared: with others who take it shared, too.

        Raises:
            OutputError: another process writes the file, alone or not; or `shared` is set and the
                file system has no locks. A single writer continues without one.
        """
        self._path = path
        self._held = _lock_beside(path)
        self._turn = _lock_beside(path, "turn") if shared else None
        if self._turn is None:
            with suppress(OSError):  # no locks here
                self._be_alone()
            return
        try:
            with self._turn:  # or two that look for one that is alone would find each other
                self._held = self._join()
        except OSError as error:
            raise OutputError(
                f"cannot lock {path}: {error.strerror or error}. Processes that share a file need "
                "locks: let one process write it, or choose a folder on another disk."
            ) from error

    def _be_alone(self) -> None:
        _take(self._held, self._path)
        pattern = f".{glob.escape(self._path.name)}.share-*.lock"
        try:
            for place in self._path.parent.glob(pattern):
                _take(other := _file_lock(place), self._path)
                other.release()
        except BaseException:
            self._held.release()
            raise

    def _join(self) -> BaseFileLock:
        """Return the first free lock of those who share, taken, if nobody is alone.

        Both sides take their own lock before they look at the other's, so one of them sees it.
        """
        own = self._first_free()
        try:
            with _take(_lock_beside(self._path), self._path):
                return own
        except BaseException:
            own.release()
            raise

    def _first_free(self) -> BaseFileLock:
        number = 0
        while True:
            lock = _lock_beside(self._path, f"share-{number}")
            try:
                lock.acquire(blocking=False)
                return lock
            except Timeout:
                number += 1

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process has its turn; a writer alone does not wait."""
        if self._turn is None:
            yield
            return
        with self._turn:
            yield

    def release(self) -> None:
        """Give the lock back; again does nothing."""
        self._held.release()


def _lock_beside(path: Path, kind: str = "") -> BaseFileLock:
    """Return the lock of a file or folder, not taken: `.NAME.lock` or `.NAME.KIND.lock`."""
    path = path.absolute()
    return _file_lock(path.with_name(".".join(["", path.name, *filter(None, [kind]), "lock"])))


def _file_lock(path: Path) -> BaseFileLock:
    # Never filelock's own substitute where there are no locks: a kill would leave that locked.
    # Anyone may take the lock, as with a folder that several people write to.
    return FileLock(
        path, mode=0o666, thread_local=False, poll_interval=_POLL_SECONDS, fallback_to_soft=False
    )


def _take(lock: BaseFileLock, path: Path) -> BaseFileLock:
    """Take a lock at once and return it.

    Raises:
        OutputError: another process has it.
        OSError: there are no locks here.
    """
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise OutputError(
            f"another process is writing {path}. Wait for it to end, or end it."
        ) from None
    return lock
