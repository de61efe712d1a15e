"""What goldfold.toml says of the loss."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from goldfold.own_code import OwnObject
from goldfold.settings_files import Strict
from goldfold.vocabulary import DiceOver, PixelLoss, names_of

Weight = Annotated[float, Field(ge=0.0)]
_LATER = ("own", "mse", "smooth_l1")
"""Fields that older runs do not have."""


class Loss(Strict):
    """Weights of the summed losses; a part of weight 0 is not computed.

    Losses of your own join the others: { "my_losses:lovasz" = 1.0, dice = 1.0 }.
    """

    bce: Weight = 1.0
    """Binary cross-entropy over pixels."""
    dice: Weight = 1.0
    """Soft Dice."""
    dice_over: DiceOver = "batch"
    """Pixels of the whole batch in one ratio, or one ratio per image and their mean."""
    focal: Weight = 0.0
    """Focal loss."""
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    """How little easy pixels count."""
    lovasz: Weight = 0.0
    """Symmetric Lovász hinge, image by image."""
    tversky: Weight = 0.0
    """Tversky loss over the batch."""
    tversky_alpha: Weight = 0.3
    """Cost of a false positive pixel in Tversky's ratio."""
    tversky_beta: Weight = 0.7
    """Cost of a false negative pixel in Tversky's ratio."""
    presence: Weight = 0.0
    """Binary cross-entropy of the presence head."""
    cross_entropy: Weight = 0.0
    """Cross-entropy over exclusive classes or grades, or over the classes of a pixel."""
    mse: Weight = 0.0
    """Grades and regression: squared error of the number, its range being 1."""
    smooth_l1: Weight = 0.0
    """Grades and regression: smooth absolute error of the number, squared up to a tenth of its
    range."""
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Exclusive and other classes: share of the target that is spread evenly over all classes."""
    class_weights: dict[str, Weight] | Literal["balanced"] = Field({})
    """Weight of a class, 1 unless given; classification: `balanced` = by its rarity."""

    own: dict[OwnObject, Weight] = Field({})
    """Weights of losses of your own, by `module:object` (docs/extending.md); they may stand
    directly in the table of the loss, too."""

    @model_validator(mode="before")
    @classmethod
    def _own_beside_the_others(cls, content: Any) -> Any:
        """Take `module:object` keys of the table into `own`."""
        if not isinstance(content, dict):
            return content
        own = {key: value for key, value in content.items() if ":" in key}
        if not own:
            return content
        rest = {key: value for key, value in content.items() if key not in own}
        return {**rest, "own": {**content.get("own", {}), **own}}

    @model_serializer(mode="wrap")
    def _plain_without_own(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and is not used: what was trained before stays as it is."""
        content: dict[str, Any] = handler(self)
        return {key: value for key, value in content.items() if value or key not in _LATER}

    @property
    def shipped(self) -> dict[str, Any]:
        """The arguments of `WeightedLoss` but for the classes' weights."""
        return {**self.model_dump(exclude={"class_weights", "own"}), "own": dict(self.own)}

    @property
    def parts(self) -> list[str]:
        """Names of the shipped parts above 0."""
        return [name for name in (*names_of(PixelLoss), "presence") if getattr(self, name) > 0]

    @property
    def default_parts(self) -> list[str]:
        """Names of the shipped parts that are above 0 unless set otherwise."""
        fields = type(self).model_fields
        return [name for name in names_of(PixelLoss) if fields[name].default > 0]

    @property
    def of_masks_only(self) -> list[str]:
        """Names of the parts above 0 that need masks."""
        return [
            name for name in ("dice", "lovasz", "tversky", "presence") if getattr(self, name) > 0
        ]

    @model_validator(mode="after")
    def _some(self) -> Self:
        parts = [getattr(self, name) for name in names_of(PixelLoss)]
        if sum(parts) + sum(self.own.values()) <= 0:
            raise ValueError("at least one weight of a loss over pixels or classes must be above 0")
        return self
