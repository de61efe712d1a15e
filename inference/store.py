"""The prediction store: one array per image, written one after another.

An array is an 8-bit probability map, or a row of numbers of full precision. A store is `NAME.maps`,
which only ever grows, and `NAME.json`, which says what the arrays were made from and is written
only once all of them are there. A kill at any moment leaves whole records and at most one torn one;
the next writer cuts that off and resumes, and the finished file has the same bytes as one written
without a break.

Several processes may write one store, each some of the images. They take turns at its end; who
finds a torn record there cuts it off, for whoever has the turn is the only one writing. The order
of the records is then that of their arrival, and so are the bytes; what a reader gives is the same.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from goldfold.errors import InputError, OutputError
from goldfold.files import fingerprint, read_json, write_json
from goldfold.inference.record import (
    HEADER_BYTES,
    MAGIC,
    Stored,
    checked_record,
    pack_header,
    scan_records,
)
from goldfold.locks import WriterLock

Split = Literal["out-of-fold", "test"]

FORMAT = 2

CLASS_JOINT = "\t"
"""Between image and class in the name of a map, where an image has several."""


def map_name(image_id: str, name: str = "") -> str:
    """Return what a map is called in a store: its image, and its class where there are several.

    >>> map_name("a"), map_name("a", "left").split()
    ('a', ['a', 'left'])
    """
    return f"{image_id}{CLASS_JOINT}{name}" if name else image_id


def maps_path(predictions: Path, model: str, seed: int, fold: int, split: Split) -> Path:
    """Return where a fold model's maps lie, e.g. predictions/MODEL/seed-0/fold-0/test.maps."""
    return predictions / model / f"seed-{seed}" / f"fold-{fold}" / f"{split}.maps"


class MapWriter:
    """Appends maps to a store; resumes where an earlier writer with the same facts stopped.

    Use it in a `with` block, and call `finish` when all maps are in. Leaving the block without
    it keeps what is there for the next writer, but no reader takes it.

    Attributes:
        path: the .maps file.
        facts: what the maps are made from.
        cut_bytes: bytes of a torn record that were cut off on opening.
    """

    def __init__(
        self,
        path: Path,
        facts: Mapping[str, Any],
        *,
        restart: bool = False,
        shared: bool = False,
    ) -> None:
        """Open or begin a store.

        Args:
            path: the .maps file.
            facts: everything the maps depend on (checkpoints, views, image size), as JSON takes
                it; a store with other facts is never continued.
            restart: empty a store with other facts instead of refusing it.
            shared: other processes, opened in the same way, write into it as well.

        Raises:
            InputError: the file is no store, or has other facts and `restart` is not set.
            OutputError: it cannot be written, or another process is writing it.
        """
        self.path, self.facts = path, dict(facts)
        self.cut_bytes = 0
        self._shared = shared
        self._stored: set[str] = set()
        self._end = HEADER_BYTES
        self._header = pack_header(fingerprint(self.facts))
        self._summary = path.with_suffix(".json")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            self._lock = WriterLock(path, shared=shared)
        except BaseException:
            self._file.close()
            raise
        try:
            with self._lock.turn():
                self._resume(restart)
        except OSError as error:
            self.close()
            raise _unwritable(path, error) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def __len__(self) -> int:
        """Return the number of maps that are stored."""
        return len(self._stored)

    def __contains__(self, image_id: object) -> bool:
        """Return whether the map of an image is stored."""
        return image_id in self._stored

    def append(self, image_id: str, array: Stored, presence: float | None = None) -> None:
        """Store one array, and the presence probability that goes with it.

        An array that another process has stored meanwhile stays as it is.

        Args:
            image_id: of the image, or `map_name`.
            array: a map, uint8 (H, W), or a row of numbers, float32 (C,).
            presence: probability that there is a mask at all, None where no head tells.

        Raises:
            InputError: the image is stored already, or the array is of another form.
            NotFiniteError: a number or the presence is NaN or infinite; NaN in a record means no
                presence.
            OutputError: the disk is full or the file cannot be written, or another process has
                begun the store anew.
        """
        self.append_record(image_id, checked_record(image_id, array, presence))

    def append_record(self, image_id: str, record: bytes) -> None:
        """Store what `checked_record` returned; records lie in the order of these calls.

        Raises:
            InputError: the image is stored already.
            OutputError: as `append`.
        """
        self._refuse_double(image_id)
        with self._lock.turn():
            self._catch_up()
            if image_id not in self._stored:
                self._summary.unlink(missing_ok=True)
                self._write(record)
                self._stored.add(image_id)

    def _refuse_double(self, image_id: str) -> None:
        if image_id in self._stored:
            raise InputError(f"{image_id} is stored already in {self.path}; ids must differ.")

    def holds(self, count: int) -> bool:
        """Return whether so many maps are stored, those of other processes included."""
        with self._lock.turn():
            self._catch_up()
        return len(self._stored) >= count

    def finish(self) -> None:
        """Flush the maps to the disk, then write the summary that opens them to readers.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        with self._lock.turn():
            self._catch_up()
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise _unwritable(self.path, error) from error
            summary = {
                "format": FORMAT,
                "facts": self.facts,
                "images": len(self._stored),
                "bytes": self._end,
            }
            write_json(self._summary, summary)

    def close(self) -> None:
        """Close the file; what is stored stays."""
        self._file.close()
        self._lock.release()

    def _resume(self, restart: bool) -> None:
        """Take over the whole records, cut off a torn one, or begin anew."""
        self._file.seek(0)
        header = self._file.read(HEADER_BYTES)
        if header == self._header:
            self._take_over()
            return
        if not MAGIC.startswith(header[: len(MAGIC)]):
            raise InputError(
                f"expected {self.path} to be a prediction store, found another kind of file. "
                "Move it away."
            )
        if len(header) == HEADER_BYTES and not restart:
            raise InputError(
                f"{self.path} was made from other facts{self._differences()}. "
                "Pass restart=True to begin it anew, or move the file away."
            )
        self._summary.unlink(missing_ok=True)
        self._file.truncate(0)
        self._end = 0
        self._write(self._header)

    def _differences(self) -> str:
        """Return in words which facts differ, where the old ones are known."""
        if not self._summary.is_file():
            return ""
        old = read_json(self._summary).get("facts", {})
        keys = sorted(old.keys() | self.facts.keys())
        changed = [k for k in keys if fingerprint(old.get(k)) != fingerprint(self.facts.get(k))]
        return f" ({', '.join(changed)} changed)" if changed else ""

    def _catch_up(self) -> None:
        """Take in what other processes stored since the last turn."""
        if not self._shared or self._size() == self._end:
            return
        self._file.seek(0)
        if self._file.read(HEADER_BYTES) != self._header:
            raise OutputError(
                f"another process has begun {self.path} anew, from other facts. "
                "Run the same settings everywhere."
            )
        self._take_over()

    def _take_over(self) -> None:
        size = self._size()
        with (
            mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
        ):
            entries = list(scan_records(view, verify=True, start=self._end))
        self._stored.update(entry.image_id for entry in entries)
        if entries:
            self._end = entries[-1].end
        torn = size - self._end
        if torn:
            self.cut_bytes += torn
            self._summary.unlink(missing_ok=True)
            self._file.truncate(self._end)

    def _write(self, content: bytes) -> None:
        """Append bytes; on a full disk take back the part that was written."""
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.truncate(self._end)
            raise _unwritable(self.path, error) from error
        self._end += len(content)

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write {path}: {error.strerror or error}. "
        "Free some space or choose a folder you may write to."
    )
