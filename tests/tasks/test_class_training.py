"""What a classifier learns from: which classes count as something, and what they weigh."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from goldfold.settings import Loss
from goldfold.tasks.class_training import (
    class_flags,
    class_fold_data,
    class_targets,
    loss_weights,
)
from goldfold.tasks.results import Lessons

CLASSES = ["normal", "bacteria", "virus"]


def form(exclusive=True, **more):
    return SimpleNamespace(
        classes=CLASSES, exclusive=exclusive, metric="auroc", metric_weights={}, **more
    )


def test_targets_have_a_column_for_each_class_in_their_order():
    train = pd.DataFrame({"classes": ["virus", "normal", "", "bacteria;virus"]})
    assert class_targets(form(), train).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 1]]


@pytest.mark.parametrize(
    ("exclusive", "flags"), [(True, [False, True, False]), (False, [True, True, False])]
)
def test_the_first_of_exclusive_classes_means_that_nothing_is_found(exclusive, flags):
    targets = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], np.uint8)
    assert class_flags(form(exclusive), targets).tolist() == flags


def test_weights_of_the_loss_are_even_given_or_balanced():
    targets = np.array([[1, 0, 0]] * 6 + [[0, 1, 0]] * 2 + [[0, 0, 1]], np.uint8)
    assert loss_weights(Loss(), form(), targets) is None
    given = Loss(class_weights={"virus": 3.0})
    assert loss_weights(given, form(), targets) == (1.0, 1.0, 3.0)
    balanced = loss_weights(Loss(class_weights="balanced"), form(), targets)
    assert balanced == pytest.approx((9 / 18, 9 / 6, 9 / 3))
    weighed = targets.sum(axis=0) * np.array(balanced)
    assert weighed.min() == pytest.approx(weighed.max())  # each class counts as much


class Cache:
    classes, image_size, numbers = 1, (8, 8), ()
    image_ids = ("c", "a", "d", "b")

    def rows(self, ids):
        return np.array([self.image_ids.index(name) for name in ids], np.int64)


def test_labels_and_rows_of_a_fold_belong_to_each_other():
    train = pd.DataFrame(
        {"classes": ["normal", "virus", "bacteria", "normal"]}, index=["a", "b", "c", "d"]
    )
    stage = SimpleNamespace(loss=Loss())
    lessons = Lessons(Cache(), train, ["b", "d"], ["a", "c"], stage, None, None)
    data = class_fold_data(form(), lessons)
    assert [Cache.image_ids[row] for row in data.rows] == ["b", "d"]
    assert data.labels.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert data.non_empty.tolist() == [True, False]
    assert [Cache.image_ids[row] for row in data.validation.rows] == ["a", "c"]
    assert data.validation.targets.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert data.metric == "auroc"
