"""What `goldfold ensemble` says of blends, rules and scores."""

from __future__ import annotations

from typing import Any

HIGHEST_LEVEL = 255
"""No pixel of an 8-bit map is above it."""


def print_blends(report: dict[str, Any]) -> None:
    """Print the ways to blend, and the members that do not help."""
    from goldfold.commands import show

    rows = [
        [
            one["merge"],
            one["weights_by"],
            " ".join(str(weight) for weight in one["weights"].values()),
            f"{one['honest']:.4f}",
            f"{one['gain']['mean']:+.4f} ({one['gain']['low']:+.4f} to {one['gain']['high']:+.4f})",
            f"{one['optimistic']:.4f}",
        ]
        for one in report["blends"]
    ]
    show.out(f"members: {', '.join(report['members'])}; {report['images']:,} images")
    headers = ["merge", "weights by", "weights", "honest", "gain over the plain mean", "optimistic"]
    show.out(show.table(headers, rows))
    if not report["without_member"]:
        return
    left = [
        [one["member"], f"{one['honest']:.4f}", f"{one['gain']:+.4f}"]
        for one in report["without_member"]
    ]
    show.out(show.table(["without", "honest", "gain"], left))
    better = [one["member"] for one in report["without_member"] if one["gain"] > 0]
    show.out(f"better without: {', '.join(better) if better else 'none; every member helps'}")


def print_ensemble(report: dict[str, Any]) -> None:
    """Print the scores, the honest one first, and the thresholds."""
    from goldfold.commands.class_print import print_label_ensemble

    if report.get("task") == "classification":
        print_label_ensemble(report)
        return
    if "classes" in report:
        _print_classes(report)
        return
    _print_scores(report)
    _print_rule(report)


def _print_classes(report: dict[str, Any]) -> None:
    """Print the scores over all masks, and score and rule of each class."""
    from goldfold.commands import show

    _print_scores(report)
    rows = []
    for name, one in report["classes"].items():
        counts, honest = one["images"], one["honest"]
        seen = honest["non_empty_images"]
        rows.append(
            [
                name,
                f"{honest['score']:.4f}",
                f"{one['all_empty']:.4f}",
                f"{counts['non_empty']:,}",
                "" if seen is None else f"{seen:.4f}",
                f"{one['optimistic']:.4f}",
            ]
        )
    headers = ["class", "honest", "all-empty", "non-empty masks", "score on them", "optimistic"]
    show.out(show.table(headers, rows))
    for name, one in report["classes"].items():
        show.out(f"rule of {name}: {_rule_in_words(one['rule'])}{_gate_in_words(one['rule'])}")
        for line in _post_processing_in_words(one):
            show.out(f"  {line}")
    _advise_to_leave_empty(report["classes"])


def _advise_to_leave_empty(classes: dict[str, Any]) -> None:
    """Name the classes whose masks cost more than they bring, and the setting that empties them."""
    import json

    from goldfold.commands import show

    bad = [name for name, one in classes.items() if one["honest"]["score"] < one["all_empty"]]
    if not bad:
        return
    empty = [
        name
        for name, one in classes.items()
        if name in bad or one["rule"]["bottom"]["level"] == HIGHEST_LEVEL
    ]
    show.out(
        f"masks of {', '.join(bad)} cost more than they bring; leave them empty: "
        f"--set 'ensemble.leave_empty={json.dumps(empty)}'"
    )


def _print_scores(report: dict[str, Any]) -> None:
    """Print the scores, the honest one first, and that of each fold."""
    from goldfold.commands import show

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
    show.out(show.table(["score", report["metric"], ""], scores))
    for fold in honest.get("folds", []):
        show.out(f"  fold {fold['fold']}: {fold['score']:.4f} on {fold['images']} images")


def _print_rule(report: dict[str, Any]) -> None:
    """Print what the rule does to masks, and how it was chosen."""
    from goldfold.commands import show

    honest, counts = report["honest"], report["images"]
    for name, key in (("non-empty", "non_empty_images"), ("empty", "empty_images")):
        if honest[key] is not None:
            show.out(
                f"  {name} masks: {honest[key]:.4f} on {counts[key.split('_images')[0]]} images"
            )
    _print_overlap(report)
    if not counts["empty"]:
        show.out("no training mask is empty: the rule has no minimum area and no presence gate")
    show.out(f"rule: {_rule_in_words(report['rule'])}{_gate_in_words(report['rule'])}")
    if report.get("plateau"):
        show.out(_plateau_in_words(report))
    for line in _post_processing_in_words(report):
        show.out(line)
    without = report["honest_without_presence_gate"]
    if without is not None:
        used = "used" if report["rule"]["presence_gate"]["level"] else "not used"
        show.out(f"presence gate: {used}; honest score without it {without:.4f}")


def _print_overlap(report: dict[str, Any]) -> None:
    """Print Dice, IoU, precision and recall over all images; metrics.csv has them by fold."""
    from goldfold.commands import show

    everything = [one for one in report.get("overlap", []) if one["fold"] == "all"]
    names = ("dice", "iou", "precision", "recall")
    rows = [[f"over {one['over']}", *(f"{one[name]:.4f}" for name in names)] for one in everything]
    if rows:
        show.out(show.table(["out of fold", "Dice", "IoU", "precision", "recall"], rows))


def _plateau_in_words(report: dict[str, Any]) -> str:
    plateau, peak = report["plateau"], report["peak"]
    top, bottom, area = plateau["top"], plateau["bottom"], plateau["min_area_px"]
    if area[1] == 0:
        return (
            f"plateau within {plateau['within']:g} of the best ({peak['score']:.4f}): from "
            f"{bottom[0]:.3f} to {bottom[1]:.3f}; the rule is its centre"
        )
    return (
        f"plateau within {plateau['within']:g} of the best ({peak['score']:.4f}): "
        f"top {top[0]:.3f} to {top[1]:.3f}, min_area {area[0]:,} to {area[1]:,} px, "
        f"bottom {bottom[0]:.3f} to {bottom[1]:.3f}; the rule is its centre. "
        f"The best itself: {_rule_in_words(peak['rule'])}"
    )


def _post_processing_in_words(report: dict[str, Any]) -> list[str]:
    """Return a line for each step that was tried."""
    lines = []
    for one in report.get("post_processing_tried") or []:
        verdict = f"kept, {one['step']} = {one['value']}" if one["kept"] else "left out"
        lines.append(f"post-processing {one['step']}: honest gain {one['gain']:+.4f}, {verdict}")
    return lines


def _gate_in_words(rule: dict[str, Any]) -> str:
    gate = rule["presence_gate"]
    return f"; empty if presence is below {gate['probability']:.3f}" if gate["level"] else ""


def _rule_in_words(rule: dict[str, Any]) -> str:
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
