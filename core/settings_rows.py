"""What goldfold.toml can say of predictions that are made per group of images."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from goldfold.settings_files import Strict
from goldfold.vocabulary import RowAggregate, RowTruth

if TYPE_CHECKING:
    from goldfold.settings_competition import CompetitionSettings


class PredictionRows(Strict):
    """Which images make a row of the submission: those of a patient's side, of a study."""

    columns: Annotated[list[str], Field(min_length=1)]
    """Columns of images.csv whose values, taken together, are equal within a row:
    ["patient_id", "laterality"]."""
    id: str = ""
    """The row's id in the submission, with columns in braces: "{patient_id}_{laterality}"; the
    values joined by _ unless given."""
    aggregate: RowAggregate = "mean"
    """What is predicted of a row, from the probabilities (or numbers) of its images: their `mean`,
    their `max`, or `noisy-or`, the probability that at least one image has the class if images
    were independent of each other."""
    truth: RowTruth = "same"
    """What is true of a row: `same` = its images must agree, `any` = a class that any of them has
    (of two exclusive classes the second; the highest grade or number), `mean` of their numbers."""

    @property
    def pattern(self) -> str:
        """The row's id, with columns in braces."""
        return self.id or "_".join(f"{{{column}}}" for column in self.columns)

    @model_validator(mode="after")
    def _id_names_columns(self) -> PredictionRows:
        try:
            parts = list(Formatter().parse(self.id))
        except ValueError as error:
            raise ValueError(f"rows.id = {self.id!r}: {error}") from None
        fields = [name for _, name, _, _ in parts if name is not None]
        if any(spec or conversion for _, _, spec, conversion in parts):
            raise ValueError(f"rows.id = {self.id!r}: only names of columns belong in braces")
        if self.id and (set(fields) - set(self.columns) or not fields):
            raise ValueError(
                f"rows.id = {self.id!r} must name columns of rows.columns in braces, such as "
                f"{{{self.columns[0]}}}"
            )
        return self


def has_one_class(form: CompetitionSettings) -> bool:
    """Return whether an image has exactly one class, or grade."""
    return form.exclusive or form.of_numbers


def rows_problem(form: CompetitionSettings) -> str:
    """Return why predictions cannot be made per group of images, "" if they can."""
    rows = form.rows
    if rows is None:
        return ""
    many = form.exclusive and len(form.classes) > 2
    problems = {
        "rows belongs to classification, grades and regression: masks are of one image each": (
            not form.of_whole_images
        ),
        f'rows.aggregate = "{rows.aggregate}" would give probabilities of exclusive classes that '
        'do not sum to 1: set it to "mean"': many and rows.aggregate != "mean",
        'rows.truth = "any" is not defined for more than two exclusive classes': (
            many and rows.truth == "any"
        ),
        f'rows.aggregate = "noisy-or" needs probabilities, not {form.task}: "mean" or "max"': (
            form.of_numbers and rows.aggregate == "noisy-or"
        ),
        'rows.truth = "mean" belongs to regression': (
            rows.truth == "mean" and form.task != "regression"
        ),
    }
    return next((problem for problem, is_true in problems.items() if is_true), "")
