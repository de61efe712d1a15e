"""What a stage learns from: each number means one image, and no leak gets past the guards."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.rle import get_dialect
from goldfold.errors import LeakError, LeakInputError
from goldfold.folds.fold_view import FoldView
from goldfold.training.fold_run import FoldData
from goldfold.training.images import PseudoLabelled, TrainingImages
from goldfold.training.validation import ValidationImages

INSIDE, HELD_OUT = [2, 5, 7, 11], [0, 3, 9]
PSEUDO = [13, 1]


def fold_of(cache, groups=None):
    """Return fold 0, which holds HELD_OUT out; every image is a group of its own unless given."""
    rows = range(len(cache))
    table = pd.DataFrame(
        {
            "image_id": cache.image_ids,
            "fold": [0 if row in HELD_OUT else 1 for row in rows],
            "group": [(groups or {}).get(row, "") for row in rows],
        }
    )
    return FoldView(table).fold(0)


def validation_of(mask_texts, rows):
    sizes = [(40, 56)] * len(rows)
    return ValidationImages(
        np.array(rows), sizes, [mask_texts[row] for row in rows], get_dialect("siim")
    )


@pytest.fixture
def data(cache, mask_texts):
    rows = np.array(INSIDE)
    validation = validation_of(mask_texts, HELD_OUT)
    return FoldData(cache, rows, cache.non_empty[rows], validation, "dice", fold=fold_of(cache))


@pytest.fixture
def mixed(cache):
    soft = np.stack([np.full((32, 32), 40 * (place + 1), np.uint8) for place in range(2)])
    return TrainingImages(cache, np.array(INSIDE), PseudoLabelled(cache, np.array(PSEUDO), soft))


def test_numbers_are_places_among_the_images_to_learn_from(cache, data):
    images = data.images
    assert images.image_ids(np.arange(4)) == ["i02", "i05", "i07", "i11"]
    for number, row in enumerate(INSIDE):
        np.testing.assert_array_equal(images.pixels(number), cache.pixels[row])
        mask, soft = images.mask(number)
        np.testing.assert_array_equal(mask, cache.mask(row))
        assert (soft, images.key(number)) == (False, row)


def test_pseudo_labelled_images_come_behind_the_labelled_ones(cache, mixed):
    assert mixed.pseudo_labelled == 2
    assert mixed.image_ids(np.array([3, 4, 5])) == ["i11", "i13", "i01"]
    for place, row in enumerate(PSEUDO):
        number = len(INSIDE) + place
        np.testing.assert_array_equal(mixed.pixels(number), cache.pixels[row])
        mask, soft = mixed.mask(number)
        assert (mask.max(), soft, mixed.key(number)) == (40 * (place + 1), True, len(cache) + row)


def test_targets_of_classes_are_levels_of_labels_and_of_pseudo_labels(cache):
    labels = np.array([[0, 1], [1, 0], [1, 0], [0, 1]], np.uint8) * np.uint8(255)
    pseudo = PseudoLabelled(cache, np.array(PSEUDO), np.array([[10, 240], [90, 160]], np.uint8))
    images = TrainingImages(cache, np.array(INSIDE), pseudo, labels)
    mask, soft = images.mask(0)
    assert (mask.shape, mask.any(), soft) == ((32, 32), False, False)
    targets = images.targets(np.array([5, 0, 4]), [])
    assert targets.tolist() == [[[90, 160]], [[0, 255]], [[10, 240]]]


def test_classes_are_trained_as_full_coverage(data):
    labelled = replace(data, labels=np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.uint8))
    assert labelled.classes == 2
    assert data.classes == 1
    assert labelled.images.labels.tolist() == [[255, 0], [0, 255], [255, 0], [0, 255]]


@pytest.mark.parametrize("leaked", HELD_OUT)
def test_one_held_out_row_among_the_images_to_learn_from_is_an_error(data, leaked):
    rows = np.array([*INSIDE[:2], leaked, *INSIDE[2:]])
    with pytest.raises(LeakError, match=f"training was about to use 1 image .*: i{leaked:02}"):
        replace(data, rows=rows)
    with pytest.raises(LeakError, match="training was about to use"):
        TrainingImages(data.cache, rows, fold=data.fold)


def test_one_row_that_was_learned_from_among_the_judged_is_an_error(data, mask_texts):
    with pytest.raises(LeakError, match=r"validation was about to judge 1 image .*: i07"):
        replace(data, validation=validation_of(mask_texts, [*HELD_OUT, 7]))


def test_a_patient_in_both_is_the_users_mistake(data):
    fold = fold_of(data.cache, groups={5: "patient", 9: "patient"})
    with pytest.raises(LeakInputError, match="a group that lies in several folds"):
        replace(data, fold=fold)


def test_without_a_fold_nothing_is_known_and_nothing_refused(data):
    assert replace(data, rows=np.array(HELD_OUT), fold=None).images.pixels(0) is not None
