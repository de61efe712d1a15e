"""How mask files are named after images: the pattern with `{id}` of each mask file."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from goldfold.competitions.recognise_files import words_of

MASK_WORDS = frozenset(
    {
        *(
            "mask",
            "masks",
            "masked",
            "anno",
            "annos",
            "gts",
            "segmentation",
            "segmentations",
            "seg",
            "segm",
            "label",
        ),
        *("labels", "labelled", "labeled", "gt", "groundtruth", "truth", "annotation"),
        *("annotations", "annot", "manual", "contour", "contours", "roi", "silhouette"),
    }
)
_SEPARATORS = "_-. ("


def names_masks(words: str) -> bool:
    """Return whether a part of a path says that a file is a mask.

    >>> names_masks("leftMask"), names_masks("Training_GroundTruth"), names_masks("unmasking")
    (True, True, False)
    """
    said = [_without_split(word) for word in words_of(words)]
    return bool({*said, *map("".join, pairwise(said))} & MASK_WORDS)


def _without_split(word: str) -> str:
    """Return a word without the name of a split in front: `trainannot`, as in CamVid.

    >>> _without_split("trainannot"), _without_split("training")
    ('annot', 'training')
    """
    ends = (word.removeprefix(split) for split in ("training", "train", "valid", "val", "test"))
    return next((end for end in ends if end in MASK_WORDS), word)


@dataclass(frozen=True)
class MaskName:
    """A mask file and the image that it is named after.

    Attributes:
        path: path below the data folder.
        image: name of the image without its ending.
        folders: folders of the mask with `{id}` for one that is named after the image.
        tail: what stands behind the image's name in the file's name; the whole name of the file
            if a folder is named after the image.
        before: what stands before the image's name in the file's name.
    """

    path: str
    image: str
    folders: tuple[str, ...]
    tail: str
    before: str = ""

    @property
    def in_own_folder(self) -> bool:
        """Whether a folder, not the file, is named after the image."""
        return "{id}" in self.folders


def mask_name(path: str, images: Collection[str], depth: int = 1) -> MaskName | None:
    """Return how a mask file is named after an image; None if it is not.

    >>> mask_name("masks/a1_mask.png", {"a1"}).tail
    '_mask.png'
    >>> mask_name("train/a1/masks/77.png", {"a1"}).folders
    ('train', '{id}', 'masks')

    Args:
        path: path below the data folder.
        images: names of images without their endings.
        depth: parts of a path that such a name has, more than 1 if folders belong to it.
    """
    pure = PurePosixPath(path)
    folders, name = pure.parts[:-1], pure.name
    last = "/".join(pure.parts[-depth:])
    if image := owner(last.removesuffix(pure.suffix), images):
        return MaskName(path, image, pure.parts[:-depth], last[len(image) :])
    if depth > 1:
        return None
    for level in reversed(range(len(folders))):
        if folders[level] in images:
            named = (*folders[:level], "{id}", *folders[level + 1 :])
            return MaskName(path, folders[level], named, name)
    return None


def owner(stem: str, names: Collection[str]) -> str:
    """Return the name of the image that a mask file belongs to, "" for none.

    >>> owner("a1_mask", {"a1"}), owner("a1_left", {"a", "a1"}), owner("a10", {"a1"})
    ('a1', 'a1', '')
    """
    return stem if stem in names else owner_before(stem, names)


def owner_before(stem: str, names: Collection[str]) -> str:
    """Return the longest name that a file's name begins with and is not, "" for none.

    >>> owner_before("a1", {"a1"}), owner_before("a1_left", {"a1", "a1_left"})
    ('', 'a1')
    """
    ends = [end for end in range(len(stem) - 1, 0, -1) if _ends_at(stem, end)]
    return next((stem[:end] for end in ends if stem[:end] in names), "")


def _ends_at(stem: str, end: int) -> bool:
    """Return whether a name may end there: before a separator, or where a capital begins a word."""
    return stem[end] in _SEPARATORS or (stem[end].isupper() and not stem[end - 1].isupper())


def is_numbering(tails: Sequence[str]) -> bool:
    """Return whether tails differ in nothing but a number: objects of an image, not classes.

    >>> is_numbering(["_mask.png", "_mask_1.png", "_mask_2.png"])
    True
    >>> is_numbering(["_left.png", "_right.png"])
    False
    """
    bare = {re.sub(r"[\s_\-.(]*\d+\)?(?=\.[^.]*$)", "", tail) for tail in tails}
    return len(bare) == 1
