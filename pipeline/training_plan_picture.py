"""A picture of a training plan: sampling, images and learning rate over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.files import atomic_path

if TYPE_CHECKING:
    from goldfold.pipeline.training_plan import PlannedEpoch


def draw_plan(path: Path, rows: Sequence[PlannedEpoch], name: str) -> None:
    """Write a PNG of fraction, images and learning rate over all epochs of all stages.

    Args:
        path: of the PNG.
        rows: of all stages in order.
        name: of the model.
    """
    from matplotlib.figure import Figure

    places = range(1, len(rows) + 1)
    figure = Figure(figsize=(9, 7), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    top.plot(places, [row.fraction for row in rows], marker=".", color="tab:red")
    top.set_ylim(0, 1.05)
    top.set_ylabel("non-empty fraction")
    floor = [0] * len(rows)
    for label, color in (("non_empty", "tab:red"), ("empty", "0.7"), ("pseudo", "tab:blue")):
        heights = [getattr(row, label) for row in rows]
        if any(heights):
            words = {"non_empty": "non-empty", "pseudo": "pseudo-labelled"}.get(label, label)
            middle.bar(places, heights, bottom=floor, color=color, label=words, width=0.9)
            floor = [a + b for a, b in zip(floor, heights, strict=True)]
    middle.set_ylabel("images per epoch")
    middle.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    bottom.plot(places, [row.rate for row in rows], marker=".", color="tab:green")
    bottom.set_yscale("log")
    bottom.set_ylabel("learning rate (highest)")
    bottom.set_xlabel("epoch")
    for before, row in pairwise(rows):
        if row.stage != before.stage:
            edge = rows.index(row) + 0.5
            for axes in (top, middle, bottom):
                axes.axvline(edge, color="0.4", linestyle=":", linewidth=1)
    figure.suptitle(f"Training plan: {name}")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
