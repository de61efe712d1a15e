"""What a training writes into its folder: checkpoints, history, state, result.

A thread writes from copies while the training goes on. It does so in the order in which things
were given to it, so that a kill at any moment leaves what it would have left without the thread: a
state never stands before the checkpoints of its epochs, and nothing is removed that a resume from
the last state on the disk would need.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from time import monotonic
from types import TracebackType
from typing import Any

from torch import nn

from goldfold.files import write_json
from goldfold.training.background import Background
from goldfold.training.checkpoint import (
    is_among_best,
    keep_best,
    rank,
    save_checkpoint,
)
from goldfold.training.divergence import no_checkpoint
from goldfold.training.fold_folder import FoldRun
from goldfold.training.history import Row, write_history
from goldfold.training.host_copy import HostCopy
from goldfold.training.state import Progressed, StateCopy, Trained, save_state, weights_digest
from goldfold.training.stopping import StopRequest
from goldfold.training.validation import ValidationScore


class FoldFiles:
    """Writes the folder of one stage of a fold. Of several ranks one writes, the others pretend.

    An error of the thread (a full disk) is raised by the method that is called next.

    Attributes:
        state_epoch: finished epochs of the last state that was given to the thread.
    """

    def __init__(
        self,
        run: FoldRun,
        *,
        keep: int,
        facts: Mapping[str, Any],
        stop: StopRequest,
        is_writer: bool = True,
    ) -> None:
        """Take where to; nothing is written yet.

        Args:
            run: the folder, and what the training is made from.
            keep: checkpoints, the best ones.
            facts: of the network, for its checkpoints.
            stop: is told how long a state takes.
            is_writer: whether this process writes.
        """
        self._run, self._keep, self._facts, self._stop = run, keep, facts, stop
        self._is_writer = is_writer
        self._background = Background("writer")
        self._durations: deque[float] = deque()
        self._last_state: Future[None] | None = None
        self.state_epoch, self._state_given = 0, monotonic()

    def __enter__(self) -> FoldFiles:
        """Return this object; what is given to the thread is complete when the block ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for the thread; raise its error unless there is one already."""
        self._background.close()
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise what the thread has failed at."""
        while self._durations:
            self._stop.observe(self._durations.popleft())
        self._background.check()

    def settle(self) -> None:
        """Wait until all is on the disk."""
        self._background.settle()
        self.check()

    def begin_after(self, epoch: int) -> None:
        """Remove the checkpoints of later epochs, which are made again; after 0 of all."""
        self.state_epoch = epoch
        if self._is_writer:
            keep_best(self._run.folder, self._keep, epoch)

    def keep_if_good(self, kind: str, model: nn.Module, epoch: int, score: ValidationScore) -> None:
        """Write a checkpoint if it is among the best so far.

        Args:
            kind: raw, ema or swa.
            model: with these weights.
            epoch: finished epochs.
            score: of the validation.
        """
        if not self._is_writer:
            return
        self.settle()  # the ranks of those before are read from the disk
        place = rank(score.score, score.non_empty_score, epoch)
        if not is_among_best(self._run.folder, self._keep, place):
            return
        copy = HostCopy(model.state_dict())

        def write() -> None:
            save_checkpoint(
                self._run.folder / "checkpoints",
                copy,
                epoch=epoch,
                weights=kind,
                score=score.score,
                non_empty_score=score.non_empty_score,
                facts=self._facts,
            )

        self._background.submit(write)

    def write_history(self, history: Sequence[Row]) -> None:
        """Write the rows of the finished epochs."""
        rows = list(history)
        if self._is_writer:
            self._background.submit(lambda: write_history(self._run.folder, rows))

    def state_is_due(self, seconds: float) -> bool:
        """Return whether the last state is so old."""
        return monotonic() - self._state_given >= seconds

    def save_state(self, trained: Trained, progressed: Progressed) -> None:
        """Copy the state and let it be written, after the one before is."""
        if self._is_writer:
            self._background.settle(self._last_state)  # two copies would need too much memory
            copy = StateCopy.of(trained, progressed, self._run.made_from)

            def write() -> None:
                began = monotonic()
                save_state(self._run.state_folder, copy)
                self._durations.append(monotonic() - began)

            self._last_state = self._background.submit(write)
        self.state_epoch, self._state_given = progressed.epoch, monotonic()
        self.check()

    def tidy(self, epoch: int) -> None:
        """Remove all but the best checkpoints up to an epoch, and what the last state needs."""
        if self._is_writer:
            folder, keep, state_epoch = self._run.folder, self._keep, self.state_epoch
            self._background.submit(lambda: keep_best(folder, keep, epoch, state_epoch))

    def write_result(
        self, history: Sequence[Row], model: nn.Module, *, stopped_early: bool, passes_a_step: int
    ) -> dict[str, Any]:
        """Write what makes the training a finished one, once all else stands, and return it.

        Args:
            history: of all epochs.
            model: with the last weights.
            stopped_early: whether fewer epochs were trained than the settings say.
            passes_a_step: forward passes behind a change of the weights.

        Raises:
            GoldfoldError: there is no checkpoint.
        """
        digest = weights_digest(model)
        self.settle()
        kept = keep_best(self._run.folder, self._keep, len(history))
        if not kept:
            raise no_checkpoint(self._run.folder, history)
        result = {
            "checkpoints": [checkpoint.summary for checkpoint in kept],
            "epochs": len(history),
            "stopped_early": stopped_early,
            "passes_a_step": passes_a_step,
            "skipped_steps": sum(row["skipped_steps"] for row in history),
            "last_weights": digest,
            "made_from": dict(self._run.made_from),
        }
        write_json(self._run.result_path, result)
        return result

    def remove_result(self) -> None:
        """Let the training be unfinished, once a state stands that says so."""
        self.settle()
        if self._is_writer:
            self._run.result_path.unlink(missing_ok=True)
