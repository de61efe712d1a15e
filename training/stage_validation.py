"""Validation at the end of an epoch: raw weights and averages, and which of them are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from torch import nn

from goldfold.errors import NotFiniteError
from goldfold.settings import StageSettings
from goldfold.training.averages import Averages
from goldfold.training.divergence import not_scored
from goldfold.training.fold_files import FoldFiles
from goldfold.training.held_out import score_held_out
from goldfold.training.history import RAW
from goldfold.training.loader import Batch
from goldfold.training.runtime import Machine
from goldfold.training.validation import ValidationScore

if TYPE_CHECKING:
    from goldfold.training.fold_run import FoldData


class StageValidation:
    """Scores the networks of a stage where it is due, and keeps the checkpoints that are good."""

    def __init__(
        self,
        stage: StageSettings,
        data: FoldData,
        machine: Machine,
        files: FoldFiles,
        *,
        check: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        """Take the parts.

        Args:
            stage: says when.
            data: with the held-out images.
            machine: device, threads, ranks.
            files: take the checkpoints.
            check: called after every batch; may raise to break off.
            warn: takes a line about what is not finite.
        """
        self._stage, self._data, self._machine, self._files = stage, data, machine, files
        self._check, self._warn = check, warn

    def is_due(self, finished: int, last: bool) -> bool:
        """Return whether it is due after so many epochs."""
        early = finished < self._stage.validate_from
        return last or not (early or finished % self._stage.validate_every)

    def run(
        self,
        model: nn.Module,
        averages: Averages,
        *,
        finished: int,
        last: bool,
        statistics: Callable[[], Iterator[Batch]],
    ) -> dict[str, ValidationScore]:
        """Return the scores by kind of weights (raw, ema, swa), {} where it is not due.

        Args:
            model: with the raw weights.
            averages: of them.
            finished: epochs.
            last: whether the stage ends with this one.
            statistics: makes the batches that BatchNorm statistics of averages are taken from.
        """
        if not self.is_due(finished, last):
            return {}
        scores = {}
        device = self._machine.device
        averaged = averages.candidates(
            last=last,
            batches=statistics,
            device=device,
            passes=self._machine.passes,
            say=lambda text: self._warn(f"epoch {finished}: BatchNorm statistics: {text}"),
        )
        for kind, network in {RAW: model, **averaged}.items():
            try:
                scores[kind] = self._score(kind, network, finished)
            except NotFiniteError as error:
                self._warn(not_scored(kind, finished, error))
            else:
                self._files.keep_if_good(kind, network, finished, scores[kind])
        return scores

    def _score(self, kind: str, network: nn.Module, finished: int) -> ValidationScore:
        return score_held_out(
            network,
            self._data,
            batch_size=self._stage.batch_size,
            machine=self._machine,
            check=self._check,
            warn=lambda text: self._warn(f"epoch {finished}: {kind} {text}"),
        )
