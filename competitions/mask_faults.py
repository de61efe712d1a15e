"""Summaries of many mask files: those that are not masks, and those that are merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from goldfold.competitions.mask_advice import FileValues, advice, counted_values
from goldfold.competitions.mask_levels import Meaning, NotAMaskError
from goldfold.errors import first_few, plural

_NAMED = 3  # contents in a message, and files per content
_VALUES = 12  # values in a message
_HALF, _MOST = 0.5, 0.7  # least and mean share of an image that only an inverted mask covers


@dataclass(frozen=True)
class LevelRead:
    """The level of a mask's pixels in a file."""

    pattern: str
    """The pattern that matched the file."""
    file: str
    level: str
    full: bool
    """Whether any mask may have this level (see `LevelMask`)."""


class MergedImage(Protocol):
    """The masks of an image as its files have them."""

    @property
    def image_id(self) -> str:
        """Of the image."""

    @property
    def background(self) -> Sequence[tuple[str, ...]]:
        """Values that the settings leave out, by file."""

    @property
    def shares(self) -> Mapping[str, float]:
        """Mask -> share of the image's pixels that it covers; "" for the only mask."""

    @property
    def files(self) -> int:
        """Number of all its mask files."""

    @property
    def merged(self) -> int:
        """Largest number of files that were merged into one mask."""


def refuse_levels(faults: Sequence[NotAMaskError], total: int) -> list[str]:
    """Return one problem per remedy: how many files need it, and what the first of them contain.

    Args:
        faults: the files that are not masks.
        total: number of all mask files.
    """
    problems = []
    for remedy in dict.fromkeys(fault.remedy for fault in faults):
        alike = [fault for fault in faults if fault.remedy == remedy]
        files: dict[str, list[str]] = {}
        for fault in alike:
            files.setdefault(fault.content, []).append(fault.name)
        text = (
            f"{len(alike):,} of {total:,} mask files do not contain 0 and one other value: "
            f"{_by_content(files)}. "
        )
        values = [fault.values for fault in alike if fault.values is not None]
        if values:
            counts = f"Files by value: {counted_values(values)}. " if len(values) > 1 else ""
            text += counts + advice(values)
        problems.append(text + remedy)
    return problems


def _by_content(files: dict[str, list[str]]) -> str:
    """Return what the files contain, most common first, each with the first such files."""
    common = sorted(files.items(), key=lambda item: -len(item[1]))
    texts = [f"{content} in {_files(names)}" for content, names in common[:_NAMED]]
    more = [f"others in {sum(len(names) for _, names in common[_NAMED:]):,} more"]
    return "; ".join(texts + (more if len(common) > _NAMED else []))


def _files(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{len(names):,} files ({first_few(names, _NAMED)})"


def refuse_unlike_levels(levels: Sequence[LevelRead]) -> list[str]:
    """Return one problem for each pattern whose files use different levels for the mask.

    Such levels number objects or classes. 1, 255, 65535 and white may be mixed.
    """
    problems = []
    for pattern in dict.fromkeys(read.pattern for read in levels):
        by_level: dict[str, list[LevelRead]] = {}
        for read in levels:
            if read.pattern == pattern:
                by_level.setdefault(read.level, []).append(read)
        if len(by_level) > 1 and not all(reads[0].full for reads in by_level.values()):
            problems.append(_unlike(pattern, by_level))
    return problems


def _unlike(pattern: str, by_level: dict[str, list[LevelRead]]) -> str:
    files = {level: [read.file for read in reads] for level, reads in by_level.items()}
    tokens = sorted((_token(level) for level in by_level), key=str)
    numbers = sorted(token for token in tokens if isinstance(token, int))
    numbered = numbers == list(range(1, len(tokens) + 1))
    values = FileValues((0, *tokens), len(tokens) + 1, numbered)
    return (
        f"the mask files {pattern} use {len(files)} different values for the mask: "
        f"{_by_content(files)}. {advice([values])}"
    )


def _token(level: str) -> int | str:
    """Return the value that settings would list; a palette's is named like "1 #800000"."""
    first = level.split(" ", maxsplit=1)[0]
    return int(first) if first.lstrip("-").isdigit() else first


def note_merged(images: Sequence[MergedImage]) -> list[str]:
    """Return a notice with the number of images that have several files for one mask, if any."""
    several = [image for image in images if image.merged > 1]
    if not several:
        return []
    files = sum(image.files for image in several)
    images_have = plural(len(several), "image has", "images have")
    return [f"{images_have} several mask files, {files:,} in all; they are merged"]


def note_mixed_levels(levels: Sequence[LevelRead]) -> list[str]:
    """Return a notice for each pattern whose files use different usual values for the mask."""
    notices = []
    for pattern in dict.fromkeys(read.pattern for read in levels):
        counts = Counter(read.level for read in levels if read.pattern == pattern)
        if len(counts) > 1:
            named = ", ".join(f"{level} in {count:,}" for level, count in counts.most_common())
            notices.append(
                f"the mask files {pattern} use different values for the mask, each in files of its "
                f"own: {named}. If one of them is not labelled, set labels.ignored_values"
            )
    return notices


def note_background(images: Sequence[MergedImage]) -> list[str]:
    """Return a notice with the values that the settings leave out, if any."""
    files = [values for image in images for values in image.background]
    if not files:
        return []
    return [
        f"{plural(len(files), 'mask file has', 'mask files have')} values that labels.values does "
        f"not list; they are background: {_counted(files)}"
    ]


def _counted(files: Sequence[tuple[str, ...]]) -> str:
    counts = Counter(value for values in files for value in values).most_common()
    listed = [f"{value} in {plural(count, 'file', 'files')}" for value, count in counts[:_VALUES]]
    more = [f"{len(counts) - _VALUES:,} more values"] if len(counts) > _VALUES else []
    return ", ".join(listed + more)


def refuse_absent(images: Sequence[MergedImage], meaning: Meaning) -> list[str]:
    """Return a problem with the masks whose values, which settings list, occur in no file.

    It is none where files have no values that are not listed: `note_absent` tells of it.
    """
    files = [values for image in images for values in image.background]
    absent = _absent(images, meaning)
    if not absent or not files:
        return []
    return [
        f"no mask file contains {absent}, but there are values that labels.values does not list: "
        f"{_counted(files)}"
    ]


def note_absent(images: Sequence[MergedImage], meaning: Meaning) -> list[str]:
    """Return a notice with the masks whose values, which settings list, occur in no file."""
    absent = _absent(images, meaning)
    unlisted = any(image.background for image in images)
    return [] if unlisted or not absent else [f"no mask file contains {absent}"]


def _absent(images: Sequence[MergedImage], meaning: Meaning) -> str:
    """Return in words which masks have no pixel in any file, "" if all have one."""
    if meaning.guessed or not images:
        return ""
    names = dict.fromkeys(name for image in images for name in image.shares)
    absent = [name for name in names if not any(image.shares[name] for image in images)]
    of_classes = ", ".join(name for name in absent if name)
    return f"the values of {of_classes or 'the mask'}" if absent else ""


def refuse_inverted(images: Sequence[MergedImage]) -> list[str]:
    """Return a problem for each mask that, like inverted ones, covers most of every image."""
    problems = []
    for name in dict.fromkeys(name for image in images for name in image.shares):
        shares = [image.shares[name] for image in images]
        covered = [share for share in shares if share]
        if not covered or min(covered) <= _HALF or sum(covered) < _MOST * len(covered):
            continue
        mean = sum(covered) / len(covered)
        problems.append(
            f"are masks inverted? The mask{f' of {name}' if name else ''} covers {mean:.0%} of "
            "the pixels on average, and more than half of every image that has one. Add one of "
            "these lines to [competition.labels]:\n"
            '    values = [0]  # the objects are 0 (black); JPEG: values = ["0..127"]\n'
            '    values = "nonzero"  # the objects are not 0; JPEG: values = ["128..255"]'
        )
    return problems
