"""Blend and thresholds of a run that predicts classes, and what to expect of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from goldfold.competitions.class_labels import label_targets
from goldfold.competitions.class_metric import class_weight_list
from goldfold.competitions.class_metric_table import class_kind
from goldfold.competitions.class_threshold import describe_search
from goldfold.competitions.images_table import CLASSES
from goldfold.ensemble.blend_ways import require_several
from goldfold.files import fingerprint, write_text
from goldfold.own_code import is_reference
from goldfold.tasks.class_members import class_members, row_members
from goldfold.tasks.prediction_rows import Rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.class_blend import ClassAssessment
    from goldfold.ensemble.class_intervals import Bounds
    from goldfold.ensemble.class_truth import Truth
    from goldfold.tasks.class_members import ClassMembers
    from goldfold.tasks.run_view import MemberSource, RunView

FORMAT = 2
"""Of ensemble.json; up to 1, thresholds could lie on a probability. Older files are made anew."""


def truth_of(run: RunView, images: pd.DataFrame, image_ids: Sequence[str]) -> Truth:
    """Return what is true of images."""
    from goldfold.ensemble.class_truth import Truth

    form = run.settings.competition
    known = images.drop_duplicates("image_id").set_index("image_id").loc[list(image_ids), CLASSES]
    return Truth(
        label_targets(known.tolist(), form.classes),
        tuple(form.classes),
        form.exclusive,
        form.metric,
        tuple(class_weight_list(form.classes, form.metric_weights)),
        list(image_ids),
    )


def judged_classes(run: RunView) -> dict[str, Any]:
    """Return what ensemble.json depends on beside the predictions."""
    form = run.settings.competition
    return {
        "format": FORMAT,
        "settings": run.settings.ensemble.facts,
        "metric": [form.metric, form.metric_weights, form.classes, form.exclusive],
        "folds": fingerprint(run.folds.to_dict(orient="list")),
        "labels": fingerprint([list(run.images["image_id"]), list(run.images[CLASSES])]),
        **row_facts(run),
    }


def row_facts(run: RunView) -> dict[str, Any]:
    """Return which images make which row of the submission; {} where each is one."""
    rows = run.settings.competition.rows
    if rows is None:
        return {}
    columns = [list(run.images[name]) for name in rows.columns if name in run.images.columns]
    return {"rows": [rows.model_dump(mode="json"), fingerprint(columns)]}


def assess_classes(
    run: RunView, source: MemberSource, made_from: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of ensemble.json; metrics.csv is written.

    Raises:
        InputError: as `class_members`.
    """
    import numpy as np
    import pandas as pd

    from goldfold.ensemble.class_blend import assess_class_probabilities
    from goldfold.ensemble.class_intervals import bootstrap_classes, measures_of_classes

    settings, rows_view = run.settings.ensemble, Rows(run)
    members = row_members(class_members(source, "out-of-fold"), rows_view, "out-of-fold")
    view = rows_view.fold_view
    truth = truth_of(run, rows_view.images, members.image_ids)
    parts = view.parts(members.image_ids, settings.seed)
    require_several(settings.weights, members.names)
    assessment = assess_class_probabilities(
        members.probability,
        truth,
        parts,
        merge=settings.merge,
        weights=settings.weights,
        calibration=settings.calibration,
    )
    bounds = bootstrap_classes(
        truth,
        assessment.probability,
        assessment.predicted,
        view.group_numbers(members.image_ids),
        samples=settings.bootstrap_samples,
        seed=settings.seed,
    )
    rows = [
        {"fold": name, **measures}
        for name, here in [
            *((str(part), parts == part) for part in assessment.folds),
            ("all", np.ones(len(parts), bool)),
        ]
        for measures in measures_of_classes(
            truth.of(here), assessment.probability[here], assessment.predicted[here]
        )
    ]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6g")
    write_text(run.directory.metrics, text)
    one_fold = np.unique(view.folds_of(members.image_ids)).size == 1
    whole = with_bounds([row for row in rows if row["fold"] == "all"], bounds)
    report = _report(run, members, truth, assessment, bounds, whole, one_fold, made_from)
    if is_reference(truth.metric) and class_kind(truth.metric).takes == "labels":
        report["threshold_search"] = describe_search()
    if settings.calibration != "none":
        report["calibration"]["out_of_fold"] = _calibration_gain(
            run, members, truth, parts, assessment
        )
    return report


def _calibration_gain(
    run: RunView,
    members: ClassMembers,
    truth: Truth,
    parts: NDArray[np.int64],
    assessment: ClassAssessment,
) -> dict[str, Any]:
    """Return how good the blend's probabilities are without and with calibration, cross-fitted."""
    from goldfold.ensemble.calibration_error import calibration_measures
    from goldfold.ensemble.class_blend import ClassBlends, cross_fit_probabilities

    settings = run.settings.ensemble
    plain = ClassBlends(members.probability, truth, settings.merge, settings.weights)
    before = cross_fit_probabilities(truth, parts, plain.chosen_on)
    return {
        "before": calibration_measures(truth, before.probability),
        "after": calibration_measures(truth, assessment.probability),
    }


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
    run: RunView,
    members: ClassMembers,
    truth: Truth,
    assessment: ClassAssessment,
    bounds: Bounds,
    measures: list[dict[str, Any]],
    one_fold: bool,
    made_from: Mapping[str, Any],
) -> dict[str, Any]:
    from goldfold.ensemble.fitted_blend import describe_fitted_blend

    settings = run.settings.ensemble
    return {
        "format": FORMAT,
        "task": "classification",
        "metric": truth.metric,
        "merge": settings.merge,
        "weights": settings.weights if isinstance(settings.weights, str) else "given",
        "members": [
            {"name": name, "weight": weight}
            for name, weight in zip(members.names, assessment.weights, strict=True)
        ],
        **describe_fitted_blend(
            assessment.blend, settings.calibration, members.names, truth.classes
        ),
        "classes": list(truth.classes),
        "exclusive": truth.exclusive,
        "thresholds": dict(zip(truth.classes, assessment.thresholds, strict=True)),
        "honest": {
            "score": assessment.honest,
            "chosen_on": "the other parts of the only fold" if one_fold else "the other folds",
            "interval": {"low": bounds.score[0], "high": bounds.score[1], "level": 0.95},
            "parts" if one_fold else "folds": [
                {"part" if one_fold else "fold": part, "images": count, "score": score}
                for part, (count, score) in assessment.folds.items()
            ],
        },
        "optimistic": assessment.optimistic,
        "constant": plain(assessment.constant),
        "measures": measures,
        "images": len(members.image_ids),
        **Rows(run).named(),
        "made_from": dict(made_from),
    }
