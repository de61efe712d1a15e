"""A candidate for the labels of an unknown table, and how likely its columns are."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

LIKELY = re.compile(
    r"label|target|class|diagnos|finding|categor|grade|(^|[^a-z])dx($|[^a-z])|cancer|malignan|"
    r"disease|patholog|lesion_type|tumou?r|outcome|score|severity|stage|level",
    re.IGNORECASE,
)
ATTRIBUTES = frozenset(
    {
        *("sex", "gender", "male", "female", "age", "ethnicity", "race", "weight", "fitzpatrick"),
        *("view", "position", "laterality", "side", "frontal", "lateral", "ap", "pa", "modality"),
        *("width", "height", "rows", "columns", "spacing", "thickness", "kvp", "slice", "frame"),
        *("site", "center", "centre", "hospital", "manufacturer", "machine", "scanner", "vendor"),
        *("date", "time", "year", "follow", "split", "fold", "usage", "dataset", "source"),
        *("index", "unnamed", "count", "number", "instance", "localization", "implant"),
        *("confidence", "annotator", "rad", "rater", "reader", "sample"),
    }
)
"""Words in the names of columns that describe images or people and are hardly ever predicted."""
_EXACT = frozenset({"label", "labels", "target", "targets", "class", "y", "outcome", "diagnosis"})
"""Names that leave no doubt which of several columns of 0 and 1 is the label."""
COLUMNS = ("wide", "chexpert", "soft")
"""Kinds with a column per class, of which a single column is as likely as its name is."""
_TOKENS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
ORDERED = re.compile(r"grade|stage|level|severity|score|isup|gleason|birads|density", re.IGNORECASE)
_WEIGHTS = {"likely": 1.0, "neutral": 0.6, "unlikely": 0.1}


@dataclass(frozen=True)
class LabelCandidate:
    """Columns that could be the labels.

    Attributes:
        kind: `rle`, `boxes`, `long`, `wide`, `chexpert`, `soft`, `lists`, `column`, `grades`,
            `number`.
        columns: names of the columns.
        competition: entries of [competition] that follow, without a metric.
        labels: entries of [competition.labels] that follow.
        evidence: what was counted.
        questions: dotted setting and question of what the cells cannot tell.
        weight: how likely the columns are the labels, for the order only.
    """

    kind: str
    columns: tuple[str, ...]
    competition: dict[str, Any]
    labels: dict[str, Any]
    evidence: str
    questions: tuple[tuple[str, str], ...] = ()
    weight: float = 0.0


def is_attribute(name: str) -> bool:
    """Return whether the name of a column says that it describes images or people.

    >>> is_attribute("age_approx"), is_attribute("ViewPosition"), is_attribute("agenesis")
    (True, True, False)
    """
    tokens = {token.lower() for token in _TOKENS.findall(name)}
    return bool(tokens & ATTRIBUTES) or {"dx", "type"} <= tokens


def weighed(
    candidate: LabelCandidate, sample: Collection[str], sets: Collection[str]
) -> LabelCandidate:
    """Return the candidate with its weight, which rises if the sample submission agrees.

    Args:
        candidate: without a weight.
        sample: the value columns of the sample submission.
        sets: columns of sets, whose members are hardly labels on their own.
    """
    name = candidate.columns[0]
    members = sets if len(candidate.columns) == 1 else ()
    how = "unlikely" if is_attribute(name) else "likely" if LIKELY.search(name) else "neutral"
    fixed = {"rle": 1.5, "boxes": 1.3, "long": 1.4, "chexpert": 1.1, "wide": 1.0, "soft": 0.9}
    weight = _WEIGHTS[how]
    if candidate.kind in fixed and (len(candidate.columns) > 1 or candidate.kind not in COLUMNS):
        weight = fixed[candidate.kind] * (weight if candidate.kind == "boxes" else 1)
    if candidate.kind == "wide" and len(candidate.columns) == 1 and name.lower() in _EXACT:
        weight = 1.3
    if candidate.kind == "number" or name in members:
        weight *= 0.3
    wanted = {*sample}
    named = {*candidate.columns, *candidate.competition.get("classes", ())}
    if wanted and wanted <= named and (candidate.kind != "wide" or len(named) == len(wanted)):
        text = f"{candidate.evidence}; the sample submission names the same"
        return replace(candidate, weight=weight + 1, evidence=text)
    return replace(candidate, weight=weight)
