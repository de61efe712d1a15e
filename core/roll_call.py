"""The goldfold processes of a user that compute on this machine's processor right now."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout


class RollCall:
    """Files of which each is locked by the process that it names, and so ends with it.

    Where there is no such folder, or its file system has no locks, a process sees itself alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Take the folder, by default one of this user's among the machine's temporary files."""
        self._folder = folder if folder is not None else _users_folder()
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}.lock"
        self._lock: BaseFileLock | None = None

    def join(self) -> None:
        """Be seen by the others until `leave`."""
        with suppress(OSError, Timeout):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if not _belongs_to_user(self._folder):
                return
            lock = _lock_on(self._folder / self._name)
            lock.acquire(timeout=1.0)  # another process may be trying it just now
            self._lock = lock

    def leave(self) -> None:
        """Be seen no more."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
            with suppress(OSError):
                (self._folder / self._name).unlink(missing_ok=True)

    def present(self) -> list[int]:
        """Return the ids of the processes that have joined, in the same order for all of them.

        The calling process is among them in any case. Files of processes that ended are removed.
        """
        names = {self._name}
        if self._lock is not None:
            with suppress(OSError):
                if not (self._folder / self._name).exists():  # taken for one that has ended
                    self.leave()
                    self.join()
            for file in self._files():
                with suppress(OSError):  # a file that cannot be opened tells nothing
                    if _is_held(file):
                        names.add(file.name)
        return [int(name.partition("-")[0]) for name in sorted(names)]

    def _files(self) -> list[Path]:
        with suppress(OSError):
            return list(self._folder.glob("*-*.lock"))
        return []


def _is_held(file: Path) -> bool:
    """Return whether a process holds the lock of this file; remove the file where none does."""
    lock = _lock_on(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    file.unlink(missing_ok=True)
    return False


def _lock_on(file: Path) -> BaseFileLock:
    return FileLock(file, mode=0o600, thread_local=False, fallback_to_soft=False)


def _users_folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"goldfold-{user}"


def _belongs_to_user(folder: Path) -> bool:
    """Return whether this is a real folder of the user's own: anyone can make one in /tmp."""
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and (
        not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    )
