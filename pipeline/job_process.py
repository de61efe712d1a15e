"""A process that trains and predicts on one device: `python -m goldfold.pipeline.job_process`."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from goldfold.pipeline.engine_choice import predicting_device
from goldfold.pipeline.job import Job
from goldfold.pipeline.job_reports import Reports
from goldfold.pipeline.job_worker import Opening, Order, Perform, serve
from goldfold.pipeline.open_run import OpenRun
from goldfold.progress import Progress


def open_worker(opening: Opening, reports: Reports) -> Perform:
    """Open the run and the device, say that both are there, and return what does its jobs.

    Raises:
        InputError: the run cannot be read, or the device cannot compute.
    """
    run = OpenRun.open(Path(opening.run), opening.assignments, devices=opening.device)
    run.settings = run.settings.model_copy(update={"workers": opening.workers})
    device = predicting_device(run)
    run.read_tables()

    def perform(order: Order, progress: Progress) -> None:
        Job.from_json(order.job).perform(
            progress,
            run=run,
            stop_after=order.stop_after,
            extend_epochs=order.extend_epochs,
            share=order.share,
        )
        gc.collect()
        device.give_back_memory()

    reports.send("ready", device=device.description, note=device.note)
    return perform


if __name__ == "__main__":
    sys.exit(serve(open_worker))
