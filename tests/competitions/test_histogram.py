"""Histograms of levels: hand-made cases, agreement with plain counting, scores at every level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from goldfold.competitions import histogram
from goldfold.competitions.histogram import (
    check_histograms,
    counts_above,
    level_histograms,
    score_by_level,
    scores_by_level,
)
from goldfold.errors import InputError

MAPS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20))


def test_counts_all_pixels_and_those_of_the_mask() -> None:
    levels = np.array([[0, 0, 255], [7, 7, 7]], np.uint8)
    mask = np.array([[1, 0, 1], [0, 0, 1]], np.uint8)
    histograms = level_histograms(levels, mask)
    assert histograms.shape == (2, 256)
    assert histograms.dtype == np.int64
    assert histograms[0, [0, 7, 255]].tolist() == [2, 3, 1]
    assert histograms[1, [0, 7, 255]].tolist() == [1, 1, 1]
    assert histograms.sum(axis=1).tolist() == [6, 3]


@pytest.mark.parametrize("mask", [None, np.zeros((3, 5), np.uint8), np.zeros((3, 5), bool)])
def test_empty_mask_has_no_pixels(mask: np.ndarray | None) -> None:
    levels = np.full((3, 5), 9, np.uint8)
    assert level_histograms(levels, mask)[1].sum() == 0


def test_full_mask_equals_all_pixels() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(4, 64)
    histograms = level_histograms(levels, np.full((4, 64), 255, np.uint8))
    assert (histograms == 1).all()


def test_first_and_last_pixel_count() -> None:
    levels = np.zeros((5, 7), np.uint8)
    levels[0, 0], levels[-1, -1] = 3, 4
    assert level_histograms(levels)[0, :5].tolist() == [33, 0, 0, 1, 1]


@given(
    seed=st.integers(0, 2**16),
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    zeros=st.sampled_from([0.0, 0.3, 0.99, 1.0]),
    inside=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    exact=st.sampled_from([7, 1 << 24]),
)
def test_agrees_with_bincount(
    seed: int, shape: tuple[int, int], zeros: float, inside: float, exact: int
) -> None:
    """Sparse and busy maps are counted in different ways, and large ones in several parts."""
    random = np.random.default_rng(seed)
    levels = random.integers(0, 256, shape, np.uint8)
    levels[random.random(shape) < zeros] = 0
    mask = (random.random(shape) < inside).astype(np.uint8) * 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histogram, "_EXACT", exact)
        found = level_histograms(levels, mask)
    expected = [levels.reshape(-1), levels[mask > 0]]
    np.testing.assert_array_equal(found, [np.bincount(row, minlength=256) for row in expected])


@given(MAPS, st.booleans())
def test_agrees_with_plain_counting_in_any_memory_layout(levels: np.ndarray, turned: bool) -> None:
    mask = levels % 3 == 1
    if turned:  # column-major masks are what decoding a run-length encoding gives
        levels, mask = np.asfortranarray(levels), np.asfortranarray(mask)
    histograms = level_histograms(levels, mask)
    expected = [[(levels == b).sum() for b in range(256)], [0] * 256]
    expected[1] = [((levels == b) & mask).sum() for b in range(256)]
    assert histograms.tolist() == expected


@given(MAPS)
def test_counts_above_are_those_of_the_pixels(levels: np.ndarray) -> None:
    above = counts_above(level_histograms(levels)[0])
    assert above.tolist() == [int((levels > b).sum()) for b in range(256)]


def test_scores_by_hand() -> None:
    # One image: two pixels of the mask at levels 10 and 20, one false pixel at 15.
    levels = np.array([[10, 20, 15, 0]], np.uint8)
    mask = np.array([[1, 1, 0, 0]])
    empty = level_histograms(np.array([[12, 0]], np.uint8))
    histograms = np.stack([level_histograms(levels, mask), empty])
    scores = scores_by_level(histograms, "dice")
    assert scores.shape == (2, 256)
    assert scores[0, [0, 10, 15, 20]].tolist() == pytest.approx([4 / 5, 2 / 4, 2 / 3, 0])
    assert scores[1, [11, 12]].tolist() == [0, 1]
    assert score_by_level(histograms, "dice")[15] == pytest.approx((2 / 3 + 1) / 2)
    assert score_by_level(histograms, "dice").shape == (256,)


@pytest.mark.parametrize("metric", ["dice", "mean-iou-thresholds"])
def test_above_the_last_level_all_masks_are_empty(metric: str) -> None:
    full = np.full((4, 4), 255, np.uint8)
    histograms = np.stack(
        [level_histograms(full, np.ones((4, 4), np.uint8)), level_histograms(full)]
    )
    assert scores_by_level(histograms, metric)[:, 255].tolist() == [0, 1]
    assert scores_by_level(histograms, metric)[:, 254].tolist() == [1, 0]


def test_probabilities_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected a map of 8-bit levels, uint8 \(H, W\)"):
        level_histograms(np.zeros((2, 2), np.float32))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"found uint8 \(1, 2, 2\)"):
        level_histograms(np.zeros((1, 2, 2), np.uint8))


def test_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"mask of the map's shape \(2, 3\), found \(3, 2\)"):
        level_histograms(np.zeros((2, 3), np.uint8), np.zeros((3, 2)))


@pytest.mark.parametrize(
    "histograms",
    [np.zeros((0, 2, 256), int), np.zeros((2, 256), int), np.zeros((1, 2, 255), int)],
)
def test_histograms_of_another_shape_are_refused(histograms: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"whole numbers \(N, 2, 256\)"):
        check_histograms(histograms)


def test_fractional_histograms_are_refused() -> None:
    with pytest.raises(InputError, match=r"found float64 \(1, 2, 256\)"):
        scores_by_level(np.zeros((1, 2, 256)), "dice")  # type: ignore[arg-type]
