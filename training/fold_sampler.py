"""The sampling schedules as a PyTorch sampler, for any DataLoader and any training loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from goldfold.competitions.pixels import as_array
from goldfold.errors import InputError
from goldfold.training.sampler import EpochPlan, Fraction
from goldfold.vocabulary import SamplingSchedule


class FoldSampler(Sampler[int]):
    """Indices of an epoch's training images, at the fraction of masks that a schedule asks for.

    Each epoch shows all P non-empty images and, at fraction p, round(P (1 - p) / p) empty ones,
    which are dealt like cards: each is seen before any comes again. The indices are a function of
    (seed, epoch) alone, whatever the number of workers, and whatever was drawn before.

    Call `set_epoch` before each epoch, as with PyTorch's `DistributedSampler` (Lightning does so
    by itself); without it every epoch is epoch 0.

    >>> sampler = FoldSampler([1, 0, 0, 0, 0, 0], folds=[0, 0, 0, 1, 1, 1], held_out=1)
    >>> sorted(sampler)
    [0, 1, 2]
    """

    def __init__(
        self,
        non_empty: Any,
        schedule: SamplingSchedule = "natural",
        start: Fraction = "natural",
        end: Fraction = "natural",
        *,
        epochs: int = 1,
        folds: Any = None,
        held_out: Any = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = False,
        steps: Sequence[tuple[int, float]] = (),
        replacement: bool = False,
        weights: Any = None,
    ) -> None:
        """Plan the epochs of one process.

        Args:
            non_empty: (N,) of the whole data set: booleans, or mask areas in pixels (above 0 =
                non-empty).
            schedule: of the fraction of non-empty images, see `fraction_at`.
            start: fraction in the first epoch, 0 to 1, or "natural" for the data's own.
            end: fraction in the last.
            epochs: over which the schedule goes; later epochs keep the last fraction.
            folds: (N,) fold of each image; indices then are of images outside `held_out` only.
            held_out: the fold that is not trained on.
            seed: of the draw and the order.
            rank: number of this process, from 0.
            world: number of processes. All get equally many indices; the last ones are filled up
                with the first of the epoch, so that no process waits for another.
            drop_last: leave the rest out instead of filling up.
            steps: (first epoch from 1, fraction) pairs of the schedule "steps".
            replacement: draw every image anew instead of dealing them like cards.
            weights: (N,) above 0, how likely an image is; needs replacement.

        Raises:
            InputError: lengths differ, a value is missing, the fold does not exist, the rank is
                not one of the world, or the fraction cannot be met.
        """
        flags = _flags(non_empty)
        self._images = _training_images(flags.size, folds, held_out)
        whole = all(isinstance(number, int | np.integer) for number in (rank, world))
        if not whole or not 0 <= rank < world:
            raise InputError(f"expected a rank from 0 to world - 1, found {rank} of {world}.")
        self._rank, self._world, self._drop_last = int(rank), int(world), drop_last
        chances = None if weights is None else _of_length(weights, flags.size, "weights")
        self._options: dict[str, Any] = {
            "epochs": epochs,
            "seed": seed,
            "steps": steps,
            "replacement": replacement,
            "weights": None if chances is None else chances[self._images],
        }
        self._schedule: tuple[SamplingSchedule, Fraction, Fraction] = (schedule, start, end)
        self._non_empty = flags[self._images]
        self._epochs, self._epoch = epochs, 0
        self._plan = EpochPlan(self._non_empty, *self._schedule, **self._options)

    @property
    def epoch(self) -> int:
        """Return the epoch that iteration shows, from 0."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that the next iteration shows.

        Raises:
            InputError: not a whole number of at least 0.
        """
        if not isinstance(epoch, int | np.integer) or epoch < 0:
            raise InputError(f"expected an epoch of 0 or more, found {epoch!r}.")
        self._epoch = int(epoch)
        if self._epoch >= len(self._plan):
            # Twice as many as needed, so that a long training seldom plans anew.
            extra = 2 * (self._epoch + 1) - self._epochs
            self._plan = EpochPlan(
                self._non_empty, *self._schedule, extra_epochs=extra, **self._options
            )

    def fraction(self) -> float:
        """Return the share of non-empty images in this epoch, 0 to 1, over all ranks."""
        return self._plan.fraction(self._epoch)

    def __len__(self) -> int:
        """Return how many indices this rank gets in this epoch."""
        total = sum(self._plan.counts(self._epoch))
        return total // self._world if self._drop_last else -(-total // self._world)

    def __iter__(self) -> Iterator[int]:
        """Yield indices into the whole data set, in order."""
        order = self._images[self._plan.indices(self._epoch)]
        return iter(np.resize(order, len(self) * self._world)[self._rank :: self._world].tolist())


def _flags(non_empty: Any) -> NDArray[np.bool_]:
    """Return whether each image has a mask, from booleans or areas."""
    given = as_array(non_empty)
    if given.ndim != 1 or not given.size:
        raise InputError(
            f"expected non_empty as one value per image, found shape {given.shape}. Pass areas "
            "such as [mask.sum() for mask in masks]."
        )
    if given.dtype != np.bool_ and not np.issubdtype(given.dtype, np.number):
        raise InputError(
            f"expected non_empty as booleans or mask areas in pixels, found {given.dtype} such as "
            f"{given[0]!r}. Say which images have a mask, for example table.mask != ''."
        )
    bad = np.flatnonzero(~np.isfinite(given) | (given < 0))
    if bad.size:
        raise InputError(
            f"expected non_empty as booleans or areas of 0 or more, found {given[bad[0]]} at "
            f"{bad[0]}, {bad.size:,} such in all. Fill them in or leave these images out."
        )
    return given > 0


def _of_length(values: Any, length: int, what: str) -> NDArray[Any]:
    given = as_array(values)
    if given.shape != (length,):
        raise InputError(
            f"expected {what} as one value for each of the {length:,} images, found shape "
            f"{given.shape}."
        )
    return given


def _training_images(images: int, folds: Any, held_out: Any) -> NDArray[np.int64]:
    """Return the indices of the images that are not held out."""
    if (folds is None) != (held_out is None):
        raise InputError(
            "expected folds together with held_out: the fold of each image, and the fold that is "
            "not trained on."
        )
    if folds is None:
        return np.arange(images)
    given = _of_length(folds, images, "folds")
    known = sorted(set(given.tolist()), key=str)
    if held_out not in known:
        raise InputError(
            f"held_out = {held_out!r} is none of the folds {', '.join(map(repr, known[:20]))}."
        )
    kept = np.flatnonzero(given != held_out)
    if not kept.size:
        raise InputError(f"all images are in fold {held_out!r}; nothing is left to train on.")
    return kept
