"""How far several jobs are together, as one piece of work with one time that is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldfold.pipeline.job import Job
    from goldfold.pipeline.job_graph import JobGraph
    from goldfold.progress import Task

STEPS = 1000
"""Of the whole work."""


class OverallProgress:
    """Adds up what the workers report, each job by its cost."""

    def __init__(self, graph: JobGraph, task: Task) -> None:
        """Take the jobs, and the piece of work of `STEPS` steps that they are together."""
        self._graph, self._task = graph, task
        self._parts = dict.fromkeys(graph.cost, 0.0)  # done of each job, 0 to 1
        self._whole = sum(graph.cost.values()) or 1.0
        self._shown = 0

    def report(self, job: Job, label: str, part: dict[str, Any]) -> None:
        """Take how far a job is, and show what its device does.

        Args:
            job: that is running.
            label: of its device.
            part: steps `done` and `total`, and the `epoch` of a training.
        """
        done = min(int(part["done"]) / max(int(part["total"]), 1), 1.0)
        # A job can have several pieces of work.
        self._parts[job] = max(self._parts.get(job, 0.0), done)
        epoch = f", epoch {part['epoch']}" if part.get("epoch") else ""
        self._advance({label: f"{job.name} {done:.0%}{epoch}"})

    def end(self, job: Job, label: str) -> None:
        """Count a job as done, or as given up."""
        self._parts[job] = 1.0
        self._advance({label: "idle"})

    def drop(self, job: Job) -> None:
        """Count a job as given up."""
        self._parts[job] = 1.0
        self._advance({})

    def _advance(self, fields: dict[str, str]) -> None:
        cost = self._graph.cost
        done = sum(cost[job] * part for job, part in self._parts.items()) / self._whole
        steps = int(STEPS * done + 1e-6) - self._shown  # sums of floats may fall short of 1
        self._shown += max(steps, 0)
        jobs = f"{self._graph.done}/{len(self._graph)}"
        self._task.advance(max(steps, 0), jobs=jobs, **fields)
