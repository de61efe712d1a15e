"""What the headers of images say beyond size and facts: several pictures, and what is ignored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import pandas as pd

from goldfold.competitions.codestream import UndecidedError
from goldfold.competitions.data_report import DataReport, count_ids
from goldfold.competitions.image import ImageHeader, UndecidedImageError
from goldfold.competitions.raster import require_one_picture
from goldfold.errors import ImageError
from goldfold.vocabulary import Pages


def with_one_picture(
    headers: Sequence[ImageHeader | ImageError], paths: Iterable[str], pages: Pages
) -> list[ImageHeader | ImageError]:
    """Return the headers, with an error where a file has several pictures and `pages` is "error".

    Args:
        headers: of files.
        paths: of the same files, for messages.
        pages: what is read of several pictures.
    """
    checked: list[ImageHeader | ImageError] = []
    for header, path in zip(headers, paths, strict=True):
        try:
            if isinstance(header, ImageHeader):
                require_one_picture(header.pictures, pages)
            checked.append(header)
        except UndecidedError as error:
            checked.append(UndecidedImageError(f"cannot read {path}: {error}"))
    return checked


def note_headers(images: pd.DataFrame, headers: Sequence[ImageHeader], report: DataReport) -> None:
    """Count what is ignored of the images' headers.

    Args:
        images: image_id.
        headers: of the same images.
        report: receives the notices.
    """
    noted = defaultdict(list)
    for image_id, header in zip(images["image_id"], headers, strict=True):
        for note in header.notes:
            noted[note].append(image_id)
        if header.pictures > 1:
            noted["several pages or frames; the first is used (images.pages)"].append(image_id)
    for note, ids in noted.items():
        report.notices += count_ids(ids, "image has", "images have", note)
