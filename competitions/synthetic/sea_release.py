"""A synthetic competition in the files of Airbus ships: images as JPEG, one label row per ship."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from goldfold.competitions.synthetic.csv_text import csv_text
from goldfold.competitions.synthetic.generator import Request, SyntheticCompetition
from goldfold.competitions.synthetic.mask_release import (
    SOLUTION_FILE,
    Drawn,
    MaskReport,
    finish,
    hex_ids,
    jpeg_bytes,
    merge_masks,
    shown_places,
    texts_of,
    usage,
)
from goldfold.competitions.synthetic.sea import draw_scene
from goldfold.files import write_bytes, write_text

Rows = list[tuple[str, str]]

_VERSION = 1  # raise it whenever the same seed gives different bytes
_WITH_SHIPS = 0.22  # share of the images, as in the real set
_SHIPS = (1, 2, 3, 4, 6)
_OFTEN = (0.62, 0.18, 0.10, 0.06, 0.04)  # probabilities of these numbers in an image with ships
_SAMPLE = "1 2"  # what the real sample has in every row
_LOST = "fffffffff.jpg"


def _write(folder: Path, request: Request) -> MaskReport:
    """Images of the sea and masks of ships in the layout of Airbus.

    `size` is the side in pixels (768 in the real data). Quirks: a truncated file, rows without an
    image, and a ship with a repeated row.
    """
    plan = _plan(request.train, request.test, request.seed)
    train, test = slice(None, request.train), slice(request.train, None)
    shown = shown_places([bool(scene.ships) for scene in plan[train]])
    draw = functools.partial(_draw, folder, size=request.size, seed=request.seed, shown=shown)
    drawn = request.draw_all(draw, plan)
    rows = _rows(plan[train], drawn[train])
    planted: tuple[str, ...] = ()
    if request.quirks:
        rows, planted = _disturbed(folder, plan[train], rows)
    header = ("ImageId", "EncodedPixels")
    write_text(folder / "train_ship_segmentations_v2.csv", csv_text(header, rows))
    _write_test_tables(folder, plan[test], drawn[test])
    return finish(folder, request, drawn, len(rows), planted)


@dataclass(frozen=True)
class _Scene:
    """The plan of an image."""

    number: int
    split: str
    image_id: str
    """Name of the file, with its extension."""
    ships: int

    @property
    def path(self) -> str:
        return f"{self.split}_v2/{self.image_id}"


def _plan(train: int, test: int, seed: int) -> list[_Scene]:
    rng = np.random.default_rng([seed, 51])
    ids = [f"{scene}.jpg" for scene in hex_ids(train + test, rng)]
    plan: list[_Scene] = []
    for split, count in (("train", train), ("test", test)):
        filled = min(count - 1, max(2, round(_WITH_SHIPS * count)))
        ships = [int(rng.choice(_SHIPS, p=_OFTEN)) for _ in range(filled)]
        ships += [0] * (count - filled)
        for place in rng.permutation(count):
            plan.append(_Scene(len(plan), split, ids[len(plan)], ships[place]))
    return plan


def _draw(folder: Path, scene: _Scene, *, size: int, seed: int, shown: set[int]) -> Drawn:
    rng = np.random.default_rng([seed, 52, scene.number])
    image, masks = draw_scene(scene.ships, size, rng)
    write_bytes(folder / scene.path, jpeg_bytes(image))
    sample = None
    if scene.number in shown:
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        sample = (gray, merge_masks(masks, (size, size)))
    return Drawn(texts_of(masks, "kaggle"), sample)


def _rows(plan: list[_Scene], drawn: list[Drawn]) -> Rows:
    """Return one row per ship, and an empty one for an image without ships."""
    return [
        (scene.image_id, text)
        for scene, image in zip(plan, drawn, strict=True)
        for text in (image.texts or ("",))
    ]


def _disturbed(folder: Path, plan: list[_Scene], rows: Rows) -> tuple[Rows, tuple[str, ...]]:
    """Truncate a file; return the rows with quirks added, and one line per quirk."""
    broken = next(scene for scene in plan if not scene.ships)
    path = folder / broken.path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    twice = next(row for row in rows if row[1])
    planted = (
        f"truncated: {broken.path}",
        f"rows without an image: {_LOST}",
        f"ship that is there twice: {twice[0]}",
    )
    return [*rows, (_LOST, ""), (_LOST, "1 2"), twice], planted


def _write_test_tables(folder: Path, plan: list[_Scene], drawn: list[Drawn]) -> None:
    """Write the sample submission and the hidden solution, in the same order."""
    header = ("ImageId", "EncodedPixels")
    sample = [(scene.image_id, _SAMPLE) for scene in plan]
    write_text(folder / "sample_submission_v2.csv", csv_text(header, sample))
    part = {scene.image_id: usage(place) for place, scene in enumerate(plan)}
    solution = [(*row, part[row[0]]) for row in _rows(plan, drawn)]
    write_text(folder / SOLUTION_FILE, csv_text((*header, "Usage"), solution))


synthesize_ships = SyntheticCompetition("ships", _VERSION, MaskReport, _write)
