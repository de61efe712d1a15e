"""One function for the honest score of the user's own predictions: masks or classes, any metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from typing import Any

from goldfold.competitions.pixels import as_array
from goldfold.competitions.rle import DialectLike
from goldfold.ensemble.class_score import ClassScore, Takes, make_judge, score_classes
from goldfold.ensemble.class_targets import class_targets
from goldfold.ensemble.cross_fitted import make_parts
from goldfold.ensemble.rule_choice import RuleChoice, choose_rule
from goldfold.errors import InputError
from goldfold.vocabulary import RuleChoice as RuleName


def honest_score(
    probabilities: Any,
    targets: Any,
    metric: str | Callable[[Any, Any], float],
    *,
    folds: Any = None,
    groups: Iterable[Any] | None = None,
    takes: Takes | None = None,
    greater_is_better: bool = True,
    classes: Any = None,
    dialect: DialectLike | None = None,
    choice: RuleName = "centre",
    samples: int = 1000,
    seed: int = 0,
) -> ClassScore | RuleChoice:
    """Return the cross-fitted score of out-of-fold predictions, in short their honest score.

    Thresholds for the images of each fold are chosen on the other folds, with the metric itself;
    the score is that of all images, so judged, together. Of masks it is the mean over images.

    - Masks (maps of shape (H, W)): as `choose_rule`, whose result is returned.
    - Classes (probabilities of shape (N,) or (N, C)): a threshold for each class. With targets
      that name one of more than two classes the most likely one counts, and nothing is chosen.

    Args:
        probabilities: of classes: floats (N,) of yes, or (N, C); a DataFrame names its classes. Of
            masks: N maps, as in `choose_rule`.
        targets: of classes: (N,) of 0 and 1, (N, C) of 0 and 1, or (N,) of class names or numbers.
            Of masks: N true masks, as in `choose_rule`.
        metric: a function of targets and answers, in scikit-learn's order; a name: "accuracy",
            "f1", "auroc", "neg-log-loss" of classes, "dice", "mean-iou-thresholds" of masks. For
            masks the function gets one image's true and predicted mask.
        folds: (N,) fold in which each image was held out.
        groups: (N,) patient or other group of each image, for the interval.
        takes: what a function of classes takes: "labels" (the default; thresholds are chosen) or
            "probabilities".
        greater_is_better: of a function.
        classes: names of the C columns, where targets are names.
        dialect: of true masks that are run-length encodings.
        choice: of the rule of masks, as in `choose_rule`.
        samples: resamplings of groups behind the interval; each computes the metric of classes.
        seed: of the resampling.

    Raises:
        InputError: lengths, shapes, dtypes or values do not fit; the message says which.

    >>> score = honest_score([0.9, 0.2, 0.8, 0.3], [1, 0, 1, 0], "accuracy", folds=[0, 0, 1, 1])
    >>> score.honest, score.thresholds
    (1.0, (0.55,))
    """
    if _are_maps(probabilities):
        if takes is not None or classes is not None:
            raise InputError("takes and classes belong to class probabilities; these are maps.")
        return choose_rule(
            probabilities,
            targets,
            metric,
            folds=folds,
            groups=groups,
            dialect=dialect,
            choice=choice,
            greater_is_better=greater_is_better,
            samples=samples,
            seed=seed,
        )
    judge = make_judge(metric, takes, greater_is_better)
    known = class_targets(probabilities, targets, classes)
    parts = make_parts(len(known.flags), folds, groups, seed)
    return score_classes(known, parts, judge, samples=samples, seed=seed)


def _are_maps(probabilities: Any) -> bool:
    """Return whether there is a map for each image, not a number for each class."""
    if callable(probabilities) or not isinstance(probabilities, Sized):
        return True
    if isinstance(probabilities, list | tuple):
        return bool(probabilities) and as_array(probabilities[0]).ndim > 1
    return as_array(probabilities).ndim > 2
