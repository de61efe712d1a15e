"""Columns of images.csv that are taken from the images: their paths and their pixels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from goldfold.competitions.data_report import DataReport, count_ids
from goldfold.competitions.image import read_levels, reading_of
from goldfold.competitions.images_table import FIXED
from goldfold.errors import ImageError
from goldfold.progress import Progress
from goldfold.settings import ImageFiles

SHARE = "img_pct_window"
"""Column with the share of an image's pixels strictly inside its first window."""
_HIGHEST = 255


def add_path_facts(
    images: pd.DataFrame, patterns: Mapping[str, str], report: DataReport
) -> pd.DataFrame:
    """Return the images with a column for each pattern: its first group in the path, or "".

    Args:
        images: table with the columns path and image_id.
        patterns: column -> regular expression with a group.
        report: receives a notice about images whose path a pattern does not match.
    """
    added = images.copy()
    for name, pattern in patterns.items():
        if name in FIXED:
            report.problems.append(
                f"competition.images.facts cannot provide the column {name}, as images.csv has one "
                "of that name"
            )
            continue
        matches = [re.search(pattern, path) for path in images["path"]]
        added[name] = [match.group(1) or "" if match else "" for match in matches]
        report.notices += count_ids(
            added.loc[added[name] == "", "image_id"],
            "image has", "images have", f"no {name} in the path ({pattern})",
        )  # fmt: skip
    return added


def add_window_share(
    images: pd.DataFrame,
    data: Path,
    settings: ImageFiles,
    workers: int,
    progress: Progress,
    report: DataReport,
) -> pd.DataFrame:
    """Return the images with the column `SHARE`, without training images whose share is too low.

    This is done only if competition.images.least_in_window is set, as every image must be decoded.
    """
    least = settings.least_in_window
    if least is None:
        return images
    whole = reading_of(settings)
    reading = replace(whole, windows=whole.windows[:1])

    def share(path: str) -> float:
        try:
            levels = read_levels(data / path, reading=reading)
        except ImageError:
            return 1.0  # the error is reported where the pixels are needed
        return float(np.mean((levels > 0) & (levels < _HIGHEST)))

    with (
        progress.task("looking through the window", len(images)) as task,
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        shares = []
        for share_inside in pool.map(share, images["path"]):
            shares.append(share_inside)
            task.advance()
    seen = images.assign(**{SHARE: [f"{share_inside:.4f}" for share_inside in shares]})
    bare = (seen["split"] == "train") & (np.array(shares) < least)
    report.notices += count_ids(
        seen.loc[bare, "image_id"],
        "training image has", "training images have",
        f"less than {least:g} of their pixels in the window {settings.windows[0]}, left out "
        "(competition.images.least_in_window)",
    )  # fmt: skip
    return seen[~bare].reset_index(drop=True)
