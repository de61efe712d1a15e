"""The text of goldfold.toml for a draft: evidence, questions, competition and a first recipe."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.preset import read_recipe
from goldfold.open_questions import unanswered, with_twins
from goldfold.pipeline.new_run import portable
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
