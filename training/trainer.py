"""The loop of one stage of one fold: epochs, validation, checkpoints, state."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from goldfold.errors import NotFiniteError, Stopped
from goldfold.files import write_json
from goldfold.progress import Progress, Task
from goldfold.settings import ModelSettings, StageSettings
from goldfold.settings_augmentation import recipe_of
from goldfold.training.assembly import build_step, network_facts, prepare_model
from goldfold.training.averages import Averages
from goldfold.training.checkpoint import is_among_best, keep_best, rank, save_checkpoint
from goldfold.training.divergence import no_checkpoint, not_scored
from goldfold.training.epoch import EpochPart, EpochSoFar, train_epoch
from goldfold.training.held_out import score_held_out
from goldfold.training.history import (
    RAW,
    Row,
    best_of_each_kind,
    best_score,
    history_row,
    scores_so_far,
    validations_without_gain,
    write_history,
)
from goldfold.training.loader import Batch, Look, iterate_batches
from goldfold.training.networks.freezing import set_training_mode
from goldfold.training.runtime import Machine
from goldfold.training.stage_plan import StagePlan, plateau_factor
from goldfold.training.state import (
    Progressed,
    Trained,
    load_state,
    save_state,
    weights_digest,
)
from goldfold.training.step import StepResult
from goldfold.training.tensorboard import Board, NoBoard, open_board
from goldfold.training.validation import ValidationScore

if TYPE_CHECKING:
    from goldfold.training.fold_folder import FoldRun
    from goldfold.training.fold_run import FoldData

MOST_WAITING = 0.1
"""Share of its time that a GPU may wait for batches before it augments them itself."""


class Trainer:
    """Trains a stage from its first epoch, or from where it stopped, to its last."""

    def __init__(
        self,
        run: FoldRun,
        model: nn.Module,
        model_settings: ModelSettings,
        stage: StageSettings,
        data: FoldData,
        machine: Machine,
        progress: Progress,
    ) -> None:
        """Put the parts together; nothing is written and nothing loaded yet."""
        self.run, self.stage, self.data, self.machine = run, stage, data, machine
        self.progress, self.ranks, self.stop = progress, machine.ranks, machine.stop
        self.images = data.images
        self.model = prepare_model(model, stage, machine)
        classes = data.classes if data.per_image or data.classes > 1 else None
        self.facts = network_facts(model_settings, stage, classes)
        self.name = f"{run.folder.parents[2].name} {run.folder.parent.name} {run.folder.name}"
        self.step = build_step(
            self.model,
            stage,
            machine,
            class_weights=data.class_weights,
            classes_per_pixel=self.images.classes_per_pixel,
            say=self._say,
        )
        self.averages = Averages(self.model, stage.ema, stage.swa_from)
        self.history: list[Row] = []
        self.so_far = EpochSoFar()
        # The device changes images and masks together; classes have none.
        self.on_device = False if data.per_image else machine.augments_on_device
        lacking = recipe_of(stage.augmentation).only_on_cpu
        if lacking and self.on_device is not False:
            self.on_device = False
            self._say(f"{self.name}: augmenting on the CPU, as the GPU path has no {lacking}")
        self.state_epoch, self.state_written = 0, monotonic()
        self.goal: int | None = None
        self.plan = self._plan()
        self.ranks.refuse_if_idle(len(self.plan.batches(0)[-1]))
        self.board: Board = NoBoard()

    def run_all(self, extend_epochs: int = 0) -> dict[str, Any]:
        """Train the epochs that are missing, then write result.json and return its content."""
        self._resume(extend_epochs)
        wanted = self.machine.settings.tensorboard and self.ranks.is_writer
        self.board = open_board(self.run.folder, wanted=wanted, done=len(self.history))
        with self.stop.listening(), self.progress.task(f"train {self.name}", self._left()) as task:
            while len(self.history) < self.last_epoch and not self._enough():
                self._one_epoch(len(self.history), task)
                self._epoch_done()
        self.board.close()
        return self._finish()

    # --- where it stands ------------------------------------------------------------------------

    def _resume(self, extend_epochs: int) -> None:
        if not self.run.started():
            if self.ranks.is_writer:
                keep_best(self.run.folder, 0, 0)
            self.ranks.barrier()
            return
        trained = self._trained()
        progressed = load_state(self.run.state_folder, trained)
        self.history, self.so_far = list(progressed.history), progressed.so_far
        self.step.parts = progressed.parts
        if progressed.on_device is not None:
            self.on_device = progressed.on_device
        self.state_epoch = progressed.epoch
        self.goal = len(self.history) + extend_epochs if extend_epochs else progressed.goal
        self.plan = self._plan()
        if self.ranks.is_writer:
            # The checkpoints of later epochs are made again.
            keep_best(self.run.folder, self.stage.keep_checkpoints, progressed.epoch)
        if extend_epochs:
            self._extend()
        self.ranks.barrier()
        self._say_where()

    def _extend(self) -> None:
        """Make it known that the stage resumes, before its result is taken away."""
        self._save_state()
        if self.ranks.is_writer:
            self.run.result_path.unlink(missing_ok=True)

    def _say_where(self) -> None:
        if len(self.history) == self.last_epoch:
            return
        within = f", step {self.so_far.step}" if self.so_far.step else ""
        self._say(
            f"{self.name}: resuming after epoch {len(self.history)} of {self.last_epoch}{within}"
        )

    def _plan(self) -> StagePlan:
        return StagePlan(
            self.stage,
            self.data.non_empty,
            seed=self.run.seed,
            weights=self.data.weights,
            extra_epochs=max(0, (self.goal or 0) - self.stage.epochs),
            pseudo_labelled=self.images.pseudo_labelled,
        )

    @property
    def last_epoch(self) -> int:
        """Epochs after which the stage ends."""
        return self.goal or self.stage.epochs

    def _left(self) -> int:
        left = range(len(self.history), self.last_epoch)
        return sum(map(self.plan.steps, left)) - self.so_far.step

    def _enough(self) -> bool:
        """Return whether early stopping ends the stage here; epochs asked for are all trained."""
        patience = None if self.goal else self.stage.early_stopping
        return patience is not None and validations_without_gain(self.history) >= patience

    # --- an epoch -------------------------------------------------------------------------------

    def _one_epoch(self, epoch: int, task: Task) -> None:
        set_training_mode(self.model, self.stage.frozen)
        train_epoch(
            self.step,
            self._batches(epoch),
            self._part(epoch),
            self.so_far,
            task=task,
            shown={
                "epoch": f"{epoch + 1}/{self.last_epoch}",
                "non_empty": self.plan.fraction(epoch),
                **scores_so_far(self.history, self.data.metric),
            },
        )
        self.ranks.broadcast_buffers(self.model)
        self.averages.end_of_epoch(self.model, epoch, self.stage.epochs)
        began = monotonic()
        scores = self._validated(epoch)
        self.history.append(
            history_row(
                epoch,
                self._summed(self.so_far),
                counts=self.plan.counts(epoch),
                draw=self.plan.draw(epoch),
                scores=scores,
                validation_seconds=monotonic() - began,
            )
        )
        self._choose_where_to_augment()
        self.so_far = EpochSoFar()

    def _batches(self, epoch: int) -> Iterator[Batch]:
        """Yield this rank's shares of the epoch's batches from the next step on."""
        shares = [self.ranks.share(b) for b in self.plan.batches(epoch)[self.so_far.step :]]
        look = Look(
            recipe_of(self.stage.augmentation),
            self.run.seed,
            epoch,
            self.stage.crop_size,
            bool(self.on_device),
        )
        pin = self.machine.device.device.type == "cuda"
        return iterate_batches(self.images, shares, look, workers=self.machine.workers, pin=pin)

    def _part(self, epoch: int) -> EpochPart:
        sizes = [len(batch) for batch in self.plan.batches(epoch)]
        factor = 1.0
        if self.stage.schedule.name == "plateau":
            factor = plateau_factor(
                [best_score(row) for row in self.history],
                patience=self.stage.schedule.patience,
                factor=self.stage.schedule.factor,
            )
        return EpochPart(
            epoch=epoch,
            seed=self.run.seed,
            rate=lambda number: self.plan.rate(epoch, number, plateau_factor=factor),
            image_ids=self.images.image_ids,
            most_skipped=self.machine.settings.stop_after_skipped,
            whole=sizes.__getitem__,
            after_step=self._after_step,
        )

    def _after_step(self, result: StepResult, seconds: float) -> None:
        if result.moved:
            self.averages.after_step(self.model)
        self.stop.observe(seconds)
        self._stop_if_asked()
        if monotonic() - self.state_written >= self.machine.mid_epoch_seconds:
            self._save_state()

    def _stop_if_asked(self) -> None:
        """Save the state and raise Stopped, on all ranks if one was asked; make room for others."""
        self.machine.cores.look()
        if not self.ranks.any(self.stop.exit_code != 0):
            return
        self._save_state()
        raise Stopped(
            f"{self.stop.reason}; {self.name} is saved after epoch {len(self.history)}, "
            f"step {self.so_far.step}. The same command resumes from there.",
            self.stop.exit_code or 143,
        )

    def _summed(self, so_far: EpochSoFar) -> EpochSoFar:
        """Return the epoch's sums over all ranks."""
        if self.ranks.world == 1:
            return so_far
        mine = np.array([so_far.loss_sum, so_far.images], dtype=np.float64)
        loss_sum, images = self.ranks.sum_array(mine).tolist()
        return EpochSoFar(**{**vars(so_far), "loss_sum": loss_sum, "images": int(images)})

    def _choose_where_to_augment(self) -> None:
        """Let the GPU augment from the next epoch on if it waited too much in this one."""
        if self.on_device is not None:
            return
        waiting = self.so_far.waited / max(self.so_far.seconds, 1e-9)
        self.on_device = self.ranks.any(waiting > MOST_WAITING)
        where = "on the GPU" if self.on_device else "on the CPU"
        self._say(
            f"{self.name}: the GPU waited {waiting:.0%} of the first epoch; augmenting {where}"
        )

    # --- validation -----------------------------------------------------------------------------

    def _validated(self, epoch: int) -> dict[str, ValidationScore]:
        """Validate where it is due, and write the checkpoints that are among the best so far."""
        finished = epoch + 1
        last = finished == self.last_epoch
        early = finished < self.stage.validate_from
        if not last and (early or finished % self.stage.validate_every):
            return {}
        scores = {}
        averages = self.averages.candidates(
            last=last, batches=lambda: self._statistics_batches(epoch), device=self.machine.device
        )
        for kind, model in {RAW: self.model, **averages}.items():
            try:
                scores[kind] = self._validate(kind, model)
            except NotFiniteError as error:
                self._warn(not_scored(kind, finished, error))
            else:
                self._keep_if_good(kind, model, finished, scores[kind])
        return scores

    def _validate(self, kind: str, model: nn.Module) -> ValidationScore:
        return score_held_out(
            model,
            self.data,
            batch_size=self.stage.batch_size,
            machine=self.machine,
            check=self._stop_if_asked,
            warn=lambda text: self._warn(f"epoch {len(self.history) + 1}: {kind} {text}"),
        )

    def _keep_if_good(
        self, kind: str, model: nn.Module, finished: int, score: ValidationScore
    ) -> None:
        place = rank(score.score, score.non_empty_score, finished)
        keep = self.stage.keep_checkpoints
        if self.ranks.is_writer and is_among_best(self.run.folder, keep, place):
            save_checkpoint(
                self.run.folder / "checkpoints",
                model,
                epoch=finished,
                weights=kind,
                score=score.score,
                non_empty_score=score.non_empty_score,
                facts=self.facts,
            )

    def _statistics_batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the epoch's first batches again, for BatchNorm statistics of averaged weights."""
        count = self.averages.statistics_batches(self.plan.effective_batch)
        look = Look(recipe_of(self.stage.augmentation), self.run.seed, epoch, self.stage.crop_size)
        batches = self.plan.batches(epoch)[:count]
        return iterate_batches(self.images, batches, look, workers=self.machine.workers)

    # --- what is written ------------------------------------------------------------------------

    def _epoch_done(self) -> None:
        """Make the finished epoch last: once a state stands, no epoch before is trained again."""
        if self.ranks.is_writer:
            write_history(self.run.folder, self.history)
            self.board.write(self.history[-1])
        due = monotonic() - self.state_written >= self.machine.state_seconds
        if due and len(self.history) < self.last_epoch:
            self._save_state()
        if self.ranks.is_writer:
            keep_best(
                self.run.folder, self.stage.keep_checkpoints, len(self.history), self.state_epoch
            )

    def _save_state(self, finished: bool = False) -> None:
        began = monotonic()
        if self.ranks.is_writer:
            progressed = Progressed(
                len(self.history),
                self.history,
                self.so_far,
                self.step.parts,
                self.on_device,
                self.goal,
                finished,
            )
            save_state(self.run.state_folder, self._trained(), progressed, dict(self.run.made_from))
        self.state_epoch, self.state_written = len(self.history), monotonic()
        self.stop.observe(self.state_written - began)

    def _trained(self) -> Trained:
        return Trained(self.model, self.step.optimizer, self.averages.by_name, self.step.scaler)

    def _finish(self) -> dict[str, Any]:
        """Write the last state, from which more epochs or the next stage begin, and the result."""
        self._save_state(finished=True)
        result: dict[str, Any] = {}
        if self.ranks.is_writer:
            kept = keep_best(self.run.folder, self.stage.keep_checkpoints, len(self.history))
            if not kept:
                raise no_checkpoint(self.run.folder, self.history)
            result = {
                "checkpoints": [checkpoint.summary for checkpoint in kept],
                "epochs": len(self.history),
                "stopped_early": len(self.history) < self.last_epoch,
                "passes_a_step": self.step.parts,
                "skipped_steps": sum(row["skipped_steps"] for row in self.history),
                "last_weights": weights_digest(self.model),
                "made_from": dict(self.run.made_from),
            }
            write_json(self.run.result_path, result)
            self._say_best(kept[0].weights)
        self.ranks.barrier()
        return result

    def _say_best(self, kept: str) -> None:
        if line := best_of_each_kind(self.history, self.data.metric):
            self._say(f"{self.name}: {line}; {kept} ranks first")

    def _say(self, text: str) -> None:
        if self.ranks.is_writer:
            self.progress.say(text)

    def _warn(self, text: str) -> None:
        if self.ranks.is_writer:
            self.progress.warn(f"{self.name}: {text}")
