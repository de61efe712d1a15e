"""Why an image got its grade or number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.errors import InputError
from goldfold.tasks.grade_words import explanation_lines
from goldfold.tasks.results import Explanation

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.tasks.run_view import MemberSource, RunView


def explain_number(run: RunView, source: MemberSource, row: pd.Series) -> Explanation:
    """Return why an image got its grade or number, and a picture of it beside its cut points.

    Raises:
        InputError: there is no prediction of it, or predictions are missing or outdated.
    """
    from goldfold.competitions.image import picture_reading, read_image
    from goldfold.submissions.class_picture import draw_classes
    from goldfold.tasks.grade_ensemble import decide_run
    from goldfold.tasks.grade_training import truth_of

    image_id, form = str(row["image_id"]), run.settings.competition
    labelled = bool(row["split"] == "train" and row["labelled"])
    decided = decide_run(run, source, "out-of-fold" if labelled else "test")
    if image_id not in decided.members.image_ids:
        raise InputError(f"{image_id} has no prediction: the trained folds do not hold it out.")
    at = decided.members.image_ids.index(image_id)
    scale = decided.choice.scale
    named = zip(
        decided.members.names,
        [decided.choice.weights[name] for name in decided.members.names],
        [float(scale.number(place[at])[0]) for place in decided.members.place], strict=True,
    )  # fmt: skip
    facts: dict[str, Any] = {
        "image_id": image_id,
        "members": [
            {"member": name, "weight": weight, "number": number} for name, weight, number in named
        ],
        "merge": decided.choice.merge,
        "number": float(scale.number(decided.place[at])),
        "cuts": dict(
            zip(scale.grades[1:], scale.number(np.array(decided.choice.cuts)).tolist(), strict=True)
        ),
        "predicted": decided.words(float(decided.predicted[at])),
    }
    if labelled:
        truth = truth_of(form, run.images, [image_id])
        facts["true"] = decided.words(float(truth.numbers[0]))
        facts["error"] = float(decided.predicted[at] - truth.numbers[0])
    steps = [f"at least {name}" for name in scale.grades[1:]] or ["number"]
    limits = dict(zip(steps, list(decided.choice.cuts), strict=False))
    picture = draw_classes(
        read_image(form.data / row["path"], reading=picture_reading(form.images)),
        dict.fromkeys(steps, float(decided.place[at])),
        limits,
    )
    return Explanation(facts, picture, explanation_lines(facts))
