"""Masks whose paths are those of their images with other constant words: p1/images/s1, p1/masks/s1.

What varies from image to image are the parts of its id: groups of `images.id_pattern`, which the
patterns of the masks name as {1}, {2} and so on.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import PurePosixPath

from goldfold.competitions.recognise_files import split_word

_ENOUGH = 0.9
"""Share of the masks of a kind that must have an image."""
_MOST_KINDS = 5
_MOST_PARTS = 9
_SPLITS = ("(?!)", r"([_\-. ]+)", r"([_\-. ]+|(?<=[A-Za-z])(?=\d))")
"""Where parts of a path are split into words, the plainest first."""
_Words = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class MaskPlaces:
    """How paths of masks follow from those of images.

    Attributes:
        id_pattern: the setting images.id_pattern.
        patterns: pattern of a kind of masks -> mask -> path of its image.
    """

    id_pattern: str
    patterns: dict[str, dict[str, str]]


def mask_places(
    images: Sequence[str], masks: Sequence[str], tests: Sequence[str] = ()
) -> MaskPlaces | None:
    r"""Return how masks are named after images by what varies in both; None if they are not.

    >>> places = mask_places(["p1/i/s1.png", "p2/i/s1.png"], ["p1/m/s1.png", "p2/m/s1.png"])
    >>> places.id_pattern, [*places.patterns]
    ('([^/]+)/[^/]+/s1\\.[^./]+$', ['{id}/m/s1.png'])

    Args:
        images: paths of the training images below the data folder, with `/`.
        masks: paths of the masks.
        tests: paths of the test images, which the pattern of ids has to match, too.
    """
    for split in _SPLITS:
        words = _Varying.of(images, split)
        if words is None or not 0 < len(words.places) <= _MOST_PARTS:
            continue
        owners = dict(zip(words.keys, images, strict=True))
        pattern = words.id_pattern()
        ids = [re.search(pattern, path) for path in (*images, *tests)]
        if len(owners) < len(images) or len({m.groups() for m in ids if m}) < len(ids):
            continue
        patterns = {}
        for kind in _kinds(masks):
            of_kind = _Varying.of(kind, split)
            if of_kind is None or len(of_kind.places) != len(words.places):
                continue
            named = {
                mask: owners[key]
                for key, mask in zip(of_kind.keys, kind, strict=True)
                if key in owners
            }
            if len(named) >= _ENOUGH * len(kind):
                patterns[of_kind.mask_pattern()] = named
        if patterns:
            return MaskPlaces(pattern, patterns)
    return None


@dataclass(frozen=True)
class _Varying:
    """The words of paths of one form.

    Attributes:
        words: those of the first path, with the separators.
        places: where words vary: (part, word).
        keys: what stands there, by path.
        ending: of the first path.
    """

    words: _Words
    places: list[tuple[int, int]]
    keys: list[tuple[str, ...]]
    ending: str

    @classmethod
    def of(cls, paths: Sequence[str], split: str) -> _Varying | None:
        """Return the words of the paths; None if they have not the same form."""
        split_paths = [
            tuple(
                tuple(re.split(split, part)) for part in PurePosixPath(path).with_suffix("").parts
            )
            for path in paths
        ]
        if len({tuple(map(len, words)) for words in split_paths}) != 1:
            return None
        first = split_paths[0]
        places = [
            (part, word)
            for part, of_part in enumerate(first)
            for word in range(len(of_part))
            if len({words[part][word] for words in split_paths}) > 1
        ]
        keys = [tuple(words[part][word] for part, word in places) for words in split_paths]
        return cls(first, places, keys, PurePosixPath(paths[0]).suffix)

    def id_pattern(self) -> str:
        """Return a regular expression with one group for each word that varies."""
        outermost = self.places[0][0]
        texts = []
        for part in range(outermost, len(self.words)):
            varies = any(place == part for place, _ in self.places)
            is_name = part == len(self.words) - 1
            texts.append(
                "".join(
                    "([^/]+)" if (part, word) in self.places else _fixed(text)
                    for word, text in enumerate(self.words[part])
                )
                if varies or is_name
                else "[^/]+"
            )
        return rf"{'/'.join(texts)}\.[^./]+$"

    def mask_pattern(self) -> str:
        """Return a pattern of mask files with {1}, {2} and so on, or {id} for a single word."""
        numbers = {place: str(number) for number, place in enumerate(self.places, start=1)}
        if len(numbers) == 1:
            numbers = dict.fromkeys(numbers, "id")
        texts = [
            "".join(
                f"{{{numbers[part, word]}}}" if (part, word) in numbers else escape(text or "")
                for word, text in enumerate(of_part)
            )
            for part, of_part in enumerate(self.words)
        ]
        return f"{'/'.join(texts)}{escape(self.ending)}"


def _fixed(word: str | None) -> str:
    """Return what matches a word that all images have; `training` is `test` elsewhere."""
    return "[^/]+" if split_word([word or ""]) else re.escape(word or "")


def _kinds(masks: Sequence[str]) -> list[list[str]]:
    """Return the masks by depth, ending and the last word of their names, if there are few such."""
    kinds: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    for mask in masks:
        path = PurePosixPath(mask)
        last = re.findall("[A-Za-z]+", path.stem)[-1:]
        kinds[len(path.parts), path.suffix.lower(), "".join(last)].append(mask)
    if len(kinds) > _MOST_KINDS:
        return [list(masks)]
    return [*kinds.values()]
