"""Why an image got its classes: each member's prediction, the blend, thresholds, the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold.competitions.class_metric import log_losses
from goldfold.errors import InputError
from goldfold.tasks.class_ensemble import truth_of
from goldfold.tasks.class_submission import decide_classes
from goldfold.tasks.class_words import explanation_lines
from goldfold.tasks.results import Explanation

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.settings import CompetitionSettings
    from goldfold.tasks.class_submission import DecidedClasses
    from goldfold.tasks.run_view import MemberSource, RunView


def explain_classes(run: RunView, source: MemberSource, row: pd.Series) -> Explanation:
    """Return why an image got its classes: the image, and its probabilities beside it.

    A test image is explained as it is submitted, a training image by what is said of it out of
    fold, held against its true classes.

    Args:
        run: the run.
        source: of its members.
        row: of images.csv.

    Raises:
        InputError: predictions are missing or outdated.
    """
    from goldfold.competitions.image import picture_reading, read_image
    from goldfold.submissions.class_picture import draw_classes

    labelled = bool(row["split"] == "train" and row["labelled"])
    decided = decide_classes(run, source, "out-of-fold" if labelled else "test")
    form = run.settings.competition
    facts = _facts(form, decided, str(row["image_id"]))
    if labelled:
        facts |= _against_truth(run, decided, facts)
    reading = picture_reading(form.images)
    picture = draw_classes(
        read_image(form.data / row["path"], reading=reading),
        facts["blend"],
        facts["thresholds"],
        facts.get("true"),
    )
    return Explanation(facts, picture, explanation_lines(facts))


def _facts(form: CompetitionSettings, decided: DecidedClasses, image_id: str) -> dict[str, Any]:
    """Return what is said of an image, and what comes of it.

    Raises:
        InputError: nothing is predicted of it.
    """
    members, classes = decided.members, form.classes
    if image_id not in members.image_ids:
        raise InputError(f"{image_id} has no prediction: the trained folds do not hold it out.")
    place = members.image_ids.index(image_id)

    def by_class(values: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(classes, values.tolist(), strict=True))

    blend = by_class(decided.probability[place])
    cut = not (form.exclusive and len(classes) > 2)
    scored = classes[1:] if form.exclusive else classes  # of two exclusive ones only the second
    limits = dict(zip(classes, decided.choice.thresholds, strict=True))
    thresholds = {name: limits[name] for name in scored} if cut else {}
    flags = decided.predicted[place].tolist()
    predicted = [name for name, yes in zip(classes, flags, strict=True) if yes]
    return {
        "image_id": image_id,
        "members": [
            {
                "member": name,
                "weight": decided.choice.weights[name],
                "probability": by_class(table[place]),
            }
            for name, table in zip(members.names, members.probability, strict=True)
        ],
        "merge": decided.choice.blend_of(members.names).name,
        "blend": blend,
        "thresholds": thresholds,
        "predicted": predicted,
        "verdict": _verdict(blend, thresholds, predicted),
    }


def _compared(name: str, above: bool, value: str, limit: str) -> str:
    return f"{name} {value} is {'at least' if above else 'below'} {limit}"


def told_apart(value: float, limit: float) -> tuple[str, str]:
    """Return both numbers in the fewest digits, three at least, that show which is larger.

    >>> told_apart(0.47879168, 0.47879171)
    ('0.47879168', '0.47879171')
    """
    pairs = ((f"{value:.{digits}f}", f"{limit:.{digits}f}") for digits in range(3, 18))
    told = (pair for pair in pairs if pair[0] != pair[1] or value == limit)
    return next(told, (repr(value), repr(limit)))


def _verdict(blend: dict[str, float], thresholds: dict[str, float], predicted: list[str]) -> str:
    """Return in words why these classes are predicted."""
    if not thresholds:
        first, second = sorted(blend, key=lambda name: -blend[name])[:2]
        return (
            f"{first}: the most likely class, {blend[first]:.3f}; next {second} {blend[second]:.3f}"
        )
    told = ", ".join(
        _compared(name, name in predicted, *told_apart(blend[name], limit))
        for name, limit in thresholds.items()
    )
    return f"{', '.join(predicted) or 'no class'}: {told}"


def _against_truth(run: RunView, decided: DecidedClasses, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the true classes of a training image and how far it is right."""
    place = decided.members.image_ids.index(facts["image_id"])
    truth = truth_of(run, run.images, [facts["image_id"]])
    here = decided.probability[place : place + 1]
    flags = truth.targets[0] > 0
    true = [name for name, yes in zip(truth.classes, flags.tolist(), strict=True) if yes]
    losses = log_losses(truth.targets, here, truth.exclusive, truth.class_weights)
    return {"true": true, "right": true == facts["predicted"], "log_loss": float(losses[0])}
