"""Which competition a submission-like file is for, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.settings import CompetitionSettings
    from goldfold.submissions.label_score import LabelScores
    from goldfold.submissions.layout import Layout


_ENDINGS = frozenset({".dcm", ".png", ".jpg", ".jpeg"})


def find_form(
    table: Path, name: str | None
) -> tuple[CompetitionSettings, dict[str, tuple[int, int]] | None]:
    """Return the competition of a table, and the sizes of its images if a run knows them.

    Args:
        table: sample submission or solution.
        name: of a preset, or a run directory; None = the preset with these columns.

    Raises:
        InputError: there is no such preset or run, or no preset (or several) has these columns.
    """
    from goldfold.commands.context import open_run
    from goldfold.commands.sample import test_shapes
    from goldfold.competitions.images_table import read_images

    if name is None or not Path(name).is_dir():
        return _form_of(table, name), None
    run = open_run(Path(name))
    known = run.directory.images.is_file()
    shapes = test_shapes(read_images(run.directory.images)) if known else None
    return run.settings.competition, shapes


def _form_of(table: Path, preset: str | None) -> CompetitionSettings:
    from goldfold.commands.sample import layout_of
    from goldfold.competitions.preset import load_preset, preset_names
    from goldfold.errors import InputError, did_you_mean
    from goldfold.settings import CompetitionSettings
    from goldfold.submissions.score import USAGE_COLUMN
    from goldfold.submissions.table import read_table, show_header

    if preset is not None and preset not in preset_names():
        raise InputError(
            f"--competition {preset}: neither a preset ({', '.join(preset_names())}) nor a run "
            f"directory.{did_you_mean(preset, preset_names())}"
        )
    if preset is not None:
        return CompetitionSettings.model_validate(load_preset(preset))
    columns = {column.strip() for column in read_table(table).columns}
    known = [CompetitionSettings.model_validate(load_preset(name)) for name in preset_names()]
    fitting = [
        one
        for one in known
        if one.submission.sample
        and set(layout_of(one).columns) <= columns <= {*layout_of(one).columns, USAGE_COLUMN}
    ]
    if len(fitting) > 1:
        fitting = [one for one in fitting if _ids_fit(table, one)]
    if len(fitting) != 1:
        raise InputError(
            f"{table}: the header {show_header(sorted(columns))} fits {len(fitting)} of the "
            f"presets. Name one with --competition: {', '.join(preset_names())}."
        )
    return fitting[0]


def _ids_fit(table: Path, form: CompetitionSettings) -> bool:
    """Return whether ids of a table look like those of a competition: with a file's ending or not.

    Several competitions have the same columns; in some an id is the whole name of a file.
    """
    from pathlib import PurePath

    from goldfold.submissions.table import read_table

    read = read_table(table)
    ids = [row.key([read.require(form.submission.id_column)]) for row in read.rows[:1]]
    whole = any(PurePath(one).suffix.lower() in _ENDINGS for one in ids)
    return whole == (form.images.id_pattern is not None)


def label_layout(form: CompetitionSettings) -> Layout:
    """Return the layout of a submission of classes; without a sample that of a run's own table."""
    from goldfold.commands.sample import layout_of
    from goldfold.submissions.layout import Layout

    if form.submission.sample:
        return layout_of(form)
    return Layout(("image_id",), tuple(form.classes), "probability")


def score_classes(file: Path, solution: Path, form: CompetitionSettings) -> LabelScores:
    """Return the score of a submission of classes.

    Raises:
        InputError: a file is malformed, or the files do not have the same images.
    """
    from goldfold.commands.sample import layout_of
    from goldfold.competitions.label_metric import class_weight_list
    from goldfold.submissions.label_score import score_labels

    return score_labels(
        file,
        solution,
        layout=layout_of(form),
        classes=form.classes,
        exclusive=form.exclusive,
        metric=form.metric,
        class_weights=class_weight_list(form.classes, form.metric_weights),
    )


def show_label_score(scores: LabelScores, *, as_json: bool) -> None:
    """Print a score beside that of the classes' frequencies."""
    from dataclasses import asdict
    from math import isnan

    from goldfold.commands import show

    if as_json:
        plain = {k: None if k == "constant" and isnan(v) else v for k, v in asdict(scores).items()}
        show.out_json(plain)
        return
    constant = "n/a" if isnan(scores.constant) else f"{scores.constant:.5f}"
    rows = [[f"{scores.score:.5f}", constant, scores.images]]
    show.out(show.table([scores.metric, "frequencies alone", "images"], rows))
