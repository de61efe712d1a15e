"""Texts about masks: blends, rules, scores, comparisons, explanations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.text_table import Line, Table
from goldfold.vocabulary import Stacking, names_of

if TYPE_CHECKING:
    from goldfold.submissions.compare import Comparison
    from goldfold.submissions.score import Scores

HIGHEST_LEVEL = 255
"""No pixel of an 8-bit map is above it."""


def ensemble_lines(report: Mapping[str, Any]) -> list[Line]:
    """Return the scores, the honest one first, and the rule, or those of each class."""
    if "classes" in report:
        return [*_score_lines(report), *_class_lines(report["classes"])]
    return [*_score_lines(report), *_rule_lines(report)]


def _class_lines(classes: Mapping[str, Any]) -> list[Line]:
    """Return score and rule of each class."""
    rows = []
    for name, of_class in classes.items():
        counts, honest = of_class["images"], of_class["honest"]
        seen = honest["non_empty_images"]
        rows.append(
            [
                name,
                f"{honest['score']:.4f}",
                f"{of_class['all_empty']:.4f}",
                f"{counts['non_empty']:,}",
                "" if seen is None else f"{seen:.4f}",
                f"{of_class['optimistic']:.4f}",
            ]
        )
    headers = ["class", "honest", "all-empty", "non-empty masks", "score on them", "optimistic"]
    lines: list[Line] = [Table(headers, rows)]
    for name, of_class in classes.items():
        rule = of_class["rule"]
        lines.append(f"rule of {name}: {rule_in_words(rule)}{_gate_in_words(rule)}")
        lines += [f"  {line}" for line in blend_lines(of_class)]
        lines += [f"  {line}" for line in _post_processing_in_words(of_class)]
    return [*lines, *_advice_to_leave_empty(classes)]


def _advice_to_leave_empty(classes: Mapping[str, Any]) -> list[Line]:
    """Name the classes whose masks cost more than they bring, and the setting that empties them."""
    costly = [name for name, part in classes.items() if part["honest"]["score"] < part["all_empty"]]
    if not costly:
        return []
    empty = [
        name
        for name, part in classes.items()
        if name in costly or part["rule"]["bottom"]["level"] == HIGHEST_LEVEL
    ]
    return [
        f"masks of {', '.join(costly)} lower the score; leave them empty: "
        f"--set 'ensemble.leave_empty={json.dumps(empty)}'"
    ]


def _score_lines(report: Mapping[str, Any]) -> list[Line]:
    """Return the scores, the honest one first, and that of each fold."""
    honest, interval = report["honest"], report["honest"]["interval"]
    scores = [
        [
            "honest",
            f"{honest['score']:.4f}",
            f"thresholds chosen on {honest['chosen_on']}; "
            f"{interval['level']:.0%} interval {interval['low']:.4f} to {interval['high']:.4f}",
        ],
        ["all-empty", f"{report['all_empty']:.4f}", "what predicting nothing scores"],
        ["optimistic", f"{report['optimistic']:.4f}", "thresholds chosen on the same images"],
    ]
    return [
        Table(["score", report["metric"], ""], scores),
        *(
            f"  fold {fold['fold']}: {fold['score']:.4f} on {fold['images']} images"
            for fold in honest.get("folds", [])
        ),
    ]


def _rule_lines(report: Mapping[str, Any]) -> list[Line]:
    """Return what the rule does to masks, and how it was chosen."""
    honest, counts = report["honest"], report["images"]
    lines: list[Line] = []
    for name, key in (("non-empty", "non_empty_images"), ("empty", "empty_images")):
        if honest[key] is not None:
            count = counts[key.split("_images")[0]]
            lines.append(f"  {name} masks: {honest[key]:.4f} on {count} images")
    lines += blend_lines(report)
    lines += _overlap_lines(report)
    if not counts["empty"]:
        lines.append("no training mask is empty: the rule has no minimum area and no presence gate")
    lines.append(f"rule: {rule_in_words(report['rule'])}{_gate_in_words(report['rule'])}")
    if report.get("plateau"):
        lines.append(_plateau_in_words(report))
    lines += _post_processing_in_words(report)
    without = report["honest_without_presence_gate"]
    if without is not None:
        used = "used" if report["rule"]["presence_gate"]["level"] else "not used"
        lines.append(f"presence gate: {used}; honest score without it {without:.4f}")
    return lines


def blend_lines(report: Mapping[str, Any]) -> list[Line]:
    """Return what was fitted to blend the members, nothing where nothing was."""
    lines: list[Line] = []
    if report["weights"] in names_of(Stacking):
        weights = ", ".join(f"{member['name']} {member['weight']}" for member in report["members"])
        lines.append(f"stacking: {report['weights']}; weights {weights}")
    if "calibration" in report:
        lines.append(f"calibration: {report['calibration']['way']}, by member")
    return lines


def _overlap_lines(report: Mapping[str, Any]) -> list[Line]:
    """Return Dice, IoU, precision and recall over all images; metrics.csv has them by fold."""
    names = ("dice", "iou", "precision", "recall")
    rows = [
        [f"over {row['over']}", *(f"{row[name]:.4f}" for name in names)]
        for row in report.get("overlap", [])
        if row["fold"] == "all"
    ]
    return [Table(["out of fold", "Dice", "IoU", "precision", "recall"], rows)] if rows else []


def _plateau_in_words(report: Mapping[str, Any]) -> str:
    plateau, peak = report["plateau"], report["peak"]
    top, bottom, area = plateau["top"], plateau["bottom"], plateau["min_area_px"]
    if area[1] == 0:
        return (
            f"plateau within {plateau['within']:g} of the best ({peak['score']:.4f}): from "
            f"{bottom[0]:.3f} to {bottom[1]:.3f}; the rule is its centre"
        )
    return (
        f"plateau within {plateau['within']:g} of the best ({peak['score']:.4f}): "
        f"score threshold {top[0]:.3f} to {top[1]:.3f}, "
        f"minimum area {area[0]:,} to {area[1]:,} px, "
        f"mask threshold {bottom[0]:.3f} to {bottom[1]:.3f}; the rule is its centre. "
        f"The best itself: {rule_in_words(peak['rule'])}"
    )


def _post_processing_in_words(report: Mapping[str, Any]) -> list[str]:
    """Return a line for each step that was tried."""
    lines = []
    for step in report.get("post_processing_tried") or []:
        verdict = f"kept, {step['step']} = {step['value']}" if step["kept"] else "left out"
        lines.append(f"post-processing {step['step']}: honest gain {step['gain']:+.4f}, {verdict}")
    return lines


def _gate_in_words(rule: Mapping[str, Any]) -> str:
    gate = rule["presence_gate"]
    return f"; empty if presence is below {gate['probability']:.3f}" if gate["level"] else ""


def rule_in_words(rule: Mapping[str, Any]) -> str:
    """Return what a rule of ensemble.json does to a mask."""
    top, bottom, area = rule["top"], rule["bottom"], rule["min_area_px"]
    if bottom["level"] == HIGHEST_LEVEL or (area and top["level"] == HIGHEST_LEVEL):
        return "every mask empty; nothing beat the all-empty submission"
    if not area:
        return f"pixels from probability {bottom['probability']:.3f} (no minimum area)"
    few = "no pixel reaches" if area == 1 else f"fewer than {area:,} pixels reach"
    return (
        f"empty if {few} probability {top['probability']:.3f}, "
        f"else pixels from {bottom['probability']:.3f}"
    )


def explanation_lines(facts: Mapping[str, Any]) -> list[Line]:
    """Return why an image got a mask."""
    rows = [
        [
            name,
            numbers["weight"],
            f"{numbers['highest_probability']:.3f}",
            numbers["px_from_top"],
            numbers["px_from_bottom"],
            "" if numbers["presence"] is None else f"{numbers['presence']:.3f}",
        ]
        for name, numbers in [
            *((member["member"], member) for member in facts["members"]),
            ("blend", facts["blend"] | {"weight": ""}),
        ]
    ]
    top, bottom = facts["rule"]["top"]["probability"], facts["rule"]["bottom"]["probability"]
    headers = ["", "weight", "highest", f"px from {top:.3f}", f"px from {bottom:.3f}", "presence"]
    named = f"{facts['image_id']} {facts['class']}" if "class" in facts else facts["image_id"]
    lines: list[Line] = [
        Table(headers, rows),
        f"{named}: {facts['verdict']}; {facts['mask_px']:,} px",
    ]
    if "score" in facts:
        lines.append(f"true mask: {facts['true_px']:,} px; {facts['metric']} {facts['score']:.4f}")
    return lines


def score_lines(scores: Scores) -> list[Line]:
    """Return the parts of a score beside the all-empty submission's."""
    headers = ["part", scores.metric, "all-empty", "gain", "images", "non-empty", "predicted"]
    rows = [
        [
            name,
            f"{part.score:.5f}",
            f"{part.all_empty:.5f}",
            f"{part.score - part.all_empty:+.5f}",
            part.images,
            part.non_empty,
            part.predicted_non_empty,
        ]
        for name, part in scores.parts.items()
    ]
    return [Table(headers, rows)]


def comparison_lines(comparison: Comparison, first: Path, second: Path, images: int) -> list[Line]:
    """Return where two submissions of masks differ, with up to so many images to look at."""
    lines: list[Line] = [
        f"agreement on {len(comparison.images):,} images: mean Dice {comparison.dice:.4f}, "
        f"{comparison.identical:,} identical"
    ]
    counts = comparison.table()
    rows: Sequence[Sequence[object]] = [
        [f"{first}: empty", counts["both_empty"], counts["only_first_empty"]],
        [f"{first}: not empty", counts["only_second_empty"], counts["neither_empty"]],
    ]
    lines.append(Table(["", f"{second}: empty", "not empty"], rows))
    differing = [image for image in comparison.images if image.dice < 1][:images]
    if differing:
        rows = [
            [image.image_id, f"{image.dice:.4f}", image.first_px, image.second_px]
            for image in differing
        ]
        lines.append(Table(["look at", "Dice", "px", "px of the other"], rows))
    return lines
