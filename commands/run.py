"""`goldfold run`: all stages in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.commands.options import Assignments, Devices, DryRun, Overwrite, RunFolder, StopAfter

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


def run(
    run_folder: RunFolder,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    stop_after: StopAfter = None,
    devices: Devices = None,
    assignments: Assignments = None,
) -> None:
    """Run all stages: skip what is up to date, resume what was stopped.

    --overwrite trains all folds again. --stop-after 8h30m saves a training in time and ends with
    exit code 75; the same command resumes. Several GPUs train and predict one fold each at a
    time. Without test images the run ends with the honest score.

    Example:
    goldfold run runs/first

    Next: goldfold submit check runs/first/submission.csv --sample sample_submission.csv
    """
    from goldfold.commands import show
    from goldfold.commands.opening import open_run
    from goldfold.commands.submit import tell_what_next
    from goldfold.pipeline.devices import present_devices
    from goldfold.pipeline.plan import plan_run

    opened = open_run(run_folder, assignments, devices)
    if dry_run:
        if devices:
            present_devices(opened.devices)  # refuses a GPU that is not there
        for line in plan_run(opened, overwrite):
            show.out(line)
        return
    if path := run_all(opened, overwrite=overwrite, stop_after=stop_after):
        tell_what_next(opened, path)


def run_all(run: OpenRun, overwrite: bool = False, stop_after: str | None = None) -> Path | None:
    """Make every stage in turn and print what came of it.

    Returns the submission, or None where there are no test images.
    """
    from goldfold.commands import show
    from goldfold.errors import InputError
    from goldfold.pipeline.side_by_side import machine_of_one_device
    from goldfold.pipeline.stages import Submission, stages_of

    machine = machine_of_one_device(run, stop_after)
    if machine is not None and machine.ranks.world > 1:
        raise InputError(
            "`goldfold run` is one process; under torchrun use `goldfold train run RUN`, then "
            "`goldfold run RUN` without it for the rest."
        )
    stages = stages_of(run, overwrite=overwrite, machine=machine, stop_after=stop_after)
    for number, stage in enumerate(stages):
        stage.make()
        lines = stage.lines()
        if lines and number > 1:
            show.out()
        show.lines(lines)
    last = stages[-1]
    if isinstance(last, Submission):
        return last.path
    run.progress.warn("no test images, so there is no submission to write")
    return None
