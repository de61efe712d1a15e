"""What stands behind a metric's name, which tasks have it, and that all are wired everywhere."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from goldfold import vocabulary
from goldfold.competitions.class_measures import REPORTED
from goldfold.competitions.class_metric_table import KINDS
from goldfold.competitions.class_threshold import CURVES
from goldfold.competitions.metric import METRICS, image_scores
from goldfold.competitions.object_metric import OBJECT_SCORES
from goldfold.errors import InputError
from goldfold.metric_names import (
    PARAMETERS,
    default_metric,
    metrics_of,
    parse_metric,
)
from goldfold.settings import CompetitionSettings
from goldfold.vocabulary import names_of

CLASSES = {
    "task": "classification",
    "classes": ["a", "b", "c"],
    "labels": {"kind": "wide", "files": ["t.csv"]},
}


def test_every_name_has_what_it_needs():
    assert [*METRICS] == [*names_of(vocabulary.PixelMetric)]
    assert [*OBJECT_SCORES] == [*names_of(vocabulary.ObjectMetric)]
    assert {*KINDS} == {*REPORTED} == {*names_of(vocabulary.ClassMetric)}
    assert {*CURVES} == {name for name, kind in KINDS.items() if kind.takes == "labels"}
    assert {*PARAMETERS} <= {*names_of(vocabulary.Metric)}
    for task in names_of(vocabulary.TaskName):
        assert default_metric(task) in metrics_of(task)
    said = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert [name for name in names_of(vocabulary.Metric) if f"`{name}`" not in said] == []


def test_parameters():
    assert parse_metric("pf-beta").parameters == {"beta": 1.0}
    assert parse_metric("pf-beta( beta = 0.5 )").number("beta") == 0.5
    call = parse_metric("dice-hausdorff(dice_weight=0.3, both_empty=0)")
    assert (call.name, call.number("dice_weight"), call.number("both_empty")) == (
        "dice-hausdorff", 0.3, 0.0,
    )  # fmt: skip
    assert parse_metric("mine:score@0123456789ab").name == "mine:score@0123456789ab"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pf-beta(bta=2)", "takes beta = a number above 0 and at most 100, not 'bta=2'.*'beta'"),
        ("pf-beta(beta=0)", "expected beta = a number above 0 and at most 100, found '0'"),
        ("pf-beta(beta=nan)", "found 'nan'"),
        ("pf-beta(beta=)", "found ''"),
        ("pf-beta(2)", "not '2'"),
        ("pf-beta()", "not ''"),
        ("pf-beta(beta=1, beta=2)", "sets beta twice"),
        ("dice(both_empty=2)", "expected both_empty = 1, 0 or skip, found '2'"),
        ("dice-hausdorff(both_empty=skip)", "expected both_empty = 1 or 0"),
        ("accuracy(beta=1)", "accuracy takes nothing"),
        ("acuracy", "unknown metric 'acuracy'.*Did you mean 'accuracy'"),
        ("pf-beta(beta=1", r"unknown metric 'pf-beta\(beta=1'"),
        ("my.module:score", "unknown metric"),
    ],
)
def test_what_is_refused_says_what_there_is(text, words):
    with pytest.raises(ValidationError, match=words):
        CompetitionSettings(metric=text)


def test_settings_keep_the_text():
    form = CompetitionSettings(**CLASSES, metric="pf-beta(beta=2)")
    assert CompetitionSettings(**form.model_dump()).metric == "pf-beta(beta=2)"
    assert not CompetitionSettings(metric="dice(both_empty=skip)").compares_objects


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "global-dice"}, 'metric "global-dice" is not one of classification: choose'),
        ({"metric": "micro-f1", "metric_weights": {"a": 2}}, "has no effect on metric"),
        ({"metric": "mine:score", "metric_weights": {"a": 2}}, "has no effect on metric"),
        ({"metric": "auroc", "metric_weights": dict.fromkeys("abc", 0)}, "every class the weight"),
        (
            {
                "metric": "f1", "metric_weights": {"b": 2}, "classes": ["a", "b"],
                "exclusive": True, "labels": {"kind": "column", "class_column": "c"},
            },
            "of these exclusive classes",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_task(changes, words):
    with pytest.raises(ValidationError, match=words):
        CompetitionSettings(**{**CLASSES, **changes})


def test_an_unknown_parameter_is_an_input_error_in_python_too():
    with pytest.raises(InputError, match="expected both_empty"):
        image_scores("dice(both_empty=7)", np.array(1), np.array(1), np.array(1))
