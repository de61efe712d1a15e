"""What `goldfold init` says of a competition: its recipes and what lies in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.settings import CompetitionSettings, Settings


def recipe_lines(preset: str, chosen: str) -> list[str]:
    """Return which recipe was taken, and which others there are."""
    from goldfold.competitions.preset import recipe_description, recipe_names

    def described(name: str) -> str:
        text = recipe_description(preset, name)
        return f"{name} ({text})" if text else name

    others = [described(name) for name in recipe_names(preset) if name != chosen]
    lines = [f"recipe: {described(chosen)}"]
    return [*lines, "other recipes:", *(f"  {other}" for other in others)] if others else lines


def warn_without_images(competition: CompetitionSettings) -> None:
    """Warn where no training image is in the folder."""
    from goldfold.commands import show
    from goldfold.competitions.data_folder import find_images

    globs = competition.images.train
    if not find_images(competition.data, globs):
        show.terminal_progress().warn(
            f"no training images in {competition.data}: competition.images.train looks for "
            f"{' or '.join(globs) or 'nothing'}"
        )


def expected(settings: Settings) -> str:
    """Return about how long training takes on this machine."""
    from goldfold.competitions.data_folder import find_images
    from goldfold.pipeline.time_process import expected_line

    images = find_images(settings.competition.data, settings.competition.images.train)
    return expected_line(settings, len(images))


def describe(competition: CompetitionSettings) -> list[str]:
    """Return what is there, without opening an image.

    Raises:
        InputError: the folder or the label table is missing.
    """
    from goldfold.competitions.data_folder import (
        find_images,
        find_table,
        require_folder,
    )

    data = require_folder(competition.data)
    lines = [
        f"{split} images: {len(find_images(data, globs)):,}"
        for split, globs in (
            ("training", competition.images.train),
            ("test", competition.images.test),
        )
    ]
    lines.append(_describe_labels(data, competition))
    sample = find_table(data, competition.submission.sample)
    lines.append(f"sample submission: {sample.name if sample else 'none'}")
    for extra in competition.tables:
        missing = f"not found; {extra.note}" if extra.note else "not found"
        state = "found" if find_table(data, [extra.file]) else missing
        lines.append(f"{extra.file} ({', '.join(extra.columns)}): {state}")
    return lines


def _describe_labels(data: Path, competition: CompetitionSettings) -> str:
    """Return how many labels there are.

    Raises:
        InputError: the label table is missing.
    """
    from goldfold.competitions.data_folder import find_images, require_table
    from goldfold.competitions.images_table import mask_columns
    from goldfold.competitions.mask_paths import mask_globs
    from goldfold.competitions.rle import get_dialect
    from goldfold.competitions.rle_labels import read_class_masks, read_labels
    from goldfold.settings_competition import CLASS_KINDS

    names = competition.labels
    if names.kind == "masks":
        patterns = [*names.masks, *names.class_masks.values()]
        globs = mask_globs(patterns, competition.images.id_pattern)
        return f"labels: {len(find_images(data, globs)):,} mask files"
    if names.kind == "folders":
        return f"labels: folders named {', '.join(competition.classes)}"
    path = require_table(data, names.files, "label table", "competition.labels.files")
    if names.kind in CLASS_KINDS:
        return f"labels: {path.name}, classes {', '.join(competition.classes)}"
    dialect = get_dialect(names.dialect)
    if classes := competition.mask_classes:
        background = competition.classes[0] if len(classes) < len(competition.classes) else None
        labels = read_class_masks(path, names, classes, dialect, background=background).table
        areas = [int((labels[mask_columns(name)[1]] > 0).sum()) for name in classes]
        counts = ", ".join(
            f"{name} ({count:,})" for name, count in zip(classes, areas, strict=True)
        )
        return f"labels: {path.name}, masks of {len(labels):,} images: {counts}"
    labels = read_labels(path, names.id_column, names.rle_column, dialect).table
    empty = int((labels["area_px"] == 0).sum())
    share = f"{empty / len(labels):.1%} empty" if len(labels) else "none"
    rows = int(labels["rows"].sum())
    of = f", masks of {', '.join(classes)}" if classes else ""
    return f"labels: {path.name}, {rows:,} rows of {len(labels):,} images, {share}{of}"
