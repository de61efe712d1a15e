"""What ensemble.json says: members, rule, honest and optimistic score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.competitions.histogram import LEVELS
from goldfold.ensemble.blend import Member
from goldfold.ensemble.calibration_curve import read_level_tables
from goldfold.ensemble.honest import Assessment
from goldfold.ensemble.plateau import Plateau
from goldfold.ensemble.post_processing import NOTHING, PostProcessing
from goldfold.ensemble.post_search import PostSearch
from goldfold.ensemble.scale import Scale, member_scales
from goldfold.ensemble.threshold import Rule
from goldfold.errors import InputError
from goldfold.files import read_json

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
        "post_processing_tried": None if post is None else [asdict(one) for one in post.trials],
        "honest_with_post_processing": None if post is None else float(post.scores.mean()),
        "overlap": [] if overlap is None else overlap.to_dict(orient="records"),
        "images": {
            "all": len(assessment.scores),
            "non_empty": assessment.non_empty_images,
            "empty": len(assessment.scores) - assessment.non_empty_images,
        },
        "made_from": dict(facts or {}),
    }


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


def describe_rule(rule: Rule) -> dict[str, Any]:
    """Return a rule as levels and as probabilities.

    A pixel counts when its level is above `level`, that is when its probability is at least
    `probability`; at level 255 none does.

    >>> describe_rule(Rule(top=191, min_area=50, bottom=127))["bottom"]
    {'level': 127, 'probability': 0.5}
    """
    return {
        "top": {"level": rule.top, "probability": rule.top_probability},
        "min_area_px": rule.min_area,
        "bottom": {"level": rule.bottom, "probability": rule.bottom_probability},
        "presence_gate": {"level": rule.gate, "probability": rule.gate / LEVELS},
    }


def read_ensemble(path: Path, of_class: str = "") -> dict[str, Any]:
    """Return the content of an ensemble.json, or what it says of a class.

    Raises:
        InputError: the file is missing, or does not know the class.
    """
    content = read_json(path)
    if not of_class:
        return dict(content)
    try:
        return dict(content["classes"][of_class])
    except (KeyError, TypeError):
        raise InputError(
            f"{path} knows no class {of_class!r}. Run `goldfold ensemble run` again."
        ) from None


def read_rule(path: Path, of_class: str = "") -> Rule:
    """Return the rule that an ensemble.json holds, of a class where an image has several masks.

    Raises:
        InputError: the file is missing, or holds no rule.
    """
    content = read_ensemble(path, of_class)
    try:
        rule = content["rule"]
        levels = (rule["top"]["level"], rule["min_area_px"], rule["bottom"]["level"])
        if not all(type(level) is int for level in levels):
            raise TypeError
        gate = rule.get("presence_gate", {"level": 0})["level"]
    except (KeyError, TypeError):
        raise InputError(
            f"expected a rule with top, min_area_px and bottom in {path}, found none. "
            "Run `goldfold ensemble run` again."
        ) from None
    return Rule(*levels, gate)


def read_post_processing(path: Path, of_class: str = "") -> PostProcessing:
    """Return the steps after the thresholds that an ensemble.json names.

    Raises:
        InputError: the file is missing, or its steps are unknown.
    """
    content = read_ensemble(path, of_class)
    try:
        return PostProcessing(**content.get("post_processing", {}))
    except (AttributeError, TypeError):
        raise InputError(
            f"{path} names unknown steps of post-processing. Run `goldfold ensemble run` again."
        ) from None


def read_weights(path: Path, of_class: str = "") -> dict[str, int]:
    """Return the weight of each member that an ensemble.json names.

    Raises:
        InputError: the file is missing, or names none.
    """
    content = read_ensemble(path, of_class)
    try:
        return {member["name"]: int(member["weight"]) for member in content["members"]}
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} names no members. Run `goldfold ensemble run` again.") from None


def read_scales(path: Path, of_class: str = "") -> dict[str, Scale] | None:
    """Return the scale of each member that an ensemble.json names, None for the plain mean.

    Raises:
        InputError: the file is missing, or says less.
    """
    content = read_ensemble(path, of_class)
    try:
        members = content.get("members", [])
        counts = {one["name"]: one["level_counts"] for one in members if "level_counts" in one}
        names, tables = [one["name"] for one in members], read_level_tables(content)
        return member_scales(content.get("merge", "mean"), names, counts, tables)
    except (AttributeError, KeyError, TypeError):
        raise InputError(
            f"{path} does not say how maps are merged. Run `goldfold ensemble run` again."
        ) from None


def _describe_member(member: Member, level_counts: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": member.name,
        "weight": member.weight,
        "seeds": len(member.seeds),
        "stores": sum(len(readers) for readers in member.seeds),
    }
    if member.name in level_counts:
        found["level_counts"] = list(level_counts[member.name])
    return found
