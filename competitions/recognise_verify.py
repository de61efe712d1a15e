"""A draft checked against the data before it is written down."""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from pathlib import Path

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import find_images, path_in
from goldfold.competitions.group_columns import group_candidates
from goldfold.competitions.image_collection import collect_images
from goldfold.competitions.images_table import training_images
from goldfold.errors import InputError
from goldfold.progress import SILENT, Progress
from goldfold.settings import CompetitionSettings

MOST_IMAGES = 2_000
"""Training images of a sample, where mask files of more than that would have to be decoded."""


@dataclass(frozen=True)
class Verified:
    """What the data says about a draft.

    Attributes:
        problems: what does not fit, one line each.
        names: paths of the labelled training images below the data folder.
        images: how many training images were looked at, and of how many.
    """

    problems: list[str]
    names: list[str]
    images: tuple[int, int]


def verify(
    draft: CompetitionDraft, data: Path, *, workers: int = 1, progress: Progress = SILENT
) -> Verified:
    """Return what the data says about a draft; its groups and its images are filled in.

    Args:
        draft: the draft; its settings may be wrong.
        data: the folder.
        workers: reading threads.
        progress: advances with the files that are read.
    """
    competition = {key: value for key, value in draft.competition.items() if value not in ({}, [])}
    paths = find_images(data, draft.competition["images"]["train"])
    sampled = paths
    if draft.mask_files and len(paths) > MOST_IMAGES:
        sampled = paths[:: -(-len(paths) // MOST_IMAGES)]
        names = [escape(path_in(data, path)) for path in sampled]
        competition["images"] = {**competition["images"], "train": names, "test": []}
    try:
        settings = CompetitionSettings.model_validate({**competition, "data": data})
        images, report = collect_images(settings, hashes={}, workers=workers, progress=progress)
    except (InputError, ValueError) as error:
        return Verified([_first_line(error)], [], (0, len(paths)))
    train = training_images(images)
    draft.groups = group_candidates(train)
    draft.images = images if len(sampled) == len(paths) else None
    return Verified(report.shown_problems(), list(train["path"]), (len(sampled), len(paths)))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])


def say_verified(draft: CompetitionDraft, verified: Verified) -> None:
    """Add to a draft how much of the data was looked at, if not all of it."""
    seen, every = verified.images
    if 0 < seen < every:
        draft.say(f"checked on {seen:,} of {every:,} training images")
