"""Stacking: members weighted by a regression of the truth on their out-of-fold predictions.

`logistic` is a logistic regression on members' logits, `ridge` a ridge regression on their
probabilities through the origin, with weights of at least 0. For masks only the proportions of the
weights are kept, as whole numbers, because thresholds are chosen afterwards; for classes the whole
linear map is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, Ridge

from goldfold.ensemble.calibration_curve import logits
from goldfold.ensemble.class_stack import ClassStack

FloatArray = NDArray[np.float64]

SHARES = 100
"""Weights of masks are whole percentages."""

MOST_PIXELS = 200_000
"""Pixels of masks, and of background, that a regression uses; of more, evenly spaced ones."""


def stacked_weights(way: str, values: FloatArray, true: NDArray[np.bool_]) -> list[int]:
    """Return whole-numbered weights of at least 0 that add up to `SHARES`.

    If all pixels are true or all are false, or if no member helps, all weights are equal.

    Args:
        way: `logistic` or `ridge`.
        values: (M, P) the members' logits or probabilities of pixels.
        true: (P,) whether each belongs to the true mask.
    """
    places, times = spaced_sample(true)
    chosen, target = values[:, places].T.astype(np.float64), true[places]
    if target.all() or not target.any():
        return [1] * len(values)
    fit = {"logistic": positive_logistic, "ridge": positive_ridge}[way]
    return whole_shares(fit(chosen, target, times))


def spaced_sample(true: NDArray[np.bool_], most: int = MOST_PIXELS) -> tuple[Any, FloatArray]:
    """Return places of pixels, (Q,), rising, and for how many pixels each stands.

    True and false pixels are thinned separately, at even steps, so small masks are not lost.

    Args:
        true: (P,).
        most: of either kind.
    """
    places, times = [], []
    for kind in (np.flatnonzero(true), np.flatnonzero(~true)):
        kept = kind if len(kind) <= most else kind[np.arange(most) * len(kind) // most]
        places.append(kept)
        times.append(np.full(len(kept), len(kind) / max(len(kept), 1)))
    joined = np.concatenate(places)
    order = np.argsort(joined, kind="stable")
    return joined[order], np.concatenate(times)[order]


def positive_logistic(values: FloatArray, true: NDArray[np.bool_], times: FloatArray) -> FloatArray:
    """Return the coefficients of a logistic regression, none below 0, (M,).

    The loss is convex, so minimising it under bounds gives the best such coefficients; dropping
    members with negative ones does not. scikit-learn's regression has no bounds.

    Args:
        values: (P, M).
        true: (P,).
        times: (P,) how often each counts.
    """
    sign, share = np.where(true, 1.0, -1.0), times / times.sum()

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        margin = sign * (values @ theta[:-1] + theta[-1])
        slope = -sign * share * np.exp(-np.logaddexp(0, margin))
        gradient = np.append(values.T @ slope, slope.sum())
        # A tiny penalty keeps weights finite where the pixels are separable.
        penalty = 1e-6 * (theta[:-1] ** 2).sum() / 2
        gradient[:-1] += 1e-6 * theta[:-1]
        return float(share @ np.logaddexp(0, -margin) + penalty), gradient

    start = np.append(np.full(values.shape[1], 1 / values.shape[1]), 0.0)
    bounds = [*[(0, None)] * values.shape[1], (None, None)]
    options = {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9}
    minimum = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    coefficients: FloatArray = minimum.x[:-1]
    return coefficients


def positive_ridge(values: FloatArray, true: NDArray[np.bool_], times: FloatArray) -> FloatArray:
    """Return the coefficients of a ridge regression through the origin, none below 0, (M,).

    Args:
        values: (P, M).
        true: (P,).
        times: (P,) how often each counts.
    """
    fitted = Ridge(alpha=1.0, fit_intercept=False, positive=True, tol=1e-8, max_iter=10_000)
    fitted.fit(values, true.astype(np.float64), sample_weight=times)
    coefficients: FloatArray = fitted.coef_
    return coefficients


def whole_shares(coefficients: FloatArray, total: int = SHARES) -> list[int]:
    """Return whole numbers in the proportions of coefficients; equal ones where all are 0.

    >>> whole_shares(np.array([2.0, 1.0, 0.0]), total=10)
    [7, 3, 0]
    """
    if not coefficients.sum() > 0:
        return [1] * len(coefficients)
    exact = coefficients / coefficients.sum() * total
    shares = np.floor(exact).astype(int)
    by_rest = np.argsort(-(exact - shares), kind="stable")
    shares[by_rest[: total - shares.sum()]] += 1
    return [int(share) for share in shares]


def stack_classes(
    way: str, members: Sequence[FloatArray], targets: NDArray[np.uint8], *, exclusive: bool
) -> ClassStack:
    """Return the linear map from the members' predictions of classes to the classes.

    - `logistic`, classes that are not exclusive: each class by itself, on its logits.
    - `logistic`, exclusive classes: one multinomial regression on the logits of all.
    - `ridge`: each class by itself, on its probabilities.

    Where no image or every image has a class, nothing can be learned, and weights are equal.

    Args:
        way: `logistic` or `ridge`.
        members: M arrays (N, C) of probabilities.
        targets: (N, C) of 0 and 1.
        exclusive: exactly one class per image.
    """
    values, classes = np.stack(members, axis=1), targets.shape[1]
    flags = targets > 0
    known = flags.any(axis=0) & ~flags.all(axis=0)
    if way == "logistic" and exclusive:
        if not known.all():
            return ClassStack.equal(way, len(members), classes)
        return _multinomial(logits(values), targets.argmax(axis=1))
    stack = ClassStack.equal(way, len(members), classes)
    for place in np.flatnonzero(known):
        said, true = values[:, :, place], flags[:, place]
        if way == "logistic":
            fitted = LogisticRegression(tol=1e-6, max_iter=10_000)
            fitted.fit(logits(said), true)
            stack.coefficients[place, :, place] = fitted.coef_[0]
            stack.bias[place] = fitted.intercept_[0]
        elif (coefficients := positive_ridge(said, true, np.ones(len(said)))).any():
            stack.coefficients[place, :, place] = coefficients
    return stack


def stack_shares(stack: ClassStack) -> list[int]:
    """Return each member's share in percent; at least 1 for members that count at all."""
    shares = whole_shares(stack.importance)
    return [max(share, int(some > 0)) for share, some in zip(shares, stack.importance, strict=True)]


def _multinomial(values: FloatArray, labels: NDArray[np.int64]) -> ClassStack:
    """Return the softmax regression on logits (N, M, C)."""
    count, members, classes = values.shape
    fitted = LogisticRegression(tol=1e-6, max_iter=10_000)
    fitted.fit(values.reshape(count, -1), labels)
    rows, bias = fitted.coef_, fitted.intercept_
    if classes == 2:  # scikit-learn gives the second one's logit alone
        rows, bias = np.stack([0 * rows[0], rows[0]]), np.array([0.0, bias[0]])
    return ClassStack("logistic", rows.reshape(classes, members, classes), np.array(bias))
