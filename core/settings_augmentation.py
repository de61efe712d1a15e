"""What goldfold.toml says of augmentation: a level by name, or a table of numbers on top of one."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from goldfold.augmentation_levels import Recipe, get_recipe
from goldfold.own_code import OwnObject
from goldfold.settings_files import Strict
from goldfold.vocabulary import AugmentationLevel, Distortion, names_of

Probability = Annotated[float, Field(ge=0, le=1)] | None


class Augmentation(Strict):
    """Numbers that replace those of a level; what is not given stays as in `base`.

    Probabilities are per image and epoch. What happens follows from seed, epoch and image alone.
    """

    base: AugmentationLevel = "none"
    """Level whose numbers hold where none is given here."""
    flip: Probability = None
    """Probability that left and right are exchanged."""
    vertical_flip: Probability = None
    """Probability that top and bottom are exchanged."""
    move: Probability = None
    """Probability of a shift, a scaling and a rotation, all three at once."""
    shift: Annotated[float, Field(ge=0, le=0.5)] | None = None
    """Largest shift in each direction, as a fraction of width and height."""
    scale: Annotated[float, Field(ge=0, le=1)] | None = None
    """Largest enlargement: 0.1 enlarges by up to 1.1, and reduces by up to 1 / 1.1."""
    rotation: Annotated[float, Field(ge=0, le=180)] | None = None
    """Largest rotation in either direction, in degrees."""
    distort: Probability = None
    """Probability of a distortion, one of `distortions`."""
    distortions: Annotated[list[Distortion], Field(min_length=1)] | None = None
    """Kinds of distortion; each is as likely."""
    elastic: Annotated[float, Field(ge=0, le=0.2)] | None = None
    """Elastic distortion: largest displacement of a knot, as a fraction of the size."""
    knots: Annotated[int, Field(ge=2, le=64)] | None = None
    """Elastic distortion: knots along each side."""
    grid: Annotated[float, Field(ge=0, le=0.9)] | None = None
    """Grid distortion: largest change of a cell's width, as a fraction of it."""
    cells: Annotated[int, Field(ge=2, le=64)] | None = None
    """Grid distortion: cells along each side."""
    optical: Annotated[float, Field(ge=0, le=1)] | None = None
    """Optical distortion: largest strength of the lens, by which the middle of a side moves, as a
    fraction of its distance from the centre."""
    tone: Probability = None
    """Probability of a change of tones."""
    one_tone: bool | None = None
    """One of brightness, contrast and gamma at a time; false changes all three."""
    brightness: Annotated[float, Field(ge=0, le=1)] | None = None
    """Largest addition, as a fraction of black to white."""
    contrast: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Largest change of the slope about middle gray: 0.2 is between 0.8 and 1.2."""
    gamma: Annotated[float, Field(ge=0, le=4)] | None = None
    """Largest exponent: 0.2 is between 1 / 1.2 and 1.2."""
    blur: Probability = None
    """Probability of a Gaussian blur."""
    blur_sigma: Annotated[float, Field(gt=0, le=20)] | None = None
    """Largest standard deviation of the blur, in pixels of the training image."""
    noise: Probability = None
    """Probability of Gaussian noise; it is added on the CPU only."""
    noise_sigma: Annotated[float, Field(gt=0, le=0.5)] | None = None
    """Largest standard deviation of the noise, as a fraction of black to white."""
    cutout: Probability = None
    """Probability that rectangles of the image become black; the mask stays."""
    cutout_holes: Annotated[int, Field(ge=1, le=64)] | None = None
    """Most rectangles in an image."""
    cutout_size: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest height and width of a rectangle, as a fraction of the image's; the smallest is a
    quarter of it."""
    steps: list[OwnObject] | None = None
    """Steps of your own that follow all else, by `module:object` (docs/extending.md); they run on
    the CPU only."""

    @model_serializer(mode="wrap")
    def _given_numbers(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not given: numbers of later versions change no training of today."""
        return {key: value for key, value in handler(self).items() if value is not None}

    @property
    def recipe(self) -> Recipe:
        """The numbers of the level with the given ones on them."""
        return get_recipe(self.base).changed(self.model_dump(exclude={"base"}))

    @model_validator(mode="after")
    def _strengths_act(self) -> Self:
        """Refuse a strength whose probability is 0: it would change nothing."""
        recipe = self.recipe
        idle = [
            f"{strength} does nothing while {chance} is 0: set {chance}, its probability"
            for strength, chance in _CHANCES.items()
            if getattr(self, strength) is not None and getattr(recipe, chance) == 0
        ]
        idle += [
            f'{kind} does nothing without distortions = ["{kind}"]'
            for kind in names_of(Distortion)
            if getattr(self, kind) is not None and kind not in recipe.distortions
        ]
        if idle:
            raise ValueError("; ".join(idle))
        return self


_CHANCES = {
    **dict.fromkeys(("shift", "scale", "rotation"), "move"),
    **dict.fromkeys(("distortions", "elastic", "knots", "grid", "cells", "optical"), "distort"),
    **dict.fromkeys(("one_tone", "brightness", "contrast", "gamma"), "tone"),
    "blur_sigma": "blur",
    "noise_sigma": "noise",
    **dict.fromkeys(("cutout_holes", "cutout_size"), "cutout"),
}
"""Strength -> the probability without which it does nothing."""


def _form(value: Any) -> Literal["name", "table"]:
    return "table" if isinstance(value, dict | Augmentation) else "name"


AugmentationSetting = Annotated[
    Annotated[AugmentationLevel, Tag("name")] | Annotated[Augmentation, Tag("table")],
    Discriminator(_form),
]


def recipe_of(augmentation: str | Augmentation) -> Recipe:
    """Return the numbers that a stage's setting stands for."""
    return get_recipe(augmentation) if isinstance(augmentation, str) else augmentation.recipe


def augmentation_in_words(augmentation: str | Augmentation) -> str:
    """Return a setting as messages show it: a level, or a table's base and what it changes.

    >>> augmentation_in_words(Augmentation(base="light", rotation=15.0))
    'light with rotation = 15'
    """
    if isinstance(augmentation, str):
        return augmentation
    given = augmentation.model_dump(exclude={"base"})
    changes = ", ".join(f"{key} = {_shown(value)}" for key, value in given.items())
    return f"{augmentation.base} with {changes}" if changes else augmentation.base


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
