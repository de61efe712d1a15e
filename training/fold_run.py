"""One model trained on all folds but one: made from settings, resumed where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from goldfold.errors import GoldfoldError, InputError
from goldfold.files import read_json, write_json, write_text
from goldfold.progress import SILENT, Progress, Task
from goldfold.settings import ModelSettings, StageSettings
from goldfold.training.augmentation import get_recipe
from goldfold.training.cache import ImageCache
from goldfold.training.checkpoint import keep_best, save_checkpoint
from goldfold.training.device import Device
from goldfold.training.epoch import EpochResult, Step, train_epoch
from goldfold.training.loader import iterate_batches, split_batches
from goldfold.training.loss import WeightedLoss
from goldfold.training.model import build_model
from goldfold.training.sampler import EpochPlan
from goldfold.training.schedule import learning_rate_at
from goldfold.training.state import Progressed, load_state, read_made_from, save_state
from goldfold.training.validation import ValidationImages, ValidationScore, validate


@dataclass(frozen=True)
class FoldData:
    """What a fold run learns from: cache rows (int64), presence (bool) and the held-out images."""

    cache: ImageCache
    rows: NDArray[np.int64]
    non_empty: NDArray[np.bool_]
    validation: ValidationImages
    metric: str


@dataclass(frozen=True)
class FoldRun:
    """Where a fold run lives and what it is made from (compared when it is resumed)."""

    folder: Path
    seed: int
    made_from: Mapping[str, Any]

    @property
    def result_path(self) -> Path:
        """The file that stands once the training is finished."""
        return self.folder / "result.json"

    def finished(self) -> bool:
        """Return whether this very training is finished.

        Raises:
            InputError: the folder holds a training that was made from something else.
        """
        self.refuse_other()
        return self.result_path.is_file()

    def refuse_other(self) -> None:
        """Raise InputError if the folder holds a training made from something else."""
        there = read_made_from(self.folder / "state")
        if there is None or there == dict(self.made_from):
            return
        raise InputError(
            f"{self.folder} holds a training made from other input:\n"
            + "\n".join(f"  {line}" for line in _differences(there, self.made_from))
            + "\nTrain it again with --overwrite, set these back, or use another run directory."
        )


def train_fold(
    run: FoldRun,
    model_settings: ModelSettings,
    stage: StageSettings,
    data: FoldData,
    *,
    device: Device,
    workers: int,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train, or go on training, one fold; return the content of its result.json.

    After each epoch the state is written, so a kill costs at most the epoch it fell into, and
    the epoch is then repeated with the same images, the same augmentation and the same result.

    Raises:
        InputError: the folder holds another training, or the network cannot be built.
        GoldfoldError: the loss is not a number.
    """
    if run.finished():
        return dict(read_json(run.result_path))
    torch.manual_seed(run.seed)
    model = build_model(
        model_settings.architecture,
        model_settings.encoder,
        encoder_weights=model_settings.encoder_weights,
        channels=model_settings.channels,
        options=model_settings.options,
    ).to(device.device)
    trainer = _Trainer(run, model, model_settings, stage, data, device, workers)
    return trainer.run_all(progress)


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
    ) -> None:
        self.run, self.model, self.stage, self.data = run, model, stage, data
        self.device, self.workers = device, workers
        self.recipe = get_recipe(stage.augmentation)
        self.plan = EpochPlan(
            data.non_empty,
            schedule=stage.sampling.schedule,
            start=stage.sampling.start,
            end=stage.sampling.end,
            epochs=stage.epochs,
            seed=run.seed,
        )
        # bf16 autocast keeps float32 weights: no master copy, no loss scaling.
        optimizer = torch.optim.AdamW(
            _parameter_groups(model, stage.weight_decay), lr=stage.learning_rate
        )
        loss = WeightedLoss(bce=stage.loss.bce, dice=stage.loss.dice)
        self.step = Step(model, loss, optimizer, device, stage.gradient_clip)
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
            shown = _shown_of(history)
            for epoch in range(progressed.epoch, self.stage.epochs):
                history.append(self._one_epoch(epoch, task, shown))
                shown = _shown_of(history)
                self._write_history(history)
                save_state(
                    self.run.folder / "state",
                    self.model,
                    self.step.optimizer,
                    Progressed(epoch + 1, history),
                    dict(self.run.made_from),
                )
                keep_best(self.run.folder, self.stage.keep_checkpoints, epoch + 1)
        return self._finish()

    def _resume(self, progress: Progress) -> Progressed:
        folder = self.run.folder / "state"
        if not (folder / "state.json").is_file():
            keep_best(self.run.folder, 0, 0)
            return Progressed(0, [])
        progressed = load_state(folder, self.model, self.step.optimizer)
        # Checkpoints of the epoch that a kill cut short are made again.
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
        return _history_row(epoch, result, fraction, self._validated(epoch))

    def _rate_from(self, first_step: int):  # type: ignore[no-untyped-def]
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
        """Validate where it is due, keeping a checkpoint with the score."""
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
        )
        save_checkpoint(
            self.run.folder / "checkpoints",
            self.model,
            epoch=finished,
            score=score.score,
            facts=self.facts,
        )
        return score

    def _steps_in(self, epoch: int) -> int:
        images = sum(self.plan.counts(epoch))
        return -(-images // self.stage.batch_size)

    def _write_history(self, history: list[dict[str, Any]]) -> None:
        text = pd.DataFrame(history).to_csv(index=False, lineterminator="\n")
        write_text(self.run.folder / "history.csv", text)

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
        return result


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay kernels only; decaying biases and BatchNorm gains only shrinks the signal."""
    kernels = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


def _history_row(
    epoch: int, result: EpochResult, fraction: float, score: ValidationScore | None
) -> dict[str, Any]:
    return {
        "epoch": epoch + 1,
        "loss": result.loss,
        "learning_rate": result.learning_rate,
        "non_empty_fraction": fraction,
        "images": result.images,
        "score": score.score if score else None,
        "score_at_half": score.score_at_half if score else None,
        "best_threshold": (score.level + 1) / 256 if score else None,
        "seconds": round(result.seconds, 3),
        "images_per_second": round(result.images / max(result.seconds, 1e-9), 2),
    }


def _shown_of(history: list[dict[str, Any]]) -> dict[str, object]:
    scores = [row["score"] for row in history if row["score"] is not None]
    return {"score": scores[-1], "best": max(scores)} if scores else {}


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], path: str = "") -> list[str]:
    """Return one line for every value that differs, nested tables by dotted name."""
    lines = []
    for key in sorted(set(there) | set(here)):
        old, new = there.get(key), here.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += _differences(old, new, f"{path}{key}.")
        elif old != new:
            lines.append(f"{path}{key}: it was {old!r}, now {new!r}")
    return lines
