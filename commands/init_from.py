"""`goldfold init --from DATA`: a first goldfold.toml for files that no preset knows."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldfold.competitions.competition_draft import CompetitionDraft

RECIPES = {
    "masks": ("siim-acr-pneumothorax", "quick"),
    "one class": ("chest-xray-pneumonia", "quick"),
    "classes": ("rsna-intracranial-hemorrhage", "quick"),
}
"""What is trained first, by what is predicted: what a CPU can train."""


def settings_of_folder(
    data: Path, target: Path, *, interactive: bool
) -> tuple[str, CompetitionDraft]:
    """Return the text of goldfold.toml for a folder of files, and what was seen and asked.

    Args:
        data: the folder.
        target: of the text.
        interactive: ask what the files do not tell.

    Raises:
        InputError: there are no images, or nothing that labels them.
    """
    from goldfold.competitions.recognise import recognise

    draft = recognise(data.resolve())
    folds = _choose_group(draft, interactive=interactive)
    if interactive:
        folds = _ask(draft, folds)
    return _text(data, target, draft, folds), draft


def _choose_group(draft: CompetitionDraft, *, interactive: bool) -> dict[str, Any]:
    """Return group and not_groups of [folds] as the files tell, and say what they do not."""
    from goldfold.competitions.group_rule import coarsest

    tops = coarsest(draft.groups)
    if not tops:
        dicom = draft.competition["images"].get("metadata") == "dicom"
        return {"group": "patient" if dicom else "none"}
    for name in tops:
        draft.seen.append(f"{name} looks like a group: {_counts(draft.groups[name])}")
    if len(tops) == 1:
        return {"group": next(iter(tops))}
    if not interactive:
        draft.questions.append(
            f"Which column keeps images together: {', '.join(tops)}? Set it as group in [folds] "
            "and list the others in not_groups; until then `goldfold check` stops."
        )
    return {"group": "none"}


def _counts(values: list[str]) -> str:
    from collections import Counter

    from goldfold.errors import plural

    images = Counter(value for value in values if value)
    repeated = sum(count > 1 for count in images.values())
    return f"{plural(len(images), 'value', 'values')}, {repeated:,} with several images"


def _ask_for_group(draft: CompetitionDraft, guess: str) -> dict[str, Any]:
    """Return group and not_groups of [folds] as they are typed in."""
    import typer

    from goldfold.competitions.group_rule import coarsest, keeps_whole

    tops = coarsest(draft.groups)
    default = guess if guess in tops else next(iter(tops))
    question = "Column whose equal values stay in one fold (none: images are independent)"
    group = _choose(question, (*draft.groups, "none"), default)
    if group == "none":
        return {"group": "none", "not_groups": list(draft.groups)}
    kept = draft.groups[group]
    others = [name for name, values in draft.groups.items() if not keeps_whole(kept, values)]
    independent = 'May images with the same "{}" be in different folds?'
    declined = [name for name in others if typer.confirm(independent.format(name), err=True)]
    return {"group": group, "not_groups": declined}


def _ask(draft: CompetitionDraft, folds: dict[str, Any]) -> dict[str, Any]:
    """Ask for what matters most, the guess as the default; return group and not_groups."""
    import typer

    from goldfold.commands import show
    from goldfold.competitions.rle import DIALECTS
    from goldfold.settings_competition import CLASS_METRICS, MASK_METRICS, OBJECT_METRICS

    competition = draft.competition
    for line in draft.seen:
        show.out(line)
    competition["title"] = typer.prompt("Title", default=competition["title"], err=True)
    metrics = MASK_METRICS if competition["task"] == "segmentation" else CLASS_METRICS
    competition["metric"] = _choose("Metric", metrics, competition["metric"])
    if competition["metric"] in OBJECT_METRICS:
        competition["submission"]["objects"] = True
    if "dialect" in competition["labels"]:
        dialect = _choose("Run-length dialect", tuple(DIALECTS), competition["labels"]["dialect"])
        competition["labels"]["dialect"] = dialect
        if "dialect" in competition["submission"]:
            competition["submission"]["dialect"] = dialect
    if draft.groups:
        return _ask_for_group(draft, folds["group"])
    if competition["images"].get("metadata") != "dicom":
        pattern = typer.prompt(
            "Regular expression whose first group is the patient in an image's path (empty: none)",
            default="",
            show_default=False,
            err=True,
        )
        if pattern:
            competition["images"]["facts"] = {"patient": pattern}
            return {"group": "patient"}
    return folds


def _choose(what: str, known: tuple[str, ...], guess: str) -> str:
    """Return one of the known words, asking until it is one."""
    import typer

    from goldfold.errors import did_you_mean

    while True:
        said = str(typer.prompt(f"{what} ({', '.join(known)})", default=guess, err=True)).strip()
        if said in known:
            return said
        typer.echo(f"{said!r} is none of them.{did_you_mean(said, known)}", err=True)


def _text(data: Path, target: Path, draft: CompetitionDraft, folds: dict[str, Any]) -> str:
    from goldfold.competitions.preset import read_recipe
    from goldfold.pipeline.new_run import portable
    from goldfold.settings_edit import edit_toml
    from goldfold.settings_text import to_toml

    competition: dict[str, Any] = {
        key: value for key, value in draft.competition.items() if value not in ({}, [], None)
    }
    competition["data"] = portable(data, target.parent)
    kind = "one class" if competition.get("exclusive") else "classes"
    recipe = read_recipe(*RECIPES["masks" if competition["task"] == "segmentation" else kind])
    content = tomllib.loads(recipe)
    content["folds"] |= {key: value for key, value in folds.items() if value}
    for stage in (stage for model in content["models"] for stage in model["stages"]):
        stage["loss"].pop("class_weights", None)  # of the recipe's own classes
    recipe = edit_toml(recipe, content)
    questions = [f"#   - {line}" for line in draft.questions] or ["#   none"]
    lines = [
        "# Made by: goldfold init --from",
        "# Every setting: goldfold config schema; as resolved: goldfold config show RUN",
        "#",
        "# What the files look like:",
        *(f"#   - {line}" for line in draft.seen),
        "# Open questions:",
        *questions,
        "",
        to_toml({"competition": competition}).strip(),
        "",
        recipe.rstrip(),
        "",
    ]
    return "\n".join(lines)
