"""How the pixels of images are read: what the settings of a competition say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from goldfold.competitions.window import Window, get_window
from goldfold.settings import ImageFiles
from goldfold.vocabulary import Crop, Pages, Stretch

PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Reading:
    """How the pixels of an image are read.

    Attributes:
        windows: windows applied to gray images of more than 8 bits instead of their own.
        repair: correct the wrong intercept of some CT images.
        crop: `head` crops the image to the square around the largest bright part.
        stretch: which levels become black and white; see `competition.images.stretch`.
        percentiles: shares in percent of an image's pixels at which a stretch begins and ends.
        pages: what is read of a TIFF, GIF or WEBP of several pictures.
        ask: refuse CT that has no window anywhere; without, it is stretched like other images.
    """

    windows: tuple[Window, ...] = ()
    repair: bool = False
    crop: Crop = "none"
    stretch: Stretch = "auto"
    percentiles: tuple[float, float] = PERCENTILES
    pages: Pages = "error"
    ask: bool = True

    @property
    def decides_by_itself(self) -> bool:
        """Whether nobody has said which levels become black and white."""
        return self.stretch == "auto" and not self.windows

    @property
    def limits(self) -> tuple[float, float]:
        """The percentiles between which an image that is stretched is spread."""
        return (0.0, 100.0) if self.stretch == "image" else self.percentiles


PLAIN = Reading()


def reading_of(images: ImageFiles) -> Reading:
    """Return how the images of a competition are read.

    Raises:
        InputError: there is no window of that name.
    """
    return Reading(
        windows=tuple(get_window(text) for text in images.windows),
        repair=images.repair == "ct-intercept",
        crop=images.crop,
        stretch=images.stretch,
        percentiles=images.stretch_percentiles,
        pages=images.pages,
    )


def picture_reading(images: ImageFiles) -> Reading:
    """Return how images are shown to people: whole, and not through the windows of a network."""
    return replace(reading_of(images), windows=(), repair=False, crop="none", ask=False)
