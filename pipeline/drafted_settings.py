"""The text of goldfold.toml for a draft: evidence, questions, competition and a first recipe."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.preset import read_recipe
from goldfold.errors import InputError
from goldfold.open_questions import unanswered, with_twins
from goldfold.pipeline.new_run import portable
from goldfold.pipeline.open_run import OpenRun
from goldfold.pipeline.split import split_images
from goldfold.rundirectory import RunDirectory
from goldfold.settings import Settings
from goldfold.settings_edit import edit_toml
from goldfold.settings_file import override
from goldfold.settings_text import to_toml

MASKS, CLASSES, EXCLUSIVE = (
    ("siim-acr-pneumothorax", "quick"),
    ("rsna-intracranial-hemorrhage", "quick"),
    ("chest-xray-pneumonia", "quick"),
)
"""What is trained first, by what is predicted: what a CPU can train."""
_LOSSES = {
    "semantic-segmentation": {"bce": 0.0, "cross_entropy": 1.0, "dice": 1.0},
    "regression": {"bce": 0.0, "dice": 0.0, "mse": 1.0},
}


def draft_text(
    draft: CompetitionDraft, data: Path, target: Path, assignments: Sequence[str] = ()
) -> str:
    """Return the text of goldfold.toml for a draft.

    Args:
        draft: the draft.
        data: the folder that it describes.
        target: path of goldfold.toml.
        assignments: `setting=value`, which change the text and answer its questions.
    """
    competition: dict[str, Any] = {
        key: value for key, value in draft.competition.items() if value not in ({}, [], None)
    }
    competition["data"] = portable(data, target.parent)
    if draft.made_table is not None:  # beside the settings, so it is found from the data folder
        competition["labels"]["files"] = [portable(draft.made_table, data)]
    assignments = with_twins(assignments)
    questions = unanswered(draft.questions, assignments)
    head: dict[str, Any] = {"questions": questions} if questions else {}
    recipe = _recipe(draft)
    lines = [
        "# Made by: goldfold init --from",
        "# Every setting: goldfold config schema; as resolved: goldfold config show RUN",
        "#",
        "# What the files look like:",
        *(f"#   - {' '.join(line.split())}" for line in draft.seen),
        "",
        to_toml({**head, "competition": competition}).strip(),
        "",
        recipe.rstrip(),
        "",
    ]
    text = "\n".join(lines)
    return edit_toml(text, override(tomllib.loads(text), assignments)) if assignments else text


def possible_folds(draft: CompetitionDraft, settings: Settings, target: Path) -> int:
    """Return into how many folds the images can be split: the number set, or the next smaller.

    Args:
        draft: the draft, whose images were read.
        settings: as written, which say the number of folds.
        target: path of goldfold.toml.
    """
    wanted = settings.folds.count
    if draft.images is None or draft.problems:
        return wanted
    images = draft.images
    for name in draft.competition["images"].get("facts", {}):
        if name not in images:  # a group that was found in the paths afterwards
            used = (images["split"] == "train") & images["labelled"]
            images = images.assign(**{name: ""})
            images.loc[used, name] = draft.groups[name]
    for count in range(wanted, 1, -1):
        folds = settings.folds.model_copy(update={"count": count})
        run = OpenRun(RunDirectory(target.parent), settings.model_copy(update={"folds": folds}))
        run.take_tables(images)
        with suppress(InputError):
            split_images(run)
            return count
    return wanted


def _recipe(draft: CompetitionDraft) -> str:
    """Return the recipe of the draft's task, with its group, its channels and its loss."""
    task = draft.competition["task"]
    kind = MASKS if draft.is_of_masks else EXCLUSIVE
    if task == "classification" and not draft.competition.get("exclusive"):
        kind = CLASSES
    recipe = read_recipe(*kind)
    content = tomllib.loads(recipe)
    content["folds"] |= {key: value for key, value in draft.folds.items() if value}
    for model in content["models"]:
        model["channels"] = 3 if draft.colour else 1
        for stage in model["stages"]:
            stage["loss"].pop("class_weights", None)  # of the recipe's own classes
            stage["loss"] = _LOSSES.get(task, stage["loss"])
    return edit_toml(recipe, content)
