"""What lies in a folder of unknown files: images, tables, and what is left out and why."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from goldfold.competitions.csv_text import read_whole_table
from goldfold.competitions.data_folder import find_images, path_in, require_folder
from goldfold.competitions.image_kind import IMAGE_ENDINGS, ending_of, is_image_of_folder
from goldfold.errors import InputError, first_few, plural

TABLES = frozenset({".csv", ".tsv"})
_TEST = frozenset({"test", "testing", "tst", "tests", "testset"})
_TRAIN = frozenset({"train", "training", "trn", "trainset"})
_VALIDATION = frozenset({"val", "valid", "validation", "dev"})
_SAMPLE = re.compile(r"submission|(^|[^a-z])sample([^a-z]|$)", re.IGNORECASE)
_PREVIEWS = frozenset({"thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews"})
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case.

    >>> words_of("ISIC2018_Task1_TrainingGroundTruth")
    ['isic', 'task', 'training', 'ground', 'truth']
    """
    return [word.lower() for word in _WORDS.findall(name)]


def split_word(folders: Sequence[str]) -> str:
    """Return "test", "val", "train" or "": what the innermost telling folder says of its images.

    >>> split_word(["stage1_test", "images"]), split_word(["latest"])
    ('test', '')
    """
    kinds = {"test": _TEST, "val": _VALIDATION, "train": _TRAIN}
    for folder in reversed(folders):
        words = {*words_of(folder)}
        for kind, known in kinds.items():
            if words & known:
                return kind
    return ""


@dataclass(frozen=True, eq=False)
class Table:
    """A table and its rows as text."""

    path: Path
    rows: pd.DataFrame


@dataclass
class FoundFiles:
    """The files of a folder.

    Attributes:
        data: the folder.
        images: image files, masks among them, sorted.
        tables: tables that can be read.
        documents: JSON files.
        others: ending -> number of other files.
        left_out: lines about what was left out.
        unreadable: lines about tables that cannot be read.
        test: globs of the test images, where the user says which they are.
        sampled: images without a label that a sample submission names, which are test images.
    """

    data: Path
    images: list[Path] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    documents: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    left_out: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    test: tuple[str, ...] | None = None
    sampled: frozenset[Path] = frozenset()

    def name(self, path: Path) -> str:
        """Return a path relative to the folder, with `/`."""
        return path_in(self.data, path)

    def folders(self, path: Path) -> tuple[str, ...]:
        """Return the names of the folders between the data folder and a file."""
        return path.relative_to(self.data).parts[:-1]

    def split(self, path: Path) -> str:
        """Return "test", "val", "train" or "", as the folders of a file say, or the user.

        "unused" are images in folders of test images that are none as the user says.
        """
        word = "test" if path in self.sampled else split_word(self.folders(path))
        if self.test is None:
            return word
        if path in self._chosen_tests:
            return "test"
        return "unused" if word == "test" else word

    def is_train(self, path: Path) -> bool:
        """Return whether an image may be one of training."""
        return self.split(path) not in ("test", "unused")

    @cached_property
    def _chosen_tests(self) -> frozenset[Path]:
        return frozenset(find_images(self.data, self.test or ()))

    @cached_property
    def samples(self) -> list[Table]:
        """The tables that are called a sample or a submission."""
        return [table for table in self.tables if _SAMPLE.search(table.path.stem)]


def find_files(data: Path, test: tuple[str, ...] | None = None) -> FoundFiles:
    """Return the files of a folder; hidden files, `__MACOSX` and previews are left out.

    Args:
        data: the folder.
        test: globs of the test images; None = by the names of folders.

    Raises:
        InputError: the folder is missing, or holds no image.
    """
    require_folder(data)
    found = FoundFiles(data, test=test)
    left_out: dict[str, list[str]] = {"of previews": [], "with odd signs in their names": []}
    previews, odd = left_out.values()
    bare: dict[Path, list[Path]] = {}
    for path in _walk(data):
        ending = ending_of(path)
        if not found.name(path).isprintable():
            odd.append(repr(found.name(path)))
        elif ending in IMAGE_ENDINGS:
            if any(_PREVIEWS & {*words_of(folder)} for folder in found.folders(path)):
                previews.append(found.name(path))
            else:
                found.images.append(path)
        elif ending in TABLES:
            _add_table(found, path)
        elif ending == ".json":
            found.documents.append(path)
        elif not ending and is_image_of_folder(path):
            bare.setdefault(path.parent, []).append(path)
        else:
            found.others[ending or "(no ending)"] += 1
    _add_bare(found, bare)
    found.left_out += [
        f"{plural(len(names), 'file', 'files')} {what} left out: {first_few(names, 2)}"
        for what, names in left_out.items()
        if names
    ]
    if not found.images:
        _refuse_bare(found)
    return found


def _add_bare(found: FoundFiles, bare: dict[Path, list[Path]]) -> None:
    """Add the images without an ending, as DICOM files often are.

    Only where nothing else lies beside them: their glob, `*`, matches every file.
    """
    for folder, paths in bare.items():
        files = [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
        if all(map(is_image_of_folder, files)):
            found.images += paths
        else:
            strangers = [path.name for path in files if not is_image_of_folder(path)]
            found.left_out.append(
                f"{plural(len(paths), 'image', 'images')} without an ending in {folder} left out, "
                f"because other files lie beside them: {first_few(strangers, 2)}"
            )
            found.others["(no ending)"] += len(paths)
    found.images.sort()


def _add_table(found: FoundFiles, path: Path) -> None:
    try:
        rows = read_whole_table(path)
    except InputError as error:
        found.unreadable.append(_shortened(str(error)))
    else:
        found.tables += [Table(path, rows)] if len(rows.columns) else []


def _shortened(error: str) -> str:
    """Return an error in one line, with the first of the rows that it lists."""
    lines = [line.strip() for line in error.splitlines()]
    if len(lines) > 4:
        lines = [lines[0], f"{lines[1]}, ...", lines[-1]]
    return " ".join(lines)


def _walk(data: Path) -> Iterator[Path]:
    """Yield all files in sorted order, without hidden ones and `__MACOSX`.

    Links are followed, but no folder is entered twice.
    """
    entered = {os.path.realpath(data)}
    for folder, inner, files in os.walk(data, followlinks=True):
        there = {name: os.path.realpath(Path(folder) / name) for name in inner}
        inner[:] = sorted(
            name
            for name in inner
            if not name.startswith((".", "__MACOSX", "@eaDir")) and there[name] not in entered
        )
        entered |= {there[name] for name in inner}
        for name in sorted(files):
            if not name.startswith((".", "._")):
                yield Path(folder) / name


def _refuse_bare(found: FoundFiles) -> None:
    seen = (
        ", ".join(f"{count:,} {ending}" for ending, count in found.others.most_common(5))
        or "nothing else"
    )
    endings = ", ".join(sorted(IMAGE_ENDINGS))
    raise InputError(
        f"{found.data} and its folders contain no image ({endings}); found: {seen}. Unpack "
        "archives, and convert volumes (.nii, .mha, .npy) to one file per slice."
        + "".join(f" {line}." for line in found.left_out)
    )
