"""Recognises a competition in a folder of unknown files.

One recogniser for each family of layouts returns a draft with its evidence, or None. The draft that
labels most images is taken. What the data cannot decide becomes a question that stops the run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from goldfold.competitions.competition_draft import Choices, CompetitionDraft, choices_of
from goldfold.competitions.data_folder import find_images
from goldfold.competitions.image import read_header, read_image
from goldfold.competitions.recognise_class_folders import recognise_class_folders
from goldfold.competitions.recognise_class_names import recognise_class_names
from goldfold.competitions.recognise_coco import recognise_coco
from goldfold.competitions.recognise_copies import leave_out_copies
from goldfold.competitions.recognise_extra import add_extra_tables
from goldfold.competitions.recognise_files import FoundFiles, find_files
from goldfold.competitions.recognise_groups import add_groups_of_paths, choose_group
from goldfold.competitions.recognise_levels import add_levels
from goldfold.competitions.recognise_mask_pairs import mask_files
from goldfold.competitions.recognise_masks import recognise_masks
from goldfold.competitions.recognise_refusals import why_no_labels
from goldfold.competitions.recognise_rivals import add_dialect_of_files, choose
from goldfold.competitions.recognise_rows import add_rows
from goldfold.competitions.recognise_sample import add_sample
from goldfold.competitions.recognise_tables import recognise_table
from goldfold.competitions.recognise_verify import say_verified, verify
from goldfold.errors import ImageError, InputError, first_few
from goldfold.metric_names import default_metric
from goldfold.open_questions import not_asked, unanswered, with_twins
from goldfold.progress import SILENT, Progress
from goldfold.settings_file import override

ALIKE = 0.1
"""Difference of scores below which two layouts label equally many images."""


def recognise(
    data: Path,
    assignments: Sequence[str] = (),
    *,
    made: Path | None = None,
    workers: int = 1,
    progress: Progress = SILENT,
) -> CompetitionDraft:
    """Return a draft of the [competition] table for the files of a folder, checked against them.

    Args:
        data: the folder.
        assignments: what the user chose, `setting=value`; it changes what is looked for.
        made: run directory, for a label table that has to be made of the labels; None = none is
            made, and such labels are not recognised.
        workers: reading threads.
        progress: advances with the files that are read.

    Raises:
        InputError: there are no images, or nothing labels them; or a choice does not fit.
    """
    assignments = with_twins(assignments)
    choices = choices_of(assignments)
    found = find_files(data, choices.test)
    leave_out_copies(found)
    draft = _best(found, choices, made)
    _apply_task(draft, choices)
    _add_metric(draft)
    add_extra_tables(draft, found)
    add_sample(draft, found)
    add_rows(draft, found)
    own = [text for text in assignments if text.strip().startswith("competition.")]
    draft.competition = override({"competition": draft.competition}, own)["competition"]
    draft.questions = unanswered(draft.questions, assignments)
    _add_sizes(draft, found)
    add_levels(draft, found.data)
    files = {entry["file"] for entry in draft.competition.get("tables", [])}
    files |= {found.name(draft.made_of)} if draft.made_of is not None else set()
    if unused := [name for name in draft.unused if name not in files]:
        draft.say(f"tables that are not used: {first_few(unused)}")
    for line in [*found.left_out, *found.unreadable]:
        draft.say(line)
    verified = verify(draft, found.data, workers=workers, progress=progress)
    say_verified(draft, verified)
    if not draft.groups and verified.names:
        add_groups_of_paths(draft, verified.names)
    draft.folds = choose_group(draft)
    draft.questions = unanswered(draft.questions, assignments)
    draft.problems = not_asked(verified.problems, draft.questions)
    return draft


def _best(found: FoundFiles, choices: Choices, made: Path | None) -> CompetitionDraft:
    """Return the draft that labels most images; ask where drafts of other tasks label as many.

    Raises:
        InputError: no layout was recognised, or none can be described.
    """
    masks = mask_files(found)
    drafts = [
        draft
        for draft in (
            recognise_masks(found, masks),
            recognise_table(found, masks, choices, made),
            recognise_class_folders(found, masks, choices),
            recognise_coco(found, masks, made),
        )
        if draft is not None
    ]
    whole = [draft for draft in drafts if not draft.refused]
    if not drafts and not _several_files_per_id(found):
        of_names = recognise_class_names(found, masks, made)
        drafts = whole = [] if of_names is None else [of_names]
    if not whole:
        raise InputError(_nothing(found, drafts))
    if choices.task is not None:
        whole = [draft for draft in whole if _can_be(draft, choices.task)] or whole
    if choices.labels is not None or choices.class_columns is not None:
        whole = [draft for draft in whole if draft.label_table is not None] or whole
    most = max(draft.score for draft in whole)
    whole.sort(key=lambda draft: -draft.score)
    alike = [draft for draft in whole if draft.score > most - ALIKE]
    best = choose(alike, found, task_is_chosen=choices.task is not None)
    add_dialect_of_files(best, whole, found)
    for draft in drafts:
        if draft is not best:
            best.say(_not_taken(draft))
    return best


def _can_be(draft: CompetitionDraft, task: str) -> bool:
    return draft.is_of_masks == (task in ("segmentation", "semantic-segmentation"))


def _not_taken(draft: CompetitionDraft) -> str:
    if draft.refused:
        return f"{draft.layout}, not taken: {draft.refused}"
    return f"{draft.layout}, not taken: {draft.score:.0%} of the training images have a label there"


def _nothing(found: FoundFiles, drafts: Sequence[CompetitionDraft]) -> str:
    if drafts:
        reasons = " ".join(f"{draft.layout}: {draft.refused}" for draft in drafts)
        return f"the labels in {found.data} cannot be read. {reasons}"
    if several := _several_files_per_id(found):
        return several
    why = [*why_no_labels(found), *dict.fromkeys(found.unreadable)]
    tables = "; ".join(line.rstrip(".") for line in why) or "no tables"
    others = [f"{count:,} {ending}" for ending, count in found.others.most_common(4)]
    others += [f"{len(found.documents):,} .json"] if found.documents else []
    return (
        f"{found.data} contains {len(found.images):,} images but no labels that goldfold reads: no "
        f"table with a column of their names and one of labels ({tables}), no files of "
        f"masks, no folders named after classes. Other files: {first_few(others) or 'none'}. "
        "goldfold predicts masks, classes, grades and numbers; boxes in .txt or .xml files and "
        "outlines in .json files have to be converted: to one mask file per image, or to a table "
        "with one row per image."
    )


def _several_files_per_id(found: FoundFiles) -> str:
    """Return why a table is of no use whose ids are what several files each begin with; or ""."""
    starts = Counter(
        path.stem[: place.start()]
        for path in found.images
        if found.is_train(path)
        for place in re.finditer(r"[_\-. ]", path.stem)
    )
    for table in found.tables:
        if table in found.samples:
            continue
        for column in map(str, table.rows.columns):
            ids = [cell for cell in dict.fromkeys(table.rows[column].str.strip()) if cell]
            files = sum(starts[cell] > 1 for cell in ids)
            if ids and 2 * files > len(ids):
                name = next(cell for cell in ids if starts[cell] > 1)
                return (
                    f"the labels in {found.data} cannot be read: several files begin with an id of "
                    f"{found.name(table.path)}, column `{column}` ({name}: {starts[name]} files), "
                    "such as the channels of an image, but goldfold reads one file per image. "
                    "Merge them, or keep one of each."
                )
    return ""


def _apply_task(draft: CompetitionDraft, choices: Choices) -> None:
    """Make grades of numbered classes, or classes of grades, where the user says so."""
    competition = draft.competition
    if choices.task is None:
        return
    draft.questions.pop("competition.task", None)
    if choices.task == competition["task"]:
        return
    if {choices.task, competition["task"]} == {"grades", "classification"}:
        competition["task"] = choices.task
        if choices.task == "grades":
            competition.pop("exclusive", None)
        else:
            competition["exclusive"] = True
        return
    raise InputError(
        f"competition.task = {choices.task!r} does not fit the labels: {draft.layout} give "
        f"{competition['task']}."
    )


def _add_metric(draft: CompetitionDraft) -> None:
    competition = draft.competition
    exclusive = bool(competition.get("exclusive"))
    competition["metric"] = default_metric(competition["task"], exclusive=exclusive)
    draft.say(
        f"task: {competition['task']}; metric: {competition['metric']}, the usual one of this task "
        "(competition.metric)"
    )


def _add_sizes(draft: CompetitionDraft, found: FoundFiles) -> None:
    paths = find_images(found.data, draft.competition["images"]["train"])
    sizes = set()
    for path in paths[:: max(1, len(paths) // 20)]:
        try:
            header = read_header(path, found.data)
        except ImageError:
            continue
        sizes.add((header.height, header.width))
        draft.colour = draft.colour or _has_colour(path)
    if sizes:
        words = ", ".join(f"{height} x {width}" for height, width in sorted(sizes)[:4])
        more = ", ..." if len(sizes) > 4 else ""
        draft.say(f"image sizes: {words}{more}; {'colour' if draft.colour else 'gray'}")


def _has_colour(path: Path) -> bool:
    """Return whether the channels of an image differ."""
    try:
        pixels = read_image(path, channels=3)
    except ImageError:
        return False
    return bool((pixels != pixels[..., :1]).any())
