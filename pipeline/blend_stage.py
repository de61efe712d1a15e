"""Ways to blend a run's members, compared on out-of-fold predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold.files import write_json
from goldfold.pipeline.members import Members

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


def compare_blends(run: OpenRun) -> dict[str, Any]:
    """Return what every merge with every way to weigh scores, and what each member is worth.

    Plain values; written to blends.json in the run directory as well. Where an image has several
    masks, each class is compared by itself, under `classes`.

    Raises:
        InputError: predictions are missing or outdated, other runs have other folds, or the
            metric compares objects.
    """
    report = run.task.compare_blends(run, Members(run))
    write_json(run.directory.root / "blends.json", report)
    return report
