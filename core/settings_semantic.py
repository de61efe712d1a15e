"""Which settings semantic segmentation can and cannot have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from goldfold.vocabulary import Stacking, names_of

if TYPE_CHECKING:
    from goldfold.settings import EnsembleSettings
    from goldfold.settings_competition import CompetitionSettings
    from goldfold.settings_training import ModelSettings, StageSettings

MOST_CLASSES = 255
"""Classes of a pixel: the cache keeps one byte per pixel, whose largest value means ignored."""
IGNORED = "ignored"
"""What images.csv calls the pixels that neither loss nor metric looks at."""
BINARY_LOSSES = ("bce", "focal", "lovasz", "tversky", "presence")
"""Parts of the loss that are computed for one mask at a time."""


def semantic_problem(stage: StageSettings) -> str:
    """Return what a stage asks for that semantic segmentation does not have, "" if nothing."""
    loss = stage.loss
    if wrong := [name for name in BINARY_LOSSES if getattr(loss, name)]:
        return (
            f"loss.{wrong[0]} is computed for one mask at a time, but a pixel has exactly one "
            "class; set loss = { bce = 0.0, cross_entropy = 1.0, dice = 1.0 }"
        )
    if loss.class_weights == "balanced":
        return 'loss.class_weights = "balanced" counts images, not pixels; give each class a weight'
    if wrong := [name for name in ("mixup", "cutmix") if getattr(stage, name)]:
        return f"{wrong[0]} belongs to classification"
    return ""


def semantic_conflicts(models: Sequence[ModelSettings], ensemble: EnsembleSettings) -> str:
    """Return which settings of models and ensemble semantic segmentation lacks, "" if none."""
    if headed := [model.name for model in models if model.presence_head]:
        return f"model {headed[0]}: presence_head needs one mask per image; set it to false"
    wrong = {
        "ensemble.thresholds": ensemble.thresholds is not None,
        "ensemble.post_processing": ensemble.post_processing != "off",
        "ensemble.leave_empty": bool(ensemble.leave_empty),
        "ensemble.rule": ensemble.rule != "centre",
        "ensemble.presence_gate": ensemble.presence_gate != "auto",
        "ensemble.min_area_candidates": ensemble.min_area_candidates is not None,
        "ensemble.calibration": ensemble.calibration != "none",
        f"ensemble.weights = {ensemble.weights!r}": ensemble.weights in names_of(Stacking),
    }
    if named := [name for name, is_set in wrong.items() if is_set]:
        return (
            f"{' and '.join(named)} cannot be set where each pixel has exactly one class: a "
            "pixel gets its most likely class, and least areas are chosen out of fold"
        )
    if ensemble.merge == "rank":
        return (
            'ensemble.merge = "rank" ranks each class on its own, so the classes of a '
            "pixel can no longer be compared; use mean, geometric or logit"
        )
    return ""


def class_map_problem(form: CompetitionSettings) -> str:
    """Return why the pixels of a competition cannot have exactly one class each, "" if they can."""
    classes = form.classes
    if not form.is_semantic:
        return ""
    if not 2 <= len(classes) <= MOST_CLASSES or IGNORED in classes:
        return (
            f"semantic segmentation needs 2 to {MOST_CLASSES} classes, the background first and "
            f'none called "{IGNORED}"; found {len(classes)}'
        )
    problems = {
        "classes names a class twice": len(set(classes)) != len(classes),
    }
    return next((text for text, is_so in problems.items() if is_so), "")
