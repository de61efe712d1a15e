"""`goldfold init --interactive`: every choice is shown with its guess and can be changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from goldfold.competitions.competition_draft import CompetitionDraft

LOOKED_FOR = frozenset(
    {
        "competition.task",
        "competition.labels.files",
        "competition.labels.id_column",
        "competition.labels.class_column",
        "competition.images.test",
    }
)
"""Settings that change what is looked for in the files."""
Reader = Callable[[str], Any]
"""Turns what is typed in into a value, or raises ValueError with what was expected."""


@dataclass
class Answers:
    """A draft, and the assignments that the answers add to it.

    Attributes:
        draft: the draft as the answers so far make it.
        data: the folder.
        run: run directory.
        given: assignments `setting=value`.
        asked: settings that were asked about.
    """

    draft: CompetitionDraft
    data: Path
    run: Path
    given: list[str]
    asked: set[str]

    def value(self, setting: str) -> Any:
        """Return the draft's value of a dotted setting, None if it has none."""
        place: Any = {"competition": self.draft.competition, "folds": self.draft.folds}
        for key in setting.split("."):
            place = place.get(key) if isinstance(place, dict) else None
        return place

    def add(self, setting: str, value: Any) -> None:
        """Add an answer."""
        from goldfold.settings_text import to_value

        self.given.append(f"{setting}={to_value(value)}")


def ask_all(
    draft: CompetitionDraft, data: Path, run: Path, given: list[str]
) -> tuple[CompetitionDraft, list[str]]:
    """Return the draft and the assignments that the answers make of it.

    What decides how the files are read is asked first, and the draft is made anew where an answer
    differs from the guess.

    Args:
        draft: what was recognised.
        data: the folder.
        run: run directory.
        given: assignments of the command line, whose settings are not asked about.

    Raises:
        InputError: an answer does not fit the files.
    """
    from goldfold.commands import show
    from goldfold.metric_names import metrics_of
    from goldfold.settings_competition import OBJECT_METRICS
    from goldfold.vocabulary import TaskName, names_of

    for line in draft.seen:
        show.out(line)
    asked = {assignment.partition("=")[0].strip() for assignment in given}
    answers = Answers(draft, data, run, list(given), asked)
    _ask(answers, "competition.title", "Title", str)
    tasks = names_of(TaskName)
    _ask(answers, "competition.task", f"Task ({', '.join(tasks)})", _one_of(tasks))
    if answers.draft.label_table is not None:
        _ask(answers, "competition.labels.files", "Label table", _list)
        _ask(answers, "competition.labels.id_column", "Its column with the images' ids", str)
    if answers.value("competition.labels.class_column") is not None:
        _ask(answers, "competition.labels.class_column", "Its column with the label", str)
    _ask(answers, "competition.images.test", "Test images, globs (none: no test images)", _list)
    metrics = metrics_of(answers.draft.competition["task"])
    metric = _ask(
        answers, "competition.metric", f"Metric ({', '.join(metrics)})", _metric_of(metrics)
    )
    if metric in OBJECT_METRICS and answers.draft.competition["submission"].get("sample"):
        answers.add("competition.submission.objects", True)
    _ask_for_dialect(answers)
    _ask_for_group(answers)
    _ask_rest(answers)
    return answers.draft, answers.given


def _ask(answers: Answers, setting: str, what: str, read: Reader) -> Any:
    """Return the value of a setting as typed in; make the draft anew if it is another one."""
    if setting in answers.asked:
        return answers.value(setting)
    answers.asked.add(setting)
    guess = answers.value(setting)
    question = answers.draft.questions.get(setting)
    if question is not None:
        typer.echo(question, err=True)
    value = _prompt(what, guess, read)
    if value != guess or question is not None:
        answers.add(setting, value)
    if value != guess and setting in LOOKED_FOR:
        answers.draft = draft_of(answers.data, answers.run, answers.given)
    return value


def _prompt(what: str, guess: Any, read: Reader) -> Any:
    """Return what is typed in, asking until it can be read; Enter = the guess."""
    shown = " ".join(guess) if isinstance(guess, list) else guess
    while True:
        said = str(typer.prompt(what, default="none" if shown in (None, "") else shown, err=True))
        if said == str(shown):
            return guess
        try:
            return read(said.strip())
        except ValueError as error:
            typer.echo(str(error), err=True)


def _one_of(known: tuple[str, ...]) -> Reader:
    def read(said: str) -> str:
        from goldfold.errors import did_you_mean

        if said not in known:
            raise ValueError(f"{said!r} is none of them.{did_you_mean(said, known)}")
        return said

    return read


def _metric_of(known: tuple[str, ...]) -> Reader:
    """Return a reader of metrics, which may have parameters or be a function of the user's."""

    def read(said: str) -> str:
        from goldfold.errors import InputError
        from goldfold.metric_names import require_metric
        from goldfold.own_code import is_reference

        try:
            if not is_reference(said):
                require_metric(said, known)
            return said
        except InputError as error:
            raise ValueError(str(error)) from None

    return read


def _list(said: str) -> list[str]:
    return [] if said == "none" else said.split()


def _ask_for_dialect(answers: Answers) -> None:
    """Ask for the dialect of the masks in the label table, or else in the submission."""
    from goldfold.competitions.rle import DIALECTS

    both = ("competition.labels.dialect", "competition.submission.dialect")
    there = [setting for setting in both if isinstance(answers.value(setting), str)]
    if not there:
        return
    what = f"Run-length dialect ({', '.join(DIALECTS)})"
    value = _ask(answers, there[0], what, _one_of(tuple(DIALECTS)))
    for setting in there[1:]:
        if answers.value(setting) != value and setting not in answers.asked:
            answers.add(setting, value)
        answers.asked.add(setting)


def _ask_for_group(answers: Answers) -> None:
    """Ask which column keeps images together, and whether the others matter."""
    from goldfold.competitions.group_rule import keeps_whole

    if "folds.group" in answers.asked:
        return
    answers.asked.add("folds.group")
    groups = answers.draft.groups
    guess = answers.draft.folds.get("group", "none")
    if not groups:
        pattern = typer.prompt(
            "Regular expression whose first group is the patient in an image's path (empty: none)",
            default="",
            show_default=False,
            err=True,
        )
        if pattern:
            answers.add("competition.images.facts.patient", pattern)
            answers.add("folds.group", "patient")
        return
    known = (*groups, "none")
    what = f"Column whose equal values stay in one fold ({', '.join(known)})"
    group = _prompt(what, guess, _one_of(known))
    answers.add("folds.group", group)
    if group == "none":
        declined = list(groups)
    else:
        others = [name for name in groups if not keeps_whole(groups[group], groups[name])]
        independent = 'May images with the same "{}" be in different folds?'
        declined = [name for name in others if typer.confirm(independent.format(name), err=True)]
    if declined:
        answers.add("folds.not_groups", declined)


def _ask_rest(answers: Answers) -> None:
    """Ask the other open questions; Enter accepts the value there is, `?` leaves it open."""
    from goldfold.open_questions import unanswered

    for setting, question in unanswered(answers.draft.questions, answers.given).items():
        typer.echo(question, err=True)
        guess = answers.value(setting)
        said = typer.prompt(f"{setting} (?: leave open)", default=_shown(guess), err=True)
        if said == "?":
            continue
        if said == _shown(guess) and guess is not None:
            answers.add(setting, guess)
        else:
            answers.given.append(f"{setting}={said}")


def _shown(value: Any) -> str:
    from goldfold.settings_text import to_value

    return "?" if value is None else to_value(value)


def draft_of(data: Path, run: Path, assignments: Sequence[str]) -> CompetitionDraft:
    """Return the draft for a folder, checked against its files.

    Raises:
        InputError: there are no images, nothing labels them, or an assignment does not fit.
    """
    from goldfold.commands.show import terminal_progress
    from goldfold.competitions.recognise import recognise
    from goldfold.workers import workers_each

    workers = workers_each(None, 1)
    return recognise(
        data.resolve(),
        assignments,
        made=run.resolve(),
        workers=workers,
        progress=terminal_progress(),
    )
