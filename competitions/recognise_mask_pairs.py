"""Which image files of an unknown folder are masks of others: by their names, else by content."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from goldfold.competitions.mask_levels import read_mask
from goldfold.competitions.mask_pixels import read_mask_pixels, values_in
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_globs import common_start
from goldfold.competitions.recognise_mask_names import names_masks, owner_before
from goldfold.errors import ImageError

_SAMPLED = 5
"""Files of each kind whose pixels are looked at."""
_FEW_LEVELS = 20
"""Values of the pixels of a file of classes, above which it is hardly one."""
_MOSTLY = 0.9
_MOST_FOLDERS = 40


def mask_files(found: FoundFiles) -> set[str]:
    """Return the paths of the files that are masks of other images, below the data folder."""
    names = [found.name(path) for path in found.images]
    return masks_by_name(names) or _masks_by_content(found, names)


def masks_by_name(names: Sequence[str]) -> set[str]:
    """Return the files that their folders or their own names call masks.

    >>> sorted(masks_by_name(["a/x.png", "a/x_mask.png", "b/y.png"]))
    ['a/x_mask.png']
    """
    folders = [_folders(name) for name in names]
    shared = next(
        (level for level, at in enumerate(zip(*folders, strict=False)) if len({*at}) > 1),
        min(map(len, folders), default=0),
    )
    masks = {name for name in names if any(map(names_masks, _folders(name)[shared:]))}
    stems = {PurePosixPath(name).stem for name in names}
    masks |= {name for name in names if _is_mask_of_another(PurePosixPath(name).stem, stems)}
    masks = masks or _masks_of_same_folder(names)
    return masks if len(masks) < len(names) else set()


def _masks_of_same_folder(names: Sequence[str]) -> set[str]:
    """Return files such as mask_1.png that lie beside image_1.png.

    >>> sorted(_masks_of_same_folder(["p1/image.png", "p1/mask.png"]))
    ['p1/mask.png']
    """
    images: set[tuple[str, ...]] = set()
    masks: dict[str, tuple[str, ...]] = {}
    for name in names:
        stem = PurePosixPath(name).stem
        key = (*_folders(name), *re.findall(r"\d+", stem))
        if names_masks(stem):
            masks[name] = key
        else:
            images.add(key)
    owned = sum(key in images for key in masks.values())
    return {*masks} if owned and owned >= _MOSTLY * len(masks) else set()


def _is_mask_of_another(stem: str, stems: Collection[str]) -> bool:
    """Return whether a name is that of another file and a word for masks behind it."""
    if not names_masks(stem):
        return False
    return any(stem[:end] in stems and names_masks(stem[end:]) for end in range(1, len(stem)))


def _folders(name: str) -> tuple[str, ...]:
    return PurePosixPath(name).parts[:-1]


def _masks_by_content(found: FoundFiles, names: Sequence[str]) -> set[str]:
    """Return the files of two levels that are named like photographs in number and form."""
    for groups, levels in (
        (_by_folder(names), 2), (_by_ending(names), 2), (_by_tail(names), 2),
        (_by_folder(names), _FEW_LEVELS),
    ):  # fmt: skip
        masks: set[str] = set()
        looks: dict[str, bool] = {}  # the first file of a group tells groups apart
        for first, other in _pairs(groups):
            for group in (first, other):
                if group[0] not in looks:
                    looks[group[0]] = look_like_masks(found, group, levels)
            if looks[first[0]] and not looks[other[0]]:
                masks |= {*first}
        if masks:
            return masks
    return set()


def _pairs(groups: Mapping[str, Mapping[str, str]]) -> list[tuple[list[str], list[str]]]:
    """Return pairs of groups of files with the same keys, in both orders."""
    if len(groups) > _MOST_FOLDERS:
        return []
    pairs = []
    for first, of_first in groups.items():
        for other, of_other in groups.items():
            both = of_first.keys() & of_other.keys()
            if first != other and len(both) >= max(2, _MOSTLY * len(of_first)):
                pairs.append((list(of_first.values()), [of_other[key] for key in sorted(both)]))
    return pairs


def _by_folder(names: Sequence[str]) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        groups["/".join(_folders(name))][PurePosixPath(name).stem] = name
    return groups


def _by_ending(names: Sequence[str]) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        path = PurePosixPath(name)
        groups[path.suffix.lower()][str(path.with_suffix(""))] = name
    return groups


def _by_tail(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return files by what stands behind the name of another file of their folder."""
    stems = {str(PurePosixPath(name).with_suffix("")) for name in names}
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        stem = str(PurePosixPath(name).with_suffix(""))
        whose = owner_before(stem, stems)
        groups[stem[len(whose) :] if whose else ""][whose or stem] = name
    often = Counter({tail: len(files) for tail, files in groups.items()}).most_common(_SAMPLED)
    return {tail: groups[tail] for tail, _ in often}


def look_like_masks(found: FoundFiles, names: Sequence[str], levels: int = 2) -> bool:
    """Return whether a few of the files have at most so many levels."""
    step = max(1, len(names) // _SAMPLED)
    try:
        for name in names[::step][:_SAMPLED]:
            if levels == 2:
                read_mask(found.data / name, found.data)
            elif len(values_in(read_mask_pixels(found.data / name, found.data).shown)) > levels:
                return False
    except ImageError:
        return False
    return True


def shared_affixes(images: Collection[str], masks: Collection[str]) -> tuple[str, str] | None:
    r"""Return a pattern of ids and the name of a mask for files such as img_1.png and mask_1.png.

    >>> shared_affixes(["img_1", "img_2"], ["seg-1", "seg-2"])
    ('img_([^/]+)\\.[^./]+$', 'seg-{id}')

    Args:
        images: names without endings.
        masks: names without endings.
    """
    if not images or not masks:
        return None
    of_images, of_masks = _affixes(images), _affixes(masks)
    cores = {_core(name, of_images) for name in images}
    owned = {_core(name, of_masks) for name in masks}
    if of_images == ("", "") or "" in cores or len(owned & cores) < _MOSTLY * len(owned):
        return None
    before, behind = map(re.escape, of_images)
    return rf"{before}([^/]+){behind}\.[^./]+$", f"{of_masks[0]}{{id}}{of_masks[1]}"


def _affixes(names: Collection[str]) -> tuple[str, str]:
    """Return what all names begin and end with, without digits next to the part that differs."""
    before = common_start(names).rstrip("0123456789")
    behind = common_start(name[::-1] for name in names)[::-1].lstrip("0123456789")
    return before, behind


def _core(name: str, affixes: tuple[str, str]) -> str:
    return name[len(affixes[0]) : len(name) - len(affixes[1])]
