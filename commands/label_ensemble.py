"""Blend and thresholds of a run that predicts classes, and what to expect of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.commands.context import Run
    from goldfold.commands.label_members import LabelMembers
    from goldfold.ensemble.label_measures import Bounds
    from goldfold.ensemble.labels import LabelAssessment, Truth

FORMAT = 2
"""Of ensemble.json; up to 1, thresholds could lie on a probability. Older files are made anew."""


def truth_of(run: Run, images: pd.DataFrame, image_ids: Sequence[str]) -> Truth:
    """Return what is true of images."""
    from goldfold.competitions.class_labels import label_targets
    from goldfold.competitions.images_table import CLASSES
    from goldfold.competitions.label_metric import class_weight_list
    from goldfold.ensemble.labels import Truth

    form = run.settings.competition
    known = images.drop_duplicates("image_id").set_index("image_id").loc[list(image_ids), CLASSES]
    return Truth(
        label_targets(known.tolist(), form.classes),
        tuple(form.classes),
        form.exclusive,
        form.metric,
        tuple(class_weight_list(form.classes, form.metric_weights)),
    )


def label_ensemble_made_from(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return what ensemble.json depends on.

    Raises:
        InputError: as `open_label_members`.
    """
    from goldfold.commands.label_members import open_label_members

    members = open_label_members(run, images, folds, "out-of-fold")
    return _made_from(run, images, folds, members)


def _made_from(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame, members: LabelMembers
) -> dict[str, Any]:
    from goldfold.commands.ensemble_members import OUT_OF_FOLD, expected_predictions

    return {
        "predictions": members.facts,
        OUT_OF_FOLD: expected_predictions(run, images, folds, "out-of-fold"),
        **label_ensemble_settings(run, images, folds),
    }


def label_ensemble_settings(run: Run, images: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Return what ensemble.json depends on beside the predictions."""
    from goldfold.competitions.images_table import CLASSES
    from goldfold.files import fingerprint

    form = run.settings.competition
    return {
        "format": FORMAT,
        "settings": run.settings.ensemble.model_dump(mode="json"),
        "metric": [form.metric, form.metric_weights, form.classes, form.exclusive],
        "folds": fingerprint(folds.to_dict(orient="list")),
        "labels": fingerprint([list(images["image_id"]), list(images[CLASSES])]),
    }


def make_label_ensemble(
    run: Run, images: pd.DataFrame, folds: pd.DataFrame
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the content of ensemble.json and what it was made from; metrics.csv is written.

    Raises:
        InputError: as `open_label_members`.
    """
    import numpy as np
    import pandas as pd

    from goldfold.commands.label_members import open_label_members
    from goldfold.ensemble.honest import number_groups, parts_of
    from goldfold.ensemble.label_measures import bootstrap_labels, measures_of_classes
    from goldfold.ensemble.labels import assess_labels
    from goldfold.files import write_text

    settings = run.settings.ensemble
    members = open_label_members(run, images, folds, "out-of-fold")
    table = folds.set_index("image_id").loc[members.image_ids]
    groups = list(table["group"])
    truth = truth_of(run, images, members.image_ids)
    parts = parts_of(table["fold"].to_numpy(), groups, settings.seed)
    found = assess_labels(
        members.probability, truth, parts, merge=settings.merge, weights=settings.weights
    )
    bounds = bootstrap_labels(
        truth,
        found.probability,
        found.predicted,
        number_groups(groups),
        samples=settings.bootstrap_samples,
        seed=settings.seed,
    )
    rows = [
        {"fold": name, **one}
        for name, here in [
            *((str(part), parts == part) for part in found.folds),
            ("all", np.ones(len(parts), bool)),
        ]
        for one in measures_of_classes(
            truth.of(here), found.probability[here], found.predicted[here]
        )
    ]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6g")
    write_text(run.directory.metrics, text)
    made_from = _made_from(run, images, folds, members)
    one_fold = table["fold"].nunique() == 1
    whole = with_bounds([row for row in rows if row["fold"] == "all"], bounds)
    return _report(run, members, truth, found, bounds, whole, one_fold, made_from), made_from


def with_bounds(rows: Sequence[dict[str, Any]], bounds: Bounds) -> list[dict[str, Any]]:
    """Return the measures of classes as JSON values, each share with its interval."""
    return [
        {
            **{name: plain(value) for name, value in row.items() if name != "fold"},
            "intervals": {
                name: [plain(end) for end in ends]
                for name, ends in bounds.measures[row["class"]].items()
            },
        }
        for row in rows
    ]


def plain(value: Any) -> Any:
    """Return a value, None for a number without meaning."""
    import math

    return None if isinstance(value, float) and math.isnan(value) else value


def _report(
    run: Run,
    members: LabelMembers,
    truth: Truth,
    found: LabelAssessment,
    bounds: Bounds,
    measures: list[dict[str, Any]],
    one_fold: bool,
    made_from: dict[str, Any],
) -> dict[str, Any]:
    settings = run.settings.ensemble
    return {
        "format": FORMAT,
        "task": "classification",
        "metric": truth.metric,
        "merge": settings.merge,
        "weights": settings.weights if isinstance(settings.weights, str) else "given",
        "members": [
            {"name": name, "weight": weight}
            for name, weight in zip(members.names, found.weights, strict=True)
        ],
        "classes": list(truth.classes),
        "exclusive": truth.exclusive,
        "thresholds": dict(zip(truth.classes, found.thresholds, strict=True)),
        "honest": {
            "score": found.honest,
            "chosen_on": "the other parts of the only fold" if one_fold else "the other folds",
            "interval": {"low": bounds.score[0], "high": bounds.score[1], "level": 0.95},
            "parts" if one_fold else "folds": [
                {"part" if one_fold else "fold": part, "images": count, "score": score}
                for part, (count, score) in found.folds.items()
            ],
        },
        "optimistic": found.optimistic,
        "constant": plain(found.constant),
        "measures": measures,
        "images": len(members.image_ids),
        "made_from": made_from,
    }


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
