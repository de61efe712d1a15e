"""How often and how far images are changed in training: the named levels, and all their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, get_args

from goldfold.errors import InputError, did_you_mean
from goldfold.vocabulary import Distortion


@dataclass(frozen=True)
class Recipe:
    """How often and how far images are changed; probabilities are 0 to 1, 0 is never."""

    name: str
    flip: float = 0.0
    """Probability that left and right are exchanged."""
    move: float = 0.0
    """Probability of a shift, scaling and rotation, all three at once."""
    shift: float = 0.0
    """Largest shift to each side, as a fraction of the size."""
    scale: float = 0.0
    """Largest enlargement, 0.1 = by 1.1; reduction likewise, by 1 / 1.1."""
    rotation: float = 0.0
    """Largest rotation to each side in degrees."""
    distort: float = 0.0
    """Probability of a distortion, one of `distortions`."""
    distortions: tuple[Distortion, ...] = ("elastic",)
    """What may distort; each as likely."""
    elastic: float = 0.0
    """Largest displacement of a knot, as a fraction of the size."""
    knots: int = 7
    """Knots of the elastic grid along each side."""
    grid: float = 0.0
    """Largest change of a grid cell's width, as a fraction of it."""
    cells: int = 5
    """Cells of the distorted grid along each side."""
    optical: float = 0.0
    """Largest strength of the lens, by which the middle of a side moves towards the centre."""
    tone: float = 0.0
    """Probability of a change of tones."""
    one_tone: bool = False
    """One of brightness, contrast and gamma; all three at once unless set."""
    brightness: float = 0.0
    """Largest addition, as a fraction of the full range."""
    contrast: float = 0.0
    """Largest change of the slope about middle gray: 0.2 = between 0.8 and 1.2."""
    gamma: float = 0.0
    """Largest exponent, 0.2 = 1.2; the smallest likewise, 1 / 1.2."""
    vertical_flip: float = 0.0
    """Probability that top and bottom are exchanged."""
    blur: float = 0.0
    """Probability of a Gaussian blur."""
    blur_sigma: float = 1.5
    """Its largest standard deviation in pixels of the training image."""
    noise: float = 0.0
    """Probability of Gaussian noise."""
    noise_sigma: float = 0.04
    """Its largest standard deviation, as a fraction of the full range."""
    cutout: float = 0.0
    """Probability that rectangles of the image become black."""
    cutout_holes: int = 4
    """Most rectangles."""
    cutout_size: float = 0.2
    """Largest side of a rectangle, as a fraction of the image's; the smallest is a quarter."""
    steps: tuple[str, ...] = ()
    """Steps of the user's own, as bound references."""

    @property
    def only_on_cpu(self) -> str:
        """What of the recipe no GPU path does, "" where it does all."""
        lacking = [*(["noise"] if self.noise > 0 else []), *(["steps"] if self.steps else [])]
        return " and ".join(lacking)

    def changed(self, numbers: Mapping[str, Any]) -> Recipe:
        """Return the recipe with some numbers replaced; lists become tuples."""
        given: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in numbers.items()
        }
        return replace(self, **given)


_LIGHT = Recipe(
    "light", flip=0.5, move=0.7, shift=0.06, scale=0.12, rotation=12.0,
    tone=0.5, brightness=0.1, contrast=0.15, gamma=0.15,
)  # fmt: skip
_STRONG = Recipe(
    "strong", flip=0.5, move=0.9, shift=0.1, scale=0.2, rotation=20.0, distort=0.4, elastic=0.025,
    tone=0.8, brightness=0.2, contrast=0.3, gamma=0.3,
)  # fmt: skip
# The figures of the 1st place's published transforms (SIIM-ACR Pneumothorax, 2019). Its elastic
# distortion (alpha 120, sigma 6 px) has fine knots; its lens (limit 2) moves the middle of a side
# by up to 0.6, here without the fourth power of the distance; distortion comes after the move.
_FIRST = Recipe(
    "siim-1st-place", flip=0.5, move=0.5, shift=0.0625, scale=0.1, rotation=45.0,
    distort=0.3, distortions=get_args(Distortion), elastic=0.006, knots=24, grid=0.3,
    optical=0.6, tone=0.3, one_tone=True, brightness=0.2, contrast=0.2, gamma=0.25,
)  # fmt: skip
# The figures of the 4th place's; it fills the border with black, here it is mirrored.
_FOURTH = Recipe(
    "siim-4th-place", flip=0.5, move=0.5, shift=0.2, scale=0.2, rotation=20.0,
    distort=0.3, distortions=get_args(Distortion), elastic=0.006, knots=24, grid=0.3,
    optical=0.6, tone=0.3, brightness=0.2, contrast=0.2,
)  # fmt: skip

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        r.name: r
        for r in (Recipe("none"), Recipe("flip", flip=0.5), _LIGHT, _STRONG, _FIRST, _FOURTH)
    }
)


def get_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        InputError: there is none of that name.
    """
    if name in RECIPES:
        return RECIPES[name]
    hint = did_you_mean(name, RECIPES)
    raise InputError(
        f"unknown augmentation recipe {name!r}: choose one of {', '.join(RECIPES)}.{hint}"
    )
