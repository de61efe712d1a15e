"""Draw docs/pipeline.png: what each stage of a finished run writes, with that run's own results.

goldfold demo demo
python docs/site/pipeline_picture.py demo/run -o docs/pipeline.png
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from goldfold.competitions.image import read_image
from goldfold.competitions.rle import decode
from goldfold.inference.reader import MapReader

WIDTH, HEIGHT, DPI = 1600, 448, 100
CARD, GAP, MARGIN = 240, 20, 30  # pixels; six cards fill the width
BLUE, ORANGE, GREEN, GRAY, INK = "#3b6ea5", "#e07b1a", "#3a9d5d", "#c3cbd4", "#24292f"
SIDE = 384  # pixels of a picture of an image


class Run:
    """The tables of a run, and the training image that is shown: one with a large mask."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder.parent / "data"
        self.images = pd.read_csv(folder / "images.csv", dtype={"mask_rle": str})
        self.folds = pd.read_csv(folder / "folds.csv")
        self.ensemble = json.loads((folder / "ensemble.json").read_text("utf-8"))
        shown = self.folds[self.folds["area_px"] > 0].sort_values("area_px")
        self.shown = shown.iloc[len(shown) * 3 // 4]

    def image(self, image_id: str) -> np.ndarray:
        """Return an image at the size of the picture, uint8 (SIDE, SIDE)."""
        row = self.images.set_index("image_id").loc[image_id]
        return cv2.resize(read_image(self.data / row["path"]), (SIDE, SIDE), interpolation=3)

    def mask(self, text: str) -> np.ndarray:
        """Return the mask of a run-length encoding at the size of the picture."""
        height, width = self.images[["height", "width"]].iloc[0]
        mask = decode(text, int(height), int(width), "siim")
        return cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    def fold_folders(self, kind: str) -> list[Path]:
        """Return the folders of all folds in models/ or predictions/."""
        return sorted((self.folder / kind).glob("*/seed-*/fold-*"))


def draw_image(axes: Axes, run: Run) -> None:
    """The image and its true mask."""
    axes.imshow(run.image(run.shown["image_id"]), cmap="gray")
    text = run.images.set_index("image_id").loc[run.shown["image_id"], "mask_rle"]
    axes.contour(run.mask(text), [0.5], colors=GREEN, linewidths=2)


def draw_folds(axes: Axes, run: Run) -> None:
    """The images of each fold, one square per image: blue with a mask, gray without."""
    for fold, images in run.folds.groupby("fold"):
        filled = np.sort((images["area_px"] > 0).to_numpy())[::-1]
        place = np.arange(len(filled))
        colours = [BLUE if has else GRAY for has in filled]
        axes.scatter(fold * 5 + place % 4, place // 4 * 2.4, s=26, c=colours, marker="s")
    axes.set_xlim(-1.5, 24.5)
    axes.set_ylim(-2.2, 23.8)


def draw_training(axes: Axes, run: Run) -> None:
    """Validation score of each fold by epoch."""
    for folder in run.fold_folders("models"):
        history = pd.read_csv(folder / "stage-1" / "history.csv").dropna(subset="score")
        axes.plot(history["epoch"], history["score"], color=BLUE, alpha=0.75, linewidth=2)
    axes.margins(0.06, 0.1)


def draw_map(axes: Axes, run: Run) -> None:
    """The out-of-fold probability map over the image."""
    axes.imshow(run.image(run.shown["image_id"]), cmap="gray")
    for folder in run.fold_folders("predictions"):
        if folder.name == f"fold-{run.shown['fold']}":
            levels = MapReader(folder / "out-of-fold.maps").read(run.shown["image_id"])
    levels = cv2.resize(levels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    axes.imshow(levels, cmap="inferno", alpha=0.85 * np.sqrt(levels / 255))


def draw_scores(axes: Axes, run: Run) -> None:
    """Honest, optimistic and all-empty score."""
    values = {
        "all-empty": (run.ensemble["all_empty"], GRAY),
        "optimistic": (run.ensemble["optimistic"], GRAY),
        "honest": (run.ensemble["honest"]["score"], GREEN),
    }
    for place, (name, (score, colour)) in enumerate(values.items()):
        axes.barh(place, score, color=colour, height=0.72)
        axes.text(0.03, place, f"{name}  {score:.3f}", va="center", fontsize=14.5, color=INK)
    axes.set_xlim(0, 1.02)


def draw_submission(axes: Axes, run: Run) -> None:
    """A test image with the mask that was submitted."""
    rows = pd.read_csv(run.folder / "submission.csv", dtype=str)
    rows = rows[rows["EncodedPixels"] != "-1"]
    longest = rows.loc[rows["EncodedPixels"].str.len().sort_values().index[len(rows) * 3 // 4]]
    axes.imshow(run.image(longest["ImageId"]), cmap="gray")
    axes.contour(run.mask(longest["EncodedPixels"]), [0.5], colors=ORANGE, linewidths=2)


Drawing = Callable[[Axes, Run], None]
CARDS: list[tuple[str, Drawing, str, str]] = [
    ("Images", draw_image, "images.csv", "every problem\nlisted at once"),
    ("Folds", draw_folds, "folds.csv", "patients kept whole,\naudited for leaks"),
    ("Training", draw_training, "models/", "resumes where\nit was stopped"),
    ("Predictions", draw_map, "predictions/", "out of fold\nand on test images"),
    ("Ensemble", draw_scores, "ensemble.json", "blend and thresholds,\nhonest score"),
    ("Submission", draw_submission, "submission.csv", "checked and scored\nlike the competition"),
]


def draw(run: Run, file: Path) -> None:
    """Write the picture: a light panel with round corners that stands on light and dark pages."""
    plt.rcParams["font.family"] = "DejaVu Sans"
    figure = plt.figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI)
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    sheet.axis("off")
    sheet.add_patch(
        FancyBboxPatch(
            (16, 16), WIDTH - 32, HEIGHT - 32, facecolor="#f6f8fa", edgecolor="#d0d7de",
            boxstyle="round,pad=0,rounding_size=18",
        )
    )  # fmt: skip
    for place, (title, drawing, name, caption) in enumerate(CARDS):
        left = MARGIN + place * (CARD + GAP)
        middle = left + CARD / 2
        sheet.text(middle, 58, title, ha="center", fontsize=19, weight="bold", color=INK)
        axes = figure.add_axes(
            (left / WIDTH, 1 - (84 + CARD) / HEIGHT, CARD / WIDTH, CARD / HEIGHT)
        )
        axes.set(xticks=[], yticks=[], facecolor="white")
        for spine in axes.spines.values():
            spine.set_color("#d0d7de")
        drawing(axes, run)
        sheet.text(middle, 353, name, ha="center", fontsize=17, family="monospace", color=BLUE)
        for line, text in enumerate(caption.splitlines()):
            below = 381 + 24 * line
            sheet.text(middle, below, text, ha="center", fontsize=14, color="#57606a")
        if place:
            sheet.text(left - GAP / 2, 84 + CARD / 2, "›", ha="center", va="center", fontsize=26)
    figure.savefig(file, facecolor="none")


def main() -> None:
    """Draw the picture of the run that is named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/pipeline.png"))
    words = parser.parse_args()
    draw(Run(words.run), words.output)


if __name__ == "__main__":
    main()
