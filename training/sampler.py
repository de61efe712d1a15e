"""Which images an epoch shows: all with a mask, and as many empty ones as the schedule asks for."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goldfold.errors import InputError

Schedule = Literal["constant", "linear", "cosine", "natural"]
Fraction = float | Literal["natural"]

MAX_REPEATS = 100
"""An epoch that shows an empty image more often than this is refused as a mistake."""

# Keep the two random streams of one seed apart.
_DRAW, _ORDER = 0, 1


def fraction_at(
    schedule: Schedule, start: Fraction, end: Fraction, epoch: int, epochs: int, *, natural: float
) -> float:
    """Return the fraction of images with a non-empty mask that `epoch` (from 0) aims at.

    The first epoch has `start` and the last has `end`; `constant` stays at `start`, `natural`
    is the data's own fraction throughout. The text "natural" for `start` or `end` means the same.

    >>> [fraction_at("linear", 0.8, 0.2, epoch, 4, natural=0.3) for epoch in (0, 3)]
    [0.8, 0.2]

    Source: the linear fall from 0.8 to 0.22 is the 4th place's of SIIM-ACR Pneumothorax.
    """
    first = natural if start == "natural" else float(start)
    last = natural if end == "natural" else float(end)
    done = epoch / (epochs - 1) if epochs > 1 else 0.0
    match schedule:
        case "natural":
            return natural
        case "constant":
            return first
        case "linear":
            return (1 - done) * first + done * last
        case "cosine":
            return last + (first - last) * (1 + math.cos(math.pi * done)) / 2
    raise InputError(
        f"unknown sampling schedule {schedule!r}: choose constant, linear, cosine or natural."
    )


class EpochPlan:
    """The images of every epoch, fixed by the data, the schedule and the seed alone.

    An epoch at fraction p shows each of the P non-empty images once and round(P (1 - p) / p)
    empty ones. Empty images are drawn without replacement across epochs: each is seen before
    any comes again, and no epoch shows one twice before it has shown all. Nothing is
    remembered between epochs, so a resumed training needs no state of the sampler.

    Without empty images an epoch is all images; likewise without non-empty ones.
    """

    def __init__(
        self,
        non_empty: ArrayLike,
        schedule: Schedule = "natural",
        start: Fraction = "natural",
        end: Fraction = "natural",
        *,
        epochs: int = 1,
        seed: int = 0,
    ) -> None:
        """Plan `epochs` epochs over images of which `non_empty` (N,) bool tells the masks.

        Raises:
            InputError: there are no images, or a fraction is out of range or so small that an
                empty image would come more than `MAX_REPEATS` times an epoch.
        """
        flags = np.asarray(non_empty, dtype=bool)
        if flags.size == 0:
            raise InputError("expected images to sample from, found none.")
        self._seed = seed
        self._non_empty: NDArray[np.int64] = np.flatnonzero(flags)
        self._empty: NDArray[np.int64] = np.flatnonzero(~flags)
        natural = self._non_empty.size / flags.size
        self._fractions = [
            fraction_at(schedule, start, end, epoch, epochs, natural=natural)
            for epoch in range(epochs)
        ]
        counts = [self._empty_count(epoch) for epoch in range(epochs)]
        self._drawn = _draw_in_cycles(self._empty.size, counts, seed)

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self._fractions)

    def fraction(self, epoch: int) -> float:
        """Return the non-empty fraction that the epoch really has, after rounding, in 0..1."""
        non_empty, empty = self.counts(epoch)
        return non_empty / (non_empty + empty)

    def counts(self, epoch: int) -> tuple[int, int]:
        """Return how many non-empty and how many empty images the epoch shows."""
        return self._non_empty.size, self._drawn[epoch].size

    def indices(self, epoch: int) -> NDArray[np.int64]:
        """Return the epoch's images in the order they are shown, as indices into `non_empty`."""
        shown = np.concatenate([self._non_empty, self._empty[self._drawn[epoch]]])
        return np.random.default_rng((self._seed, _ORDER, epoch)).permutation(shown)

    def _empty_count(self, epoch: int) -> int:
        """Return round(P (1 - p) / p), or all empty images where there is nothing to balance."""
        fraction = self._fractions[epoch]
        positives, negatives = self._non_empty.size, self._empty.size
        if not 0.0 <= fraction <= 1.0:
            raise InputError(f"a sampling fraction must be between 0 and 1, found {fraction:g}.")
        if positives == 0 or negatives == 0:
            return negatives
        wanted = math.inf if fraction == 0 else positives * (1 - fraction) / fraction
        if wanted > MAX_REPEATS * negatives:
            raise InputError(
                f"the sampling fraction {fraction:g} in epoch {epoch + 1} cannot be met: beside "
                f"{positives} non-empty images it asks for {wanted:.0f} empty ones, each of the "
                f"{negatives} more than {MAX_REPEATS} times. Choose a larger fraction; the data's "
                f'own is {positives / (positives + negatives):.3g} ("natural").'
            )
        return round(wanted)


def _draw_in_cycles(population: int, counts: list[int], seed: int) -> list[NDArray[np.int64]]:
    """Return, for each epoch, `counts[epoch]` numbers below `population`, dealt like cards.

    A shuffled deck is dealt to the end before the next is shuffled. Within an epoch a new deck
    starts with the cards which that epoch has shown least, so that its counts, too, differ by
    at most one.
    """
    deck: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    decks = 0
    dealt = []
    for count in counts:
        hand: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        while hand.size < count:
            if deck.size == 0:
                deck = np.random.default_rng((seed, _DRAW, decks)).permutation(population)
                times_shown = np.bincount(hand, minlength=population)
                deck = deck[np.argsort(times_shown[deck], kind="stable")]
                decks += 1
            take = count - hand.size
            hand = np.concatenate([hand, deck[:take]])
            deck = deck[take:]
        dealt.append(hand)
    return dealt
