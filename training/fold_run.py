"""One stage of a model, trained on all folds but one, or gone on with where it stopped."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from goldfold.errors import InputError
from goldfold.files import read_json, remove_leftovers
from goldfold.folds.fold_view import Fold
from goldfold.locks import locked_folder
from goldfold.progress import SILENT, Progress
from goldfold.settings import ModelSettings, StageSettings
from goldfold.training.assembly import build_network, network_facts, require_fitting_network
from goldfold.training.cache import ImageCache
from goldfold.training.compile_choice import choose_compilation
from goldfold.training.fold_folder import FoldRun
from goldfold.training.images import PseudoLabelled, Targets, TrainingImages
from goldfold.training.initial_weights import starting_weights
from goldfold.training.runtime import Machine
from goldfold.training.trainer import Trainer
from goldfold.training.validation import HeldOutImages

__all__ = ["FoldData", "FoldRun", "HeldOutImages", "train_fold"]


@dataclass(frozen=True)
class FoldData:
    """What a stage learns from, and the held-out images it is judged on.

    Attributes:
        cache: the labelled images at the stage's size.
        rows: (L,) int64, those to learn from.
        non_empty: (L,) bool, whether their mask has pixels.
        validation: the held-out fold.
        metric: name of the competition's metric.
        weights: (L,) float64, how likely each is drawn where drawing is with replacement.
        pseudo: unlabelled images with labels of a model that never saw the held-out fold.
        labels: (L, C) where whole images have classes, uint8 0 or 1, or numbers, float32 0 to 1.
        class_weights: (C,) of the loss, None where all are 1.
        mirror: as in `TrainingImages`.
        fold: whose images these are; with it every row is checked.

    Raises:
        LeakError: an image to learn from is held out by the fold, or one to judge on is not.
    """

    cache: ImageCache
    rows: NDArray[np.int64]
    non_empty: NDArray[np.bool_]
    validation: HeldOutImages
    metric: str
    weights: NDArray[np.float64] | None = None
    pseudo: PseudoLabelled | None = None
    labels: Targets | None = None
    class_weights: tuple[float, ...] | None = None
    mirror: tuple[int, ...] = ()
    fold: Fold | None = None

    def __post_init__(self) -> None:
        """Refuse leaks, by the ids of the cache's rows that will really be used."""
        if self.fold is not None:
            judged = self.cache.ids_read(self.validation.rows)
            self.fold.require_held_out(judged, "validation")
            _ = self.images  # which refuses what the fold holds out

    @property
    def images(self) -> TrainingImages:
        """The images to learn from, by one number each."""
        labels = None if self.labels is None else self.labels * np.uint8(255)
        mirror = self.mirror
        if mirror and self.cache.ignores:  # ignored pixels are behind the masks, and stay there
            mirror = (*mirror, self.cache.classes)
        return TrainingImages(self.cache, self.rows, self.pseudo, labels, mirror, self.fold)

    @property
    def per_image(self) -> bool:
        """Whether an image has one row of targets, not targets for each pixel."""
        return self.labels is not None

    @property
    def classes(self) -> int:
        """Outputs of the network: classes, or masks of an image."""
        return self.cache.classes if self.labels is None else self.labels.shape[1]


def train_fold(
    run: FoldRun,
    model_settings: ModelSettings,
    stage: StageSettings,
    data: FoldData,
    *,
    machine: Machine,
    extend_epochs: int = 0,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train, or resume training, a stage of one fold; return the content of its result.json.

    Between epochs, and within long ones, the state is written if the last one is old enough. A
    kill costs the steps since then, which are repeated with the same images, the same
    augmentation and, on a CPU with the same number of threads, the same result to the last bit.

    Args:
        run: the folder, the seed and what the training is made from.
        model_settings: the network.
        stage: how it is trained.
        data: what it learns from and is judged on.
        machine: where, how fast and until when it is trained.
        extend_epochs: train so many more epochs if the stage is finished.
        progress: counts steps.

    Raises:
        InputError: the folder holds another training, or the network cannot be built, or the
            stage before is not finished, or there is nothing to extend.
        GoldfoldError: the loss is not finite too often, or memory does not suffice.
        Stopped: a signal came or the time is up; the state is saved.
        OutputError: the folder cannot be written to, or another process is training there.
    """
    if run.finished() and not extend_epochs:
        return dict(read_json(run.result_path))
    with ExitStack() as stack:
        if machine.ranks.is_writer:
            stack.enter_context(locked_folder(run.folder))
            remove_leftovers(run.folder)
        machine.ranks.barrier()
        finished = run.finished()
        if extend_epochs and not finished:
            raise InputError(
                f"{run.folder} is not finished, so it cannot be extended. Let it finish first: "
                "the same command without --extend-epochs."
            )
        if finished and not extend_epochs:  # by a process that was faster
            return dict(read_json(run.result_path))
        stack.enter_context(machine.sharing_cores(progress.say))
        model = _build(run, model_settings, stage, data)
        machine = _with_compilation(run, model, model_settings, stage, data, machine, progress)
        trainer = Trainer(run, model, model_settings, stage, data, machine, progress)
        return trainer.run_all(extend_epochs)


def _with_compilation(
    run: FoldRun,
    model: nn.Module,
    model_settings: ModelSettings,
    stage: StageSettings,
    data: FoldData,
    machine: Machine,
    progress: Progress,
) -> Machine:
    """Return the machine, knowing whether it compiles this network."""
    compilation = choose_compilation(
        model,
        stage,
        machine,
        network_facts(model_settings, stage, data.classes),
        images=len(data.rows),
        folder=run.folder.parents[2],
        say=progress.say,
    )
    return replace(machine, compilation=compilation)


def _build(
    run: FoldRun, model_settings: ModelSettings, stage: StageSettings, data: FoldData
) -> nn.Module:
    """Return the network before the stage's first step.

    It follows from the seed alone, or from the weights of the stage before.
    """
    torch.manual_seed(run.seed)
    own = run.started() or run.before is not None  # needs no download
    weights = "none" if own else model_settings.encoder_weights
    model = build_network(model_settings, weights, data.classes)
    require_fitting_network(model, model_settings, stage, data.classes, classifies=data.per_image)
    if run.before is not None and not run.started():
        model.load_state_dict(starting_weights(run.before, stage.start))
    return model
