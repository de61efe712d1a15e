"""Read the maps of a finished prediction store by image id."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError, list_problems, plural
from goldfold.files import fingerprint, read_json
from goldfold.inference.record import (
    HEADER_BYTES,
    Entry,
    Stored,
    pack_header,
    scan_records,
    unpack_array,
)
from goldfold.inference.store import map_name


class MapReader:
    """The maps of a finished store, read image by image from a memory map.

    Threads may share a reader; a copy sent to another process opens the file there again.

    Attributes:
        path: the .maps file.
        facts: what the maps were made from.
        of_class: class whose maps are read, "" where an image has one map.
        image_ids: ids in the order of the file.
    """

    def __init__(self, path: Path, of_class: str = "") -> None:
        """Open a store.

        Raises:
            InputError: there is no finished store, or only some of its maps have a presence.
        """
        self.path, self.of_class = path, of_class
        summary_path = path.with_suffix(".json")
        if not path.is_file() or not summary_path.is_file():
            state = "is not finished" if path.is_file() else "does not exist"
            raise InputError(f"{path} {state}. Run `goldfold predict run` (it resumes).")
        summary = read_json(summary_path)
        self.facts: dict[str, Any] = summary["facts"]
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != summary["bytes"] or size < HEADER_BYTES:
                raise _damaged(path, f"it has {size} bytes, not {summary['bytes']}")
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._content[:HEADER_BYTES] != pack_header(fingerprint(self.facts)):
            raise _damaged(path, f"its facts are not those of {summary_path.name}")
        self._view = memoryview(self._content)
        entries = scan_records(self._view, verify=False)
        found = {entry.image_id: entry for entry in entries}
        if len(found) != summary["images"]:
            raise _damaged(path, f"it has {len(found)} maps, not {summary['images']}")
        end = map_name("", of_class)
        self._entries: dict[str, Entry] = {
            name.removesuffix(end): entry for name, entry in found.items() if name.endswith(end)
        }
        if found and not self._entries:
            raise InputError(
                f"{path} has no maps of class {of_class!r}. Run `goldfold predict run` again."
            )
        self.image_ids = list(self._entries)
        self._refuse_lost_presence()

    def _refuse_lost_presence(self) -> None:
        """Raise InputError where some maps have a presence: that of the others was NaN.

        Older versions stored logits that were not finite as an empty map.
        """
        lost = [name for name, entry in self._entries.items() if entry.presence is None]
        if 0 < len(lost) < len(self._entries):
            count = plural(len(lost), "image", "images")
            title = f"{self.path}: the probability of presence was NaN for {count}:"
            remedy = f"Remove {self.path.name} and run `goldfold predict run` again."
            raise InputError(list_problems(title, lost, remedy))

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def __reduce__(self) -> tuple[type[MapReader], tuple[Path, str]]:
        """Send the place of the file, not its content, to another process."""
        return MapReader, (self.path, self.of_class)

    def __len__(self) -> int:
        """Return the number of maps."""
        return len(self._entries)

    def __contains__(self, image_id: object) -> bool:
        """Return whether there is a map of the image."""
        return image_id in self._entries

    def size(self, image_id: str) -> tuple[int, int]:
        """Return height and width of a map in pixels.

        Raises:
            InputError: there is no map of the image.
        """
        entry = self._entry(image_id)
        return entry.height, entry.width

    def presence(self, image_id: str) -> float | None:
        """Return the probability that an image has a mask, None where no head told.

        Raises:
            InputError: there is no map of the image.
        """
        return self._entry(image_id).presence

    def read(self, image_id: str) -> NDArray[np.uint8]:
        """Return the map of an image, uint8 (H, W), read-only.

        Raises:
            InputError: there is no map of the image, or its bytes are damaged.
        """
        levels = self._array(image_id)
        if levels.dtype != np.uint8:
            raise _damaged(self.path, f"{image_id} has a row of numbers, not a map")
        return levels.view(np.uint8)

    def read_row(self, image_id: str) -> NDArray[np.float32]:
        """Return the numbers of an image, float32 (C,), read-only.

        Raises:
            InputError: there are none of the image, or their bytes are damaged.
        """
        row = self._array(image_id)
        if row.dtype != np.float32:
            raise _damaged(self.path, f"{image_id} has a map, not a row of numbers")
        return row.view(np.float32)

    def _array(self, image_id: str) -> Stored:
        array = unpack_array(self._view, self._entry(image_id))
        if array is None:
            raise _damaged(self.path, f"the record of {image_id} fails its checksum")
        return array

    def close(self) -> None:
        """Close the memory map; a second call does nothing."""
        self._view.release()
        self._content.close()

    def _entry(self, image_id: str) -> Entry:
        entry = self._entries.get(image_id)
        if entry is None:
            raise InputError(f"{self.path} has no map of {image_id} ({len(self)} maps).")
        return entry


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path} is damaged: {reason}. Remove it and run `goldfold predict run` again."
    )
