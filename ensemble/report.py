"""What ensemble.json says: members, rule, honest and optimistic score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from goldfold.competitions.histogram import LEVELS
from goldfold.ensemble.blend import Member
from goldfold.ensemble.honest import Assessment
from goldfold.ensemble.threshold import Rule
from goldfold.errors import InputError
from goldfold.files import read_json

FORMAT = 1


def build_report(
    members: Sequence[Member],
    assessment: Assessment,
    metric: str,
    *,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of ensemble.json, plain values only.

    Args:
        members: the blend.
        assessment: of `assess` on its out-of-fold maps.
        metric: name of the competition's metric.
        facts: more to keep under `made_from` (fingerprints, versions).
    """
    one_fold = assessment.fold_count == 1
    return {
        "format": FORMAT,
        "metric": metric,
        "members": [_describe_member(member) for member in members],
        "rule": describe_rule(assessment.search.rule),
        "tied_threshold_pairs": assessment.search.ties,
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
        "optimistic": assessment.search.score,
        "all_empty": assessment.all_empty,
        "honest_without_presence_gate": assessment.without_gate,
        "images": {
            "all": len(assessment.scores),
            "non_empty": assessment.non_empty_images,
            "empty": len(assessment.scores) - assessment.non_empty_images,
        },
        "made_from": dict(facts or {}),
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


def read_rule(path: Path) -> Rule:
    """Return the rule that an ensemble.json holds.

    Raises:
        InputError: the file is missing, or holds no rule.
    """
    content = read_json(path)
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


def _describe_member(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "weight": member.weight,
        "seeds": len(member.seeds),
        "stores": sum(len(readers) for readers in member.seeds),
    }
