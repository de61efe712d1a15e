"""An out-of-fold prediction by a model that saw the image or its group is refused."""

import pytest

from goldfold.ensemble.bookkeeping import check_out_of_fold
from goldfold.errors import InputError

FOLDS = {"a1": 0, "a2": 0, "b1": 1, "c1": 1, "d1": 0}
GROUPS = {"a1": "a", "a2": "a", "b1": "b", "c1": "", "d1": ""}


def test_held_out_images_are_accepted() -> None:
    check_out_of_fold([("zero", 0, ["a1", "a2", "d1"]), ("one", 1, ["b1"])], FOLDS, GROUPS)


def test_images_of_another_fold_are_refused() -> None:
    with pytest.raises(InputError, match=r"one: 2 images are not held out .* such as a1"):
        check_out_of_fold([("one", 1, ["b1", "a2", "a1"])], FOLDS, GROUPS)


def test_images_nobody_knows_are_refused() -> None:
    with pytest.raises(InputError, match="zero: 1 image is not held out"):
        check_out_of_fold([("zero", 0, ["x"])], FOLDS, GROUPS)


def test_images_whose_group_was_trained_on_are_refused() -> None:
    groups = GROUPS | {"c1": "a"}
    stores = [("zero", 0, ["a1", "d1"]), ("one", 1, ["c1"])]
    with pytest.raises(InputError) as caught:
        check_out_of_fold(stores, FOLDS, groups)
    assert "zero: 1 image has a group that its models were trained on, such as a1 (a)" in str(
        caught.value
    )
    assert "one: 1 image has a group" in str(caught.value)


def test_images_without_a_group_are_their_own() -> None:
    check_out_of_fold([("zero", 0, ["d1"]), ("one", 1, ["c1"])], FOLDS, GROUPS)
