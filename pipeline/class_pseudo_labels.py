"""Pseudo-labels of runs that predict classes: a table of probabilities for each fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldfold.pipeline.class_members import LabelTable
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.pseudo_label_stage import Kind


def label_classes(
    run: OpenRun,
    target: OpenRun,
    wanted: Sequence[str],
    contents: str,
    name: str,
    labels: Kind,
    least: float,
    overwrite: bool,
) -> list[list[dict[str, Any]]]:
    """Write pseudo-labels of every fold, and return for each a row for each image.

    Args:
        run: whose models label.
        target: the run that will learn from them.
        wanted: ids of the images to label.
        contents: fingerprint of the test images of the run that will learn.
        name: of the pseudo-labels.
        labels: probabilities, or 0 and 1.
        least: confidence of an image that is kept.
        overwrite: others of that name.

    Raises:
        InputError: predictions are missing or outdated, the other run has other classes, or there
            are other pseudo-labels.
    """
    from goldfold.pipeline.class_members import read_tables

    tables = read_tables(run, "test")
    found = []
    for fold in sorted({one.fold for one in tables}):
        own = [one for one in tables if one.fold == fold]
        found.append(
            _write_fold(run, target, own, wanted, contents, name, labels, least, overwrite)
        )
    return found


def _write_fold(
    run: OpenRun,
    target: OpenRun,
    tables: Sequence[LabelTable],
    wanted: Sequence[str],
    contents: str,
    name: str,
    labels: Kind,
    least: float,
    overwrite: bool,
) -> list[dict[str, Any]]:
    """Write the labels of one fold from that fold's tables, and return a row for each image."""
    import numpy as np

    from goldfold.competitions.images_table import JOINT
    from goldfold.competitions.label_metric import decide
    from goldfold.ensemble.label_merge import merge_labels
    from goldfold.files import fingerprint
    from goldfold.inference.labels import write_labels
    from goldfold.pipeline.pseudo_labels import held_out_print, pseudo_path, refuse_other_labels
    from goldfold.training.pseudo_labels import label_confidence

    form, fold = run.settings.competition, tables[0].fold
    weights = _weights(run, tables)
    facts = {
        "fold": fold,
        "held_out_images": held_out_print(run.folds, fold),
        "labels": labels,
        "confidence": least,
        "images": fingerprint(list(wanted)),
        "test_images": contents,
        "predictions": [
            [one.made_from, weight] for one, weight in zip(tables, weights, strict=True)
        ],
        "classes": form.classes,
    }
    path = pseudo_path(target, name, fold)
    refuse_other_labels(path, facts, overwrite)
    said = []
    for one in tables:
        place = {image_id: row for row, image_id in enumerate(one.ids)}
        said.append(one.probability[[place[image_id] for image_id in wanted]])
    blend = merge_labels(said, weights, "mean", exclusive=form.exclusive)
    flags = decide(blend, form.exclusive)
    certain = label_confidence(blend, exclusive=form.exclusive)
    kept = certain >= least
    ids = [image_id for image_id, one in zip(wanted, kept.tolist(), strict=True) if one]
    taught = flags.astype(np.float32) if labels == "hard" else blend.astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_labels(path, ids, form.classes, taught[kept], facts)
    return [
        {
            "image_id": image_id,
            "fold": fold,
            "kept": bool(kept[row]),
            "confidence": round(float(certain[row]), 4),
            "classes": JOINT.join(np.array(form.classes)[flags[row]].tolist()),
        }
        for row, image_id in enumerate(wanted)
    ]


def _weights(run: OpenRun, tables: Sequence[LabelTable]) -> list[int]:
    """Return the weight of each table's member: as the settings give it, or 1.

    Raises:
        InputError: there are not as many weights as members.
    """
    from goldfold.pipeline.members import require_weight_each

    names = list(dict.fromkeys(one.member for one in tables))
    given = run.settings.ensemble.weights
    if isinstance(given, str):
        return [1] * len(tables)
    require_weight_each(run, names)
    return [given[names.index(one.member)] for one in tables]
