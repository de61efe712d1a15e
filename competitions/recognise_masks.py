"""Recognises folders of mask files, and the pattern that finds the files of an image."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

_MASKS = re.compile(r"mask|annotation|segmentation|label", re.IGNORECASE)
_ENDING = re.compile(r"[_-]?(mask|label|seg|annotation)$", re.IGNORECASE)
_SEPARATORS = "_-. "


@dataclass(frozen=True)
class MaskPattern:
    """How the mask files of a folder are named.

    Attributes:
        text: pattern with `{id}`.
        several: whether an image has several files.
    """

    text: str
    several: bool


def is_mask_folder(folder: Path, data: Path, folders: Mapping[Path, Sequence[Path]]) -> bool:
    """Return whether a folder is named like masks, and it or most of its files like an image."""
    if not _names_masks(folder, data):
        return False
    others = [other for other in folders if other != folder]
    images = [other for other in others if not _names_masks(other, data)] or others
    names = {path.stem for other in images for path in folders[other]}
    if folder.name in names:
        return _names_masks(folder.parent, data)
    owners = [owner(path.stem, names) for path in folders[folder]]
    return sum(name != "" for name in owners) > len(owners) / 2


def _names_masks(folder: Path, data: Path) -> bool:
    return _MASKS.search(folder.relative_to(data).as_posix()) is not None


def owner(stem: str, names: Collection[str]) -> str:
    """Return the name of the image that a mask file belongs to, "" for none.

    >>> owner("a1_mask", {"a1"}), owner("a1_left", {"a", "a1"}), owner("a10", {"a1"})
    ('a1', 'a1', '')
    """
    for name in (stem, _ENDING.sub("", stem)):
        if name in names:
            return name
    ends = [end for end in range(len(stem) - 1, 0, -1) if stem[end] in _SEPARATORS]
    return next((stem[:end] for end in ends if stem[:end] in names), "")


def mask_pattern(folder: Path, data: Path, names: Collection[str]) -> MaskPattern | None:
    """Return how the mask files of a folder are named, None if none is named after an image.

    Args:
        folder: a folder of mask files.
        data: folder to which the pattern is relative.
        names: names of the training images without extensions.
    """
    if folder.name in names:  # each image has a folder of masks
        ending = Counter(path.suffix for path in folder.iterdir()).most_common(1)[0][0]
        inner = escape(folder.parent.relative_to(data).as_posix())
        return MaskPattern(f"{inner}/{{id}}/*{escape(ending)}", several=True)
    tails: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if name := owner(path.stem, names):
            tails[name].append(path.name.removeprefix(name))
    every = Counter(tail for of_image in tails.values() for tail in of_image)
    if not every:
        return None
    common = every.most_common(1)[0][0]
    ending = Path(f"x{common}").suffix
    alike = [[tail for tail in of_image if tail.endswith(ending)] for of_image in tails.values()]
    several = any(len(of_image) > 1 for of_image in alike)
    if several:
        first = {tail[0] for of_image in alike if len(of_image) > 1 for tail in of_image}
        inner = f"{escape(first.pop()) if len(first) == 1 else ''}*{escape(ending)}"
        # {id}.*.png would not match {id}.png
        inner = f"*{escape(ending)}" if inner.startswith(".") else inner
    else:
        inner = escape(common)
    return MaskPattern(f"{escape(folder.relative_to(data).as_posix())}/{{id}}{inner}", several)
