"""What goldfold.toml can say of a run-length dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from goldfold.vocabulary import DialectName, PixelOrder, RunForm, RunText

SEPARATOR_PATTERN = r"^[ \t,;:|/_]{1,3}$"
EMPTY_PATTERN = r"^(\S(.{0,18}\S)?)?$"
EMPTY_BESIDE_COCO = ("", "-1", "-", "nan", "NaN", "None", "null")
"""What can stand for an empty mask beside COCO's letters, because none of it is a mask there."""
_NUMBER, _NUMBERS = re.compile(r"-?\d+"), re.compile(r"[\d\s,;:|/_\[\]()-]*\d[\d\s,;:|/_\[\]()-]*")


class DialectTable(BaseModel):
    """A way to write a mask as text; the names of dialects stand for such tables."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    order: PixelOrder = "column"
    """Order in which pixels are counted: `column` = down the first column, then the next; `row` =
    along the first row, then the next."""
    base: Literal[0, 1] = 1
    """Number of the first pixel. Counts have no base."""
    runs: RunForm = "start-length"
    """The two numbers of a run: `start-length` = its first pixel and its length; `gap-length` = the
    same, but after the first run the gap since the end of the previous one; `start-last` = first
    and last pixel; `start-stop` = first pixel and the one after the last. `counts` = pixels
    outside, inside, outside and so on, as in COCO."""
    text: RunText = "numbers"
    """`numbers` = decimal numbers; `coco` = COCO's compressed counts; `coco-base64` = these through
    zlib and base64. The last two need runs = "counts"."""
    empty: Annotated[str, Field(pattern=EMPTY_PATTERN)] = ""
    """How an empty mask is written. Reading accepts all usual ways."""
    separator: Annotated[str, Field(pattern=SEPARATOR_PATTERN)] = " "
    """What stands between two numbers. Reading accepts spaces, commas and semicolons, too."""
    brackets: Literal["", "[]", "()"] = ""
    """What encloses the numbers of a mask. Reading accepts all of them."""

    @model_validator(mode="after")
    def _fits_together(self) -> DialectTable:
        if self.text != "numbers" and self.runs != "counts":
            raise ValueError(f'text = "{self.text}" needs runs = "counts"')
        if self.text != "numbers" and self.empty not in EMPTY_BESIDE_COCO:
            known = ", ".join(f'"{token}"' for token in EMPTY_BESIDE_COCO)
            raise ValueError(f'with text = "{self.text}", empty is one of {known}')
        mask = _NUMBERS.fullmatch(self.empty) and not (
            _NUMBER.fullmatch(self.empty) and self.runs != "counts"
        )
        if mask and self.empty != "-1":
            raise ValueError(f"empty = {self.empty!r} could be a mask that is not empty")
        return self


def is_empty_setting(word: str) -> bool:
    """Return whether a word, or 0, can stand for an empty mask among pairs of numbers."""
    fits = re.fullmatch(EMPTY_PATTERN, word) is not None
    return fits and (word == "0" or _NUMBERS.fullmatch(word) is None)


def _branch(given: Any) -> str:
    return "table" if isinstance(given, Mapping | DialectTable) else "name"


DialectSetting = Annotated[
    Annotated[DialectName, Tag("name")] | Annotated[DialectTable, Tag("table")],
    Discriminator(_branch),
]
