"""Hashes of the content of files, remembered so that unchanged files are not read again.

A hash is remembered together with the size, modification time, change time and inode of its file,
and is used again only while all four stay as they are. Tools that restore the modification time
(`cp -p`, `rsync -t`) cannot restore the change time and usually write a new inode. `chmod`, a
rename or a new mount may change these without changing the content; that costs one more reading.

A file that changed within two seconds before it was hashed is not remembered: a further change in
the same tick of the file system's clock would leave all four as they are. It is hashed again the
next time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import xxhash

from goldfold.errors import OutputError
from goldfold.files import write_text
from goldfold.progress import SILENT, Progress

SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system, that of FAT, ticks every 2 s
_SHOWN_BYTES = 1_000_000_000  # fewer are hashed within a second or two, without a word
_FEWEST_THREADS = 4  # reading waits for the disk rather than for a core


class FileState(NamedTuple):
    """What changes when a file is written; times in nanoseconds."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int


Memory = Mapping[str, tuple[str, FileState]]
"""Hash and state of each file, by its path below a folder."""


def hash_file(path: Path) -> str:
    """Return the XXH3 hash of a file's bytes, 32 hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def hash_files(
    paths: Sequence[Path],
    *,
    root: Path,
    memory: Path | None = None,
    keep: bool = True,
    workers: int = 1,
    progress: Progress = SILENT,
) -> list[str]:
    """Return the hash of each file's content, "" for one that cannot be read.

    Several processes may use one memory: each replaces it whole, and what the last one did not
    hash is hashed again. So is everything when the memory is damaged.

    Args:
        paths: of the files.
        root: folder from which the memory names the files, so that it outlives a move of both.
        memory: file with the hashes of earlier calls; nothing is remembered without it.
        keep: write the memory if it changed.
        workers: threads that hash, at least four.
        progress: told of every file if there is more than a gigabyte to read, and warned if the
            memory cannot be written.
    """
    known = {} if memory is None else _read_memory(memory)
    names = _names_below(root, paths)
    states = dict(zip(names, map(_state_of, paths), strict=True))
    kept = {name: known[name] for name in names if name in known and known[name][1] == states[name]}
    new = {name: path for name, path in zip(names, paths, strict=True) if name not in kept}
    size = sum(state.size for name in new if (state := states[name]) is not None)
    shown = progress if size > _SHOWN_BYTES else SILENT
    hashed = _hash_all(new, max(workers, _FEWEST_THREADS), shown)
    kept |= {
        name: (hashed_file.hash, hashed_file.state)
        for name, hashed_file in hashed.items()
        if hashed_file.state is not None
    }
    if memory is not None and keep and kept != known:
        _write_memory(memory, kept, progress)
    return [hashed[name].hash if name in hashed else kept[name][0] for name in names]


def _names_below(root: Path, paths: Sequence[Path]) -> list[str]:
    """Return each path as seen from a folder, or whole if it lies elsewhere."""
    begin = f"{root}{os.sep}"  # pathlib would take longer than all of the rest
    return [str(path).removeprefix(begin) for path in paths]


class _Hashed(NamedTuple):
    """A hash, and the state to remember it by; None for one that may not be remembered."""

    hash: str
    state: FileState | None


def _hash_all(paths: Mapping[str, Path], workers: int, progress: Progress) -> dict[str, _Hashed]:
    hashed = {}
    pool = ThreadPoolExecutor(workers)
    try:
        with progress.task("hashing files", len(paths)) as task:
            for name, hashed_file in zip(
                paths, pool.map(_hash_settled, paths.values()), strict=True
            ):
                hashed[name] = hashed_file
                task.advance()
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for thousands of files
    return hashed


def _hash_settled(path: Path) -> _Hashed:
    """Return the hash of a file, with its state if a later change is sure to change the state."""
    now = time.time_ns()  # before the file is read: a change while it is read counts as later
    before = _state_of(path)
    try:
        hashed_file = hash_file(path)
    except OSError:
        return _Hashed("", None)  # whoever reads the image says what is wrong
    settled = before is not None and max(before.modified_ns, before.changed_ns) < now - SETTLED_NS
    return _Hashed(hashed_file, before if settled and before == _state_of(path) else None)


def _state_of(path: Path) -> FileState | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return FileState(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


def _read_memory(path: Path) -> Memory:
    """Return what is remembered; nothing if the file is missing or damaged."""
    if not path.is_file():  # a pipe or a device would be read for ever
        return {}
    try:
        check, _, text = path.read_text(encoding="utf-8").partition("\n")
        if check != _check(text):
            return {}
        return {
            name: (fields[0], FileState(*fields[1:])) for name, fields in json.loads(text).items()
        }
    except (OSError, ValueError, TypeError, AttributeError, IndexError):  # of another form
        return {}


def _write_memory(path: Path, memory: Memory, progress: Progress) -> None:
    text = json.dumps({name: [known, *state] for name, (known, state) in memory.items()})
    try:
        write_text(path, f"{_check(text)}\n{text}")
    except OutputError as error:
        progress.warn(f"{error} Until then every command reads all files to hash them.")


def _check(text: str) -> str:
    return f"goldfold-hashes-1 {xxhash.xxh3_128_hexdigest(text.encode())}"
