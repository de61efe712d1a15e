"""What ensemble.json says: members, rule, honest and optimistic score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from goldfold.competitions.histogram import JUDGED, LEVELS
from goldfold.competitions.metric import OBJECT_METRICS, scored_by_level
from goldfold.ensemble.blend import Member
from goldfold.ensemble.honest import Assessment
from goldfold.ensemble.mask_choice import describe_rule
from goldfold.ensemble.plateau import Plateau
from goldfold.ensemble.post_processing import NOTHING
from goldfold.ensemble.post_search import PostSearch
from goldfold.metric_names import metric_name

FORMAT = 1


def build_report(
    members: Sequence[Member],
    assessment: Assessment,
    metric: str,
    *,
    merge: str = "mean",
    level_counts: Mapping[str, Sequence[int]] | None = None,
    weights: str | Sequence[int] = "equal",
    calibration: Mapping[str, Any] | None = None,
    post: PostSearch | None = None,
    overlap: pd.DataFrame | None = None,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of ensemble.json, plain values only.

    Args:
        members: the blend.
        assessment: of `assess` on its out-of-fold maps.
        metric: name of the competition's metric.
        merge: on what maps are averaged.
        level_counts: by member, pixels by level, where maps are averaged by rank.
        weights: how they were chosen.
        calibration: its way, and by member the calibrated probability of each level.
        post: steps after the thresholds, None where they were not searched.
        overlap: of `overlap_table`, if it was made.
        facts: more to keep under `made_from` (fingerprints, versions).
    """
    one_fold = assessment.fold_count == 1
    chosen = assessment.chosen
    return {
        "format": FORMAT,
        "metric": metric,
        "merge": merge,
        "weights": weights if isinstance(weights, str) else "given",
        "members": [_describe_member(member, level_counts or {}) for member in members],
        **({"calibration": dict(calibration)} if calibration else {}),
        "rule": describe_rule(chosen.rule),
        "post_processing": asdict(NOTHING if post is None else post.steps),
        **_judged(metric),
        "tied_threshold_pairs": chosen.peak.ties,
        "peak": {"rule": describe_rule(chosen.peak.rule), "score": chosen.peak.score},
        "plateau": None if chosen.plateau is None else _describe_plateau(chosen.plateau),
        "honest": {
            "score": assessment.honest,
            "chosen_on": "the other parts of the only fold" if one_fold else "the other folds",
            "interval": asdict(assessment.interval),
            "non_empty_images": assessment.non_empty,
            "empty_images": assessment.empty,
            "parts" if one_fold else "folds": [
                {
                    "part" if one_fold else "fold": fold.fold,
                    "images": fold.images,
                    "score": fold.score,
                    "rule": describe_rule(fold.rule),
                }
                for fold in assessment.folds
            ],
        },
        "optimistic": chosen.score,
        "all_empty": assessment.all_empty,
        "honest_without_presence_gate": assessment.without_gate,
        "post_processing_tried": None if post is None else [asdict(trial) for trial in post.trials],
        "honest_with_post_processing": None if post is None else float(post.scores.mean()),
        "overlap": [] if overlap is None else overlap.to_dict(orient="records"),
        "images": {
            "all": len(assessment.scores),
            "non_empty": assessment.non_empty_images,
            "empty": len(assessment.scores) - assessment.non_empty_images,
        },
        "made_from": dict(facts or {}),
    }


def _judged(metric: str) -> dict[str, Any]:
    """Return at which levels masks were judged by their shape; nothing where all levels are."""
    by_shape = scored_by_level(metric) and metric_name(metric) not in OBJECT_METRICS
    return {"judged_levels": list(JUDGED)} if by_shape else {}


def _describe_plateau(plateau: Plateau) -> dict[str, Any]:
    """Return the ranges of a plateau, thresholds as probabilities."""

    def probabilities(levels: tuple[int, int]) -> list[float]:
        return [(level + 1) / LEVELS for level in levels]

    return {
        "within": plateau.slack,
        "threshold_pairs": plateau.pairs,
        "top": probabilities(plateau.tops),
        "bottom": probabilities(plateau.bottoms),
        "min_area_px": list(plateau.min_areas),
    }


def _describe_member(member: Member, level_counts: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": member.name,
        "weight": member.weight,
        "seeds": len(member.seeds),
        "stores": sum(len(readers) for readers in member.seeds),
    }
    if member.name in level_counts:
        facts["level_counts"] = list(level_counts[member.name])
    return facts
