"""The shortest ids that tell images apart: names, or names with the folders above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class ShortIds:
    """The ids of images: the last parts of their paths, without the ending.

    Attributes:
        names: the ids.
        depth: parts of a path that an id has.
        pattern: the setting images.id_pattern, "" for names of files.
    """

    names: frozenset[str]
    depth: int
    pattern: str

    @classmethod
    def of(cls, paths: Sequence[str], deepest: int = 3) -> ShortIds | None:
        r"""Return the shortest ids that differ; None if ids of the deepest kind do not.

        >>> ShortIds.of(["benign/1.png", "malignant/1.png"]).pattern
        '((?:[^/]+/){1}[^/]+)\\.[^./]+$'

        Args:
            paths: paths below the data folder, with `/`.
            deepest: parts of a path that an id may have.
        """
        parts = [PurePosixPath(path).with_suffix("").parts for path in paths]
        for depth in range(1, deepest + 1):
            ids = ["/".join(of_path[-depth:]) for of_path in parts]
            if len({*ids}) == len(ids):
                least = min((min(len(of_path), depth) for of_path in parts), default=depth) - 1
                folders = str(depth - 1) if least == depth - 1 else f"{least},{depth - 1}"
                pattern = f"((?:[^/]+/){{{folders}}}[^/]+)\\.[^./]+$" if depth > 1 else ""
                return cls(frozenset(ids), depth, pattern)
        return None
