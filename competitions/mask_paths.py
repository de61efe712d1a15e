"""Which mask files belong to which image."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from goldfold.competitions.find import find_images, path_in
from goldfold.errors import plural

ID = "{id}"
_WILDCARDS = re.compile(r"(\*\*/|\*|\?|\[!?\]?[^\]]*\])")
_ID_AND_STARS = re.compile(r"\*?\{id\}\*?")
_NAMED = 5  # files that a message names

Alternatives = Sequence[Sequence[str]]


def mask_globs(alternatives: Alternatives) -> list[str]:
    """Return globs that match every mask file.

    >>> mask_globs([["masks/{id}_mask.png"]])
    ['masks/*_mask.png']
    """
    return [_with_any_id(pattern) for group in alternatives for pattern in group]


@dataclass(frozen=True)
class MaskIndex:
    """The mask files of a data folder.

    Attributes:
        data: folder from which patterns count.
        matches: files of an image by pattern and image id, sorted.
        shared: problems, one for each pattern that gives files to several images.
        lost: the ids, sorted, that mask files have and no image has.
    """

    data: Path
    matches: Mapping[tuple[str, str], list[Path]]
    shared: list[str]
    lost: list[str]

    def files(self, pattern: str, image_id: str) -> list[Path]:
        """Return all files of an image that match a pattern, sorted.

        An id is plain text, even if it holds `[`, `*` or `?`.
        """
        matched = self.matches.get((pattern, image_id), [])
        plain = self.data / pattern.replace(ID, image_id)
        return sorted({plain, *matched}) if plain.is_file() else matched


def index_masks(data: Path, alternatives: Alternatives, known: Collection[str]) -> MaskIndex:
    """Return the mask files that patterns with `{id}` match.

    Each pattern is searched once, not once per image.

    Args:
        data: folder from which the patterns count.
        alternatives: lists of patterns.
        known: ids of all images, including those that are not trained on.

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
    """Return the files that match a pattern with any id; an id may hold a `/`."""
    depths = {image_id.count("/") for image_id in known} | {0}
    return find_images(data, [_with_any_id(pattern, depth) for depth in sorted(depths)])


def _with_any_id(pattern: str, depth: int = 0) -> str:
    """Return a glob with `*` for an id that holds `depth` slashes; `{id}*` must not become `**`."""
    return _ID_AND_STARS.sub("/".join("*" * (depth + 1)), pattern)


class _PatternFits:
    """Finds the known ids in the paths that a pattern matches."""

    def __init__(self, pattern: str, known: Collection[str]) -> None:
        before, _, after = PurePosixPath(pattern).as_posix().partition(ID)
        self._before = re.compile(_expression(before))
        self._after = re.compile(_expression(after))
        self._any = re.compile(f"{_expression(before)}(.+?){_expression(after)}")
        self._known = frozenset(known)
        self._lengths = sorted({len(image_id) for image_id in known})

    def owners(self, text: str) -> list[str]:
        """Return the ids with which the pattern gives the path, sorted."""
        starts = [at for at in range(len(text)) if self._before.fullmatch(text, 0, at)]
        found = {
            text[start : start + length]
            for start in starts
            for length in self._lengths
            if text[start : start + length] in self._known
            and self._after.fullmatch(text, start + length)
        }
        return sorted(found)

    def first_id(self, text: str) -> str:
        """Return the shortest id with which the pattern gives the path, "" for none."""
        match = self._any.fullmatch(text)
        return match.group(1) if match else ""


def _expression(glob: str) -> str:
    """Return the regular expression of a piece of a glob; `**/` may stand for no folder at all."""
    means = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    parts = _WILDCARDS.split(glob)
    return "".join(means.get(part) or _literal_or_set(part) for part in parts)


def _literal_or_set(part: str) -> str:
    if not (len(part) > 2 and part.startswith("[") and part.endswith("]")):
        return re.escape(part)
    inner = part[1:-1].replace("\\", r"\\").replace("[", r"\[")
    return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"


def _shared(pattern: str, shared: dict[str, list[str]]) -> str:
    named = [f"{text} ({', '.join(owners)})" for text, owners in list(shared.items())[:_NAMED]]
    more = ", ..." if len(shared) > _NAMED else ""
    return (
        f"{plural(len(shared), 'mask file fits', 'mask files fit')} several images by the pattern "
        f"{pattern}: {', '.join(named)}{more}. Write what stands next to the id in the names into "
        f"the pattern, for instance {{id}}_*.png."
    )
