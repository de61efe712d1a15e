"""A synthetic competition in the files of CholecSeg8k: one file of levels per frame of a video.

The real set has no test set. Here there is one below `test/`, with a sample submission of one row
per frame and class, so that every command can be tried.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.synthetic.csv_text import csv_text
from goldfold.competitions.synthetic.endoscopy import CLASSES, Scene
from goldfold.competitions.synthetic.generator import Request, SyntheticCompetition
from goldfold.competitions.synthetic.mask_release import (
    SOLUTION_FILE,
    Drawn,
    MaskReport,
    finish,
    shown_places,
    texts_of,
    usage,
)
from goldfold.files import write_bytes, write_text

_VERSION = 1  # raise it whenever the same seed gives different bytes
_LEVELS = np.array([50, 11, 21, 13, 12, 31, 23, 24, 25, 32, 22, 33, 5], np.uint8)
_EDGE, _STRAY = 255, 36
_VIDEOS = 17
_SHAPE = 480 / 854
_HEADER = ("id", "class", "rle")


def _write(folder: Path, request: Request) -> MaskReport:
    """Frames of operations and the class of each pixel in CholecSeg8k's layout.

    `size` is the width in pixels; the height is 480 for a width of 854. Quirk: a frame with a level
    that no class has.
    """
    plan = _plan(request)
    shown = shown_places([True] * request.train)
    draw = functools.partial(
        _draw,
        folder,
        width=request.size,
        seed=request.seed,
        shown=shown,
        stray=0 if request.quirks else None,
    )
    drawn = request.draw_all(draw, plan)
    _write_test_tables(folder, plan[request.train :], drawn[request.train :])
    planted = (f"level {_STRAY} that no class has: {plan[0].name}",) if request.quirks else ()
    return finish(folder, request, drawn, request.train, planted)


@dataclass(frozen=True)
class _Frame:
    """The plan of an image."""

    number: int
    folder: str
    video: int
    frame: int

    @property
    def name(self) -> str:
        """Its id: clip and frame."""
        return f"video{self.video:02}_{self.frame - self.frame % 80:05}/frame_{self.frame}"


def _plan(request: Request) -> list[_Frame]:
    """Return the frames; videos of training and test differ."""
    plan: list[_Frame] = []
    first = 1
    for folder, count in (("", request.train), ("test/", request.test)):
        videos = max(2, min(_VIDEOS, count // 3))
        for place in range(count):
            frame = 80 + place // videos
            plan.append(_Frame(len(plan), folder, first + place % videos, frame))
        first += videos
    return plan


def _draw(
    folder: Path, frame: _Frame, *, width: int, seed: int, shown: set[int], stray: int | None
) -> Drawn:
    rng = np.random.default_rng([seed, 41, frame.number])
    height = max(1, round(width * _SHAPE))
    scene = Scene(seed * 1000 + frame.video)
    image, classes = scene.draw(height, width, rng)
    levels = _LEVELS[classes]
    levels[0], levels[-1], levels[:, 0], levels[:, -1] = _EDGE, _EDGE, _EDGE, _EDGE
    if frame.number == stray:
        levels[height // 2, width // 2] = _STRAY
    path = folder / f"{frame.folder}video{frame.video:02}" / frame.name
    write_bytes(path.with_name(f"{path.name}_endo.png"), _png(image))
    if not frame.folder:
        masks = np.repeat(levels[..., None], 3, axis=2)
        write_bytes(path.with_name(f"{path.name}_endo_watershed_mask.png"), _png(masks))
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    sample = (gray, (classes > 1).astype(np.uint8)) if frame.number in shown else None
    masks_of_classes = [(classes == number).astype(np.uint8) for number in range(1, len(CLASSES))]
    return Drawn(texts_of(masks_of_classes, "kaggle"), sample)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of (H, W, 3) uint8 pixels in RGB order."""
    return cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()


def _write_test_tables(folder: Path, plan: list[_Frame], drawn: list[Drawn]) -> None:
    """Write the sample submission and the hidden solution, in the same order."""
    rows = [
        (frame.name, name, text, usage(place))
        for place, (frame, image) in enumerate(zip(plan, drawn, strict=True))
        for name, text in zip(CLASSES[1:], image.texts, strict=True)
    ]
    sample = [(image_id, name, "") for image_id, name, _, _ in rows]
    write_text(folder / "sample_submission.csv", csv_text(_HEADER, sample))
    write_text(folder / SOLUTION_FILE, csv_text((*_HEADER, "Usage"), rows))


synthesize_endoscopy = SyntheticCompetition("endoscopy", _VERSION, MaskReport, _write)
