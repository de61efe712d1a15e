"""The labels of a competition of mask files, read as its settings say."""

from __future__ import annotations

import pandas as pd

from goldfold.competitions.class_files import read_class_files
from goldfold.competitions.data_folder import path_in
from goldfold.competitions.data_report import count_ids
from goldfold.competitions.mask_files import read_mask_files
from goldfold.competitions.mask_levels import meaning_of
from goldfold.competitions.mask_paths import MaskIndex
from goldfold.competitions.rle import get_dialect
from goldfold.competitions.rle_labels import Labels
from goldfold.progress import SILENT, Progress
from goldfold.settings import CompetitionSettings
from goldfold.settings_semantic import IGNORED
from goldfold.settings_values import values_by_class


def read_mask_labels(
    images: pd.DataFrame,
    index: MaskIndex,
    settings: CompetitionSettings,
    *,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Labels:
    """Return the masks of the images that have files, or the classes of their pixels.

    Args:
        images: image_id, height and width.
        index: index of the mask files.
        settings: settings of the competition.
        workers: number of decoding threads.
        progress: advances once per image.
    """
    form = settings.labels
    dialect, ignored = get_dialect(form.dialect).plain(), IGNORED if form.ignored_values else ""
    if settings.background is not None:
        return read_class_files(
            images,
            index,
            form.masks,
            dialect,
            values=values_by_class(form),
            background=settings.background,
            ignored_values=form.ignored_values,
            ignored=ignored,
            size=form.size,
            workers=workers,
            progress=progress,
        )
    files_of = {
        name: form.class_masks[name] for name in settings.mask_classes if name in form.class_masks
    }
    return read_mask_files(
        images,
        index,
        form.masks,
        dialect,
        classes=files_of,
        meaning=meaning_of(form.values, form.ignored_values),
        ignored=ignored,
        objects=settings.compares_objects,
        absent_is_empty=form.absent_masks == "empty",
        size=form.size,
        workers=workers,
        progress=progress,
    )


def images_as_masks(images: pd.DataFrame, index: MaskIndex) -> list[str]:
    """Return a problem with the files that are images and mask files at once, if any.

    Args:
        images: image_id and path of all images, below the data folder.
        index: index of the mask files.
    """
    claimed = {path_in(index.data, path) for path in index.claimed}
    both = sorted(claimed.intersection(images["path"]))
    return count_ids(
        both,
        "file is",
        "files are",
        "matched as an image and as a mask (correct competition.images or competition.labels)",
    )
