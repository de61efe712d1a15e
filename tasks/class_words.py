"""Texts about classes: blends, thresholds, scores, comparisons, explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from goldfold.text_table import Line, Table

if TYPE_CHECKING:
    from goldfold.submissions.class_compare import ClassComparison
    from goldfold.submissions.class_score import ClassScores


def ensemble_lines(report: Mapping[str, Any]) -> list[Line]:
    """Return the scores, the honest one first, the measures of the classes and the thresholds."""
    honest, interval = report["honest"], report["honest"]["interval"]
    constant = report["constant"]
    scores = [
        [
            "honest",
            f"{honest['score']:.4f}",
            f"blend and thresholds chosen on {honest['chosen_on']}; "
            f"{interval['level']:.0%} interval {interval['low']:.4f} to {interval['high']:.4f}",
        ],
        [
            "constant",
            "n/a" if constant is None else f"{constant:.4f}",
            "what predicting the class frequencies scores",
        ],
        ["optimistic", f"{report['optimistic']:.4f}", "chosen on the same images"],
    ]
    lines: list[Line] = [Table(["score", report["metric"], ""], scores)]
    for fold in honest.get("folds", []):
        lines.append(
            f"  fold {fold['fold']}: {fold['score']:.4f} on {fold['images']} {unit_of(report)}"
        )
    lines += _blend_lines(report)
    lines.append(measure_table(report["measures"]))
    if report["exclusive"] and len(report["classes"]) > 2:
        return [*lines, "rule: the most likely class"]
    names = [report["classes"][1]] if report["exclusive"] else report["classes"]
    limits = ", ".join(f"{name} {report['thresholds'][name]:.3f}" for name in names)
    return [*lines, f"thresholds: {limits}"]


def _blend_lines(report: Mapping[str, Any]) -> list[Line]:
    """Return what was fitted to blend the members, nothing where nothing was."""
    lines: list[Line] = []
    if "stacking" in report:
        shares = ", ".join(f"{member['name']} {member['weight']} %" for member in report["members"])
        lines.append(f"stacking: {report['stacking']['way']}; members count {shares}")
    if "calibration" in report:
        errors = report["calibration"]["out_of_fold"]
        measures = {
            "Brier score": "brier",
            "logarithmic loss": "log_loss",
            "calibration error": "expected_calibration_error",
        }
        told = ", ".join(
            f"{name} {errors['before'][key]:.4f} to {errors['after'][key]:.4f}"
            for name, key in measures.items()
        )
        lines.append(f"calibration: {report['calibration']['way']}; out of fold {told}")
    return lines


def measure_table(measures: Sequence[Mapping[str, Any]]) -> Table:
    """Return the measures of each class with its confusion matrix, intervals below."""

    def shown(value: Any) -> str:
        return "n/a" if value is None else f"{value:.3f}"

    counts = ("true_negative", "false_positive", "false_negative", "true_positive")
    names = ("accuracy", "precision", "recall", "f1", "auroc", "average_precision")
    rows = []
    for measure in measures:
        cells = "[[{:.0f}, {:.0f}], [{:.0f}, {:.0f}]]".format(*(measure[name] for name in counts))
        rows.append([measure["class"], cells, *(shown(measure[name]) for name in names)])
        ends = [measure["intervals"][name] for name in names]
        rows.append(["", "95% from", *(shown(low) for low, _ in ends)])
        rows.append(["", "to", *(shown(high) for _, high in ends)])
    headers = ["class", "confusion", "accuracy", "precision", "recall", "F1", "AUROC", "AP"]
    return Table(headers, rows)


def subject_of(facts: Mapping[str, Any]) -> str:
    """Return what an explanation is about: an image, or the row that it belongs to."""
    if "row" not in facts:
        return str(facts["image_id"])
    return f"{facts['row']} ({facts['row_by']} of the images of the row, among them " + (
        f"{facts['image_id']})"
    )


def unit_of(report: Mapping[str, Any]) -> str:
    """Return what an ensemble.json counts: images, or rows of several images."""
    return "rows" if "rows" in report else "images"


def explanation_lines(facts: Mapping[str, Any]) -> list[Line]:
    """Return why an image got its classes."""
    classes = list(facts["blend"])
    members = [(part["member"], part["weight"], part["probability"]) for part in facts["members"]]
    members.append((f"blend ({facts['merge']})", "", facts["blend"]))
    rows = [
        [name, weight, *(f"{probability[label]:.3f}" for label in classes)]
        for name, weight, probability in members
    ]
    if facts["thresholds"]:
        limits = facts["thresholds"]
        shown = (f"{limits[label]:.3f}" if label in limits else "" for label in classes)
        rows.append(["threshold", "", *shown])
    lines: list[Line] = [
        Table(["", "weight", *classes], rows),
        f"{subject_of(facts)}: {facts['verdict']}",
    ]
    if "true" in facts:
        verdict = "right" if facts["right"] else "wrong"
        true = ", ".join(facts["true"]) or "none"
        lines.append(f"true classes: {true}; {verdict}, logarithmic loss {facts['log_loss']:.4f}")
    return lines


def judgement_lines(judgement: Mapping[str, Any]) -> list[Line]:
    """Return what the test images say of the models."""
    return [
        f"test images, kept apart until now: {judgement['metric']} {judgement['score']:.4f} "
        f"(95% interval {judgement['low']:.4f} to {judgement['high']:.4f})",
        measure_table(judgement["measures"]),
    ]


def score_lines(scores: ClassScores) -> list[Line]:
    """Return the parts of a score beside that of the classes' frequencies."""

    def shown(value: float) -> str:
        return "n/a" if isnan(value) else f"{value:.5f}"

    rows = [
        [name, shown(part.score), shown(part.constant), part.images]
        for name, part in scores.parts.items()
    ]
    return [Table(["part", scores.metric, "frequencies alone", "images"], rows)]


def comparison_lines(comparison: ClassComparison, images: int) -> list[Line]:
    """Return where two submissions of classes differ, with up to so many images to look at."""
    cut = "" if comparison.labels_from == "the files" else ", thresholded at one half"
    lines: list[Line] = [
        f"agreement on {len(comparison.images):,} images: {comparison.agreement:.4f} "
        f"({comparison.agreement_by}); {comparison.same_labels:.1%} with equal labels{cut}, "
        f"{comparison.identical:,} identical"
    ]
    rows: Sequence[Sequence[object]] = [
        [
            label.name,
            f"{label.difference:.4f}",
            "n/a" if label.rank_correlation is None else f"{label.rank_correlation:.4f}",
            label.named_first,
            label.named_second,
            label.named_both,
        ]
        for label in comparison.classes
    ]
    headers = ["class", "mean difference", "rank correlation", "named", "by the other", "by both"]
    lines.append(Table(headers, rows))
    differing = [image for image in comparison.images if image.difference or not image.same_label][
        :images
    ]
    if differing:
        rows = [
            [
                image.image_id,
                f"{image.difference:.4f}",
                image.most_different,
                f"{image.first:.4f}",
                f"{image.second:.4f}",
                "" if image.same_label else "other label",
            ]
            for image in differing
        ]
        headers = ["look at", "mean difference", "most in", "probability", "of the other", ""]
        lines.append(Table(headers, rows))
    return lines
