"""Finds the competition's files in the data folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from goldfold.competitions.image_kind import bare_name
from goldfold.errors import InputError


def require_folder(data: Path) -> Path:
    """Return the data folder.

    Raises:
        InputError: it is missing or is not a folder.
    """
    if not data.exists():
        raise InputError(
            f"the data folder {data} does not exist. Download the competition's files and set "
            "competition.data (or --data) to their folder."
        )
    if not data.is_dir():
        raise InputError(f"{data} is a file; set competition.data to the folder that contains it.")
    return data


def find_images(data: Path, globs: Sequence[str]) -> list[Path]:
    """Return the files that match any of the globs, sorted and unique, without hidden files.

    The ending of a file may be in upper or lower case, whatever the glob has.

    Raises:
        InputError: a glob is malformed.
    """
    paths = {path for glob in globs for path in _matches(data, glob)}
    return sorted(path for path in paths if not path.name.startswith("."))


def image_id_of(data: Path, path: Path, pattern: str | None = None) -> str:
    """Return an image's id: its name without extension, or what a pattern matches in its path.

    Args:
        data: folder to which paths are relative.
        path: path of the image.
        pattern: regular expression; its groups are joined by "_". If it does not match, the id is
            the entire path.

    The digits at the end of a DICOM UID are no extension.

    >>> slice_path = Path("data/day1/scans/slice_7_266.png")
    >>> image_id_of(Path("data"), slice_path)
    'slice_7_266'
    >>> image_id_of(Path("data"), slice_path, "(day[0-9]+).*(slice_[0-9]+)")
    'day1_slice_7'
    """
    if pattern is None:
        return bare_name(path)
    seen = path_in(data, path)
    match = re.search(pattern, seen)
    return "_".join(group or "" for group in match.groups()) if match else seen


def find_excluded(
    data: Path, paths: Sequence[Path], exclude: Sequence[str], pattern: str | None = None
) -> list[Path]:
    """Return the images that are excluded by an id or a glob.

    Args:
        data: folder to which globs are relative.
        paths: paths of the images.
        exclude: ids or globs.
        pattern: pattern of the ids, as in `image_id_of`.

    Raises:
        InputError: a glob is malformed.
    """
    ids = set(exclude)
    matched = {path for entry in exclude for path in _matches(data, entry)}
    return [path for path in paths if path in matched or image_id_of(data, path, pattern) in ids]


def find_table(data: Path, names: Sequence[str]) -> Path | None:
    """Return the first of the names or globs that exists, in the data folder or absolute.

    Raises:
        InputError: a glob is malformed.
    """
    return next(iter(find_tables(data, names)), None)


def find_tables(data: Path, names: Sequence[str]) -> list[Path]:
    """Return all files that the first name or glob with any matches; `find_table` reads the first.

    Raises:
        InputError: a glob is malformed.
    """
    for name in names:
        if name and (data / name).is_file():
            return [data / name]
        if matches := sorted(_matches(data, name)):
            return matches
    return []


def require_table(data: Path, names: Sequence[str], what: str, setting: str) -> Path:
    """Return the first of the names that exists.

    Raises:
        InputError: none exists; the message says what was looked for, and because of which setting.
    """
    table = find_table(data, names)
    if table is None:
        listed = " or ".join(names) if names else "nothing"
        raise InputError(
            f"{data} holds no {what} ({setting} looks for {listed}). "
            f"Put the file there or set {setting}."
        )
    return table


def path_in(data: Path, path: Path) -> str:
    """Return a path relative to the data folder, with `/`; an absolute one if it is elsewhere."""
    return (path.relative_to(data) if path.is_relative_to(data) else path).as_posix()


def _with_any_case(glob: str) -> str:
    """Return a glob that matches endings of files in upper and lower case.

    >>> _with_any_case("train/*.png")
    'train/*.[pP][nN][gG]'
    """
    start, dot, ending = glob.rpartition(".")
    if not dot or not ending.isalnum() or not ending.isascii():
        return glob
    both = [f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in ending]
    return f"{start}.{''.join(both)}"


def _matches(data: Path, glob: str) -> list[Path]:
    pattern = Path(_with_any_case(glob))
    try:
        if pattern.is_absolute():
            root = Path(pattern.anchor)
            return [path for path in root.glob(str(pattern.relative_to(root))) if path.is_file()]
        return [path for path in data.glob(str(pattern)) if path.is_file()]
    except (ValueError, NotImplementedError, IndexError) as error:
        raise InputError(f"{glob!r} is not a glob: {error}. Example: train/**/*.png") from None
