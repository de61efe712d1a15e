"""The rule for group columns, which say which images belong together, e.g. those of one patient.

A column is a group column because of its name and its values in the training images:

1.  **Certain names** contain patient, subject, person, donor or the like, or a group word (also
    study, case, lesion, scan, volume, series, exam) followed by an identifier: `patient_id`,
    `SubjectID`, `seriesuid`, `StudyInstanceUID`, `accession`, `pid`, `mrn`. Case and separators do
    not matter. Other words after the group word make it an attribute (`Patient Age`, `study_date`,
    `lesion_location`), and so do words of counting before it (`number_of_lesion`). What follows an
    identifier is ignored (`patient_id_x`, as in merged tables, or `Patient ID (anon.)`). There
    must be at least two values, one of them with several images, and the values must be neither
    flags nor fractions.
2.  **Possible names** are the other group words, alone or with a number, name or code (`case`,
    `study`, `scan_number`). Their values must look like ids, be a group word with a number
    (`case12`), or contain a digit and be more numerous than classes are. Whole numbers in a column
    named `volume` are a measurement.
3.  **Any other column** must contain values that look like ids, many of them with several images:
    at least ten values, at least as many as the square root of the number of images, and at least
    5 % of the images must share their value with another. Whole numbers look like ids only if they
    have leading zeros, the column's name ends in `id`, or there are a hundred. Where each value is
    one block of neighbouring images, as in a table sorted by patient, any values do. Columns of
    measures (age, width, date) are neither.

Columns of sites (hospital, centre, `site_id`) group images, too, but hold patients together only
where nothing better is known, so they are a matter of their own (`is_site`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Literal

PEOPLE = frozenset(
    {
        *("patient", "subject", "person", "participant", "individual", "donor"),
        *("pid", "ptid", "subjid", "usubjid", "mrn", "accession"),
    }
)
SHORT = frozenset({"pat", "pt", "subj", "sub", "animal", "mouse", "rat"})
"""Words that name people, or animals, only where an identifier or a number follows."""
WORDS = (
    PEOPLE
    | SHORT
    | {
        *("study", "case", "lesion", "scan", "volume", "series", "exam", "examination"),
        *("specimen", "slide", "video", "clip"),
    }
)
SITES = frozenset(
    {"site", "center", "centre", "hospital", "institution", "institute", "clinic", "facility"}
)
"""Words for places where images were taken."""
MEASURES = frozenset({"volume"})
IDENTIFIERS = frozenset({"id", "uid", "uuid", "guid", "instance", "identifier"})
LABELS = frozenset({"number", "no", "nr", "num", "name", "code", "key", "hash", "index"})
COUNTING = frozenset({"number", "num", "n", "nb", "no", "count", "of", "has", "is", "any"})
FLAGS = frozenset({"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "y", "n", "t", "f"})

FEWEST_OF_A_CODE = 5
"""Short codes with fewer values than this may be classes ..."""
ENOUGH_OF_A_CODE = 20
"""... and with this many, or half the square root of the number of images, they are groups."""
FEWEST_UNNAMED = 10
"""Fewest values of a column whose name does not identify groups."""
SHARED = 0.05
"""Share of images that must share their value with others in a column without such a name."""
MANY_NUMBERS = 100
"""Whole numbers with as many different values are ids, unless the name says what they measure."""
_FEW_IN_A_BLOCK = 3
"""Half of it is the least mean number of images of a value, where blocks tell that it is an id."""
MOSTLY = 0.95
"""Share of the values that must look like ids."""

_TOKENS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_GLUED = re.compile(rf"([a-z]+?)({'|'.join(sorted(IDENTIFIERS | LABELS))})")
_FRACTION = re.compile(r"-?\d*\.\d*[1-9]\d*(e[-+]?\d+)?", re.IGNORECASE)
_WHOLE = re.compile(r"\d+(\.0+)?")
_PADDED = re.compile(r"\d{3,}")
_UID = re.compile(r"\d+(\.\d+){3,}")
_HASH = re.compile(r"(?=.*[a-f])(?=.*\d)[0-9a-f-]{8,}", re.IGNORECASE)
_NUMBERED = re.compile(rf"(.*/)?({'|'.join(sorted(WORDS))})[_-]?\d+", re.IGNORECASE)
_CODE = re.compile(r"(?=(.*\d){3})[A-Za-z][A-Za-z0-9]*([-_.][A-Za-z0-9]+)*")

_NUMBERED_SITE = re.compile(r"\d+(\.0+)?|[A-Za-z]+[ _-]?\d+|[A-Z]")
_FRONT = re.compile(r"(.*\d.*)[_-]\d{1,4}(\.[A-Za-z]+)?")
_MEASURED = re.compile(
    r"age|width|height|size|year|month|day|date|time|weight|bmi|spacing|thickness|dose|length|"
    r"area|count|position|rows|columns|index|frame|slice|number|level|score|z|y|x|kvp|follow|"
    r"depth|distance|speed|intensity|mean|std|min|max|sum|percent|pct|price|temperature|pressure|"
    r"angle|rotation|exposure|current|voltage|volume|mass|duration|resolution|dpi|quality|pixels|"
    r"px|mm|cm|kg|ml|bytes|left|right|top|bottom|offset|zoom|hour|minute|second|timestamp|epoch|"
    r"total|amount|value|measure|diameter|radius|perimeter|iteration|step|rank|row|column",
    re.IGNORECASE,
)

Naming = Literal["certain", "possible", "none"]


def naming(name: str) -> Naming:
    """Return how clearly the name of a column says that it is a group column.

    >>> naming("StudyInstanceUID"), naming("case"), naming("Patient Age")
    ('certain', 'possible', 'none')
    """
    tokens = [part for token in _TOKENS.findall(name) for part in _unglued(token.lower())]
    places = [place for place, token in enumerate(tokens) if token in WORDS]
    if not places:
        return "none"
    word, before, behind = tokens[places[-1]], tokens[: places[-1]], tokens[places[-1] + 1 :]
    if COUNTING & set(before):
        return "none"
    if behind and behind[0] in IDENTIFIERS and not COUNTING & set(behind):
        return "certain"
    if set(behind) - IDENTIFIERS - LABELS:
        return "none"
    if word in PEOPLE or IDENTIFIERS & set(behind) or (word in SHORT and behind):
        return "certain"
    return "possible"


def is_site(name: str, values: Sequence[str]) -> bool:
    """Return whether a column says where images were taken: `site_id`, `hospital`, `CenterName`.

    Args:
        name: name of the column.
        values: value of each training image; "" = unknown.
    """
    tokens = [token.lower() for token in _TOKENS.findall(name)]
    if not SITES & set(tokens) or {*tokens} - SITES - IDENTIFIERS - LABELS:
        return False
    images = Counter(value for value in values if value)
    if len(images) < 2 or all(count == 1 for count in images.values()):
        return False
    # A site alone may be one of the body: torso, head/neck.
    bare = not {*tokens} - {"site"}
    return not bare or _share(images, _NUMBERED_SITE) >= MOSTLY


def fronts(values: Sequence[str]) -> list[str]:
    """Return what stands before the number of an image in values such as `00028864_007.png`.

    All are "" unless nearly all values have that form.

    >>> fronts(["0002_007.png", "0002_008.png", "0003_001.png"])
    ['0002', '0002', '0003']
    """
    matches = [_FRONT.fullmatch(value) for value in values]
    known = sum(bool(value) for value in values)
    if not known or sum(match is not None for match in matches) < MOSTLY * known:
        return [""] * len(values)
    return ["" if match is None else match[1] for match in matches]


def _unglued(token: str) -> list[str]:
    """Return the parts of a token such as `seriesuid` or `patientcode`."""
    match = _GLUED.fullmatch(token)
    return [*match.groups()] if match and match[1] in WORDS else [token]


def is_group(name: str, values: Sequence[str]) -> bool:
    """Return whether a column is a group column, by the rule of this module.

    Args:
        name: name of the column.
        values: value of each training image; "" = unknown.
    """
    known = [value for value in values if value]
    images = Counter(known)
    repeated = [count for count in images.values() if count > 1]
    measured = any(_FRACTION.fullmatch(value) for value in images)
    if len(images) < 2 or not repeated or measured or {value.lower() for value in images} <= FLAGS:
        return False
    how = naming(name)
    if how == "certain":
        return True
    if how == "possible" and _name_things(name, images, len(known)):
        return True
    ids = _look_like_ids(images) or (_ends_in_id(name) and _share(images, _WHOLE) >= MOSTLY)
    if not ids and not _measures(name):
        numbers = len(images) >= MANY_NUMBERS and _share(images, _WHOLE) >= MOSTLY
        ids = numbers or _in_blocks(known, len(images))
    many = len(images) >= max(FEWEST_UNNAMED, sqrt(len(known)))
    return ids and many and sum(repeated) >= SHARED * len(known)


def _in_blocks(values: Sequence[str], different: int) -> bool:
    """Return whether images of equal values are neighbours, in blocks of a few."""
    blocks = sum(before != value for before, value in zip(["", *values], values, strict=False))
    return blocks == different and len(values) >= _FEW_IN_A_BLOCK * different / 2


def _measures(name: str) -> bool:
    return any(_MEASURED.fullmatch(token) for token in _TOKENS.findall(name))


def _name_things(name: str, values: Iterable[str], images: int) -> bool:
    """Return whether the values of a possible name are ids, or too many to be classes."""
    different = list(values)
    if _look_like_ids(different) or _share(different, _NUMBERED) >= MOSTLY:
        return True
    if name.strip().lower() in MEASURES and _share(different, _WHOLE) >= MOSTLY:
        return False
    with_digit = sum(any(sign.isdigit() for sign in value) for value in different)
    enough = len(different) >= min(ENOUGH_OF_A_CODE, sqrt(images) / 2)
    return len(different) >= FEWEST_OF_A_CODE and enough and with_digit >= MOSTLY * len(different)


def _look_like_ids(values: Iterable[str]) -> bool:
    different = list(values)
    if any(_share(different, form) >= MOSTLY for form in (_UID, _HASH, _CODE)):
        return True
    widths = {len(value) for value in different}
    padded = len(widths) == 1 and any(value.startswith("0") for value in different)
    return padded and _share(different, _PADDED) >= MOSTLY


def _ends_in_id(name: str) -> bool:
    return (_TOKENS.findall(name) or [""])[-1].lower() in IDENTIFIERS


def _share(values: Iterable[str], form: re.Pattern[str]) -> float:
    different = list(values)
    return sum(form.fullmatch(value) is not None for value in different) / len(different)


def keeps_whole(groups: Sequence[str], values: Sequence[str]) -> bool:
    """Return whether no value occurs in more than one group.

    Args:
        groups: (N,) group of each image; "" = the image is its own group.
        values: (N,) value of each image in another column; "" = unknown, not compared.
    """
    group_of: dict[str, str | int] = {}
    for place, (group, value) in enumerate(zip(groups, values, strict=True)):
        if value and group_of.setdefault(value, group or place) != (group or place):
            return False
    return True


def coarsest(columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the columns that are not finer than another, each with the columns finer than it.

    A column is finer if each of its values occurs within one value of the other. Of equivalent
    columns the first is returned.

    Args:
        columns: name -> value of each image; "" = unknown.

    >>> coarsest({"study": ["a", "a", "b"], "patient": ["p", "p", "p"]})
    {'patient': ['study']}
    """
    names = list(columns)
    keeps = {
        (name, other): keeps_whole(columns[name], columns[other])
        for name in names
        for other in names
        if name != other
    }
    top = [
        name
        for place, name in enumerate(names)
        if not any(
            keeps[other, name] and (not keeps[name, other] or names.index(other) < place)
            for other in names
            if other != name
        )
    ]
    return {name: [other for other in names if keeps.get((name, other))] for name in top}
