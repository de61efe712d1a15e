"""Scores of images whose mean is the competition's score, or whose sums make one ratio.

The Dice of each image has a mean. The Dice of all pixels of all images is twice the sum of what is
in both masks, over the sum of what is in either: such a score is a ratio of two sums over images.
Code that needs no more than the score of some images (`scores[which].mean()`) takes either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

OF_NOTHING = 1.0
"""The score of images that have nothing to score: no pixel is true or predicted."""


@dataclass(frozen=True, eq=False)
class Ratios:
    """What images contribute to a score that is a ratio of two sums.

    Attributes:
        above: (N,), or (N, C) where the score is the mean of C ratios.
        below: of the same shape, 0 and more.
    """

    above: FloatArray
    below: FloatArray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.above)

    def __getitem__(self, which: Any) -> Ratios:
        """Return those of some images."""
        return Ratios(self.above[which], self.below[which])

    def mean(self) -> float:
        """Return the score of all images together, `OF_NOTHING` where nothing is to be scored."""
        return float(ratio(self.above.sum(axis=0), self.below.sum(axis=0)).mean())


Scores: TypeAlias = FloatArray | Ratios
"""The score of each image, (N,), or what each contributes to a ratio."""


def ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return above / below, `OF_NOTHING` where below is 0."""
    ratios: FloatArray = np.full(np.shape(above), OF_NOTHING)
    np.divide(above, below, out=ratios, where=np.asarray(below) > 0)
    return ratios


def of_images(scores: Scores) -> FloatArray:
    """Return what each image would score alone, (N,)."""
    if not isinstance(scores, Ratios):
        return scores
    alone = ratio(scores.above, scores.below)
    return alone if alone.ndim == 1 else np.asarray(alone.mean(axis=1))


def gather(pieces: Sequence[tuple[NDArray[np.bool_], Scores]]) -> Scores:
    """Return the scores of all images from those of parts of them.

    Args:
        pieces: of each part, which of the N images it is, (N,), and their scores; each image once.
    """

    def fill(of: Callable[[Scores], FloatArray]) -> FloatArray:
        first = of(pieces[0][1])
        whole = np.empty((len(pieces[0][0]), *first.shape[1:]))
        for where, scores in pieces:
            whole[where] = of(scores)
        return whole

    if isinstance(pieces[0][1], Ratios):
        return Ratios(fill(_above), fill(_below))
    return fill(of_images)


def mean_of_classes(scores: Sequence[Scores]) -> Scores:
    """Return the scores of images that have several masks, from those of each class.

    Means become the mean of an image over its classes; ratios stay side by side, because the score
    is the mean of the classes' ratios.
    """
    if isinstance(scores[0], Ratios):
        stacked = [
            np.concatenate([_column(part(one)) for one in scores], axis=1)
            for part in (_above, _below)
        ]
        return Ratios(*stacked)
    mean: FloatArray = np.mean([of_images(one) for one in scores], axis=0)
    return mean


def _above(scores: Scores) -> FloatArray:
    assert isinstance(scores, Ratios)
    return scores.above


def _below(scores: Scores) -> FloatArray:
    assert isinstance(scores, Ratios)
    return scores.below


def _column(values: FloatArray) -> FloatArray:
    return values.reshape(len(values), -1)
