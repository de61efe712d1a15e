"""Finds the mask files of each image."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from goldfold.competitions.data_folder import find_images, path_in
from goldfold.errors import first_few, plural

ID = "{id}"
_WILDCARDS = re.compile(r"(\*\*/|\*|\?|\[!?\]?[^\]]*\])")
_ID_AND_STARS = re.compile(r"\*?\{id\}\*?")
_GROUPS_AND_STARS = re.compile(r"\*?(?:\{[1-9]\}\*?)+")
_GROUP = re.compile(r"\{([1-9])\}")

Alternatives = Sequence[Sequence[str]]


def mask_globs(alternatives: Alternatives, id_pattern: str | None = None) -> list[str]:
    """Return globs that match every mask file; ids may have as many slashes as `id_pattern`.

    >>> mask_globs([["masks/{id}_mask.png"]])
    ['masks/*_mask.png']
    """
    depths = range((id_pattern or "").count("/") + 1)
    patterns = [pattern for group in alternatives for pattern in group]
    return [_with_any_id(pattern, depth) for depth in depths for pattern in patterns]


@dataclass(frozen=True)
class MaskIndex:
    """The mask files of a data folder.

    Attributes:
        data: folder to which patterns are relative.
        matches: (pattern, image id) -> sorted files.
        shared: one problem for each pattern that assigns a file to several images.
        lost: sorted ids of mask files that belong to no image.
    """

    data: Path
    matches: Mapping[tuple[str, str], list[Path]]
    shared: list[str]
    lost: list[str]

    @property
    def claimed(self) -> set[Path]:
        """All mask files that belong to an image."""
        return {path for paths in self.matches.values() for path in paths}

    def files(self, pattern: str, image_id: str) -> list[Path]:
        """Return all files of an image that match a pattern, sorted.

        An id is plain text, even if it contains `[`, `*` or `?`.
        """
        matched = self.matches.get((pattern, image_id), [])
        plain = self.data / pattern.replace(ID, image_id)
        return sorted({plain, *matched}) if plain.is_file() else matched


def index_masks(data: Path, alternatives: Alternatives, known: Collection[str]) -> MaskIndex:
    """Return the mask files that patterns with `{id}` match.

    Each pattern is searched once, not once per image.

    Args:
        data: folder to which the patterns are relative.
        alternatives: lists of patterns.
        known: ids of all images, including those not used for training.

    Raises:
        InputError: a pattern is malformed.
    """
    matches: dict[tuple[str, str], list[Path]] = {}
    lost: dict[Path, str] = {}
    claimed, shared = set(), []
    for pattern in dict.fromkeys(pattern for group in alternatives for pattern in group):
        fits = _PatternFits(pattern, known)
        several = {}
        for path in _candidates(data, pattern, known):
            text = path.as_posix() if Path(pattern).is_absolute() else path_in(data, path)
            owners = fits.owners(text)
            if len(owners) > 1:
                several[text] = owners
            elif owners:
                matches.setdefault((pattern, owners[0]), []).append(path)
            elif name := fits.first_id(text):
                lost.setdefault(path, name)
            claimed |= {path} if owners else set()
        shared += [_shared(pattern, several)] if several else []
    lost_ids = {name for path, name in lost.items() if path not in claimed}
    return MaskIndex(data, matches, shared, sorted(lost_ids))


def _candidates(data: Path, pattern: str, known: Collection[str]) -> list[Path]:
    """Return the files that match a pattern with any id; an id may contain `/`."""
    depths = {image_id.count("/") for image_id in known} | {0}
    return find_images(data, [_with_any_id(pattern, depth) for depth in sorted(depths)])


def _with_any_id(pattern: str, depth: int = 0) -> str:
    """Return a glob with `*` for an id with `depth` slashes; `{id}*` must not become `**`."""
    pattern = _GROUPS_AND_STARS.sub("*", pattern)
    return _ID_AND_STARS.sub("/".join("*" * (depth + 1)), pattern)


class _PatternFits:
    """Finds the known ids in the paths that a pattern matches."""

    def __init__(self, pattern: str, known: Collection[str]) -> None:
        self._known = {_composed(image_id): image_id for image_id in known}
        self._parts = _of_groups(pattern)
        before, _, after = _composed(PurePosixPath(pattern).as_posix()).partition(ID)
        self._before = re.compile(_expression(before))
        ending = _expression(after)
        if after.rpartition(".")[2].isalnum():  # `find_images` takes endings in any case
            start, _, last = ending.rpartition(r"\.")
            ending = rf"{start}\.(?i:{last})" if last else ending
        self._after = re.compile(ending)
        self._any = re.compile(f"{_expression(before)}(.+?){ending}")
        self._lengths = sorted({len(image_id) for image_id in self._known})

    def owners(self, text: str) -> list[str]:
        """Return the known ids with which the pattern matches the path, sorted."""
        text = _composed(text)
        if self._parts is not None:
            image_id = self._joined(text)
            return [self._known[image_id]] if image_id in self._known else []
        starts = [at for at in range(len(text)) if self._before.fullmatch(text, 0, at)]
        owners = {
            self._known[text[start : start + length]]
            for start in starts
            for length in self._lengths
            if text[start : start + length] in self._known
            and self._after.fullmatch(text, start + length)
        }
        return sorted(owners)

    def first_id(self, text: str) -> str:
        """Return the shortest id with which the pattern matches the path, "" if there is none."""
        if self._parts is not None:
            return self._joined(_composed(text))
        match = self._any.fullmatch(text)
        return match.group(1) if match else ""

    def _joined(self, text: str) -> str:
        """Return the id that the groups of the pattern make, "" if it does not match."""
        match = self._parts.fullmatch(text) if self._parts is not None else None
        return "_".join(match[name] for name in sorted(match.groupdict())) if match else ""


def _of_groups(pattern: str) -> re.Pattern[str] | None:
    """Return a pattern with {1}, {2} as a regular expression; None if it has no such groups."""
    pieces = _GROUP.split(_composed(PurePosixPath(pattern).as_posix()))
    if len(pieces) == 1:
        return None
    text, seen = "", set()
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            text += _expression(piece)
        else:
            text += f"(?P=part{piece})" if piece in seen else f"(?P<part{piece}>[^/]+)"
            seen.add(piece)
    start, _, ending = text.rpartition(r"\.")
    return re.compile(rf"{start}\.(?i:{ending})" if start and ending.isalnum() else text)


def _composed(text: str) -> str:
    """Return text in the form in which equal letters are equal: macOS writes "é" as two signs."""
    return unicodedata.normalize("NFC", text)


def _expression(glob: str) -> str:
    """Return the regular expression of a part of a glob; `**/` also matches no folder."""
    means = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    parts = _WILDCARDS.split(glob)
    return "".join(means.get(part) or _literal_or_set(part) for part in parts)


def _literal_or_set(part: str) -> str:
    if not (len(part) > 2 and part.startswith("[") and part.endswith("]")):
        return re.escape(part)
    inner = part[1:-1].replace("\\", r"\\").replace("[", r"\[")
    return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"


def _shared(pattern: str, shared: dict[str, list[str]]) -> str:
    named = [f"{text} ({', '.join(owners)})" for text, owners in shared.items()]
    files = plural(len(shared), "mask file belongs", "mask files belong")
    return (
        f"{files} to several images according to the pattern {pattern}: {first_few(named)}. Add "
        f"the text next to the id to the pattern, for instance {{id}}_*.png."
    )
