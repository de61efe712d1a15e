"""Calibration: curves from what a member predicts to a probability, fitted out of fold.

For masks a curve is fitted on the pixels of each level, which are counted once from the whole maps,
so its cost does not depend on the number of images. For classes it is fitted on the images. Where
classes are exclusive, each has a curve of its own (one against the rest), and rows are scaled to a
sum of one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from goldfold.ensemble.calibration_curve import (
    MIDDLES,
    Curve,
    IsotonicCurve,
    PlattCurve,
    logits,
)
from goldfold.errors import InputError, did_you_mean
from goldfold.vocabulary import CalibrationCurve, names_of

FloatArray = NDArray[np.float64]


def fit_curve(probability: FloatArray, true: FloatArray, count: FloatArray, way: str) -> Curve:
    """Return the curve from probabilities to the share of cases that are true.

    Args:
        probability: (K,) 0 to 1.
        true: (K,) cases of that probability that are true.
        count: (K,) all cases of that probability, at least `true`; not all 0.
        way: `isotonic` or `platt`.

    Raises:
        InputError: there is no such way.
    """
    seen = count > 0
    match way:
        case "isotonic":
            return _isotonic(probability[seen], true[seen], count[seen])
        case "platt":
            return _platt(probability[seen], true[seen], count[seen])
    known = names_of(CalibrationCurve)
    raise InputError(
        f"unknown calibration {way!r}; there are {', '.join(known)}.{did_you_mean(way, known)}"
    )


def _isotonic(probability: FloatArray, true: FloatArray, count: FloatArray) -> IsotonicCurve:
    """Return the isotonic regression, kept off 0 and 1, where a logarithmic loss is infinite.

    Source: scikit-learn; the bounds are Laplace's rule of succession.
    """
    edge = 1 / (float(count.sum()) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    fitted.fit(probability, true / count, sample_weight=count)
    return IsotonicCurve(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))


def _platt(probability: FloatArray, true: FloatArray, count: FloatArray) -> PlattCurve:
    """Return the logistic regression on the logit.

    Targets stay off 0 and 1, as in Platt's paper, so the regression exists even where classes are
    separable. A member whose logit falls as the truth rises gets a constant.

    Source: J. Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    positive = float(true.sum())
    negative = float(count.sum()) - positive
    high, low = (positive + 1) / (positive + 2), 1 / (negative + 2)
    yes = true * high + (count - true) * low
    fitted = LogisticRegression(C=np.inf, tol=1e-6, max_iter=10_000)
    fitted.fit(
        np.tile(logits(probability), 2)[:, None],
        np.repeat([1, 0], len(probability)),
        sample_weight=np.concatenate([yes, count - yes]),
    )
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if slope > 0:
        return PlattCurve(slope, intercept)
    return PlattCurve(0.0, float(np.log(yes.sum() / (count - yes).sum())))


def level_table(counts: NDArray[np.int64], way: str) -> list[float]:
    """Return the calibrated probability of each level of a member's maps, (256,), never falling.

    Args:
        counts: (2, 256) pixels by level, all and true ones.
        way: `isotonic` or `platt`.
    """
    curve = fit_curve(MIDDLES, counts[1].astype(float), counts[0].astype(float), way)
    table: list[float] = np.maximum.accumulate(curve(MIDDLES)).tolist()  # rounding may fall
    return table


def class_curves(
    probability: FloatArray, targets: NDArray[np.uint8], way: str
) -> tuple[Curve, ...]:
    """Return the curve of each class of a member.

    Args:
        probability: (N, C) out of fold.
        targets: (N, C) of 0 and 1.
        way: `isotonic` or `platt`.
    """
    ones = np.ones(len(probability))
    return tuple(
        fit_curve(probability[:, place], targets[:, place].astype(float), ones, way)
        for place in range(probability.shape[1])
    )
