"""Globs that match some files of a folder and no others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from glob import escape
from pathlib import PurePosixPath

from goldfold.competitions.image_kind import ending_of
from goldfold.competitions.recognise_files import split_word

_MOST = 8
"""Globs of one split, above which one with `**` says it better."""


def globs_of(names: Collection[str], others: Collection[str] = ()) -> list[str]:
    """Return globs that match all of the names, few of them, and none of the others if possible.

    Folders that differ, as those of patients do, become one `*`.

    >>> globs_of(["a/patient1/x.png", "a/patient2/y.png"], ["a/patient1/x_mask.gif"])
    ['a/patient*/*.png']

    Args:
        names: paths below the data folder, with `/`.
        others: paths of the same kind that should not be matched.
    """
    alike: dict[tuple[tuple[str, ...], int, str], list[PurePosixPath]] = defaultdict(list)
    for name in names:
        path = PurePosixPath(name)
        alike[_fixed(path), len(path.parts), ending_of(path)].append(path)
    globs = [glob for paths in alike.values() for glob in _of_folders(paths, others)]
    globs = _joined_tops(globs, names, others)
    if len(globs) > _MOST:
        deep = {(fixed[:1], ending) for fixed, _, ending in alike}
        globs = ["/".join([*map(escape, top), f"**/*{escape(ending)}"]) for top, ending in deep]
    return sorted(dict.fromkeys(globs))


def _fixed(path: PurePosixPath) -> tuple[str, ...]:
    """Return the folders that no `*` may stand for: the top one, and down to train or test."""
    folders = path.parts[:-1]
    splits = [level for level, folder in enumerate(folders) if split_word([folder])]
    return folders[: max([1, *(level + 1 for level in splits)])]


def matching(glob: str, names: Collection[str]) -> list[str]:
    """Return the names that a glob matches, with `*`, `?`, `[...]` and `**/` as in pathlib."""
    expression = glob_expression(glob)
    return [name for name in names if expression.fullmatch(name)]


def glob_expression(glob: str) -> re.Pattern[str]:
    """Return a glob as a regular expression of whole paths; the case of endings is ignored."""
    start, dot, ending = glob.rpartition(".")
    parts = re.split(r"(\*\*/|\*|\?|\[!?\]?[^\]]*\])", start if dot else glob)
    means = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    text = "".join(means.get(part) or _literal(part) for part in parts)
    return re.compile(f"{text}(?i:\\.{re.escape(ending)})" if dot else text)


def _literal(part: str) -> str:
    if not (len(part) > 2 and part.startswith("[") and part.endswith("]")):
        return re.escape(part)
    inner = part[1:-1].replace("\\", r"\\").replace("[", r"\[")
    return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"


def generalised(names: Sequence[str]) -> str:
    """Return a glob for names of folders or files: what they begin with, then `*`.

    >>> generalised(["patient0001", "patient0002"]), generalised(["x", "y"])
    ('patient*', '*')
    """
    different = {*names}
    if len(different) == 1:
        return escape(names[0])
    common = common_start(names)
    # A part of a number or of a word that some names share by chance says nothing.
    head = re.match(r"(.*[_\-. ])?", common)
    letters = re.match(r"[A-Za-z]*", common)
    assert head is not None
    assert letters is not None
    begun = all(re.match(r"[^A-Za-z]|$", name[letters.end() :]) for name in different)
    prefix = head.group(0) or (letters.group(0) if begun and letters.end() > 2 else "")
    if not any(map(str.isalpha, prefix)):  # part of a number, which other files need not share
        prefix = ""
    return f"{escape(prefix)}*"


def common_start(names: Iterable[str]) -> str:
    """Return what all names begin with.

    >>> common_start(["mask_1", "mask_2"])
    'mask_'
    """
    ordered = sorted(names)
    first, last = ordered[0], ordered[-1]
    same = (place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return first[: next(same, min(len(first), len(last)))]


def _of_folders(paths: Sequence[PurePosixPath], others: Collection[str]) -> list[str]:
    """Return globs for files of one top folder, depth and ending."""
    folders = [path.parts[:-1] for path in paths]
    ending = escape(ending_of(paths[0]))
    depth = len(folders[0])
    fixed = len(_fixed(paths[0]))
    general = [generalised([parts[level] for parts in folders]) for level in range(depth)]
    general = [
        "*" if level >= fixed and _is_code(glob) else glob for level, glob in enumerate(general)
    ]  # the test set that is handed out often has one patient of many
    stems = [path.stem for path in paths]
    same = {*stems} if len({*stems}) == 1 and len(stems) > 1 else ()
    for name in ("*", *map(escape, same), _last_word(stems), _last_sign(paths), generalised(stems)):
        usable = "*" in name or name in same
        glob = "/".join([*general, f"{name}{ending}"]) if usable else ""
        if glob and not matching(glob, others):
            return [glob]
    inner = sorted({*folders})
    if len(inner) > _MOST:
        return ["/".join([*general, f"*{ending}"])]
    return ["/".join([*map(escape, parts), f"*{ending}"]) for parts in inner]


def _is_code(folder: str) -> bool:
    return folder.isalnum() and sum(sign.isdigit() for sign in folder) * 2 > len(folder)


def _last_word(stems: Sequence[str]) -> str:
    """Return a glob of names that end with the same word behind a separator, "" if they do not."""
    last = {re.search(r"[_\-. ][A-Za-z][^_\-. ]*$|$", stem)[0] for stem in stems}  # type: ignore[index]
    word = last.pop()
    return f"*{escape(word)}" if word and not last else ""


def _last_sign(paths: Sequence[PurePosixPath]) -> str:
    """Return a glob of names that end alike, with a digit or one sign; "" if they do not."""
    last = {path.stem[-1:] for path in paths}
    if all(sign.isdigit() and sign.isascii() for sign in last):
        return "*[0-9]"
    return f"*{escape(last.pop())}" if len(last) == 1 else ""


def _joined_tops(globs: list[str], names: Collection[str], others: Collection[str]) -> list[str]:
    """Return one glob for all top folders of one form, such as images_001 and images_002."""
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for glob in globs:
        top, *rest = glob.split("/")
        alike[tuple(rest)].append(top)
    joined = []
    for ends, tops in alike.items():
        rest = list(ends)
        several = len(tops) > 2 and len({re.sub(r"\d+", "0", top) for top in tops}) == 1
        shared = "/".join([generalised(tops), *rest])
        if several and rest and not matching(shared, others):
            joined.append(shared)
        else:
            joined += ["/".join([top, *rest]) for top in tops]
    return joined
