"""Twelve small images with labels of every task, for trainings that a second process repeats."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from goldfold.competitions.rle import encode, get_dialect
from goldfold.settings import CompetitionSettings, StageSettings
from goldfold.tasks.registry import task_of
from goldfold.tasks.results import Lessons
from goldfold.training.cache import build_cache
from goldfold.training.images import PseudoLabelled

COUNT, TRAINED_ON, HEIGHT, WIDTH = 12, 8, 40, 56
IDS = [f"i{row:02d}" for row in range(COUNT)]
NAMES = ["a", "b", "c"]
KAGGLE = get_dialect("kaggle")
LEVELS = {name: [place] for place, name in enumerate(NAMES)}
GRADES = {
    "task": "grades",
    "classes": NAMES,
    "metric": "quadratic-weighted-kappa",
    "labels": {"kind": "column", "class_column": "grade"},
}
# Each with the competition's table of goldfold.toml, but for where files are.
TASKS = {
    "mask": {},
    "masks": {"classes": NAMES, "mirrored": [("a", "b")]},
    "semantic": {
        "task": "semantic-segmentation",
        "classes": NAMES,
        "labels": {"kind": "masks", "masks": [["{id}.png"]], "values": LEVELS},
    },
    "classes": {
        "task": "classification",
        "classes": NAMES,
        "exclusive": True,
        "metric": "neg-log-loss",
        "labels": {"kind": "column", "class_column": "kind"},
    },
    "labels": {
        "task": "classification",
        "classes": NAMES,
        "metric": "neg-log-loss",
        "labels": {"kind": "wide"},
    },
    "grades": GRADES,
    "grades-ordinal": {**GRADES, "output": "ordinal"},
    "grades-regression": {**GRADES, "output": "regression"},
    "number": {
        "task": "regression",
        "number_range": (0, 10),
        "metric": "mae",
        "labels": {"kind": "column", "class_column": "months"},
    },
}
OF_WHOLE_IMAGES = ("classes", "labels", "grades", "grades-ordinal", "grades-regression", "number")


@dataclass(frozen=True)
class Shown:
    """What a network is shown and asked."""

    task: str
    channels: int
    neighbours: list[int]
    size: int | list[int]


def form_of(task):
    """Return the settings of a competition, of images that stand in one sequence."""
    images = {"sequence": {"group": ["clip"], "order": "frame"}}
    labels = {"dialect": "kaggle", **TASKS[task].get("labels", {})}
    return CompetitionSettings.model_validate({**TASKS[task], "images": images, "labels": labels})


def drawn_masks():
    """Return (12, 3, 40, 56) masks that do not overlap; none of each third image."""
    masks = np.zeros((COUNT, len(NAMES), HEIGHT, WIDTH), np.uint8)
    for row in range(COUNT):
        for place in range(len(NAMES)):
            if row % 3:
                left = 3 + 17 * place
                masks[row, place, 5 + row : 18 + row, left : left + 14 + row % 4 - place] = 1
    return masks


def draw_images(folder, masks):
    """Write colour images on which the masks are brighter, each in a tint of its own."""
    random = np.random.default_rng(0)
    tints = np.array([[30, 90, 60], [90, 40, 80], [60, 70, 20]])
    for image_id, of_image in zip(IDS, masks, strict=True):
        noise = random.integers(0, 90, (HEIGHT, WIDTH, 3))
        pixels = noise + np.tensordot(of_image, tints, axes=(0, 0))
        cv2.imwrite(str(folder / f"{image_id}.png"), pixels.astype(np.uint8))


def table_of(task, masks):
    """Return images.csv of a task, by image id."""
    encoded = [[encode(mask, KAGGLE) if mask.any() else "" for mask in row] for row in masks]
    merged = masks.max(axis=1)
    first = merged if task != "semantic" else masks[:, 1:].max(axis=1)
    rows = np.arange(COUNT)
    table = pd.DataFrame(
        {
            "image_id": IDS,
            "height": HEIGHT,
            "width": WIDTH,
            "mask_rle": [encode(mask, KAGGLE) if mask.any() else "" for mask in first],
            "area_px": first.sum(axis=(1, 2)),
            "number": (rows * 0.7).astype(str),
        }
    )
    for place, name in enumerate(NAMES):
        table[f"mask_rle:{name}"] = [of_image[place] for of_image in encoded]
        table[f"area_px:{name}"] = masks[:, place].sum(axis=(1, 2))
    both = ["a", "b", "c", "a;b", ""]
    table["classes"] = [both[row % 5] if task == "labels" else NAMES[row % 3] for row in rows]
    return table.set_index("image_id")


def cache_of(root, shown):
    """Return the cache of what is shown; a second process finds it as the first has left it."""
    form, masks = form_of(shown.task), drawn_masks()
    folder, numbers = Path(root) / "images", task_of(form).mask_numbers
    if not folder.is_dir():
        folder.mkdir(parents=True)
        draw_images(folder, masks)
    kind = shown.task if shown.task in ("masks", "semantic") else "mask"
    table = table_of(kind, masks)
    named = {"mask": None, "masks": NAMES, "semantic": NAMES[1:]}[kind]
    texts = list(table["mask_rle"])
    if named:
        columns = [table[f"mask_rle:{name}"] for name in named]
        texts = list(zip(*columns, strict=True))
    cache = build_cache(
        Path(root) / f"cache-{kind}",
        image_ids=IDS,
        paths=[folder / f"{image_id}.png" for image_id in IDS],
        sizes=[(HEIGHT, WIDTH)] * COUNT,
        masks=texts,
        dialect=KAGGLE,
        size=shown.size if isinstance(shown.size, int) else tuple(shown.size),
        channels=shown.channels,
        numbers=numbers,
    )
    if not shown.neighbours:
        return cache
    rows = np.arange(COUNT)[:, None] + np.array(shown.neighbours)
    return cache.with_neighbours(rows.clip(0, COUNT - 1))


def fold_data(root, shown, stage=None):
    """Return eight images to learn from and four that are held out, as the task gives them."""
    stage = stage or StageSettings()
    cache, table = cache_of(root, shown), table_of(shown.task, drawn_masks())
    weights = None
    if stage.sampling.weight_by != "none":
        weights = np.sqrt(table["area_px"].to_numpy()[:TRAINED_ON] + 1.0)
    lessons = Lessons(
        cache=cache,
        train=table,
        inside=IDS[:TRAINED_ON],
        held_out=IDS[TRAINED_ON:],
        stage=stage,
        weights=weights,
        pseudo=_pseudo_labelled(cache, shown) if stage.pseudo_labels else None,
    )
    return task_of(form_of(shown.task)).fold_data(lessons)


def _pseudo_labelled(cache, shown):
    """Return the first four images with labels as a model gives them."""
    random, rows = np.random.default_rng(1), np.arange(4)
    if shown.task in OF_WHOLE_IMAGES:
        outputs = form_of(shown.task).outputs
        given = random.integers(0, 256, (len(rows), outputs)).astype(np.uint8)
        regression = shown.task in ("grades-regression", "number")
        return PseudoLabelled(cache, rows, given.astype(np.float32) if regression else given)
    masks = np.stack([cache.mask(row) for row in rows])
    return PseudoLabelled(cache, rows, masks if shown.task == "semantic" else masks * np.uint8(200))
