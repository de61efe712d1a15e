"""The contact sheet of `check`: some images with their labels, and those that need a look."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from goldfold.competitions.images_table import CLASSES, JOINT, NUMBER, mask_sizes, training_images
from goldfold.competitions.rle import decode, get_dialect
from goldfold.errors import ImageError, InputError, plural
from goldfold.files import write_bytes
from goldfold.settings_semantic import IGNORED
from goldfold.submissions.class_map_picture import class_colour

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goldfold.pipeline.contact_sheet import Section, Tile
    from goldfold.pipeline.open_run import OpenRun

SHOWN, FLAGGED = 16, 8
"""Images with their labels, and images that need a look."""
_SHARES = 16  # numbers are dealt into so many ranges, each shown once
_MASK = (255, 176, 0)
_GRAY = (128, 128, 128)
_ONE = ""
_EMPTY, _EMPTY_TURNS = "without a mask", 3
"""Label of empty masks, and how many others are shown for each of them."""


def write_check_sheet(
    run: OpenRun, images: pd.DataFrame, flagged: Mapping[str, str]
) -> Path | None:
    """Write RUN/check.png and return its path; None where there is nothing to show.

    The images are chosen by hashes of the seed and their ids, as evenly as possible from the labels
    that there are, so the sheet stays the same from run to run.

    Args:
        run: the run.
        images: rows of images.csv.
        flagged: image id -> why it needs a look.
    """
    from goldfold.pipeline.contact_sheet import draw_sheet

    sections = [
        section
        for section in (_labelled(run, images, flagged), _to_look_at(run, images, flagged))
        if section.tiles
    ]
    if not sections:
        return None
    buffer = BytesIO()
    draw_sheet(sections).save(buffer, "PNG")
    path = run.directory.root / "check.png"
    write_bytes(path, buffer.getvalue())
    return path


def _labelled(run: OpenRun, images: pd.DataFrame, flagged: Mapping[str, str]) -> Section:
    """Return training images with their labels."""
    from goldfold.pipeline.contact_sheet import Section

    train = training_images(images)
    train = train[train["path"] != ""].reset_index(drop=True)
    rows = [{str(column): cell for column, cell in row.items()} for row in train.to_dict("records")]
    words = [label_words(row) for row in rows]
    legible = [place for place, row in enumerate(rows) if row["image_id"] not in flagged]
    chosen = [
        legible[place]
        for place in choose(
            [rows[place]["image_id"] for place in legible],
            [words[place] for place in legible],
            run.settings.folds.seed,
        )
    ]
    tiles = [_tile(run, rows[place], words[place]) for place in chosen]
    legend = [(name, colour) for name, colour in _colours(run).items() if name != _ONE]
    title = f"{len(tiles)} of {plural(len(train), 'training image', 'training images')}"
    form = run.settings.competition
    return Section(f"{form.title}: {title}" if form.title else title, tiles, legend)


def _to_look_at(run: OpenRun, images: pd.DataFrame, flagged: Mapping[str, str]) -> Section:
    """Return the first images that need a look, damaged ones first."""
    from goldfold.pipeline.contact_sheet import Section

    paths = images.drop_duplicates("image_id").set_index("image_id")["path"].to_dict()
    tiles = [
        _tile(run, {"image_id": image_id, "path": paths.get(image_id, "")}, reason, masks=False)
        for image_id, reason in list(flagged.items())[:FLAGGED]
    ]
    return Section(f"{plural(len(flagged), 'image needs', 'images need')} a look", tiles)


def _tile(run: OpenRun, row: Mapping[str, Any], words: str, *, masks: bool = True) -> Tile:
    from goldfold.competitions.image import read_image, reading_of
    from goldfold.pipeline.contact_sheet import Tile

    form = run.settings.competition
    image: NDArray[np.uint8] | None = None
    try:
        if not row["path"]:
            return Tile(row["image_id"], words, None)
        image = read_image(form.data / row["path"], 3, form.data, reading_of(form.images))
    except ImageError:
        return Tile(row["image_id"], words, None)
    colours = _colours(run)
    try:
        drawn = label_masks(run, pd.DataFrame([row])) if masks else {}
    except InputError:  # a problem of the table, which has its own line
        return Tile(row["image_id"], "its label cannot be read", image)
    coloured = [(mask, colours[name]) for name, mask in drawn.items()]
    return Tile(row["image_id"], words, image, coloured)


def label_words(row: Mapping[str, Any]) -> str:
    """Return the label of a row of images.csv in words; a single mask is drawn, not described."""
    if NUMBER in row:
        return f"{float(row[NUMBER]):g}"
    if CLASSES in row:
        return str(row[CLASSES]).replace(JOINT, ", ") or "none of the classes"
    return "with a mask" if row["area_px"] else _EMPTY


def label_masks(run: OpenRun, row: pd.DataFrame) -> dict[str, NDArray[np.uint8]]:
    """Return the masks of one row of images.csv that have pixels, at the size of their image.

    They are named by their class, "" the only one.
    """
    from goldfold.competitions.resize import resize_mask

    encoded = run.task.cached_masks(row)
    if encoded is None:
        return {}
    form = run.settings.competition
    dialect = get_dialect(form.labels.dialect)
    size, shown = mask_sizes(row, form.mask_size)[0], mask_sizes(row, None)[0]
    return {
        name: resize_mask(decode(text, *size, dialect), *shown)
        for name, text in zip(_colours(run), encoded[0], strict=False)
        if text
    }


def _colours(run: OpenRun) -> dict[str, tuple[int, int, int]]:
    """Return the colour of each mask that an image may have."""
    names = run.settings.competition.labelled_masks
    colours: dict[str, tuple[int, int, int]] = {} if names else {_ONE: _MASK}
    for number, name in enumerate(names, start=1):
        blue, green, red = class_colour(number)
        colours[name] = _GRAY if name == IGNORED else (red, green, blue)
    return colours


def choose(
    image_ids: Sequence[str], words: Sequence[str], seed: int, count: int = SHOWN
) -> list[int]:
    """Return the places of images whose labels differ as much as possible, common labels first.

    Args:
        image_ids: of the images.
        words: the label of each.
        seed: another seed chooses other images.
        count: how many, at most.

    >>> choose(["a", "b", "c", "d"], ["x", "x", "x", "y"], seed=0, count=2)[1]
    3
    """
    strata: dict[str, list[int]] = defaultdict(list)
    if len(set(words)) > len(words) // 2 and len(words) > count:  # numbers, or rare combinations
        order = sorted(range(len(words)), key=lambda place: (_number(words[place]), words[place]))
        words = [""] * len(words)
        for rank, place in enumerate(order):
            words[place] = f"{rank * _SHARES // len(order):02d}"
    order = sorted(range(len(image_ids)), key=lambda place: _hash(seed, image_ids[place]))
    for place in order:
        strata[words[place]].append(place)
    piles = sorted(strata.items(), key=lambda item: (-len(item[1]), item[0]))
    dealt = [
        (turn * (_EMPTY_TURNS if name == _EMPTY else 1), number, place)
        for number, (name, pile) in enumerate(piles)
        for turn, place in enumerate(pile[:count])
    ]
    return [place for _, _, place in sorted(dealt)[:count]]


def _number(words: str) -> float:
    try:
        return float(words)
    except ValueError:
        return 0.0


def _hash(seed: int, image_id: str) -> bytes:
    return hashlib.blake2b(f"{seed} {image_id}".encode(), digest_size=8).digest()
