"""How far predicted probabilities of classes are from observed frequencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from goldfold.competitions.class_metric import CLIP, scored_classes
from goldfold.ensemble.class_truth import Truth

FloatArray = NDArray[np.float64]

BINS = 10


def calibration_measures(truth: Truth, probability: FloatArray) -> dict[str, float]:
    """Return Brier score, logarithmic loss and expected calibration error; lower is better.

    Each is the mean over the scored classes, each class against the rest.

    Args:
        truth: of N images.
        probability: (N, C).

    Source: M. P. Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI 2015, for the expected calibration error; ten bins of equal width.
    """
    places = scored_classes(len(truth.classes), truth.exclusive)
    pairs = [(truth.targets[:, place], probability[:, place].clip(0, 1)) for place in places]
    losses = [
        metrics.log_loss(true, said.clip(CLIP, 1 - CLIP), labels=[0, 1]) for true, said in pairs
    ]
    return {
        "brier": float(np.mean([metrics.brier_score_loss(*pair) for pair in pairs])),
        "log_loss": float(np.mean(losses)),
        "expected_calibration_error": float(np.mean([_expected_error(*pair) for pair in pairs])),
    }


def _expected_error(true: NDArray[np.uint8], said: FloatArray) -> float:
    """Return the gap between observed share and mean probability of a bin, averaged over images."""
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=true - said, minlength=BINS)
    return float(np.abs(gaps).sum() / len(said))
