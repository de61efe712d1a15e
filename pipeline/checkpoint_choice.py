"""Which checkpoints of a finished training predict: the best, all of them, or their average."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.errors import InputError
from goldfold.rundirectory import recorded
from goldfold.training.checkpoint_facts import read_facts

if TYPE_CHECKING:
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.training.checkpoint import Checkpoint

WAYS = ("best", "predictions", "uniform", "greedy")
"""The best checkpoint; the mean of the best ones' predictions; the two averages of weights."""


def predicting_checkpoints(run: OpenRun, job: FoldTraining) -> list[Checkpoint]:
    """Return the checkpoints of a finished training that predict: its best, or their average.

    Raises:
        InputError: an average is asked for that has not been made from these checkpoints.
    """
    way = chosen_way(run, job)
    if way in ("uniform", "greedy"):
        return [averaged_checkpoint(run, job, way)]
    return best_checkpoints(run, job)[: 1 if way == "best" else None]


def compared_checkpoints(run: OpenRun, jobs: Sequence[FoldTraining]) -> dict[str, list[str]]:
    """Return the hashes of the checkpoints that are compared, by seed and fold."""
    return {
        f"seed-{job.seed}/fold-{job.fold}": [
            checkpoint.sha256 for checkpoint in best_checkpoints(run, job)
        ]
        for job in jobs
    }


def averages_path(run: OpenRun) -> Path:
    """Return where the comparison is written."""
    return run.directory.root / "averages.json"


def averaged_checkpoint(run: OpenRun, job: FoldTraining, way: str) -> Checkpoint:
    """Return a fold's averaged weights.

    Raises:
        InputError: they are not made yet, or from other checkpoints.
    """
    from goldfold.training.checkpoint import Checkpoint

    facts_path = averages_folder(run, job) / f"{way}.json"
    command = run.command("ensemble average")
    if not facts_path.is_file():
        raise InputError(f"{facts_path} does not exist yet. Run `{command}` first.")
    facts = read_facts(facts_path, f"Run `{command}` again.")
    present = [checkpoint.sha256 for checkpoint in best_checkpoints(run, job)]
    if facts.get("averaged_from") != present:
        raise InputError(f"{facts_path} was made from other checkpoints. Run `{command}` again.")
    weights = facts_path.with_suffix(".safetensors")
    return Checkpoint(weights, facts["epoch"], facts["score"], facts["sha256"], facts)


def best_checkpoints(run: OpenRun, job: FoldTraining) -> list[Checkpoint]:
    """Return a finished training's checkpoints that count, the best first."""
    from goldfold.training.checkpoint import list_checkpoints

    return list_checkpoints(job.folder(run))[: run.settings.inference.checkpoints]


def averages_folder(run: OpenRun, job: FoldTraining) -> Path:
    """Return where a fold's averaged weights lie."""
    return job.folder(run) / "averages"


def chosen_way(run: OpenRun, job: FoldTraining) -> str:
    """Return how a job's checkpoints are used, one of `WAYS`.

    Raises:
        InputError: the settings say `auto`, and the averages have not been compared yet, or those
            of other checkpoints.
    """
    way = run.settings.inference.average
    if way == "off":
        return "predictions"
    if way != "auto":
        return way
    model, path = job.model.name, averages_path(run)
    best: Any = recorded(path, model, "best")
    present = compared_checkpoints(run, [job])
    if best in WAYS and any(
        recorded(path, model, "made_from", name) != hashes for name, hashes in present.items()
    ):
        raise InputError(
            f"{path} compares other checkpoints of {model}. Run "
            f"`{run.command('ensemble average')}` again."
        )
    if best not in WAYS:
        raise InputError(
            f'inference.average is "auto", but {path} does not say what is best for '
            f"{model}. Run `{run.command('ensemble average')}` first."
        )
    return str(best)
