"""Forms in which the same id is written: with and without leading zeros, endings, folders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from goldfold.competitions.image_kind import IMAGE_ENDINGS
from goldfold.errors import first_few, plural

_ENDINGS = IMAGE_ENDINGS | {".npy", ".npz", ".nii", ".nii.gz", ".mha", ".svs"}
_ENDING = re.compile(f"({'|'.join(map(re.escape, sorted(_ENDINGS)))})$", re.IGNORECASE)
_ZEROS = re.compile(r"(?<![0-9.])0+(?=[0-9])")
_POINT_ZERO = re.compile(r"(?<=\d)\.0+$")


def without_ending(name: str) -> str:
    """Return an id without the ending of an image file, whatever its case.

    >>> without_ending("a/scan.nii.GZ"), without_ending("1.2.840.10008")
    ('a/scan', '1.2.840.10008')
    """
    return _ENDING.sub("", name)


@dataclass(frozen=True)
class IdForm:
    """A difference between two texts that may be the same id."""

    words: str
    """What is ignored."""
    plain: Callable[[str], str]
    """Return the id without it."""


FORMS: Mapping[str, IdForm] = {
    "spaces": IdForm(
        "spaces and invisible signs",
        lambda name: "".join(sign for sign in name if sign.isprintable() and sign != " "),
    ),
    "ending": IdForm("endings such as .png", without_ending),
    "folders": IdForm("folders", lambda name: re.split(r"[/\\]", name)[-1]),
    "root": IdForm("folders in front of the path", lambda name: name),
    "decimals": IdForm("the .0 at the end", lambda name: _POINT_ZERO.sub("", name)),
    "zeros": IdForm("leading zeros", lambda name: _ZEROS.sub("", name)),
    "case": IdForm("the case of letters", str.casefold),
}
"""Value of `labels.id_ignores` -> what it ignores, in the order in which they are tried."""


def plain_id(name: str, ignores: Collection[str]) -> str:
    """Return an id without what is ignored.

    >>> plain_id("train/A0012.PNG", ["ending", "folders", "case"]), plain_id("0012", ["zeros"])
    ('a0012', '12')
    """
    for form, how in FORMS.items():
        if form in ignores:
            name = how.plain(name)
    return name


def same_ids(
    ids: Sequence[str], known: Sequence[str], ignores: Collection[str] | None = None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return id -> the known id that it equals but for its form, and what has to be ignored.

    Ids that are known as they are are not returned. An id is only matched where exactly one known
    id and no other id have its plain form.

    Args:
        ids: ids of a table.
        known: ids of images.
        ignores: forms to ignore; None = the fewest with which most ids are matched.
    """
    exact = set(known)
    rest = [name for name in dict.fromkeys(ids) if name not in exact]
    free = set(known) - set(ids)
    if not rest or not free:
        return {}, ()
    if ignores is not None:
        return _matched(rest, known, free, ignores), tuple(ignores)
    best: dict[str, str] = {}
    chosen: tuple[str, ...] = ()
    active = [form for form in FORMS if _changes(form, rest) or _changes(form, known)]
    rest, known = _alike(rest, known, active)
    for count in (1, 2, 3):
        for forms in combinations(active, count):
            same = _matched(rest, known, free, forms)
            if len(same) > len(best):
                best, chosen = same, forms
        if len(best) in (len(rest), len(free)):
            break
    return best, chosen


def _alike(
    ids: Sequence[str], known: Sequence[str], ignores: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return the ids and known ids that are equal if everything is ignored; no others can be."""
    plain_known = [plain_id(name, ignores) for name in known]
    forms = set(plain_known)
    plain_ids = [plain_id(name, ignores) for name in ids]
    if "root" in ignores:
        plain_ids = [_below(name, forms) for name in plain_ids]
    wanted = set(plain_ids)
    return (
        [name for name, plain in zip(ids, plain_ids, strict=True) if plain in forms],
        [name for name, plain in zip(known, plain_known, strict=True) if plain in wanted],
    )


def _changes(form: str, names: Sequence[str]) -> bool:
    if form == "root":
        return any("/" in name or "\\" in name for name in names)
    return any(FORMS[form].plain(name) != name for name in names)


def _matched(
    ids: Sequence[str], known: Sequence[str], free: Collection[str], ignores: Collection[str]
) -> dict[str, str]:
    """Return id -> known id of the unambiguous pairs with the same plain form."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in known:
        names[plain_id(name, ignores)].append(name)
    own: dict[str, list[str]] = defaultdict(list)
    for name in ids:
        plain = plain_id(name, ignores)
        own[_below(plain, names) if "root" in ignores else plain].append(name)
    return {
        of_table[0]: names[plain][0]
        for plain, of_table in own.items()
        if len(of_table) == 1 and len(names.get(plain, ())) == 1 and names[plain][0] in free
    }


def _below(name: str, known: Collection[str]) -> str:
    """Return the longest end of a path that is known, the whole path if none is."""
    parts = re.split(r"[/\\]", name)
    ends = ("/".join(parts[first:]) for first in range(len(parts)))
    return next((end for end in ends if end in known), name)


def ask_for_ignores(
    ids: Sequence[str], known: Sequence[str], declared: Sequence[str] | None, table: str
) -> list[str]:
    """Return a problem if ids of a table would name images if something were ignored.

    Args:
        ids: ids of the table.
        known: ids of images.
        declared: `labels.id_ignores`; None = not decided.
        table: name of the table.
    """
    if declared is not None:
        return []
    same, ignores = same_ids(ids, known)
    if not same:
        return []
    shown = first_few([f"{name} = {image}" for name, image in same.items()], limit=3)
    words = " and ".join(FORMS[form].words for form in ignores)
    named = ", ".join(f'"{form}"' for form in ignores)
    return [
        f"{plural(len(same), 'id', 'ids')} of {table} would name an image if {words} did not "
        f"matter: {shown}. Set id_ignores = [{named}] in [competition.labels] of goldfold.toml if "
        "they are the same, or id_ignores = [] if they are not."
    ]
