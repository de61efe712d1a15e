"""Why an image got its mask: each member's prediction, the blend, the rule, the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold.competitions.ignored_pixels import outside_ignored
from goldfold.competitions.images_table import of_class
from goldfold.competitions.metric import image_scores
from goldfold.tasks.mask_blending import level_truths, true_masks
from goldfold.tasks.mask_submission import open_masks
from goldfold.tasks.mask_words import explanation_lines
from goldfold.tasks.results import Explanation

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.blend import Blend
    from goldfold.tasks.mask_submission import DecidedMasks
    from goldfold.tasks.run_view import MemberSource, RunView


def explain_mask(run: RunView, source: MemberSource, row: pd.Series, name: str) -> Explanation:
    """Return why the image of a row of images.csv got its mask of a class, "" for the only one."""
    from goldfold.competitions.image import picture_reading, read_image
    from goldfold.competitions.resize import resize_image
    from goldfold.submissions.overlay import draw_overlay

    image_id = str(row["image_id"])
    labelled = bool(row["split"] == "train" and row["labelled"])
    decided = open_masks(run, source, "out-of-fold" if labelled else "test", name)
    try:
        levels, mask = decided.blend.read(image_id), decided.mask(image_id)
        true, ignored = None, None
        if labelled:
            true_mask, ignored_of = true_masks(run, of_class(run.images, name))
            true, ignored = true_mask(image_id), ignored_of(image_id)
        facts = _facts(run, decided, image_id, levels, mask)
    finally:
        decided.blend.close()
    if labelled:
        judged = outside_ignored(mask, ignored)
        facts |= _against_truth(run, of_class(run.images, name), image_id, judged, true)
    if name:
        facts = {"class": name, **facts}
    competition = run.settings.competition
    reading = picture_reading(competition.images)
    picture = read_image(competition.data / row["path"], reading=reading)
    if competition.mask_size is not None:
        picture = resize_image(picture, *competition.mask_size)
    return Explanation(facts, draw_overlay(picture, levels, mask, true), explanation_lines(facts))


def _facts(
    run: RunView,
    decided: DecidedMasks,
    image_id: str,
    levels: NDArray[np.uint8],
    mask: NDArray[np.uint8],
) -> dict[str, Any]:
    import numpy as np

    from goldfold.ensemble.mask_choice import describe_rule

    rule, blend = decided.rule, decided.blend
    presence = blend.presence(image_id)
    above_top = int(np.count_nonzero(levels > rule.top))
    if rule.gate and presence is not None and presence < rule.gate:
        verdict = f"empty: presence {presence / 256:.3f} is below the gate {rule.gate / 256:.3f}"
    elif above_top < rule.min_area:
        verdict = (
            f"empty: {above_top:,} pixels reach {rule.top_probability:.3f}, fewer than "
            f"{rule.min_area:,}"
        )
    elif not mask.any():
        verdict = f"empty: no pixel of a mask that reaches {rule.bottom_probability:.3f} is left"
    else:
        verdict = (
            f"a mask: {above_top:,} pixels reach {rule.top_probability:.3f} "
            f"(at least {rule.min_area:,} must), so the pixels from "
            f"{rule.bottom_probability:.3f} are it"
        )
    return {
        "image_id": image_id,
        "members": [
            {"member": member.name, "weight": member.weight, **_look(blend, number, image_id, rule)}
            for number, member in enumerate(blend.members)
        ],
        "blend": _numbers(levels, rule, presence),
        "rule": describe_rule(rule),
        "verdict": verdict,
        "mask_px": int(np.count_nonzero(mask)),
    }


def _look(blend: Blend, number: int, image_id: str, rule: Any) -> dict[str, Any]:
    alone = blend.of_member(number)
    return _numbers(alone.read(image_id), rule, alone.presence(image_id))


def _numbers(levels: NDArray[np.uint8], rule: Any, presence: int | None) -> dict[str, Any]:
    import numpy as np

    return {
        "highest_probability": (int(levels.max()) + 0.5) / 256,
        "px_from_top": int(np.count_nonzero(levels > rule.top)),
        "px_from_bottom": int(np.count_nonzero(levels > rule.bottom)),
        "presence": None if presence is None else (presence + 0.5) / 256,
    }


def _against_truth(
    run: RunView,
    images: pd.DataFrame,
    image_id: str,
    mask: NDArray[np.uint8],
    true: NDArray[np.uint8] | None,
) -> dict[str, Any]:
    import numpy as np

    from goldfold.competitions.level_truth import truth_score

    metric, truth_of = run.settings.competition.metric, level_truths(run, images)
    truth = np.zeros_like(mask) if true is None else true
    area = int(np.count_nonzero(truth))
    if truth_of is not None:
        score = truth_score(truth_of(image_id), mask)
    else:
        intersection = int(np.count_nonzero(mask[truth > 0]))
        score = float(image_scores(metric, intersection, int(np.count_nonzero(mask)), area))
    return {"true_px": area, "score": score, "metric": metric}
