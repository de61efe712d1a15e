"""Summaries of many mask files: those that are not masks, and those that are merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from goldfold.competitions.mask_levels import REWRITE, NotAMaskError
from goldfold.errors import first_few, plural

_NAMED = 3  # contents in a message, and files per content


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
    """The number of mask files of an image."""

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
        files: dict[str, list[str]] = {}
        for fault in faults:
            if fault.remedy == remedy:
                files.setdefault(fault.content, []).append(fault.name)
        count = sum(len(names) for names in files.values())
        problems.append(
            f"{count:,} of {total:,} mask files do not contain a mask of two levels: "
            f"{_by_content(files)}. {remedy}"
        )
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
    return (
        f"the mask files {pattern} use {len(files)} different levels for the mask: "
        f"{_by_content(files)}. {REWRITE}"
    )


def note_merged(images: Sequence[MergedImage]) -> list[str]:
    """Return a notice with the number of images that have several files for one mask, if any."""
    several = [image for image in images if image.merged > 1]
    if not several:
        return []
    files = sum(image.files for image in several)
    images_have = plural(len(several), "image has", "images have")
    return [f"{images_have} several mask files, {files:,} in all; they are merged"]
