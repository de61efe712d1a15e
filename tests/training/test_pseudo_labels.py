import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from goldfold.training.pseudo_labels import cached_pseudo_labels, confidence, label_of


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([255, 255, 0, 0], 1.0),
        ([0, 0], 1.0),
        ([51, 0], 0.8),  # empty, and one pixel in five of being wrong
        ([127, 0], 1 - 127 / 255),
        ([128, 0], 2 * 128 / (128 + 255)),  # one uncertain pixel is an uncertain finding
        ([255, 100, 0, 0], 2 * 255 / (355 + 255)),
    ],
)
def test_confidence_by_hand(levels, expected):
    assert confidence(np.array([levels], np.uint8)) == pytest.approx(expected)


@given(arrays(np.uint8, (4, 5)))
def test_confidence_is_between_0_and_1(levels):
    assert 0.0 <= confidence(levels) <= 1.0


@given(arrays(np.uint8, (6, 6)), st.integers(0, 9999))
@settings(max_examples=30, deadline=None)
def test_confidence_is_the_dice_to_expect_of_a_calibrated_map(levels, seed):
    """For large masks the expected Dice is close to the ratio of expectations."""
    levels = np.kron(levels, np.ones((20, 20), np.uint8))
    mask = levels > 127
    if mask.sum() < 2000:
        return
    probability = levels / 255
    random = np.random.default_rng(seed)
    truths = [random.random(levels.shape) < probability for _ in range(20)]
    dice = np.mean([2 * (t & mask).sum() / (t.sum() + mask.sum()) for t in truths])
    assert confidence(levels) == pytest.approx(dice, abs=0.02)


def test_labels_are_soft_or_hard():
    levels = np.array([[0, 127, 128, 255]], np.uint8)
    assert label_of(levels, hard=False) is levels
    assert label_of(levels, hard=True).tolist() == [[0, 0, 255, 255]]


def test_the_cache_is_resized_once_and_made_anew_when_labels_change(tmp_path):
    read = []

    def source(image_id):
        read.append(image_id)
        return np.full((40, 30), 10 * int(image_id), np.uint8)

    def open_them(made_from):
        return cached_pseudo_labels(
            tmp_path, "pseudo", 16, image_ids=["1", "2"], read=[source], made_from=made_from
        )

    found = open_them("a")
    assert found.masks.shape == (2, 16, 16)
    assert (found.masks[1] == 20).all()
    assert isinstance(found.masks, np.memmap)
    open_them("a")
    assert read == ["1", "2"]
    open_them("b")
    assert read == ["1", "2", "1", "2"]


def test_a_torn_cache_is_made_again(tmp_path):
    def make():
        return cached_pseudo_labels(
            tmp_path, "pseudo", 16, image_ids=["1"], made_from="a",
            read=[lambda _: np.full((20, 20), 9, np.uint8)],
        )  # fmt: skip

    make()
    (tmp_path / "pseudo-16.json").unlink()  # a kill between the two files
    assert (make().masks == 9).all()
