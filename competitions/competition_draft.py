"""What is known about the competition in a folder of unknown files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.settings_file import override

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Choices:
    """What the user chose instead of leaving it to the data; None = not chosen.

    Attributes:
        task: competition.task.
        labels: name of the label table below the data folder.
        id_column: its column with the ids.
        class_columns: its columns with the label.
        class_folder: which folder above an image is named after its class, 1 = the innermost.
        test: globs of the test images.
    """

    task: str | None = None
    labels: str | None = None
    id_column: str | None = None
    class_columns: tuple[str, ...] | None = None
    class_folder: int | None = None
    test: tuple[str, ...] | None = None


def choices_of(assignments: Sequence[str]) -> Choices:
    """Return the choices among assignments `setting=value` that change what is looked for.

    >>> choices_of(["competition.labels.class_column=dx", "folds.count=3"]).class_columns
    ('dx',)
    """
    competition = override({}, assignments).get("competition", {})
    labels, images = competition.get("labels", {}), competition.get("images", {})
    files, folder = labels.get("files"), labels.get("class_folder")
    column, classes = labels.get("class_column"), competition.get("classes")
    columns = [column] if column is not None else classes
    test = images.get("test")
    return Choices(
        task=competition.get("task"),
        labels=files[0] if isinstance(files, list) and files else files or None,
        id_column=labels.get("id_column"),
        class_columns=None if columns is None else tuple(map(str, columns)),
        class_folder=folder if isinstance(folder, int) else None,
        test=None if test is None else tuple([test] if isinstance(test, str) else test),
    )


@dataclass
class CompetitionDraft:
    """A draft of the [competition] table.

    Attributes:
        competition: the content of the table.
        seen: what the files show, one line each.
        questions: what the files cannot decide: dotted setting -> question.
        groups: columns that look like groups: name -> value of each training image, "" = unknown.
        layout: what was recognised, in words.
        score: share of the training images that have a label, 0 to 1.
        refused: why the layout cannot be described, "" if it can.
        mask_files: name of each training image without its ending -> its mask files.
        objects: whether an image has several masks, which may be its objects.
        label_table: the table with the labels.
        made_table: a table of labels that was made of them, in the run directory.
        made_of: the table that it was made of, None if it was made of other files.
        unused: tables that are not used.
        folds: group of [folds].
        colour: whether images have colours.
        images: the table of images as `check` will read it, None if it was not read in whole.
        problems: what of the data does not fit the draft, one line each.
    """

    competition: dict[str, Any]
    seen: list[str] = field(default_factory=list)
    questions: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    layout: str = ""
    score: float = 0.0
    refused: str = ""
    mask_files: dict[str, list[Path]] = field(default_factory=dict)
    objects: bool = False
    label_table: Path | None = None
    made_table: Path | None = None
    made_of: Path | None = None
    unused: list[str] = field(default_factory=list)
    folds: dict[str, Any] = field(default_factory=dict)
    colour: bool = False
    images: pd.DataFrame | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def is_of_masks(self) -> bool:
        """Whether pixels are predicted, not classes or numbers of whole images."""
        return self.competition.get("task") in ("segmentation", "semantic-segmentation")

    @classmethod
    def empty(cls, title: str, layout: str) -> CompetitionDraft:
        """Return a draft without any content."""
        return cls({"title": title, "images": {}, "labels": {}, "submission": {}}, layout=layout)

    def say(self, evidence: str) -> None:
        """Add a line about what the files show, or what was chosen and why."""
        self.seen.append(evidence)

    def ask(self, setting: str, question: str) -> None:
        """Add a question that stops the run until it is answered.

        Only for what the data cannot decide and would make results wrong without a word.

        Args:
            setting: dotted name of the setting that answers it; several questions about one
                setting are joined.
            question: text that names the choices.
        """
        before = self.questions.get(setting)
        self.questions[setting] = question if before is None else f"{before} {question}"

    def refuse(self, reason: str) -> None:
        """Say why the layout cannot be described although it was recognised."""
        self.refused = reason

    def ask_grades(self, classes: list[str]) -> None:
        """Ask whether classes that are numbers have an order.

        Args:
            classes: names of the classes, in the order of their numbers.
        """
        self.competition["classes"] = classes
        are_grades = self.competition["task"] == "grades"
        what, task = ("classes", "classification") if are_grades else ("grades", "grades")
        self.ask(
            "competition.task",
            f"are the classes {classes[0]} to {classes[-1]} ordered grades, or numbers of classes "
            f"without an order? For {what}, write the settings anew: goldfold init --from ... "
            f"--set competition.task={task} --overwrite",
        )
