"""Texts for grades and numbers: blends, cut points, scores, explanations.

Internally a higher score is better; where the metric is an error, the user sees the error itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from goldfold.tasks.class_words import subject_of, unit_of
from goldfold.text_table import Line, Table
from goldfold.vocabulary import NumberMetric, names_of

if TYPE_CHECKING:
    from goldfold.ensemble.number_scale import NumberScale
    from goldfold.tasks.grade_files import NumberComparison, NumberScores

NAMES = {
    "quadratic-weighted-kappa": "quadratic weighted kappa",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R2",
}


def in_words(metric: str) -> str:
    """Return the name of a metric, with a remark where lower is better.

    >>> in_words("mae")
    'mean absolute error (lower is better)'
    """
    name = NAMES.get(metric, metric)
    return f"{name} (lower is better)" if metric in names_of(NumberMetric) else name


def shown(metric: str, score: float) -> str:
    """Return a score as it is printed: an error without its minus sign.

    >>> shown("mae", -0.51), shown("accuracy", 0.9)
    ('0.5100', '0.9000')
    """
    value = -score if metric in names_of(NumberMetric) else score
    return f"{value + 0.0:.4f}"  # no minus zero


def ensemble_lines(report: Mapping[str, Any]) -> list[Line]:
    """Return the scores, the honest one first, the measures and the cut points."""
    metric, honest = report["metric"], report["honest"]
    interval = honest["interval"]
    ends = sorted((shown(metric, interval["low"]), shown(metric, interval["high"])), key=float)
    grades = report["number"]["grades"]
    chosen = "blend and cut points" if grades else "blend"
    scores = [
        [
            "honest",
            shown(metric, honest["score"]),
            f"{chosen} chosen on {honest['chosen_on']}; {interval['level']:.0%} interval "
            f"{ends[0]} to {ends[1]}",
        ],
        ["constant", shown(metric, report["constant"]), "the best single prediction for all"],
        ["optimistic", shown(metric, report["optimistic"]), "chosen on the same images"],
    ]
    lines: list[Line] = [Table(["score", in_words(metric), ""], scores)]
    for fold in honest.get("folds", []):
        score = shown(metric, fold["score"])
        lines.append(f"  fold {fold['fold']}: {score} on {fold['images']} {unit_of(report)}")
    lines.append(_measures(report["measures"]))
    if not grades:
        return lines
    rows = [[name, *counts] for name, counts in zip(grades, report["confusion"], strict=True)]
    lines.append(Table(["true \\ predicted", *grades], rows))
    return [*lines, f"cut points: {cut_words(report['number'])}"]


def cut_words(number: Mapping[str, Any]) -> str:
    """Return the cut points in units of grades, lowest first."""
    low, high = number["low"], number["high"]
    cuts = [low + (high - low) * place for place in number["cuts"]]
    named = zip(number["grades"][1:], cuts, strict=True)
    return ", ".join(f"{name} from {cut:.3f}" for name, cut in named)


def _measures(measures: Mapping[str, Any]) -> Table:
    values = {name: value for name, value in measures.items() if name != "images"}
    cells = ["n/a" if value is None else f"{value:.4f}" for value in values.values()]
    return Table([NAMES.get(name, name) for name in values], [cells])


def explanation_lines(facts: Mapping[str, Any]) -> list[Line]:
    """Return why an image got its grade or number."""
    rows = [[part["member"], part["weight"], f"{part['number']:.3f}"] for part in facts["members"]]
    rows.append([f"blend ({facts['merge']})", "", f"{facts['number']:.3f}"])
    lines: list[Line] = [Table(["", "weight", "number"], rows)]
    cuts = ", ".join(f"{name} from {cut:.3f}" for name, cut in facts["cuts"].items())
    told = f"; cut points: {cuts}" if cuts else ""
    lines.append(f"{subject_of(facts)}: {facts['predicted']}{told}")
    if "true" in facts:
        verdict = "right" if not facts["error"] else f"off by {facts['error']:+.4g}"
        lines.append(f"true: {facts['true']}; {verdict}")
    return lines


def score_lines(scores: NumberScores) -> list[Line]:
    """Return the parts of a score beside that of the best single prediction."""
    rows = [
        [name, shown(scores.metric, part.score), shown(scores.metric, part.constant), part.images]
        for name, part in scores.parts.items()
    ]
    return [Table(["part", in_words(scores.metric), "best constant", "images"], rows)]


def comparison_lines(comparison: NumberComparison, scale: NumberScale, images: int) -> list[Line]:
    """Return where two submissions differ, with at most `images` images to look at."""
    lines: list[Line] = [
        f"agreement on {len(comparison.images):,} images: {comparison.agreement:.4f} "
        f"({comparison.agreement_by}); mean difference {comparison.difference:.4g}, "
        f"{comparison.identical:,} identical"
    ]

    def name(number: float) -> str:
        return scale.grades[round(number)] if scale.grades else f"{number:.6g}"

    rows = [
        [image_id, name(first), name(second)]
        for image_id, first, second in comparison.images[:images]
        if first != second
    ]
    return [*lines, Table(["look at", "first", "second"], rows)] if rows else lines
