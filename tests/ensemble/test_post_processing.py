"""Post-processing agrees with SciPy, and a step is kept only where it honestly helps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from goldfold.ensemble.post_processing import (
    NOTHING,
    PostProcessing,
    candidates,
    combine,
    post_process,
)
from goldfold.ensemble.post_search import search_steps
from goldfold.errors import InputError

masks = st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32 - 1)).map(
    lambda drawn: (
        np.random.default_rng(drawn[2]).random(drawn[:2])
        < np.random.default_rng(drawn[2]).uniform(0.2, 0.8)
    ).astype(np.uint8)
)
EVERYWHERE = np.ones((3, 3), int)


@given(mask=masks, least=st.integers(1, 20))
def test_small_parts_are_those_of_scipy(mask: np.ndarray, least: int) -> None:
    labels, count = ndimage.label(mask, structure=EVERYWHERE)
    sizes = ndimage.sum_labels(mask, labels, range(count + 1))
    expected = (sizes >= least)[labels] & (mask > 0)
    assert np.array_equal(post_process(mask, PostProcessing(min_part_px=least)), expected)


@given(mask=masks, largest=st.integers(1, 4))
def test_the_largest_parts_are_kept(mask: np.ndarray, largest: int) -> None:
    found = post_process(mask, PostProcessing(largest=largest))
    assert not (found & ~mask & 1).any()
    labels, count = ndimage.label(mask, structure=EVERYWHERE)
    sizes = sorted(ndimage.sum_labels(mask, labels, range(1, count + 1)), reverse=True)
    kept, number = ndimage.label(found, structure=EVERYWHERE)
    assert (
        sorted(ndimage.sum_labels(found, kept, range(1, number + 1)), reverse=True)
        == (sizes[:largest])
    )


@given(mask=masks)
def test_holes_are_those_of_scipy(mask: np.ndarray) -> None:
    found = post_process(mask, PostProcessing(fill_holes=1))
    assert np.array_equal(found, ndimage.binary_fill_holes(mask))


@given(mask=masks, radius=st.integers(1, 5))
def test_dilation_is_that_of_scipy(mask: np.ndarray, radius: int) -> None:
    side = np.arange(-radius, radius + 1)
    disc = side[:, None] ** 2 + side[None] ** 2 <= radius**2
    expected = ndimage.binary_dilation(mask, disc)
    assert np.array_equal(post_process(mask, PostProcessing(dilate_px=radius)), expected)


@given(mask=masks)
def test_steps_are_taken_in_order(mask: np.ndarray) -> None:
    steps = PostProcessing(min_part_px=3, largest=2, fill_holes=1, dilate_px=1)
    one_by_one = mask
    for name, value in vars(steps).items():
        one_by_one = post_process(one_by_one, replace(NOTHING, **{name: value}))
    assert np.array_equal(post_process(mask, steps), one_by_one)


def test_nothing_changes_nothing() -> None:
    mask = np.array([[1, 0], [0, 1]], np.uint8)
    assert post_process(mask, NOTHING) is mask


def test_combining_takes_the_later_value() -> None:
    one, other = PostProcessing(min_part_px=4, fill_holes=1), PostProcessing(min_part_px=8)
    assert combine(one, other) == PostProcessing(min_part_px=8, fill_holes=1)
    assert combine(one, NOTHING) == one


def test_each_step_may_be_left_out() -> None:
    assert all(tried[0] == NOTHING for tried in candidates(1024 * 1024))
    assert max(one.min_part_px for one in candidates(1024 * 1024)[0]) == 8192


@pytest.mark.parametrize("values", [{"min_part_px": -1}, {"fill_holes": 2}])
def test_impossible_values_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(InputError, match="post-processing values of 0 or more"):
        PostProcessing(**values)


def squares(count: int = 40) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
    """True squares, and predictions of them with a hole in the middle and specks of ten pixels."""
    rng = np.random.default_rng(0)
    predicted, true = [], []
    for place in range(count):
        truth = np.zeros((64, 64), np.uint8)
        if place % 2:
            top, left = rng.integers(0, 30, 2)
            truth[top : top + 30, left : left + 30] = 1
        mask = truth.copy()
        if place % 2:
            mask[top + 12 : top + 18, left + 12 : left + 18] = 0
        mask[:2, 58:63] = 1
        predicted.append(mask)
        true.append(truth if place % 2 else None)
    return predicted, true


@pytest.mark.parametrize("workers", [1, 3])
def test_steps_that_help_are_kept_and_others_left_out(workers: int) -> None:
    predicted, true = squares()
    folds = np.arange(40) % 4
    found = search_steps(
        predicted.__getitem__,
        true.__getitem__,
        folds,
        "dice",
        largest_px=64 * 64,
        workers=workers,
    )
    assert found.steps == PostProcessing(min_part_px=16, fill_holes=1)
    assert [one.step for one in found.trials] == [
        "min_part_px", "largest", "fill_holes", "dilate_px",
    ]  # fmt: skip
    assert [one.kept for one in found.trials] == [True, False, True, False]
    assert found.trials[0].gain >= 0.5
    assert found.scores.mean() == pytest.approx(1)


def test_a_gain_on_the_same_images_alone_is_not_believed() -> None:
    """In each fold another radius would help, so that none helps on the others."""
    size, folds = 40, np.repeat(np.arange(4), 5)
    true: list[np.ndarray | None] = []
    predicted = []
    for fold in folds:
        truth = np.zeros((size, size), np.uint8)
        truth[10:30, 10:30] = 1
        true.append(truth)
        shrink = 1 if fold == 0 else 0
        mask = np.zeros_like(truth)
        mask[10 + shrink : 30 - shrink, 10 + shrink : 30 - shrink] = 1
        predicted.append(mask)
    found = search_steps(
        predicted.__getitem__, true.__getitem__, folds, "dice", largest_px=size * size
    )
    assert found.steps == NOTHING
    assert not any(one.kept for one in found.trials)
