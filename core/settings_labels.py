"""What goldfold.toml can say of label cells that leave something open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from goldfold.vocabulary import ClassLabels, ClassSpelling, Combining, IdForm, names_of

if TYPE_CHECKING:
    from goldfold.settings_competition import CompetitionSettings

Share = Annotated[float, Field(ge=0, le=1)]
UncertainAs = Literal["ones", "zeros"] | Share
BlankAs = Literal["zeros"] | Share
AS_SHARE = {"ones": 1.0, "zeros": 0.0}
"""Target that a word stands for."""


class LabelRules(BaseModel):
    """How label cells are read; where nothing is set, `check` asks as soon as it matters."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id_ignores: list[IdForm] | None = None
    """What may differ between ids of tables and of images that are the same: ["zeros"] (leading
    zeros), "decimals" (12.0 = 12), "case", "spaces", "ending" (.png), "folders" (a/b/x = x), "root"
    (folders in front of the path). Applies to the label table and `tables`. [] = nothing."""
    list_separator: Annotated[str, Field(min_length=1, max_length=3)] = "|"
    """`lists`: what separates the classes of a cell."""
    none_name: str | None = None
    """`lists`: the name that means none of the classes, such as "No Finding"."""
    class_spelling: ClassSpelling | None = None
    """Names of classes that differ in case or spaces only: `loose` = they are the same, `exact` =
    they are not."""
    combine: Combining | None = None
    """Rows of an image that disagree: it has a class if `any` row says so, if most do (`majority`),
    or to the share of those that do (`mean`); a number is their `mean`."""
    uncertain: UncertainAs | dict[str, UncertainAs] | None = None
    """`wide` and `long`: what a cell of -1 means: `ones`, `zeros`, or a share such as 0.5; for each
    class, if it is a table: { Edema = "ones", Atelectasis = "zeros" }."""
    blank: BlankAs | dict[str, BlankAs] | None = None
    """`wide` and `long`: what an empty cell means: `zeros`, or a share."""
    soft: bool = False
    """`wide` and `long`: numbers between 0 and 1 are targets, not faults. An image has a class from
    0.5 on where a metric or the split needs to know."""
    allow_constant: bool = False
    """Labels without any contrast are right: all masks empty, or classes that no or every image
    has."""

    @field_validator("uncertain", "blank", mode="before")
    @classmethod
    def _nothing_is_ignored(cls, value: Any) -> Any:
        values = list(value.values()) if isinstance(value, dict) else [value]
        if "ignore" in values:
            raise ValueError(
                "a single class of an image cannot be left out of loss and metric: choose zeros, "
                "ones (for uncertain) or a share such as 0.5, or leave the image out with "
                "images.exclude"
            )
        return value

    def share_of(self, cell: str, name: str) -> float | None:
        """Return the target that an empty cell or one of -1 stands for, None if nothing is set.

        Args:
            cell: "" or a number.
            name: the class.
        """
        chosen = self.uncertain if cell else self.blank
        if isinstance(chosen, dict):
            chosen = chosen.get(name)
        return AS_SHARE.get(chosen) if isinstance(chosen, str) else chosen


def label_rules_problem(form: CompetitionSettings) -> str:
    """Return which rules for label cells a competition cannot use, "" if there is none."""
    labels = form.labels
    of_flags = labels.kind in ("wide", "long")
    given = {
        "uncertain": labels.uncertain is not None,
        "soft": labels.soft,
    }
    if wrong := [name for name, is_given in given.items() if is_given and not of_flags]:
        return f'labels.{wrong[0]} needs labels.kind "wide" or "long", found "{labels.kind}"'
    if labels.blank is not None and not (of_flags or labels.kind == "lists"):
        return f'labels.blank needs labels.kind "wide", "long" or "lists", found "{labels.kind}"'
    for name, chosen in (("uncertain", labels.uncertain), ("blank", labels.blank)):
        unknown = (
            [key for key in chosen if key not in form.classes] if isinstance(chosen, dict) else []
        )
        if unknown:
            return f"labels.{name} names {unknown[0]!r}, which is no class"
    if labels.none_name is not None and labels.kind != "lists":
        return f'labels.none_name needs labels.kind "lists", found "{labels.kind}"'
    if labels.none_name is not None and labels.none_name in form.classes:
        return f"labels.none_name {labels.none_name!r} means no class, but classes names it"
    return _combine_problem(form)


def _combine_problem(form: CompetitionSettings) -> str:
    how, kind = form.labels.combine, form.labels.kind
    if how is None:
        return ""
    if kind == "folders" or kind not in names_of(ClassLabels):
        return f'labels.combine is for tables of classes or numbers, not for labels.kind "{kind}"'
    if form.task == "regression" and how != "mean":
        return 'labels.combine = "mean" is the only rule for numbers'
    if form.task == "grades" and how != "majority":
        return 'labels.combine = "majority" is the only rule for grades'
    if form.exclusive and how == "any":
        return 'labels.combine = "any" may give an image several classes, which are exclusive'
    return ""
