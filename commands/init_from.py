"""`goldfold init --from DATA`: a first goldfold.toml for files that no preset knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.settings import Settings

_SHOWN = 5
"""Problems that are printed."""


def init_from(
    data: Path,
    target: Path,
    assignments: Sequence[str],
    *,
    interactive: bool,
    overwrite: bool,
) -> Settings:
    """Write the settings of unknown files; print what was seen, what is open, what does not fit.

    Args:
        data: the folder of the files.
        target: path of goldfold.toml.
        assignments: `setting=value`, which the user chose.
        interactive: ask about each choice.
        overwrite: replace another goldfold.toml.

    Raises:
        InputError: there are no images, nothing labels them, an assignment does not fit, or another
            goldfold.toml is there.
    """
    import tomllib

    from goldfold.commands import show
    from goldfold.commands.init_questions import ask_all, draft_of
    from goldfold.competitions.preset import resolve_settings
    from goldfold.pipeline.drafted_settings import draft_text, possible_folds
    from goldfold.pipeline.new_run import write_settings

    draft = draft_of(data, target.parent, assignments)
    given = list(assignments)
    if interactive:
        draft, given = ask_all(draft, data, target.parent, given)
    else:
        for line in draft.seen:
            show.out(f"  {line}")
    text = draft_text(draft, data, target, given)
    settings = resolve_settings(tomllib.loads(text), target)  # what is written can be read
    chosen = any(text.startswith("folds.count") for text in given)
    if not chosen and (count := possible_folds(draft, settings, target)) != settings.folds.count:
        show.out(f"  folds.count = {count}: too few groups for {settings.folds.count} folds")
        given = [*given, f"folds.count={count}"]
        text = draft_text(draft, data, target, given)
        settings = resolve_settings(tomllib.loads(text), target)
    write_settings(target, text, overwrite=overwrite)
    for problem in draft.problems[:_SHOWN]:
        show.out(f"problem: {problem}")
    if len(draft.problems) > _SHOWN:
        show.out(f"... and {len(draft.problems) - _SHOWN:,} more, which goldfold check lists")
    for setting, question in settings.questions.items():
        show.out(f"open: {setting}: {question}")
    show.out(f"wrote {target}")
    return settings
