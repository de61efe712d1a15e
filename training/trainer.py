"""The loop of one stage of one fold: epochs, validation, checkpoints, state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from torch import nn

from goldfold.errors import Stopped
from goldfold.progress import Progress, Task
from goldfold.settings import ModelSettings, StageSettings
from goldfold.training.assembly import build_step, network_facts, prepare_model
from goldfold.training.averages import Averages, batches_for_statistics
from goldfold.training.batches import EpochBatches
from goldfold.training.epoch import EpochPart, EpochSoFar, UnreadSteps, over_all_ranks, train_epoch
from goldfold.training.fold_files import FoldFiles
from goldfold.training.history import (
    Row,
    best_of_each_kind,
    best_score,
    history_row,
    scores_so_far,
    validations_without_gain,
)
from goldfold.training.loader import Batch
from goldfold.training.networks.freezing import set_training_mode
from goldfold.training.runtime import Machine
from goldfold.training.stage_plan import StagePlan
from goldfold.training.stage_validation import StageValidation
from goldfold.training.state import Progressed, Trained, load_state
from goldfold.training.step_result import StepResult
from goldfold.training.tensorboard import Board, NoBoard, open_board

if TYPE_CHECKING:
    from goldfold.training.fold_folder import FoldRun
    from goldfold.training.fold_run import FoldData


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
        self.files = FoldFiles(
            run,
            keep=stage.keep_checkpoints,
            facts=network_facts(model_settings, stage, classes),
            stop=machine.stop,
            is_writer=self.ranks.is_writer,
        )
        self.name = f"{run.folder.parents[2].name} {run.folder.parent.name} {run.folder.name}"
        self.step = build_step(
            self.model,
            stage,
            machine,
            class_weights=data.class_weights,
            classes_per_pixel=self.images.classes_per_pixel,
            say=self._say,
        )
        self.validation = StageValidation(
            stage, data, machine, self.files, check=self._stop_if_asked, warn=self._warn
        )
        self.averages = Averages(self.model, stage.ema, stage.swa_from)
        self.history: list[Row] = []
        self.so_far = EpochSoFar()
        self.batches = EpochBatches(
            self.images, stage, run.seed, machine, lambda text: self._say(f"{self.name}: {text}")
        )
        self.step.release = self.batches.release
        self.goal: int | None = None
        self.plan = self._plan()
        self.ranks.refuse_if_idle(len(self.plan.batches(0)[-1]))
        self.board: Board = NoBoard()

    def run_all(self, extend_epochs: int = 0) -> dict[str, Any]:
        """Train the epochs that are missing, then write result.json and return its content."""
        with self.files, self.machine.passes.releasing(self.batches.release):
            self._resume(extend_epochs)
            wanted = self.machine.settings.tensorboard and self.ranks.is_writer
            self.board = open_board(self.run.folder, wanted=wanted, done=len(self.history))
            with self.stop.listening(), self._task() as task:
                while len(self.history) < self.last_epoch and not self._enough():
                    self._one_epoch(len(self.history), task)
                    self._epoch_done()
            self.board.close()
            return self._finish()

    # --- where it stands ------------------------------------------------------------------------

    def _resume(self, extend_epochs: int) -> None:
        if not self.run.started():
            self.files.begin_after(0)
            self.ranks.barrier()
            return
        progressed = load_state(self.run.state_folder, self._trained())
        self.history, self.so_far = list(progressed.history), progressed.so_far
        self.step.parts = progressed.parts
        if progressed.on_device is not None:
            self.batches.on_device = progressed.on_device
        self.goal = len(self.history) + extend_epochs if extend_epochs else progressed.goal
        self.plan = self._plan()
        self.files.begin_after(progressed.epoch)
        if extend_epochs:
            self._save_state()  # says that the stage resumes, before its result is taken away
            self.files.remove_result()
        self.ranks.barrier()
        self._say_where()

    def _say_where(self) -> None:
        done = len(self.history)
        within = f", step {self.so_far.step}" if self.so_far.step else ""
        if done < self.last_epoch:
            self._say(f"{self.name}: resuming after epoch {done} of {self.last_epoch}{within}")

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

    def _task(self) -> AbstractContextManager[Task]:
        """Return what counts the steps that are left."""
        left = sum(map(self.plan.steps, range(len(self.history), self.last_epoch)))
        return self.progress.task(f"train {self.name}", left - self.so_far.step)

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
        scores = self.validation.run(
            self.model,
            self.averages,
            finished=epoch + 1,
            last=epoch + 1 == self.last_epoch,
            statistics=lambda: self._statistics_batches(epoch),
        )
        self.history.append(
            history_row(
                epoch,
                over_all_ranks(self.so_far, self.ranks),
                counts=self.plan.counts(epoch),
                draw=self.plan.draw(epoch),
                scores=scores,
                validation_seconds=monotonic() - began,
            )
        )
        self.so_far = EpochSoFar()

    def _batches(self, epoch: int) -> Iterator[Batch]:
        """Yield this rank's shares of the epoch's batches from the next step on."""
        shares = [self.ranks.share(b) for b in self.plan.batches(epoch)[self.so_far.step :]]
        return self.batches.of(epoch, shares)

    def _part(self, epoch: int) -> EpochPart:
        sizes = [len(batch) for batch in self.plan.batches(epoch)]
        factor = self.plan.cuts([best_score(row) for row in self.history])
        return EpochPart(
            epoch=epoch,
            seed=self.run.seed,
            rate=lambda number: self.plan.rate(epoch, number, plateau_factor=factor),
            image_ids=self.images.image_ids,
            most_skipped=self.machine.settings.stop_after_skipped,
            whole=sizes.__getitem__,
            after_step=self._after_step,
        )

    def _after_step(self, result: StepResult, seconds: float, unread: UnreadSteps) -> None:
        self.averages.after_step(self.model, result)
        self.stop.observe(seconds)
        self.machine.cores.look()
        asked = unread.stop if self.ranks.world > 1 else self.stop.exit_code != 0
        due = self.files.state_is_due(self.machine.mid_epoch_seconds)
        self.files.check()
        if asked or due:
            unread.read()
        if asked:
            self._stop()
        if due:
            self._save_state()

    def _stop_if_asked(self) -> None:
        """Save the state and raise Stopped, on all ranks if one was asked; make room for others."""
        self.machine.cores.look()
        if self.ranks.any(self.stop.exit_code != 0):
            self._stop()

    def _stop(self) -> NoReturn:
        self._save_state()
        self.files.settle()
        raise Stopped(
            f"{self.stop.reason}; {self.name} is saved after epoch {len(self.history)}, "
            f"step {self.so_far.step}. The same command resumes from there.",
            self.stop.exit_code or 143,
        )

    def _statistics_batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the epoch's first batches again, for BatchNorm statistics of averaged weights."""
        parts = self.step.parts if self.step.parts > self.stage.accumulation else 1
        chosen = batches_for_statistics(self.plan.batches(epoch), self.plan.effective_batch, parts)
        return self.batches.of(epoch, chosen)

    # --- what is written ------------------------------------------------------------------------

    def _epoch_done(self) -> None:
        """Make the finished epoch last: once a state stands, no epoch before is trained again."""
        self.files.write_history(self.history)
        if self.ranks.is_writer:
            self.board.write(self.history[-1])
        due = self.files.state_is_due(self.machine.state_seconds)
        if due and len(self.history) < self.last_epoch:
            self._save_state()
        self.files.tidy(len(self.history))

    def _save_state(self, finished: bool = False) -> None:
        progressed = Progressed(
            len(self.history),
            self.history,
            self.so_far,
            self.step.parts,
            self.batches.on_device,
            self.goal,
            finished,
        )
        self.files.save_state(self._trained(), progressed)

    def _trained(self) -> Trained:
        return Trained(self.model, self.step.optimizer, self.averages.by_name, self.step.scaler)

    def _finish(self) -> dict[str, Any]:
        """Write the last state, from which more epochs or the next stage begin, and the result."""
        self._save_state(finished=True)
        result: dict[str, Any] = {}
        if self.ranks.is_writer:
            result = self.files.write_result(
                self.history,
                self.model,
                stopped_early=len(self.history) < self.last_epoch,
                passes_a_step=self.step.parts,
            )
            if line := best_of_each_kind(self.history, self.data.metric):
                kept = result["checkpoints"][0]["weights"]
                self._say(f"{self.name}: {line}; {kept} ranks first")
        self.ranks.barrier()
        return result

    def _say(self, text: str) -> None:
        if self.ranks.is_writer:
            self.progress.say(text)

    def _warn(self, text: str) -> None:
        if self.ranks.is_writer:
            self.progress.warn(f"{self.name}: {text}")
