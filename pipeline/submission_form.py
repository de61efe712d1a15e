"""Which competition a submission-like file is for, and what follows from it."""

from __future__ import annotations

from pathlib import Path

from goldfold.competitions.image_kind import IMAGE_ENDINGS
from goldfold.competitions.images_table import read_images
from goldfold.competitions.preset import load_preset, preset_names
from goldfold.errors import InputError, did_you_mean
from goldfold.pipeline.open_run import OpenRun
from goldfold.settings import CompetitionSettings
from goldfold.submissions.table import read_table, show_header
from goldfold.submissions.usage import USAGE_COLUMN
from goldfold.tasks.submission_layout import layout_of


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
    if name is None or not Path(name).is_dir():
        return _form_of(table, name), None
    run = OpenRun.open(Path(name))
    known = run.directory.images.is_file()
    shapes = run.task.shapes(read_images(run.directory.images)) if known else None
    return run.settings.competition, shapes


def _form_of(table: Path, preset: str | None) -> CompetitionSettings:

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
        form
        for form in known
        if form.submission.sample
        and set(layout_of(form).columns) <= columns <= {*layout_of(form).columns, USAGE_COLUMN}
    ]
    if len(fitting) > 1:
        fitting = [form for form in fitting if _ids_fit(table, form)]
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

    read = read_table(table)
    ids = [row.key([read.require(form.submission.id_column)]) for row in read.rows[:1]]
    whole = any(PurePath(image_id).suffix.lower() in IMAGE_ENDINGS for image_id in ids)
    return whole == (form.images.id_pattern is not None)
