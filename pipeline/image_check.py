"""What `check` finds in the pixels of a run's images: damage, few levels, nothing at all."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.competitions.data_report import CommonCause, DataReport, count_ids
from goldfold.competitions.image import UndecidedImageError, reading_of
from goldfold.competitions.level_loss import FEW, LevelLoss, levels_kept
from goldfold.competitions.unreadable import Levels, look_at_all, report_unreadable
from goldfold.errors import ImageError, first_few, plural

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.competitions.reading import Reading
    from goldfold.pipeline.open_run import OpenRun

_SHARE = 0.05
"""Of the images: more of them that lose their levels are a problem, fewer a notice."""
_ALIKE = 3  # images that cannot be read for the same reason, which is then said once


def check_pixels(run: OpenRun, images: pd.DataFrame, report: DataReport) -> dict[str, str]:
    """Decode every image as training does, and report what is wrong with the pixels.

    Args:
        run: the run.
        images: rows of images.csv.
        report: receives problems, notices and common causes.

    Returns:
        Image id -> why a person should look at it, in a few words; the worst first.
    """
    form = run.settings.competition
    reading, data = reading_of(form.images), form.data
    images = images[images["path"] != ""].reset_index(drop=True)

    def look(path: Path, levels: Levels) -> LevelLoss:
        return levels_kept(path, levels, reading, data)

    seen = list(
        look_at_all(
            list(images["path"]), data, reading, look, workers=run.workers, progress=run.progress
        )
    )
    report_unreadable(images, seen, form, report)
    _group_reasons(report)
    damaged = [what for what in seen if isinstance(what, ImageError)]
    damaged = [error for error in damaged if not isinstance(error, UndecidedImageError)]
    if damaged and form.unreadable == "error":
        report.notices.append(
            'competition.unreadable = "drop" leaves damaged images out, and names them'
        )
    few = {
        image_id: what
        for image_id, what in zip(images["image_id"], seen, strict=True)
        if isinstance(what, LevelLoss) and what.seen < FEW
    }
    return report.unreadable | _report_levels(report, few, len(images), reading)


def _report_levels(
    report: DataReport, few: dict[str, LevelLoss], count: int, reading: Reading
) -> dict[str, str]:
    """Report images of few levels: those whose files have more of them, flat and poor ones."""
    lost = {image_id: loss for image_id, loss in few.items() if loss.lost}
    flat = [image_id for image_id, loss in few.items() if loss.seen == 1 and not loss.lost]
    poor = [image_id for image_id, loss in few.items() if loss.seen > 1 and not loss.lost]
    if lost:
        first, loss = next(iter(lost.items()))
        line = (
            f"{plural(len(lost), 'image keeps', 'images keep')} fewer than {FEW} levels "
            f"({first}: {loss.seen} of {loss.stored:,} in its file): {first_few(list(lost))}."
        )
        much = reading.decides_by_itself and len(lost) > _SHARE * count
        if reading.decides_by_itself:
            line += (
                ' Set competition.images.stretch = "percentile" to spread the levels of each '
                'image by itself, or images.windows = ["CENTER:WIDTH"] to see the same levels of '
                "every image"
            )
            line += '; or stretch = "none" if this is meant' if much else ""
        (report.problems if much else report.notices).append(line)
    report.notices += count_ids(
        flat, "image has", "images have", "the same level in all pixels, so nothing can be seen"
    )
    report.notices += count_ids(
        poor, "image has", "images have", f"fewer than {FEW} levels, as in the file"
    )
    return {
        **{name: f"{loss.seen} of {loss.stored:,} levels" for name, loss in lost.items()},
        **dict.fromkeys(flat, "one level"),
        **{name: f"{few[name].seen} levels" for name in poor},
    }


def _group_reasons(report: DataReport) -> None:
    """Say a reason that several images share once."""
    alike: dict[str, list[str]] = defaultdict(list)
    explained = {problem for cause in report.causes for problem in cause.problems}
    for problem in report.problems:
        if not problem.startswith("cannot read ") or problem in explained:
            continue
        alike[problem.partition(": ")[2]].append(problem)
    for reason, problems in alike.items():
        if len(problems) >= _ALIKE:
            names = [
                problem.partition(": ")[0].removeprefix("cannot read ") for problem in problems
            ]
            title = (
                f"cannot read {len(problems):,} images, all for the same reason: {reason} They are:"
            )
            report.causes.append(CommonCause(title, problems, names))
