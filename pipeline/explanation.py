"""`goldfold submit explain`: why an image got its mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.blend import Blend
    from goldfold.pipeline.mask_submission import DecidedMasks
    from goldfold.pipeline.open_run import OpenRun


@dataclass(frozen=True)
class Explanation:
    """What every member says of an image, and what the rule made of it.

    Attributes:
        facts: plain values, for --json.
        panels: image, probability and outlines side by side, uint8, blue first.
    """

    facts: dict[str, Any]
    panels: NDArray[np.uint8]


def explain(run: OpenRun, image_id: str) -> list[Explanation]:
    """Return why an image got its mask, or each of its masks in the order of the classes.

    A test image is explained by the submission's maps, a training image by its out-of-fold map.

    Raises:
        InputError: there is no such image, or predictions or ensemble are missing or outdated.
    """
    from goldfold.pipeline.ensemble_stage import require_ensemble

    row = image_row(run, image_id)
    require_ensemble(run)
    classes = run.settings.competition.mask_classes or [""]
    return [_explain(run, row, name) for name in classes]


def image_row(run: OpenRun, image_id: str) -> pd.Series:
    """Return the row of an image in images.csv.

    Raises:
        InputError: there is no such image.
    """
    from goldfold.errors import InputError, did_you_mean

    rows = run.images[run.images["image_id"] == image_id]
    if rows.empty:
        hint = did_you_mean(image_id, list(run.images["image_id"]))
        raise InputError(f"{run.directory.images} has no image {image_id!r}.{hint}")
    return rows.iloc[0]


def _explain(run: OpenRun, row: pd.Series, name: str) -> Explanation:
    """Return why the image of a row of images.csv got its mask of a class, "" for the only one."""
    from goldfold.competitions.image import Reading, read_image
    from goldfold.competitions.images_table import of_class
    from goldfold.pipeline.blender import true_masks
    from goldfold.pipeline.mask_submission import open_masks
    from goldfold.submissions.overlay import draw_overlay

    image_id = str(row["image_id"])
    labelled = bool(row["split"] == "train" and row["labelled"])
    decided = open_masks(run, "out-of-fold" if labelled else "test", name)
    try:
        levels, mask = decided.blend.read(image_id), decided.mask(image_id)
        true = true_masks(run, of_class(run.images, name))(image_id) if labelled else None
        facts = _facts(run, decided, image_id, levels, mask)
    finally:
        decided.blend.close()
    if labelled:
        facts |= _against_truth(run, of_class(run.images, name), image_id, mask, true)
    if name:
        facts = {"class": name, **facts}
    competition = run.settings.competition
    reading = Reading(stretch=competition.images.stretch == "image")
    picture = read_image(competition.data / row["path"], reading=reading)
    return Explanation(facts, draw_overlay(picture, levels, mask, true))


def _facts(
    run: OpenRun,
    decided: DecidedMasks,
    image_id: str,
    levels: NDArray[np.uint8],
    mask: NDArray[np.uint8],
) -> dict[str, Any]:
    import numpy as np

    from goldfold.ensemble.report import describe_rule

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
    run: OpenRun,
    images: pd.DataFrame,
    image_id: str,
    mask: NDArray[np.uint8],
    true: NDArray[np.uint8] | None,
) -> dict[str, Any]:
    import numpy as np

    from goldfold.competitions.metric import image_scores
    from goldfold.competitions.objects import mask_score
    from goldfold.pipeline.blender import true_objects

    metric, objects_of = run.settings.competition.metric, true_objects(run, images)
    truth = np.zeros_like(mask) if true is None else true
    area = int(np.count_nonzero(truth))
    if objects_of is not None:
        score = mask_score(mask, objects_of(image_id))
    else:
        intersection = int(np.count_nonzero(mask[truth > 0]))
        score = float(image_scores(metric, intersection, int(np.count_nonzero(mask)), area))
    return {"true_px": area, "score": score, "metric": metric}


def overlay_path(run: OpenRun, image_id: str) -> Path:
    """Return where the picture is written unless another place is named."""
    return run.directory.root / "explained" / f"{image_id.replace('/', '_')}.png"
