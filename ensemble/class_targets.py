"""Class probabilities and their truth as the user passes them, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.competitions.pixels import as_array, check_probabilities
from goldfold.errors import InputError, first_few

Kind = Literal["binary", "exclusive", "labels"]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ClassTargets:
    """What is true of N images, and how likely it was said to be.

    Attributes:
        kind: `binary`: yes or no, (N,); `exclusive`: one of C classes; `labels`: any of C.
        truth: int64, as the metric gets it: (N,) of 0 and 1, (N,) of class numbers (or their
            names), or (N, C) of 0 and 1.
        flags: bool (N, C) of the classes that are true; (N, 1) of a binary target.
        probability: float64 (N, C); (N, 1) of a binary target.
        names: of the C classes.
    """

    kind: Kind
    truth: NDArray[Any]
    flags: NDArray[np.bool_]
    probability: FloatArray
    names: tuple[Any, ...]

    @property
    def scores(self) -> FloatArray:
        """Return the probabilities as the metric gets them, (N,) or (N, C)."""
        return self.probability[:, 0] if self.kind == "binary" else self.probability

    def answers(self, flags: NDArray[np.bool_]) -> NDArray[Any]:
        """Return predicted classes, bool (N, C), in the form of `truth`."""
        if self.kind == "exclusive":
            named: NDArray[Any] = np.asarray(self.names)[flags.argmax(axis=1)]
            return named
        whole = flags.astype(np.int64)
        return whole[:, 0] if self.kind == "binary" else whole


def class_targets(probabilities: Any, targets: Any, classes: Any = None) -> ClassTargets:
    """Return checked targets and probabilities.

    Args:
        probabilities: (N,) of yes, or (N, C), floats from 0 to 1; a DataFrame names its classes.
        targets: (N,) of 0 and 1; or (N, C) of 0 and 1; or (N,) of class numbers or names.
        classes: C names of the columns of probabilities, where targets are names.

    Raises:
        InputError: shapes, dtypes or values do not fit; the message says which.
    """
    if classes is None and isinstance(probabilities, pd.DataFrame):
        classes = list(probabilities.columns)
    probability = _probability(probabilities)
    truth = as_array(targets)
    if not len(probability) or len(truth) != len(probability):
        raise InputError(
            f"expected one row of probabilities and one target for each image, found "
            f"{len(probability):,} and {len(truth):,}."
        )
    if probability.ndim == 1 or probability.shape[1] == 1:
        column = _zeros_and_ones(truth.reshape(len(truth), -1))
        if column.shape[1] != 1:
            raise InputError(
                f"expected one target for each image, found shape {truth.shape} beside "
                f"probabilities of shape {probability.shape}."
            )
        flags = column > 0
        return ClassTargets("binary", column[:, 0], flags, probability.reshape(-1, 1), (1,))
    if truth.ndim == 2:
        if truth.shape != probability.shape:
            raise InputError(
                f"expected targets of the probabilities' shape {probability.shape}, found "
                f"{truth.shape}."
            )
        whole = _zeros_and_ones(truth)
        names = tuple(range(whole.shape[1])) if classes is None else tuple(classes)
        return ClassTargets("labels", whole, whole > 0, probability, names)
    return _exclusive(truth, probability, classes)


def _probability(given: Any) -> FloatArray:
    probability = as_array(given)
    if not np.issubdtype(probability.dtype, np.floating) or probability.ndim > 2:
        raise InputError(
            "expected probabilities as floats from 0 to 1 of shape (N,) or (N, C), found "
            f"{probability.dtype} {probability.shape}. They come first, the targets second."
        )
    check_probabilities(probability, "the probabilities")
    return probability.astype(np.float64)


def _zeros_and_ones(truth: NDArray[Any]) -> NDArray[np.int64]:
    if not (truth.dtype == np.bool_ or np.issubdtype(truth.dtype, np.number)):
        raise InputError(
            f"expected targets of 0 and 1, found {truth.dtype} such as {truth.flat[0]!r}. Compare "
            "with the positive class first, for example labels == 'pneumonia'."
        )
    bad = np.unique(truth[(truth != 0) & (truth != 1)])
    if bad.size:
        raise InputError(
            f"expected targets of 0 and 1, found {first_few([f'{value:g}' for value in bad])}. "
            f"Class "
            "numbers need a probability of each class, shape (N, C)."
        )
    return truth.astype(np.int64)


def _exclusive(truth: NDArray[Any], probability: FloatArray, classes: Any) -> ClassTargets:
    """Return targets that are the name or the number of one class."""
    names = tuple(range(probability.shape[1])) if classes is None else tuple(classes)
    if len(names) != probability.shape[1] or len(set(names)) != len(names):
        raise InputError(
            f"expected {probability.shape[1]} different classes, one for each column of the "
            f"probabilities, found {first_few([str(name) for name in names])}."
        )
    given = set(truth.tolist())
    if not given <= set(names) and given <= set(range(len(names))):
        names = tuple(range(len(names)))  # the columns have names, the targets are their numbers
    unknown = sorted(str(value) for value in given - set(names))
    if unknown:
        raise InputError(
            f"these targets are none of the classes {', '.join(map(str, names))}: "
            f"{first_few(unknown)}. Name the columns of the probabilities with classes."
        )
    place = {name: number for number, name in enumerate(names)}
    places = np.array([place[value] for value in truth.tolist()])
    flags = np.arange(len(names)) == places[:, None]
    return ClassTargets("exclusive", np.asarray(names)[places], flags, probability, names)
