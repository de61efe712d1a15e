"""Views for test-time augmentation: an image is seen several ways and the maps are turned back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
import torch.nn.functional as F
import ttach

from goldfold.errors import InputError, did_you_mean

# Networks halve their input five times; a scaled view is rounded to the next such size.
_STRIDE = 32
_LEAST_SCALE, _MOST_SCALE = 0.25, 4.0

NAMED_VIEWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "none": ("none",),
        "hflip": ("none", "hflip"),
        "d4": (
            "none", "rot90", "rot180", "rot270",
            "hflip", "hflip+rot90", "hflip+rot180", "hflip+rot270",
        ),
        "multiscale": ("none", "scale-0.75", "scale-1.25"),
    }
)  # fmt: skip
"""Name -> its views; `d4` holds all symmetries of a square."""


class QuarterTurns:
    """Quarter turns out of flips and a transposition, which ONNX knows; as ttach's Rotate90."""

    def apply_aug_image(self, images: torch.Tensor, angle: int) -> torch.Tensor:
        """Return images (N, C, H, W) turned by 90, 180 or 270 degrees, counter-clockwise."""
        if angle == 180:
            return images.flip(2, 3)
        turned = images.transpose(2, 3)
        return turned.flip(2) if angle == 90 else turned.flip(3)

    def apply_deaug_mask(self, maps: torch.Tensor, angle: int) -> torch.Tensor:
        """Return maps turned back."""
        return self.apply_aug_image(maps, (360 - angle) % 360)


# Part of a view -> ttach's transform and its parameter, which turn there and back.
_PARTS: Mapping[str, tuple[Callable[[], ttach.base.DualTransform], object]] = MappingProxyType(
    {
        "hflip": (ttach.HorizontalFlip, True),
        "vflip": (ttach.VerticalFlip, True),
        "rot90": (QuarterTurns, 90),
        "rot180": (QuarterTurns, 180),
        "rot270": (QuarterTurns, 270),
    }
)


@dataclass(frozen=True)
class View:
    """One way to look at an image: flips and quarter turns of ttach, then a change of scale.

    Attributes:
        name: parts joined by `+`, e.g. `hflip+rot90`, `none` for the untouched image.
        turns: ttach's transforms and their parameters.
        scale: factor on both sides, 1 for none.
        mirror: for each of the network's masks the place of the one that a mirror makes of it; ()
            where all stay.
    """

    name: str
    turns: tuple[tuple[ttach.base.DualTransform, object], ...] = ()
    scale: float = 1.0
    mirror: tuple[int, ...] = ()

    @property
    def is_mirrored(self) -> bool:
        """Whether the view shows the image as a mirror does."""
        return self.name.count("flip") % 2 == 1

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the images as the network sees them.

        A quarter turn exchanges height and width; a scaled side is rounded to a multiple of 32.

        Args:
            images: network input, float32 (N, C, H, W).
        """
        for transform, parameter in self.turns:
            images = transform.apply_aug_image(images, parameter)
        if self.scale == 1.0:
            return images
        height, width = (_scaled(side, self.scale) for side in images.shape[-2:])
        return _resize(images, height, width)

    def inverse(self, maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Return maps of the view laid back onto the image, float32 (N, M, height, width).

        Args:
            maps: float32 (N, M, h, w) at the size of `forward`.
            height: of the untouched image in pixels.
            width: of it.
        """
        quarter = sum(parameter in (90, 270) for _, parameter in self.turns) % 2
        if self.scale != 1.0:
            maps = _resize(maps, *((width, height) if quarter else (height, width)))
        for transform, parameter in reversed(self.turns):
            maps = transform.apply_deaug_mask(maps, parameter)
        return maps[:, list(self.mirror)] if self.mirror and self.is_mirrored else maps


def get_views(views: str | Sequence[str], mirror: tuple[int, ...] = ()) -> list[View]:
    """Return the views of a name (`none`, `hflip`, `d4`, `multiscale`), or of an own list.

    A view of an own list is made of `hflip`, `vflip`, `rot90`, `rot180`, `rot270` and `scale-F`
    with a factor F of 0.25 to 4, joined by `+`; `none` is the untouched image.

    Args:
        views: a name, or a list.
        mirror: of each `View`.

    Raises:
        InputError: there is no such name or view, or a view stands twice.

    >>> [view.name for view in get_views("hflip")]
    ['none', 'hflip']
    >>> [view.name for view in get_views(["none", "hflip+scale-1.5"])]
    ['none', 'hflip+scale-1.5']
    """
    if isinstance(views, str):
        if views not in NAMED_VIEWS:
            hint = did_you_mean(views, NAMED_VIEWS)
            known = ", ".join(NAMED_VIEWS)
            raise InputError(
                f"unknown views {views!r}; there are {known}, and lists such as "
                f'["none", "hflip+rot90", "scale-1.25"].{hint}'
            )
        views = NAMED_VIEWS[views]
    if not views:
        raise InputError('expected at least one view, found none. "none" is the untouched image.')
    made = [replace(_make_view(name), mirror=mirror) for name in views]
    double = next((view for place, view in enumerate(views) if view in views[:place]), None)
    if double is not None:
        raise InputError(f"expected different views, found {double!r} twice.")
    return made


def _make_view(name: str) -> View:
    if name == "none":
        return View(name)
    turns: list[tuple[ttach.base.DualTransform, object]] = []
    scale = 1.0
    for part in name.split("+"):
        if part in _PARTS:
            make, parameter = _PARTS[part]
            turns.append((make(), parameter))
        elif part.startswith("scale-"):
            scale *= _factor(part, name)
        else:
            hint = did_you_mean(part, [*_PARTS, "none"])
            raise InputError(
                f"unknown part {part!r} of view {name!r}; there are {', '.join(_PARTS)} and "
                f"scale-F, such as scale-1.25, joined by +.{hint}"
            )
    if not _LEAST_SCALE <= scale <= _MOST_SCALE:
        raise InputError(
            f"view {name!r}: expected factors whose product is {_LEAST_SCALE} to {_MOST_SCALE:g}, "
            f"found {scale:g}."
        )
    return View(name, tuple(turns), scale)


def _factor(part: str, name: str) -> float:
    try:
        factor = float(part.removeprefix("scale-"))
    except ValueError:
        factor = 0.0
    if not _LEAST_SCALE <= factor <= _MOST_SCALE:
        raise InputError(
            f"view {name!r}: expected a factor of 0.25 to 4 in {part!r}, such as scale-1.25."
        )
    return factor


def _scaled(side: int, factor: float) -> int:
    """Return a scaled side in pixels, rounded to the nearest multiple of 32, at least one.

    >>> _scaled(512, 0.75), _scaled(96, 1.25), _scaled(33, 0.25)
    (384, 128, 32)
    """
    return max(_STRIDE, int(side * factor / _STRIDE + 0.5) * _STRIDE)


def _resize(images: torch.Tensor, height: int, width: int) -> torch.Tensor:
    if images.shape[-2:] == (height, width):
        return images
    shrinking = height < images.shape[-2] or width < images.shape[-1]
    return F.interpolate(
        images, (height, width), mode="bilinear", align_corners=False, antialias=shrinking
    )
