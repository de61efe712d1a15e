"""The images of a folder in the order of a sequence: slices by their position, others by name."""

from __future__ import annotations

import re
from pathlib import Path

from goldfold.competitions.convert import SUFFIXES
from goldfold.competitions.image_headers import read_headers
from goldfold.competitions.image_kind import ending_of
from goldfold.errors import ImageError, InputError

_DIGITS = re.compile(r"(\d+)")


def images_in_order(folder: Path) -> tuple[list[Path], str]:
    """Return the images of a folder in order, and in words what orders them.

    DICOM slices that all say where they lie, each elsewhere, are ordered by that position; all
    other images by name, numbers in it by value.

    Raises:
        InputError: there are no images.
    """
    paths = sorted(
        (
            path
            for path in folder.iterdir()
            if path.is_file() and not path.name.startswith(".") and ending_of(path) in SUFFIXES
        ),
        key=lambda path: name_key(path.name),
    )
    if not paths:
        raise InputError(f"{folder} holds no image file.")
    headers = read_headers(paths)
    places = [
        "" if isinstance(header, ImageError) else header.facts["position_mm"] for header in headers
    ]
    if "" in places or len(set(places)) < len(places):
        return paths, "name"
    by_position = sorted(zip(map(float, places), range(len(paths)), strict=True))
    return [paths[number] for _, number in by_position], "position"


def name_key(name: str) -> list[tuple[int, int, str]]:
    """Return what sorts names so that numbers in them count by value.

    >>> sorted(["slice_10.png", "slice_9.png"], key=name_key)
    ['slice_9.png', 'slice_10.png']
    """
    parts = [part for part in _DIGITS.split(name) if part]
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]
