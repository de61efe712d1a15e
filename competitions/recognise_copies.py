"""Images that a folder holds twice, in two formats: only those of one format are used."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.image import read_image
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_globs import globs_of
from goldfold.errors import ImageError

_PREFERRED = (".png", ".tif", ".tiff", ".bmp", ".dcm", ".dicom")
"""Endings of formats that lose nothing, the handiest first."""
_COMPARED = 3
_ALIKE = 0.9
"""Correlation of pixels from which two images show the same."""


def leave_out_copies(found: FoundFiles) -> None:
    """Leave out images of which another format is there, too; a line of `found` says which.

    Two folders hold copies if their files have the same names and show the same, but for the
    format.

    Args:
        found: the files of the folder, whose images are changed.
    """
    folders: dict[tuple[tuple[str, ...], str], dict[str, Path]] = defaultdict(dict)
    for path in found.images:
        folders[found.folders(path), path.suffix.lower()][path.stem] = path
    alike: dict[frozenset[str], list[dict[str, Path]]] = defaultdict(list)
    for files in folders.values():
        alike[frozenset(files)].append(files)
    copies: set[Path] = set()
    for several in alike.values():
        several.sort(key=_preference)
        for place, files in enumerate(several[1:], start=1):
            if any(_show_the_same(first, files) for first in several[:place]):
                copies |= {*files.values()}
    if copies:
        found.images = [path for path in found.images if path not in copies]
        globs = globs_of([found.name(path) for path in sorted(copies)])
        found.left_out.append(
            f"{len(copies):,} images are there in another format, too, which is used: "
            f"{', '.join(globs)} are left out"
        )


def _preference(files: dict[str, Path]) -> int:
    ending = next(iter(files.values())).suffix.lower()
    return _PREFERRED.index(ending) if ending in _PREFERRED else len(_PREFERRED)


def _show_the_same(first: dict[str, Path], other: dict[str, Path]) -> bool:
    """Return whether the first few pairs of images differ in nothing but the format."""
    names = sorted(first)[:_COMPARED]
    if first[names[0]].suffix.lower() == other[names[0]].suffix.lower():
        return False
    try:
        return all(
            _correlation(read_image(first[name]), read_image(other[name])) > _ALIKE
            for name in names
        )
    except ImageError:
        return False


def _correlation(first: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the correlation of the gray levels of two images, 0 where one has no detail."""
    grays = [cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA) for image in (first, other)]
    if first.shape[:2] != other.shape[:2] or min(float(gray.std()) for gray in grays) == 0:
        return 0.0
    return float(np.corrcoef(grays[0].ravel(), grays[1].ravel())[0, 1])
