"""Run-length dialects: what each setting of one means, and those that have names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ValidationError

from goldfold.errors import InputError, did_you_mean
from goldfold.settings_dialect import DialectTable
from goldfold.settings_text import to_value
from goldfold.vocabulary import PixelOrder, RunForm, RunText


@dataclass(frozen=True)
class Dialect:
    """A way to write a mask as text.

    Attributes:
        name: its name in settings; of one without a name, the table that describes it.
        order: order in which the pixels are counted.
        base: number of the first pixel: 0 or 1; counts have none.
        runs: which two numbers describe a run; `counts` = pixels outside, inside, outside ...
        empty: how an empty mask is written.
        text: decimal numbers, or COCO's compressed counts.
        separator: what is written between two numbers.
        brackets: what is written around the numbers of a mask that is not empty.
    """

    name: str
    order: PixelOrder
    base: int
    runs: RunForm
    empty: str
    text: RunText = "numbers"
    separator: str = " "
    brackets: Literal["", "[]", "()"] = ""

    def table(self) -> dict[str, Any]:
        """Return the table of settings that describes it, without what is default there."""
        return {
            key: getattr(self, key)
            for key, field in DialectTable.model_fields.items()
            if getattr(self, key) != field.default and (key, self.runs) != ("base", "counts")
        }

    def setting(self) -> str | dict[str, Any]:
        """Return what `labels.dialect` and `submission.dialect` take: the name, or the table."""
        return self.name if self.name in DIALECTS else self.table()

    def plain(self) -> Dialect:
        """Return the dialect in which images.csv keeps masks that are read in this one.

        Spaces alone separate its numbers, which every reader of this dialect accepts.
        """
        if (self.text, self.separator, self.brackets) == ("numbers", " ", ""):
            return self
        return replace(self, text="numbers", separator=" ", brackets="")

    def record(self) -> str:
        """Return the text under which caches remember what masks are written in."""
        if self.text == "numbers" and self.runs in _GAPS:  # as before dialects had more settings
            facts = (self.name, self.order, self.base, _GAPS[self.runs], self.empty)
            return "Dialect(name={!r}, order={!r}, base={!r}, gaps={!r}, empty={!r})".format(*facts)
        return repr(self)


DialectLike = str | Dialect | Mapping[str, Any]
"""A name, a dialect, or a table of settings."""
_GAPS = {"start-length": "absolute", "gap-length": "relative"}

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        dialect.name: dialect
        for dialect in (
            Dialect("siim", "column", 0, "gap-length", "-1"),
            Dialect("kaggle", "column", 1, "start-length", ""),
            Dialect("kaggle-dash", "column", 1, "start-length", "-"),
            Dialect("row-major", "row", 1, "start-length", ""),
            Dialect("row-major-0", "row", 0, "start-length", ""),
            Dialect("coco", "column", 0, "counts", "", "coco"),
            Dialect("coco-counts", "column", 0, "counts", "", "numbers", ", ", "[]"),
            Dialect("coco-base64", "column", 0, "counts", "", "coco-base64"),
        )
    }
)


def get_dialect(given: str | Dialect | DialectTable | Mapping[str, Any]) -> Dialect:
    """Return the dialect of a name or of a table of settings; a dialect is returned as it is.

    >>> get_dialect({"order": "row", "base": 0}) == DIALECTS["row-major-0"]
    True

    Raises:
        InputError: there is no such dialect.
    """
    if isinstance(given, Dialect):
        return given
    if isinstance(given, DialectTable | Mapping):
        return _of_table(given)
    if not isinstance(given, str):
        raise InputError(
            f"expected the name of a run-length dialect or a Dialect, found {given!r} (a "
            f"{type(given).__name__}); there are {', '.join(DIALECTS)}."
        )
    if given in DIALECTS:
        return DIALECTS[given]
    hint = did_you_mean(given, DIALECTS)
    known = ", ".join(DIALECTS)
    raise InputError(f"unknown run-length dialect {given!r}; expected one of {known}.{hint}")


def _of_table(given: DialectTable | Mapping[str, Any]) -> Dialect:
    """Return the dialect that a table describes, with its name if it has one."""
    if not isinstance(given, DialectTable):
        given = _checked(given)
    facts = given.model_dump()
    facts["base"] = 0 if given.runs == "counts" else given.base
    bare = Dialect("", **facts)
    table = bare.table()
    named = [name for name, dialect in DIALECTS.items() if dialect.table() == table]
    return DIALECTS[named[0]] if named else Dialect(to_value(table), **facts)


def _checked(given: Mapping[str, Any]) -> DialectTable:
    known = sorted(DialectTable.model_fields)
    if unknown := [str(key) for key in given if key not in known]:
        hint = did_you_mean(unknown[0], known) or f" Known: {', '.join(known)}."
        raise InputError(f"not a run-length dialect: unknown setting {unknown[0]!r}.{hint}")
    try:
        return DialectTable.model_validate(dict(given))
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ")
            for fault in error.errors()
        ]
        raise InputError(f"not a run-length dialect: {'; '.join(lines)}.") from None
