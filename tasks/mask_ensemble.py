"""Blend and thresholds of masks, each class by itself, and what to expect of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import mask_columns, object_cells, of_class
from goldfold.files import write_text
from goldfold.tasks.mask_blending import Blender
from goldfold.tasks.mask_held_out import ignored_masks
from goldfold.tasks.mask_weighing import choose_blends

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.honest import Assessment
    from goldfold.tasks.run_view import MemberSource, RunView


def assess_masks(
    run: RunView, source: MemberSource, made_from: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of ensemble.json; metrics.csv and the heat maps are written."""
    import pandas as pd

    from goldfold.ensemble.class_masks import build_class_report

    classes = run.settings.competition.mask_classes
    assessed = {name: _assess(run, source, made_from, name) for name in classes or [""]}
    overlap = pd.concat(
        [part.overlap.assign(**{"class": name} if name else {}) for name, part in assessed.items()]
    )
    write_text(run.directory.metrics, overlap.to_csv(index=False, lineterminator="\n"))
    if not classes:
        return assessed[""].report
    any_class = next(iter(assessed.values()))
    return build_class_report(
        {name: part.report for name, part in assessed.items()},
        {name: part.assessment for name, part in assessed.items()},
        any_class.parts,
        any_class.groups,
        samples=run.settings.ensemble.bootstrap_samples,
        seed=run.settings.ensemble.seed,
        facts=made_from,
    )


@dataclass(frozen=True)
class _Assessed:
    """What is chosen for the masks of a class, and what to expect of it."""

    report: dict[str, Any]
    assessment: Assessment
    overlap: pd.DataFrame
    parts: NDArray[np.int64]
    groups: list[str]


def _assess(
    run: RunView, source: MemberSource, made_from: Mapping[str, Any], name: str
) -> _Assessed:
    """Return the blend and rule of a class, "" where an image has one mask."""
    from goldfold.ensemble.blend import close_members
    from goldfold.ensemble.report import build_report

    if name:
        run.progress.say(f"class {name}")
    members = source.open("out-of-fold", name)
    try:
        blender = Blender(run, of_class(run.images, name), members, name)
        chosen = choose_blends(blender)
        members, calibrations, without = (
            chosen.whole.members,
            chosen.whole.calibrations,
            chosen.without,
        )
        histograms = blender.histograms(members, calibrations)
        assessment = blender.assess(histograms, members, without)
        post = blender.post_processing(chosen, assessment)
        blender.draw(histograms, assessment, name)
        overlap = blender.overlap(histograms, members, assessment, without)
        report = build_report(
            members,
            assessment,
            run.settings.competition.metric,
            merge=run.settings.ensemble.merge,
            level_counts=blender.level_counts,
            weights=run.settings.ensemble.weights,
            calibration=(
                {"way": run.settings.ensemble.calibration, "members": calibrations}
                if calibrations
                else None
            ),
            post=post,
            overlap=overlap,
            facts=made_from,
        )
        return _Assessed(report, assessment, overlap, blender.parts, blender.groups)
    finally:
        close_members(members)


def judged_masks(run: RunView) -> list[list[str]]:
    """Return the columns of the masks that are judged."""
    classes = run.settings.competition.mask_classes
    columns = [mask_columns(name)[0] for name in classes] or ["mask_rle"]
    rows = [list(run.images[column]) for column in columns]
    if (objects := object_cells(run.images)) is not None:
        rows.append(objects)
    if (ignored := ignored_masks(run.settings.competition, run.images)) is not None:
        rows.append(ignored)
    return [[*classes], *rows] if classes else rows
