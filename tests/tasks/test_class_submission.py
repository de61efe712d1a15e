"""Cells of a class submission: each image's own probabilities, in the columns of the sample."""

from types import SimpleNamespace

import numpy as np
import pytest

from goldfold.errors import InputError
from goldfold.submissions.layout import Layout
from goldfold.tasks import class_submission
from goldfold.tasks.class_submission import class_cells

CLASSES = ["epidural", "subdural", "any"]
SAID = {"a": [0.1, 0.2, 0.3], "b": [0.0, 0.9, 1.0]}


class Told:
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def cells(monkeypatch):
    """Return a function (keys, layout) that fills rows, and where lines go."""
    told = Told()
    probability = np.array(list(SAID.values()))
    predicted = probability > 0.25
    monkeypatch.setattr(
        class_submission, "test_classes", lambda *_: (list(SAID), probability, predicted)
    )
    form = SimpleNamespace(classes=CLASSES, exclusive=False, data="data", metric="neg-log-loss")
    run = SimpleNamespace(
        settings=SimpleNamespace(competition=form), progress=told,
        command=lambda words: f"goldfold {words} RUN",
    )  # fmt: skip
    return lambda keys, layout: class_cells(run, None, keys, layout), told, form


LONG = Layout(("ID",), ("Label",), "probability", class_separator="_")
WIDE = Layout(("id",), ("subdural", "epidural"), "probability")
ONE = Layout(("id",), ("p",), "probability")
NAMED = Layout(("id",), ("label",), "label", labels=tuple(CLASSES))


def numbers(made):
    return [(key, [float(cell) for cell in np.atleast_1d(cell)]) for key, cell in made]


def test_rows_are_of_an_image_and_a_class(cells):
    fill, told, _ = cells
    made = numbers(fill(["b_subdural", "a_any", "a_epidural"], LONG))
    assert made == [("b_subdural", [0.9]), ("a_any", [0.3]), ("a_epidural", [0.1])]
    (line,) = told.said
    assert "in 0 of 2 images `any` is less likely than one of its classes" in line


def test_columns_are_classes_in_the_order_of_the_sample(cells):
    made = numbers(cells[0](["b", "a"], WIDE))
    assert made == [("b", [0.9, 1e-6]), ("a", [0.2, 0.1])]  # held away from 0, as losses need


def test_a_single_column_is_the_last_class_and_a_label_the_most_likely_one(cells):
    assert numbers(cells[0](["a", "b"], ONE)) == [("a", [0.3]), ("b", [1 - 1e-6])]
    assert cells[0](["a", "b"], NAMED) == [("a", "any"), ("b", "any")]


def test_a_metric_of_labels_is_told_yes_and_no(cells):
    fill, _, form = cells
    form.metric = "pf-beta(beta=1)"
    made = numbers(fill(["b_subdural", "a_any", "a_epidural"], LONG))
    assert made == [("b_subdural", [1.0]), ("a_any", [1.0]), ("a_epidural", [0.0])]
    form.metric = "auroc"
    assert numbers(fill(["b"], WIDE)) == [("b", [0.9, 1e-6])]


def test_rows_without_a_prediction_and_unknown_classes_are_named_together(cells):
    with pytest.raises(InputError, match="2 of 3 rows") as caught:
        cells[0](["x_any", "a_any", "b_frontal"], LONG)
    assert "x_any: no prediction" in str(caught.value)
    assert "b_frontal: 'frontal' is no class" in str(caught.value)
