"""Which images an epoch shows: all with a mask, and as many empty ones as the schedule asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goldfold.errors import InputError
from goldfold.own_code import Role, is_reference, once, running, wrong_value
from goldfold.vocabulary import SamplingSchedule, names_of

Fraction = float | Literal["natural"]

MAX_REPEATS = 100
"""An epoch that shows an empty image more often than this is refused as a mistake."""

SCHEDULE = Role(
    "sampling.schedule",
    "fraction(epoch, epochs, natural)",
    "the fraction of images with a mask in that epoch (from 0), a number above 0 and at most 1",
    positional=3,
)

# Keep the random streams of one seed apart (2 is the augmentation's).
_DRAW, _ORDER, _REPLACE = 0, 1, 3


def fraction_at(
    schedule: SamplingSchedule | str,
    start: Fraction,
    end: Fraction,
    epoch: int,
    epochs: int,
    *,
    natural: float,
    steps: Sequence[tuple[int, float]] = (),
) -> float:
    """Return the fraction of images with a non-empty mask that `epoch` (from 0) aims at.

    The first epoch has `start` and the last, and any after it, has `end`; `constant` stays at
    `start`; `steps` takes the fraction of the last of its (first epoch from 1, fraction) pairs
    that has begun; `natural` is the fraction in the data throughout, and `positives-only` is 1.
    The text "natural" for `start` or `end` means the data's own fraction, too. A bound
    `module:object` is asked for the fraction of each epoch.

    >>> [fraction_at("linear", 0.8, 0.2, epoch, 4, natural=0.3) for epoch in (0, 3)]
    [0.8, 0.2]

    Source: the linear fall from 0.8 to 0.22 is the 4th place's of SIIM-ACR Pneumothorax.
    """
    first = natural if start == "natural" else float(start)
    last = natural if end == "natural" else float(end)
    done = min(epoch / (epochs - 1), 1.0) if epochs > 1 else 0.0
    match schedule:
        case "natural" | "positives-only":
            return natural if schedule == "natural" else 1.0
        case "steps":
            return [fraction for begin, fraction in steps if begin <= epoch + 1][-1]
        case "constant":
            return first
        case "linear":
            return (1 - done) * first + done * last
        case "cosine":
            return last + (first - last) * (1 + math.cos(math.pi * done)) / 2
    if is_reference(schedule):
        return own_fraction(schedule, epoch, epochs, natural)
    raise InputError(
        f"unknown sampling schedule {schedule!r}: choose one of "
        f"{', '.join(names_of(SamplingSchedule))}."
    )


def own_fraction(schedule: str, epoch: int, epochs: int, natural: float) -> float:
    """Return the fraction that a schedule of the user's own gives, above 0 up to 1.

    Raises:
        InputError: the function fails, or returns something else.
    """
    function = once(schedule, SCHEDULE)
    with running(schedule, SCHEDULE):
        fraction = function(epoch, epochs, natural)
    number = isinstance(fraction, int | float | np.floating) and not isinstance(fraction, bool)
    if not number or not 0 < fraction <= 1:
        raise wrong_value(schedule, SCHEDULE, f"{fraction!r:.60} for epoch {epoch} of {epochs}")
    return float(fraction)


class EpochPlan:
    """The images of every epoch, fixed by the data, the schedule and the seed alone.

    An epoch at fraction p shows each of the P non-empty images once and round(P (1 - p) / p)
    empty ones. Empty images are drawn without replacement across epochs: each is seen before
    any comes again, and no epoch shows one twice before it has shown all. Nothing is
    remembered between epochs, so a resumed training needs no state of the sampler.

    With replacement P non-empty images and as many empty ones are drawn anew each epoch, by
    weight if there are weights. Without empty images an epoch is all images; likewise without
    non-empty ones. Epochs beyond the planned ones keep the last fraction.
    """

    def __init__(
        self,
        non_empty: ArrayLike,
        schedule: SamplingSchedule | str = "natural",
        start: Fraction = "natural",
        end: Fraction = "natural",
        *,
        epochs: int = 1,
        extra_epochs: int = 0,
        seed: int = 0,
        steps: Sequence[tuple[int, float]] = (),
        replacement: bool = False,
        weights: ArrayLike | None = None,
    ) -> None:
        """Plan `epochs` epochs over images of which `non_empty` (N,) bool tells the masks.

        Args:
            non_empty: (N,) bool.
            schedule: of the fraction, see `fraction_at`.
            start: fraction in the first epoch.
            end: fraction in the last.
            epochs: over which the schedule goes.
            extra_epochs: further ones at the last fraction; they change nothing before.
            seed: of the run.
            steps: of the schedule `steps`.
            replacement: draw every image anew instead of dealing them like cards.
            weights: (N,) above 0, how likely an image is; needs replacement.

        Raises:
            InputError: there are no images, or a fraction is out of range or so small that an
                empty image would come more than `MAX_REPEATS` times an epoch.
        """
        flags = np.asarray(non_empty, dtype=bool)
        if flags.size == 0:
            raise InputError("expected images to sample from, found none.")
        self._seed, self._replacement = seed, replacement
        self._weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        if self._weights is not None and not replacement:
            raise InputError("sampling weights need replacement = true.")
        self._non_empty: NDArray[np.int64] = np.flatnonzero(flags)
        self._empty: NDArray[np.int64] = np.flatnonzero(~flags)
        natural = self._non_empty.size / flags.size
        self._fractions = [
            fraction_at(schedule, start, end, epoch, epochs, natural=natural, steps=steps)
            for epoch in range(epochs + extra_epochs)
        ]
        self._only_positives = schedule == "positives-only"
        counts = [self._empty_count(epoch) for epoch in range(len(self._fractions))]
        self._drawn = draw_in_cycles(self._empty.size, counts, (seed, _DRAW))

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
        shown = (
            self._redrawn(epoch)
            if self._replacement
            else np.concatenate([self._non_empty, self._empty[self._drawn[epoch]]])
        )
        return np.random.default_rng((self._seed, _ORDER, epoch)).permutation(shown)

    def _redrawn(self, epoch: int) -> NDArray[np.int64]:
        """Return the epoch's images drawn with replacement, by weight."""
        random = np.random.default_rng((self._seed, _REPLACE, epoch))
        drawn = []
        for images, count in zip((self._non_empty, self._empty), self.counts(epoch), strict=True):
            chances = None if self._weights is None else self._weights[images]
            if chances is not None and chances.size:
                chances = chances / chances.sum()
            some = images if not images.size else random.choice(images, count, p=chances)
            drawn.append(np.asarray(some, dtype=np.int64))
        return np.concatenate(drawn)

    def _empty_count(self, epoch: int) -> int:
        """Return round(P (1 - p) / p), or all empty images where there is nothing to balance."""
        fraction = self._fractions[epoch]
        positives, negatives = self._non_empty.size, self._empty.size
        if not 0.0 <= fraction <= 1.0:
            raise InputError(f"a sampling fraction must be between 0 and 1, found {fraction:g}.")
        if positives == 0 and self._only_positives:
            raise InputError(
                'the sampling schedule "positives-only" needs images with a mask, found none.'
            )
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


def sampling_weights(values: NDArray[Any], weight_by: str, power: float) -> NDArray[np.float64]:
    """Return how likely each image is drawn, float64 (N,), above 0 and of mean 1.

    Args:
        values: (N,) areas in pixels, or the class of each image.
        weight_by: `area`: area to the power, an empty image like one of a single pixel; else 1 /
            (number of images of the class) to the power: at 1 every class is drawn as often.
        power: 0 makes all alike; negative with `area` prefers small masks.

    >>> sampling_weights(np.array(["a", "a", "a", "b"]), "view", 1.0).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    if weight_by == "area":
        weights = np.maximum(values.astype(np.float64), 1.0) ** power
    else:
        _, kinds, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
        weights = (1.0 / counts[kinds]) ** power
    normalised: NDArray[np.float64] = weights / weights.mean()
    return normalised


def draw_in_cycles(
    population: int, counts: Sequence[int], seed: tuple[int, ...]
) -> list[NDArray[np.int64]]:
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
                deck = np.random.default_rng((*seed, decks)).permutation(population)
                times_shown = np.bincount(hand, minlength=population)
                deck = deck[np.argsort(times_shown[deck], kind="stable")]
                decks += 1
            take = count - hand.size
            hand = np.concatenate([hand, deck[:take]])
            deck = deck[take:]
        dealt.append(hand)
    return dealt
