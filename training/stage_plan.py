"""Everything of a stage that is known before it begins: images, batches, steps, learning rates."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError
from goldfold.settings import StageSettings
from goldfold.training.sampler import EpochPlan, draw_in_cycles
from goldfold.training.schedule import plateau_factor, rate_at

Numbers = NDArray[np.int64]

# Keep the random streams of one seed apart from the sampler's and the augmentation's.
_PSEUDO, _MIX = 4, 5


class StagePlan:
    """The epochs of a stage, from 0: a pure function of settings, data and seed.

    Attributes:
        stage: the settings.
        epochs: with the extra ones.
        effective_batch: images behind one step of the optimizer.
    """

    def __init__(
        self,
        stage: StageSettings,
        non_empty: NDArray[np.bool_],
        *,
        seed: int,
        weights: NDArray[np.float64] | None = None,
        extra_epochs: int = 0,
        pseudo_labelled: int = 0,
    ) -> None:
        """Plan the stage.

        Args:
            stage: how it is trained.
            non_empty: (N,) bool, whether each labelled image has a mask.
            seed: of the run.
            weights: (N,) how likely an image is drawn, where drawing is with replacement.
            extra_epochs: trained beyond the settings; they change nothing before them.
            pseudo_labelled: number of pseudo-labelled images, M.

        Raises:
            InputError: the sampling cannot be met, or pseudo-labels are asked for and missing.
        """
        self.stage, self.epochs = stage, stage.epochs + extra_epochs
        self.effective_batch = stage.batch_size * stage.accumulation
        self._seed, self._labelled = seed, len(non_empty)
        sampling = stage.sampling
        self._plan = EpochPlan(
            non_empty,
            sampling.schedule,
            sampling.start,
            sampling.end,
            epochs=stage.epochs,
            extra_epochs=extra_epochs,
            seed=seed,
            steps=sampling.steps,
            replacement=sampling.replacement,
            weights=weights,
        )
        wanted = [self._pseudo_count(epoch, pseudo_labelled) for epoch in range(self.epochs)]
        self._pseudo = draw_in_cycles(pseudo_labelled, wanted, (seed, _PSEUDO))
        self._steps = [self._steps_in(epoch) for epoch in range(self.epochs)]

    @property
    def total_steps(self) -> int:
        """Steps of all epochs."""
        return sum(self._steps)

    def fraction(self, epoch: int) -> float:
        """Return the non-empty fraction of the epoch's labelled images."""
        return self._plan.fraction(epoch)

    def counts(self, epoch: int) -> tuple[int, int, int]:
        """Return how many non-empty, empty and pseudo-labelled images the epoch shows."""
        return (*self._plan.counts(epoch), self._pseudo[epoch].size)

    def indices(self, epoch: int) -> Numbers:
        """Return the epoch's images in order; from N on they are pseudo-labelled ones."""
        labelled, pseudo = self._plan.indices(epoch), self._pseudo[epoch]
        if not pseudo.size:
            return labelled
        both = np.concatenate([labelled, self._labelled + pseudo])
        return np.random.default_rng((self._seed, _MIX, epoch)).permutation(both)

    def batches(self, epoch: int) -> list[Numbers]:
        """Return the epoch's effective batches, of nearly equal size."""
        return split_batches(self.indices(epoch), self.effective_batch)

    def steps(self, epoch: int) -> int:
        """Return the number of steps in an epoch."""
        return self._steps[epoch]

    def draw(self, epoch: int) -> str:
        """Return 12 hex digits that tell two draws apart: of the images in their order."""
        indices = self.indices(epoch).astype("<i8")
        return hashlib.sha256(indices.tobytes()).hexdigest()[:12]

    def rate(self, epoch: int, number: int, *, plateau_factor: float = 1.0) -> float:
        """Return the learning rate of an epoch's n-th step as a fraction of the highest.

        Epochs beyond the settings' own follow the schedule of the longer stage.

        Args:
            epoch: from 0.
            number: of the step in the epoch, from 0.
            plateau_factor: what the cuts of a plateau have come to.
        """
        own = self.stage.epochs
        upto = own if epoch < own else self.epochs
        a_epoch = sum(self._steps[:own]) / own
        schedule = self.stage.schedule
        return max(plateau_factor, schedule.floor) * rate_at(
            schedule.name,
            sum(self._steps[:epoch]) + number,
            total=sum(self._steps[:upto]),
            warmup=round(self.stage.warmup_epochs * a_epoch),
            floor=schedule.floor,
            period=schedule.period * a_epoch,
            growth=schedule.growth,
            rise=schedule.rise,
            power=schedule.power,
        )

    def cuts(self, scores: Sequence[float | None]) -> float:
        """Return what the cuts of a plateau have come to, 1 in another schedule.

        Args:
            scores: of the epochs so far, None where there was no validation.
        """
        schedule = self.stage.schedule
        if schedule.name != "plateau":
            return 1.0
        return plateau_factor(scores, patience=schedule.patience, factor=schedule.factor)

    def _pseudo_count(self, epoch: int, available: int) -> int:
        """Return how many pseudo-labelled images make up their share of the epoch."""
        if self.stage.pseudo_labels is None:
            return 0
        if not available:
            raise InputError(
                f"the pseudo-labels {self.stage.pseudo_labels.name!r} have no image for this fold. "
                "Write them again with a lower --confidence, or leave pseudo_labels out."
            )
        share = self.stage.pseudo_labels.share
        return round(sum(self._plan.counts(epoch)) * share / (1 - share))

    def _steps_in(self, epoch: int) -> int:
        return math.ceil(sum(self.counts(epoch)) / self.effective_batch)


def split_batches(indices: Numbers, batch_size: int) -> list[Numbers]:
    """Return consecutive batches of nearly equal size, at most `batch_size`.

    Equal shares instead of a small rest: BatchNorm never sees a single left-over image.

    >>> [len(b) for b in split_batches(np.arange(9), 4)]
    [3, 3, 3]
    """
    count = max(1, -(-len(indices) // batch_size))
    return list(np.array_split(indices, count)) if len(indices) else []
