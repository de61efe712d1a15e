"""What goldfold.toml can say of the folds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from goldfold.settings_files import Strict
from goldfold.settings_training import Seed
from goldfold.vocabulary import FoldKind


class FoldSettings(Strict):
    """How the training images are split."""

    kind: FoldKind = "balanced"
    """`balanced` spreads images, labels and areas evenly over `count` folds; `leave-one-out` makes
    a fold of each value of `column`; `ordered` cuts the images into `count` parts in the order of
    `column`, each part held out from models that are trained on the parts before it alone; `file`
    reads the folds from a table."""
    count: Annotated[int, Field(ge=2, le=20)] = 5
    """Number of folds; of `leave-one-out` and `file` the data decides it."""
    column: str | None = None
    """Column of images.csv: the one whose values are left out in turn (`group` unless given), or
    the one that orders the images, by number or date."""
    file: str | None = None
    """CSV with the fold of every training image, in the data folder or absolute."""
    id_column: str | None = None
    """Its column with the image id; the first with a usual name unless given."""
    fold_column: str | None = None
    """Its column with the fold, a whole number from 0; the first with a usual name unless given."""
    seed: Seed = 0
    """Seed of the split."""
    group: str = "patient"
    """Column of images.csv whose equal values stay together; `none` for no groups."""
    not_groups: list[str] = Field([])
    """Columns of images.csv that look like groups but whose images are independent of each other:
    images with equal values may be in different folds."""
    ungrouped: Literal["error", "single"] = "error"
    """Images without a value in the group column: stop, or take each as a group of its own
    (`single`, where they are at most half)."""
    area_bins: Annotated[int, Field(ge=1, le=20)] = 4
    """Quantiles of the mask area, or of a number, that are spread evenly, beside presence."""
    train: list[int] | None = None
    """Folds to train and to score; all unless given. The others are only ever trained on."""

    @model_validator(mode="after")
    def _group_is_not_declined(self) -> FoldSettings:
        if self.group in self.not_groups:
            raise ValueError(f"group and not_groups both name {self.group!r}")
        return self

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> FoldSettings:
        of_file = [name for name in ("file", "id_column", "fold_column") if getattr(self, name)]
        if self.kind == "file" and self.file is None:
            raise ValueError('kind = "file" needs file = "FOLDS.csv", a table of the folds')
        if self.kind != "file" and of_file:
            raise ValueError(f'{" and ".join(of_file)} need kind = "file"')
        if self.kind == "ordered" and self.column is None:
            raise ValueError('kind = "ordered" needs column, the one that orders the images')
        if self.kind == "leave-one-out" and self.column is None and self.group == "none":
            raise ValueError('kind = "leave-one-out" needs column, the one whose values are folds')
        if self.kind in ("balanced", "file") and self.column is not None:
            raise ValueError('column needs kind = "leave-one-out" or "ordered"')
        return self

    @model_validator(mode="after")
    def _train_exists(self) -> FoldSettings:
        train = self.train
        if train is None:
            return self
        if not train or len(set(train)) != len(train) or min(train) < 0:
            raise ValueError(f"train = {train} must name different folds, numbers of 0 or more")
        first = 1 if self.kind == "ordered" else 0
        counted = self.kind in ("balanced", "ordered")
        if counted and not all(first <= fold < self.count for fold in train):
            alone = " (fold 0, the first in order, is only trained on)" if first else ""
            raise ValueError(
                f"train = {train} must name different folds between {first} and "
                f"{self.count - 1}{alone}"
            )
        return self
