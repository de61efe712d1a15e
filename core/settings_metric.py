"""Which settings a metric needs beside its name, and which have no effect on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.metric_names import WEIGHED, metric_name
from goldfold.vocabulary import PixelMetric, names_of

if TYPE_CHECKING:
    from goldfold.settings_competition import CompetitionSettings


def weights_problem(form: CompetitionSettings) -> str:
    """Return what is wrong with the weights of classes in a metric, "" if nothing."""
    weights, classes, metric = form.metric_weights, form.classes, form.metric
    if unknown := [name for name in weights if name not in classes]:
        return f"metric_weights names {unknown[0]!r}, which is no class"
    if weights and metric_name(metric) not in WEIGHED:
        return (
            f'metric_weights has no effect on metric "{metric}"; it weighs the classes of '
            f"{', '.join(WEIGHED)}"
        )
    of_all = ("macro-f1", "balanced-accuracy")
    one_class = form.exclusive and len(classes) == 2 and metric_name(metric) not in of_all
    if weights and (one_class or (form.exclusive and metric == "neg-log-loss")):
        return f'metric_weights has no effect on metric "{metric}" of these exclusive classes'
    if weights and not sum(weights.get(name, 1.0) for name in classes) > 0:
        return "metric_weights gives every class the weight 0"
    return ""


def objects_problem(form: CompetitionSettings) -> str:
    """Return why a metric of objects cannot know them, "" if it can, or compares none."""
    if not form.compares_objects:
        return ""
    metric = form.metric
    if not form.labels.tells_objects:
        return (
            f'metric "{metric}" needs the objects of each image: rows of a table '
            '(labels.kind = "rle"), one mask file per object (labels.masks with *, such as '
            '"masks/{id}/*.png"), or object numbers in one file (labels.values = "objects")'
        )
    if form.mask_classes:
        return (
            f'metric "{metric}" is of one mask per image; leave classes out, or choose '
            f"another metric: {' or '.join(names_of(PixelMetric))}"
        )
    if form.submission.sample and not form.submission.objects:
        return (
            f'metric "{metric}" compares objects, so a row of the submission has to be '
            "one: set submission.objects = true"
        )
    named = [*form.images.facts, *(name for table in form.tables for name in table.columns)]
    if "objects" in named:
        return (
            f'metric "{metric}" keeps the objects in the column "objects" of images.csv: '
            "give the column of facts another name"
        )
    return ""
