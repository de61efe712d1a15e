"""Chooses among layouts that label equally many images: by the sample submission, or asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import find_images, image_id_of
from goldfold.competitions.mask_levels import read_mask
from goldfold.competitions.mask_text import is_mask_column
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.rle import DIALECTS, encode, get_dialect, is_empty
from goldfold.errors import ImageError

FILES, TABLE = "masks in files", "labels in a table"
_COMPARED = 20
"""Masks that are compared with a table of the same masks."""


def choose(
    drafts: Sequence[CompetitionDraft], found: FoundFiles, *, task_is_chosen: bool
) -> CompetitionDraft:
    """Return the draft to take of several that label equally many images.

    Args:
        drafts: the drafts, the one with most labels first.
        found: the files of the folder.
        task_is_chosen: whether the user said what is predicted.
    """
    of_masks = [draft for draft in drafts if draft.is_of_masks]
    if 0 < len(of_masks) < len(drafts):
        wanted = None if task_is_chosen else _sample_wants_masks(found)
        if wanted is None and not task_is_chosen:
            _ask_for_task(drafts)
        else:
            drafts = [d for d in drafts if d.is_of_masks == wanted] or drafts
    fits = {id(draft): _sample_share(draft, found) for draft in drafts}
    most = max(fits.values())
    drafts = [draft for draft in drafts if fits[id(draft)] == most]
    # Masks in files leave no doubt about the order of pixels; a table names its labels.
    best = next((d for name in (FILES, TABLE) for d in drafts if d.layout == name), drafts[0])
    return best


def _ask_for_task(drafts: Sequence[CompetitionDraft]) -> None:
    tasks = " or ".join(f"{draft.competition['task']} ({draft.layout})" for draft in drafts)
    for draft in drafts:
        draft.ask(
            "competition.task",
            f"what is predicted: {tasks}? For another task than {draft.competition['task']}, write "
            "the settings anew: goldfold init --from ... --set competition.task=TASK --overwrite",
        )


def _sample_wants_masks(found: FoundFiles) -> bool | None:
    """Return whether the sample submission holds masks, None without a sample."""
    for sample in found.samples:
        columns = [str(name) for name in sample.rows.columns[1:]]
        named = any("rle" in name.lower() or "pixels" in name.lower() for name in columns)
        return named or any(is_mask_column(list(sample.rows[name])) for name in columns)
    return None


def _sample_share(draft: CompetitionDraft, found: FoundFiles) -> float:
    """Return the share of the test images that the sample names as the draft does."""
    images = draft.competition["images"]
    paths = find_images(found.data, images["test"])
    ids = {image_id_of(found.data, path, images.get("id_pattern")) for path in paths}
    for sample in found.samples:
        named = sample.rows.iloc[:, 0].str.strip()
        known = {*named, *(name.rpartition("_")[0] for name in named)}
        return len(ids & known) / len(ids) if ids else 0.0
    return 0.0


def add_dialect_of_files(
    draft: CompetitionDraft, others: Sequence[CompetitionDraft], found: FoundFiles
) -> None:
    """Tell the order of pixels where the same masks are in files and in a table.

    Args:
        draft: the draft that was taken, which receives the dialect.
        others: all drafts.
        found: the files of the folder.
    """
    files = next((other for other in others if other.mask_files), None)
    table = next((o for o in others if o.competition["labels"].get("kind") == "rle"), None)
    if files is None or table is None or files is table:
        return
    fits, compared = _fits(files, table, found)
    name, count = fits.most_common(1)[0] if fits else ("", 0)
    if count * 2 <= compared:
        return
    labels = table.competition["labels"]
    where = f"{count} of {compared} masks of {labels['files'][0]} equal the mask files"
    draft.say(f"{where} when read as {name}, so that is the dialect")
    draft.questions.pop("competition.labels.dialect", None)
    if draft is table:
        labels["dialect"] = name
    draft.competition["submission"]["dialect"] = name


def _fits(
    files: CompetitionDraft, table: CompetitionDraft, found: FoundFiles
) -> tuple[Counter[str], int]:
    """Return in how many masks each dialect gives the file from the table, and of how many."""
    labels = table.competition["labels"]
    rows = next(t.rows for t in found.tables if t.path == table.label_table)
    fits, compared = Counter[str](), 0
    for name, cell in zip(rows[labels["id_column"]], rows[labels["rle_column"]], strict=True):
        paths = files.mask_files.get(PurePosixPath(name.strip()).stem) or files.mask_files.get(name)
        if paths is None or len(paths) != 1 or is_empty(cell):
            continue
        try:
            mask = read_mask(paths[0], found.data).mask
        except ImageError:
            continue
        compared += 1
        text = " ".join(cell.split())
        fits.update(other for other in DIALECTS if encode(mask, get_dialect(other)) == text)
        if compared == _COMPARED:
            break
    return fits, compared
