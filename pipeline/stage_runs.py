"""The stages of fold trainings, each with what it is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import test_images, training_images
from goldfold.pipeline.changed_images import images_fingerprint, refuse_others
from goldfold.pipeline.fold_trainings import stage_numbers
from goldfold.pipeline.pseudo_labels import pseudo_labels_fingerprint
from goldfold.pipeline.sequences import sequence_facts
from goldfold.pipeline.training_data import labels_fingerprint

if TYPE_CHECKING:
    from goldfold.pipeline.fold_trainings import FoldTraining
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings import StageSettings
    from goldfold.training.fold_run import FoldRun


@dataclass(frozen=True)
class StageRun:
    """One stage of a job, and the folder of its training with what it is made from."""

    job: FoldTraining
    number: int
    fold_run: FoldRun

    @property
    def settings(self) -> StageSettings:
        """Of the stage."""
        return self.job.model.stages[self.number - 1]

    @property
    def name(self) -> str:
        """What messages call it; a model's only stage is not numbered."""
        name = f"{self.job.model.name} seed-{self.job.seed} fold-{self.job.fold}"
        return f"{name} stage-{self.number}" if len(self.job.model.stages) > 1 else name


def stage_runs(
    run: OpenRun,
    jobs: Sequence[FoldTraining],
    stage: int | None = None,
) -> list[StageRun]:
    """Return the stages of each job with what they are made from, as far as that is known now."""
    data = data_facts(run)
    return [
        StageRun(job, number, fold_run_of(run, job, number, data))
        for job, number in stage_numbers(jobs, stage)
    ]


def refuse_other_trainings(run: OpenRun, jobs: Sequence[FoldTraining]) -> None:
    """Raise InputError if a folder holds a training made from other settings or data."""
    refuse_others(run, stage_runs(run, jobs))


def data_facts(run: OpenRun) -> dict[str, str]:
    """Return fingerprints of the labels and of the content of training and test images.

    Copying the data folder changes nothing.
    """
    return {
        "data": labels_fingerprint(run, training_images(run.images)),
        "images": images_fingerprint(training_images(run.images)),
        "test_images": images_fingerprint(test_images(run.images)),
    }


def fold_run_of(
    run: OpenRun, job: FoldTraining, number: int, data_facts: Mapping[str, str]
) -> FoldRun:
    """Return the folder of a stage of a job, with what the stage is made from now."""
    from goldfold.training.fold_run import FoldRun
    from goldfold.training.initial_weights import start_fingerprint

    stages = {
        f"stage-{n}": stage_settings.model_dump(mode="json")
        for n, stage_settings in enumerate(job.model.stages[:number], 1)
    }
    made_from: dict[str, Any] = {
        "model": job.model.model_dump(
            mode="json", exclude={"name", "seeds", "stages", "neighbours"}
        ),
        **sequence_facts(run, job.model, "train"),
        **stages,
        "metric": _metric(run),
        "seed": job.seed,
        "data": data_facts["data"],
        "images": data_facts["images"],
        "held_out_images": run.fold(job.fold).fingerprint,
    }
    before = job.stage_folder(run, number - 1) if number > 1 else None
    if before is not None:
        made_from["weights_of_the_stage_before"] = start_fingerprint(before)
    pseudo = job.model.stages[number - 1].pseudo_labels
    if pseudo is not None:
        made_from["test_images"] = data_facts["test_images"]
        made_from |= sequence_facts(run, job.model, "test")
        made_from["pseudo_labels"] = pseudo_labels_fingerprint(run, pseudo.name, job.fold)
    return FoldRun(job.stage_folder(run, number), job.seed, made_from, before)


def _metric(run: OpenRun) -> object:
    """Return the metric, with its weights where it has any."""
    form = run.settings.competition
    return [form.metric, form.metric_weights] if form.metric_weights else form.metric
