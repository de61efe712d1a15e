"""What commands say of classes: scores, measures, explanations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldfold.submissions.label_score import LabelScores


def print_label_ensemble(report: dict[str, Any]) -> None:
    """Print the scores, the honest one first, the measures of the classes and the thresholds."""
    from goldfold.commands import show

    honest, interval = report["honest"], report["honest"]["interval"]
    constant = report["constant"]
    scores = [
        [
            "honest",
            f"{honest['score']:.4f}",
            f"blend and thresholds chosen on {honest['chosen_on']}; "
            f"{interval['level']:.0%} interval {interval['low']:.4f} to {interval['high']:.4f}",
        ],
        ["constant", "n/a" if constant is None else f"{constant:.4f}",
         "what the classes' frequencies score"],
        ["optimistic", f"{report['optimistic']:.4f}", "chosen on the same images"],
    ]  # fmt: skip
    show.out(show.table(["score", report["metric"], ""], scores))
    for fold in honest.get("folds", []):
        show.out(f"  fold {fold['fold']}: {fold['score']:.4f} on {fold['images']} images")
    print_measures(report["measures"])
    if report["exclusive"] and len(report["classes"]) > 2:
        show.out("rule: the most likely class")
        return
    names = [report["classes"][1]] if report["exclusive"] else report["classes"]
    limits = ", ".join(f"{name} {report['thresholds'][name]:.3f}" for name in names)
    show.out(f"thresholds: {limits}")


def print_measures(measures: Sequence[dict[str, Any]]) -> None:
    """Print the measures of each class with its confusion matrix, intervals below."""
    from goldfold.commands import show

    def shown(value: Any) -> str:
        return "n/a" if value is None else f"{value:.3f}"

    counts = ("true_negative", "false_positive", "false_negative", "true_positive")
    names = ("accuracy", "precision", "recall", "f1", "auroc", "average_precision")
    rows = []
    for one in measures:
        cells = "[[{:.0f}, {:.0f}], [{:.0f}, {:.0f}]]".format(*(one[name] for name in counts))
        rows.append([one["class"], cells, *(shown(one[name]) for name in names)])
        ends = [one["intervals"][name] for name in names]
        rows.append(["", "95% from", *(shown(low) for low, _ in ends)])
        rows.append(["", "to", *(shown(high) for _, high in ends)])
    headers = ["class", "confusion", "accuracy", "precision", "recall", "F1", "AUROC", "AP"]
    show.out(show.table(headers, rows))


def print_label_explanation(facts: dict[str, Any]) -> None:
    """Print why an image got its classes."""
    from goldfold.commands import show

    classes = list(facts["blend"])
    lines = [(one["member"], one["weight"], one["probability"]) for one in facts["members"]] + [
        (f"blend ({facts['merge']})", "", facts["blend"])
    ]
    rows = [
        [name, weight, *(f"{told[one]:.3f}" for one in classes)] for name, weight, told in lines
    ]
    if facts["thresholds"]:
        limits = facts["thresholds"]
        shown = (f"{limits[one]:.3f}" if one in limits else "" for one in classes)
        rows.append(["threshold", "", *shown])
    show.out(show.table(["", "weight", *classes], rows))
    show.out(f"{facts['image_id']}: {facts['verdict']}")
    if "true" in facts:
        verdict = "right" if facts["right"] else "wrong"
        true = ", ".join(facts["true"]) or "none"
        show.out(f"true classes: {true}; {verdict}, logarithmic loss {facts['log_loss']:.4f}")


def print_test_judgement(found: dict[str, Any]) -> None:
    """Print what the test images say of the models."""
    from goldfold.commands import show

    show.out(
        f"test images, kept apart until now: {found['metric']} {found['score']:.4f} "
        f"(95% interval {found['low']:.4f} to {found['high']:.4f})"
    )
    print_measures(found["measures"])


def show_label_score(scores: LabelScores, *, as_json: bool) -> None:
    """Print a score beside that of the classes' frequencies."""
    from dataclasses import asdict
    from math import isnan

    from goldfold.commands import show

    if as_json:
        plain = {k: None if k == "constant" and isnan(v) else v for k, v in asdict(scores).items()}
        show.out_json(plain)
        return
    constant = "n/a" if isnan(scores.constant) else f"{scores.constant:.5f}"
    rows = [[f"{scores.score:.5f}", constant, scores.images]]
    show.out(show.table([scores.metric, "frequencies alone", "images"], rows))
