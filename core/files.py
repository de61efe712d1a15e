"""Files that are written whole or not at all, and fingerprints of what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from goldfold.errors import InputError, OutputError

_BLOCK_BYTES = 1 << 20


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends well.

    The temporary file is flushed to the disk before the rename, so that a kill or a power cut
    leaves the old file or the new one, never a half. On an error it is removed.

    Raises:
        OutputError: the folder cannot be made or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}. "
            "Free some space or choose a folder you may write to."
        ) from error
    finally:
        # A failed clean-up must not hide the reason of the failure.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int, path: Path, *, shared: bool = False) -> None:
    """Take an open file or folder for its opener until it is closed, where the system can.

    Args:
        descriptor: of the open file or folder.
        path: its name, for the message.
        shared: with others who take it shared, too.

    Raises:
        OutputError: somebody else has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no flock
        return
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"another process is writing {path}. Wait for it to end, or end it."
        ) from None


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Wait for one's turn among the processes that ask for the same folder.

    Whatever ends a process also ends its turn, and nothing is left behind. Where folders cannot be
    locked (Windows) nobody waits.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same out of a folder, which is made if missing.

    Nothing is left behind, whatever ends the process. Where folders cannot be locked (Windows,
    some network drives) nobody is kept out.

    Raises:
        OutputError: another process has the folder, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY) if os.name == "posix" else None
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}. "
            "Free some space or choose a folder you may write to."
        ) from error
    if descriptor is None:
        yield
        return
    try:
        with suppress(OSError):  # from `lock`, where folders cannot be locked
            lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers left in a folder and below.

    Only for a folder that nobody else is writing to.
    """
    for temporary in folder.rglob(".*.tmp"):
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, newlines as given."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: sorted keys, two spaces, one newline at the end."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} as JSON: {error}.") from error


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(value: Any) -> str:
    """Return 16 hexadecimal digits that change when the JSON form of `value` changes.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside `folder` that takes its place when the block ends well.

    Raises:
        OutputError: it cannot be written.
    """
    partial = folder.absolute().with_name(f".{folder.absolute().name}.partial")
    try:
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}. "
            "Free some space or choose a folder you may write to."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
