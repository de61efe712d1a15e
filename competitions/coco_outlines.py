"""Masks of COCO annotations: polygons and run-length encodings as a table of masks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.rle import decode, encode, get_dialect
from goldfold.errors import InputError
from goldfold.files import write_text

DIALECT = "kaggle"
"""Dialect of the masks in the table."""


@dataclass
class CocoMasks:
    """The masks of a COCO file.

    Attributes:
        categories: names of the categories that occur, in the order of their ids.
        rows: file name of the image, category ("" = no mask) and mask in `DIALECT`.
        boxes: number of annotations with a box but no outline, which have no mask.
        faults: what is wrong with annotations, one line each.
    """

    categories: list[str] = field(default_factory=list)
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    boxes: int = 0
    faults: list[str] = field(default_factory=list)


def is_coco(path: Path) -> bool:
    """Return whether a JSON file has the tables of COCO: images, annotations and categories."""
    content = _content(path)
    tables = [content.get(name) for name in ("images", "annotations", "categories")]
    return all(isinstance(table, list) for table in tables) and bool(content["images"])


def read_coco(path: Path) -> CocoMasks:
    """Return the masks of a COCO file, one row per annotation; images without any have a row, too.

    A polygon covers the pixels whose centres are inside; pixel (0, 0) has its centre at (0.5, 0.5).
    Several polygons of an annotation are united.

    Raises:
        InputError: the file lacks what COCO requires.
    """
    content = _content(path)
    masks = CocoMasks()
    try:
        names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        images = {
            entry["id"]: (str(entry["file_name"]), int(entry["height"]), int(entry["width"]))
            for entry in content["images"]
        }
        annotations = content["annotations"]
        used = {entry["category_id"] for entry in annotations}
        bare = dict(images)
        for number, entry in enumerate(annotations):
            _add_row(masks, entry, number, images, names)
            bare.pop(entry["image_id"], None)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is not a complete COCO file: {type(error).__name__} {error}. Each image needs "
            "id, file_name, height and width; each annotation image_id and category_id."
        ) from None
    masks.categories = [name for number, name in names.items() if number in used]
    masks.rows += [(name, "", "") for name, _, _ in bare.values()]
    return masks


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _add_row(
    masks: CocoMasks,
    entry: Mapping[str, Any],
    number: int,
    images: Mapping[Any, tuple[str, int, int]],
    names: Mapping[Any, str],
) -> None:
    """Add the mask of an annotation, or what is wrong with it."""
    outline = entry.get("segmentation")
    where = f"annotation {entry.get('id', number)}"
    if entry["image_id"] not in images or entry["category_id"] not in names:
        masks.faults.append(f"{where} is of an image or a category that is not in the file")
        return
    file_name, height, width = images[entry["image_id"]]
    if not outline:
        masks.boxes += 1
        return
    try:
        mask = _mask(outline, height, width)
    except (InputError, ValueError, TypeError, KeyError) as error:
        masks.faults.append(f"{where} of {file_name}: {error}")
        return
    category = names[entry["category_id"]]
    masks.rows.append((file_name, category, encode(mask, DIALECT) if mask.any() else ""))


def _mask(outline: Any, height: int, width: int) -> NDArray[np.uint8]:
    """Return the mask of a segmentation, (H, W) uint8 of 0 and 1.

    Raises:
        InputError, ValueError: it is no polygon and no run-length encoding of that size.
    """
    if isinstance(outline, Mapping):
        size = outline.get("size", [height, width])
        if [*size] != [height, width]:
            raise ValueError(f"its mask is {size[0]} x {size[1]}, its image {height} x {width}")
        counts = outline["counts"]
        text = counts if isinstance(counts, str) else " ".join(map(str, counts))
        dialect = "coco" if isinstance(counts, str) else "coco-counts"
        return decode(text, height, width, get_dialect(dialect))
    mask = np.zeros((height, width), np.uint8)
    for polygon in outline:
        corners = np.asarray(polygon, np.float64).reshape(-1, 2)
        mask |= polygon_mask(corners, height, width)
    return mask


def polygon_mask(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.uint8]:
    """Return the pixels whose centres lie in a polygon, (H, W) uint8 of 0 and 1.

    Args:
        corners: (N, 2) x and y in pixels, at least three.
        height: of the image in pixels.
        width: of the image in pixels.

    Raises:
        ValueError: there are fewer than three corners, or one is not finite.
    """
    from matplotlib.path import Path as Outline

    if len(corners) < 3 or not np.isfinite(corners).all():
        raise ValueError("a polygon needs three corners or more, with finite coordinates")
    mask = np.zeros((height, width), np.uint8)
    low = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
    columns, rows = (np.arange(low[axis], high[axis]) for axis in (0, 1))
    if columns.size and rows.size:
        x, y = np.meshgrid(columns + 0.5, rows + 0.5)
        inside = Outline(corners).contains_points(np.column_stack([x.ravel(), y.ravel()]))
        mask[low[1] : high[1], low[0] : high[0]] = inside.reshape(x.shape)
    return mask


def write_masks(path: Path, rows: Sequence[tuple[str, str, str]], *, with_class: bool) -> None:
    """Write masks as a table: ImageId, Class where there are several, EncodedPixels.

    Args:
        path: of the table.
        rows: image id, category and mask.
        with_class: whether the table has the column Class.
    """
    table = pd.DataFrame(rows, columns=["ImageId", "Class", "EncodedPixels"])
    if not with_class:
        table = table.drop(columns="Class")
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
