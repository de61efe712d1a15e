"""One model trained on all folds but one: made from settings, resumed where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from goldfold.errors import GoldfoldError
from goldfold.files import locked_folder, read_json, remove_leftovers, write_json
from goldfold.progress import SILENT, Progress, Task
from goldfold.settings import ModelSettings, StageSettings
from goldfold.training.augmentation import get_recipe
from goldfold.training.cache import ImageCache
from goldfold.training.checkpoint import is_among_best, keep_best, rank, save_checkpoint
from goldfold.training.device import Device
from goldfold.training.epoch import Step, train_epoch
from goldfold.training.fold_folder import FoldRun
from goldfold.training.history import history_row, scores_so_far, write_history
from goldfold.training.loader import iterate_batches, split_batches
from goldfold.training.loss import WeightedLoss
from goldfold.training.model import build_model
from goldfold.training.optimizer import build_optimizer
from goldfold.training.sampler import EpochPlan
from goldfold.training.schedule import learning_rate_at
from goldfold.training.state import Progressed, load_state, remove_state, save_state
from goldfold.training.validation import ValidationImages, ValidationScore, validate

__all__ = ["FoldData", "FoldRun", "train_fold"]

STATE_SECONDS = 30.0
"""A state is several times the weights: writing it more often would slow short epochs down."""


@dataclass(frozen=True)
class FoldData:
    """What a fold run learns from: cache rows (int64), presence (bool) and the held-out images."""

    cache: ImageCache
    rows: NDArray[np.int64]
    non_empty: NDArray[np.bool_]
    validation: ValidationImages
    metric: str


def train_fold(
    run: FoldRun,
    model_settings: ModelSettings,
    stage: StageSettings,
    data: FoldData,
    *,
    device: Device,
    workers: int,
    progress: Progress = SILENT,
    state_seconds: float = STATE_SECONDS,
) -> dict[str, Any]:
    """Train, or go on training, one fold; return the content of its result.json.

    After an epoch the state is written if the last one is old enough. A kill costs the epochs
    since then, which are repeated with the same images, the same augmentation and, on a CPU,
    the same result to the last bit. Once the result stands the state is removed.

    Args:
        run: the folder, the seed and what the training is made from.
        model_settings: the network.
        stage: how it is trained.
        data: what it learns from and is judged on.
        device: where it is trained.
        workers: threads that make batches; they do not change the result.
        progress: counts steps.
        state_seconds: least time from one state to the next; 0 writes one after every epoch.

    Raises:
        InputError: the folder holds another training, or the network cannot be built.
        GoldfoldError: the loss is not finite.
        OutputError: the folder cannot be written to, or another process is training there.
    """
    if run.finished():
        remove_state(run.state_folder)
        return dict(read_json(run.result_path))
    with locked_folder(run.folder):
        if run.finished():  # by a process that was faster
            return dict(read_json(run.result_path))
        remove_leftovers(run.folder)
        model = _build(run, model_settings).to(device.device)
        trainer = _Trainer(run, model, model_settings, stage, data, device, workers, state_seconds)
        return trainer.run_all(progress)


def _build(run: FoldRun, model_settings: ModelSettings) -> nn.Module:
    """Return the network before its first step; it follows from the seed alone."""
    torch.manual_seed(run.seed)
    return build_model(
        model_settings.architecture,
        model_settings.encoder,
        # A training that goes on has its own weights and needs no download.
        encoder_weights="none" if run.started() else model_settings.encoder_weights,
        channels=model_settings.channels,
        options=model_settings.options,
    )


class _Trainer:
    """The network, its optimizer and the plan of the epochs, from the first to the last."""

    def __init__(
        self,
        run: FoldRun,
        model: nn.Module,
        model_settings: ModelSettings,
        stage: StageSettings,
        data: FoldData,
        device: Device,
        workers: int,
        state_seconds: float,
    ) -> None:
        self.run, self.model, self.stage, self.data = run, model, stage, data
        self.device, self.workers, self.state_seconds = device, workers, state_seconds
        self.state_epoch, self.state_written = 0, monotonic()
        self.recipe = get_recipe(stage.augmentation)
        self.plan = EpochPlan(
            data.non_empty,
            schedule=stage.sampling.schedule,
            start=stage.sampling.start,
            end=stage.sampling.end,
            epochs=stage.epochs,
            seed=run.seed,
        )
        optimizer = build_optimizer(
            model, learning_rate=stage.learning_rate, weight_decay=stage.weight_decay
        )
        loss = WeightedLoss(bce=stage.loss.bce, dice=stage.loss.dice)
        self.step = Step(model, loss, optimizer, device, stage.gradient_clip, device.scaler())
        self.facts = {
            "architecture": model_settings.architecture,
            "encoder": model_settings.encoder,
            "channels": model_settings.channels,
            "options": model_settings.options,
            "image_size": stage.image_size,
        }
        self.steps = [self._steps_in(epoch) for epoch in range(stage.epochs)]

    def run_all(self, progress: Progress) -> dict[str, Any]:
        """Train the epochs that are missing, then write result.json and return its content."""
        progressed = self._resume(progress)
        history = list(progressed.history)
        left = sum(self.steps[progressed.epoch :])
        name = f"train {self.run.folder.parent.parent.name} {self.run.folder.name}"
        with progress.task(name, left) as task:
            for epoch in range(progressed.epoch, self.stage.epochs):
                history.append(
                    self._one_epoch(epoch, task, scores_so_far(history, self.data.metric))
                )
                self._save(Progressed(epoch + 1, history))
        return self._finish()

    def _resume(self, progress: Progress) -> Progressed:
        if not self.run.started():
            keep_best(self.run.folder, 0, 0)
            return Progressed(0, [])
        progressed = load_state(
            self.run.state_folder, self.model, self.step.optimizer, self.step.scaler
        )
        self.state_epoch = progressed.epoch
        # The checkpoints of later epochs are made again.
        keep_best(self.run.folder, self.stage.keep_checkpoints, progressed.epoch)
        if progressed.epoch < self.stage.epochs:
            progress.say(
                f"{self.run.folder.name}: going on after epoch {progressed.epoch} "
                f"of {self.stage.epochs}"
            )
        return progressed

    def _one_epoch(self, epoch: int, task: Task, shown: dict[str, object]) -> dict[str, Any]:
        torch.manual_seed(_epoch_seed(self.run.seed, epoch))  # dropout and its kin
        indices = self.plan.indices(epoch)
        batches = iterate_batches(
            self.data.cache,
            split_batches(self.data.rows[indices], self.stage.batch_size),
            self.recipe,
            seed=self.run.seed,
            epoch=epoch,
            workers=self.workers,
            pin=self.device.device.type == "cuda",
        )
        fraction = float(self.data.non_empty[indices].mean()) if len(indices) else 0.0
        result = train_epoch(
            self.step,
            batches,
            epoch=epoch,
            learning_rate=self._rate_from(sum(self.steps[:epoch])),
            task=task,
            shown={"epoch": f"{epoch + 1}/{self.stage.epochs}", "non_empty": fraction, **shown},
        )
        return history_row(epoch, result, fraction, self._validated(epoch))

    def _rate_from(self, first_step: int) -> Callable[[int], float]:
        """Return the learning rate of the n-th step after `first_step`."""
        mean_steps = sum(self.steps) / len(self.steps)
        warmup = round(self.stage.warmup_epochs * mean_steps)

        def rate(number: int) -> float:
            return learning_rate_at(
                first_step + number,
                total=sum(self.steps),
                warmup=warmup,
                peak=self.stage.learning_rate,
            )

        return rate

    def _validated(self, epoch: int) -> ValidationScore | None:
        """Validate where it is due, and write a checkpoint that is among the best so far."""
        finished = epoch + 1
        last = finished == self.stage.epochs
        early = finished < self.stage.validate_from
        if not last and (early or finished % self.stage.validate_every):
            return None
        score = validate(
            self.model,
            self.data.cache,
            self.data.validation,
            metric=self.data.metric,
            batch_size=self.stage.batch_size,
            device=self.device,
            workers=self.workers,
        )
        place = rank(score.score, score.non_empty_score, finished)
        if is_among_best(self.run.folder, self.stage.keep_checkpoints, place):
            save_checkpoint(
                self.run.folder / "checkpoints",
                self.model,
                epoch=finished,
                score=score.score,
                non_empty_score=score.non_empty_score,
                facts=self.facts,
            )
        return score

    def _steps_in(self, epoch: int) -> int:
        images = sum(self.plan.counts(epoch))
        return -(-images // self.stage.batch_size)

    def _save(self, progressed: Progressed) -> None:
        """Make the finished epoch last: once a state stands, no epoch before is trained again.

        The last epoch needs none, as the result follows at once.
        """
        write_history(self.run.folder / "history.csv", progressed.history)
        due = monotonic() - self.state_written >= self.state_seconds
        if due and progressed.epoch < self.stage.epochs:
            save_state(
                self.run.state_folder,
                self.model,
                self.step.optimizer,
                progressed,
                dict(self.run.made_from),
                self.step.scaler,
            )
            self.state_epoch, self.state_written = progressed.epoch, monotonic()
        keep = self.stage.keep_checkpoints
        keep_best(self.run.folder, keep, progressed.epoch, self.state_epoch)

    def _finish(self) -> dict[str, Any]:
        kept = keep_best(self.run.folder, self.stage.keep_checkpoints, self.stage.epochs)
        if not kept:
            raise GoldfoldError(f"{self.run.folder} has no checkpoint; train it with --overwrite.")
        result = {
            "checkpoints": [
                {"file": c.path.name, "epoch": c.epoch, "score": c.score, "sha256": c.sha256}
                for c in kept
            ],
            "epochs": self.stage.epochs,
            "made_from": dict(self.run.made_from),
        }
        write_json(self.run.result_path, result)
        remove_state(self.run.state_folder)
        return result


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
