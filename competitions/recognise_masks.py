"""Recognises masks in files: beside the images, in folders of masks, in a folder per image."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from glob import escape
from pathlib import PurePosixPath

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_globs import common_start, generalised, matching
from goldfold.competitions.recognise_ids import ShortIds
from goldfold.competitions.recognise_images import add_images
from goldfold.competitions.recognise_mask_excludes import exclude_companions, exclude_masks
from goldfold.competitions.recognise_mask_names import (
    MaskName,
    is_numbering,
    mask_name,
)
from goldfold.competitions.recognise_mask_pairs import shared_affixes
from goldfold.competitions.recognise_mask_places import mask_places
from goldfold.competitions.recognise_mask_values import guess_mask_values
from goldfold.errors import first_few, plural

_RECURS = 0.5
"""Share of the images in which a name of a mask must recur to be a kind of its own."""


def recognise_masks(found: FoundFiles, masks: set[str]) -> CompetitionDraft | None:
    """Return a draft for masks in files, None if no file is the mask of another.

    Args:
        found: the files of the folder.
        masks: paths of the files that look like masks.
    """
    if not masks:
        return None
    pictures = [path for path in found.images if found.name(path) not in masks]
    draft = CompetitionDraft.empty(found.data.name, "masks in files")
    train, test = add_images(draft, found, pictures, others=masks)
    names = [found.name(path) for path in train]
    kinds = _owners(draft, found, names, [found.name(path) for path in test], masks)
    owned = [name for kind in kinds.values() for name in kind]
    if not owned:
        draft.refuse(
            f"{plural(len(masks), 'file looks like a mask', 'files look like masks')} "
            f"({first_few(sorted(masks), 2)}), but their names are not those of training images. "
            "Name each mask after its image."
        )
        return draft
    kinds = _apart_from_images(kinds, [found.name(path) for path in pictures])
    owners = [name.image for kind in kinds.values() for name in {n.image: n for n in kind}.values()]
    alternatives = len(owners) == len({*owners})  # no image has masks of two kinds
    lists = [[pattern] for pattern in kinds] if alternatives else [[*kinds]]
    draft.competition |= {"task": "segmentation", "labels": {"kind": "masks", "masks": lists}}
    exclude_masks(draft, found, pictures, masks)
    images = {name.image for name in owned}
    draft.score = len(images) / len(names)
    exclude_companions(draft, found, names, images)
    draft.say(
        f"mask files {', '.join(kinds)}: {len(owned):,} files of {len(images):,} "
        f"of {len(names):,} training images"
    )
    for name in owned:
        draft.mask_files.setdefault(name.image, []).append(found.data / name.path)
    _say_rest(draft, found, masks, owned, {path.stem for path in test})
    if "competition.labels.masks" not in draft.questions:
        _ask_about_several(draft, kinds, owned)
    _add_values(draft, found)
    return draft


def _owners(
    draft: CompetitionDraft,
    found: FoundFiles,
    names: Sequence[str],
    tests: Sequence[str],
    masks: set[str],
) -> dict[str, list[MaskName]]:
    """Return pattern -> masks that are named after training images; add the pattern of the ids."""
    images = draft.competition["images"]
    of_train = sorted(mask for mask in masks if found.is_train(found.data / mask))
    ids = ShortIds.of(names)
    owned: list[MaskName] = []
    if ids is not None:
        every = (mask_name(mask, ids.names, ids.depth) for mask in sorted(masks))
        owned = [name for name in every if name is not None]
    if len(owned) > _RECURS * len(of_train):
        images |= {"id_pattern": ids.pattern} if ids is not None and ids.pattern else {}
        return _by_pattern(owned)
    if places := mask_places(names, of_train, tests):
        images["id_pattern"] = places.id_pattern
        return {
            pattern: [
                MaskName(mask, image, PurePosixPath(mask).parts[:-1], PurePosixPath(mask).name)
                for mask, image in of_kind.items()
            ]
            for pattern, of_kind in places.patterns.items()
        }
    free = [mask for mask in of_train if mask_name(mask, {*_stems(tests)}) is None]
    affixes = shared_affixes(ids.names, _stems(free)) if ids is not None and not owned else None
    if ids is not None and affixes is not None:
        images["id_pattern"], tail = affixes
        owned = _by_affixes(free, ids.names, affixes[0], tail)
    elif ids is not None and ids.pattern:
        images["id_pattern"] = ids.pattern
    return _by_pattern(owned)


def _by_pattern(owned: Sequence[MaskName]) -> dict[str, list[MaskName]]:
    kinds: dict[str, list[MaskName]] = defaultdict(list)
    for kind in _kinds(owned).values():
        kinds[_pattern(kind)] += kind
    return dict(kinds)


def _apart_from_images(
    kinds: Mapping[str, list[MaskName]], pictures: Sequence[str]
) -> dict[str, list[MaskName]]:
    """Return the masks by pattern, one pattern per folder where it would match images, too."""
    apart: dict[str, list[MaskName]] = {}
    for pattern, masks in kinds.items():
        if not matching(pattern.replace("{id}", "*").replace("**", "*"), pictures):
            apart[pattern] = masks
            continue
        by_folder: dict[tuple[str, ...], list[MaskName]] = defaultdict(list)
        for mask in masks:
            by_folder[mask.folders].append(mask)
        apart |= {_pattern(of_folder): of_folder for of_folder in by_folder.values()}
    return apart


def _add_values(draft: CompetitionDraft, found: FoundFiles) -> None:
    """Add what the values of the mask files mean, or ask."""
    files = [path for paths in draft.mask_files.values() for path in paths]
    guess = guess_mask_values(files, found.data)
    draft.say(guess.evidence)
    labels = draft.competition["labels"]
    labels |= {"values": guess.values} if guess.values else {}
    labels |= {"ignored_values": guess.ignored_values} if guess.ignored_values else {}
    if guess.question:
        draft.ask("competition.labels.values", guess.question)


def _stems(paths: Sequence[str] | set[str]) -> list[str]:
    return [PurePosixPath(path).stem for path in paths]


def _by_affixes(
    masks: Sequence[str], images: frozenset[str], pattern: str, tail: str
) -> list[MaskName]:
    """Return the names of masks that share a number, not a name, with their images."""
    before, _, behind = tail.partition("{id}")
    cores = {re.search(pattern, f"{name}.x")[1]: name for name in images}  # type: ignore[index]
    named = []
    for mask in masks:
        path = PurePosixPath(mask)
        core = path.stem[len(before) : len(path.stem) - len(behind)]
        if core in cores:
            tail = f"{behind}{path.suffix}"
            named.append(MaskName(mask, cores[core], path.parts[:-1], tail, before))
    return named


def _kinds(named: Sequence[MaskName]) -> dict[tuple[str, ...], list[MaskName]]:
    """Return the masks by kind: by those folders that differ among the masks of one image."""
    levels: set[int] = set()
    of_image: dict[str, list[MaskName]] = defaultdict(list)
    for name in named:
        of_image[name.image].append(name)
    for masks in of_image.values():
        first = masks[0].folders
        for other in masks[1:]:
            levels |= {
                level
                for level, (mine, its) in enumerate(zip(first, other.folders, strict=False))
                if mine != its
            }
    kinds: dict[tuple[str, ...], list[MaskName]] = defaultdict(list)
    for name in named:
        of_levels = [name.folders[level] for level in sorted(levels) if level < len(name.folders)]
        ending = PurePosixPath(name.path).suffix
        kinds[(str(len(name.folders)), ending, *of_levels)].append(name)
    return dict(sorted(kinds.items()))


def _pattern(masks: Sequence[MaskName]) -> str:
    """Return the pattern with `{id}` that matches the masks of one kind."""
    depth = len(masks[0].folders)
    folders = [
        "{id}"
        if all(mask.folders[level] == "{id}" for mask in masks)
        else generalised([mask.folders[level] for mask in masks])
        for level in range(depth)
    ]
    before = escape(masks[0].before)
    tails = sorted({mask.tail for mask in masks})
    ending = escape(PurePosixPath(masks[0].path).suffix)
    if len(tails) == 1:
        tail = escape(tails[0])
    elif masks[0].in_own_folder:
        tail = f"*{ending}"
    else:
        common = common_start(PurePosixPath(tail).stem for tail in tails).rstrip("0123456789")
        # {id}.*.png would not match {id}.png
        tail = f"{'' if common.startswith('.') else escape(common)}*{ending}"
    name = tail if masks[0].in_own_folder else f"{before}{{id}}{tail}"
    return "/".join([*folders, name])


def _say_rest(
    draft: CompetitionDraft,
    found: FoundFiles,
    masks: set[str],
    owned: Sequence[MaskName],
    of_tests: Collection[str],
) -> None:
    """Count the masks that are of no training image."""
    rest = sorted(masks - {name.path for name in owned})
    tests = [
        mask
        for mask in rest
        if found.split(found.data / mask) == "test" or mask_name(mask, of_tests) is not None
    ]
    if tests:
        count = plural(len(tests), "mask file", "mask files")
        draft.say(f"{count} of test images are not used: {first_few(tests, 2)}")
    lost = [mask for mask in rest if mask not in {*tests}]
    if lost:
        count = plural(len(lost), "mask file belongs", "mask files belong")
        draft.say(f"{count} to no training image: {first_few(lost, 2)}")
    if len(lost) >= _RECURS * len(draft.mask_files):
        draft.ask(
            "competition.labels.masks",
            f"{count} to no image by name ({first_few(lost, 2)}). Are the masks those "
            "files? Then rename them after their images, or set the pattern with {id}.",
        )


def _ask_about_several(
    draft: CompetitionDraft,
    kinds: Mapping[str, Sequence[MaskName]],
    owned: Sequence[MaskName],
) -> None:
    """Ask about several masks of an image, unless their names show that they are its objects."""
    per_image = Counter(name.image for name in owned)
    most = max(per_image.values())
    if most == 1:
        return
    several = sum(count > 1 for count in per_image.values())
    count = f"{plural(several, 'image has', 'images have')} several mask files, up to {most:,}"
    named = _named_kinds(kinds, owned, len(per_image))
    draft.objects = not named
    if not named:
        draft.say(f"{count}; they are merged into one mask per image")
        return
    draft.ask(
        "competition.labels.masks",
        f"{count} ({', '.join(named)}), which are merged into one mask. Is each a separate class? "
        "Then set competition.classes and competition.labels.class_masks (class = [pattern]) "
        "instead of competition.labels.masks. Is one of them the truth? Then name only that one.",
    )


def _named_kinds(
    kinds: Mapping[str, Sequence[MaskName]], owned: Sequence[MaskName], images: int
) -> list[str]:
    """Return what distinguishes the masks of an image if it recurs from image to image."""
    if len(kinds) > 1:
        return [*kinds]
    tails = Counter(name.tail for name in owned)
    if is_numbering([*tails]):
        return []
    often = [tail for tail, count in tails.most_common() if count >= max(2, _RECURS * images)]
    return [escape_free(tail) for tail in sorted(often)] if len(often) > 1 else []


def escape_free(tail: str) -> str:
    """Return the tail of a name without its ending.

    >>> escape_free("_left.png")
    '_left'
    """
    return PurePosixPath(f"x{tail}").stem[1:] or tail
