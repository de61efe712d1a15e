import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from goldfold.competitions.pixel_runs import (
    NO_RUNS,
    Runs,
    area_px,
    intersection_px,
    mask_of_runs,
    merge_runs,
    runs_of_mask,
)
from goldfold.errors import InputError

MASKS = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=18), elements=st.integers(0, 1)
)
PAIRS = hnp.array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(
    lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=st.integers(0, 1))] * 2)
)
ORDERS = st.sampled_from(["column", "row"])


def runs(*pairs: tuple[int, int]) -> Runs:
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return Runs(table[:, 0], table[:, 1])


def pairs(value: Runs) -> list[tuple[int, int]]:
    return list(zip(value.starts.tolist(), value.lengths.tolist(), strict=True))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], []),
        ([[]], []),
        ([[], [(3, 2)]], [(3, 2)]),
        ([[(3, 2)], [(5, 1)]], [(3, 3)]),  # touching
        ([[(3, 2)], [(6, 1)]], [(3, 2), (6, 1)]),  # one pixel between
        ([[(0, 9)], [(2, 3)], [(4, 1)]], [(0, 9)]),  # inside
        ([[(0, 9), (20, 1)], [(2, 3), (12, 1)]], [(0, 9), (12, 1), (20, 1)]),
        ([[(5, 5)], [(5, 5)]], [(5, 5)]),  # the same twice
    ],
)
def test_unite(parts, expected):
    assert pairs(merge_runs([runs(*part) for part in parts])) == expected


def test_unite_does_not_change_its_parts():
    first, second = runs((0, 4)), runs((2, 4))
    merge_runs([first, second])
    assert pairs(first) == [(0, 4)]
    assert pairs(second) == [(2, 4)]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([], [], 0),
        ([(0, 5)], [], 0),
        ([(0, 5)], [(5, 5)], 0),
        ([(0, 5)], [(4, 5)], 1),
        ([(0, 5)], [(1, 2)], 2),
        ([(0, 2), (4, 2), (8, 2)], [(1, 8)], 4),
    ],
)
def test_intersection(first, second, expected):
    assert intersection_px(runs(*first), runs(*second)) == expected
    assert intersection_px(runs(*second), runs(*first)) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [("column", [(1, 1), (3, 1), (5, 1)]), ("row", [(3, 3)])],
)
def test_orders_by_hand(order, expected):
    assert pairs(runs_of_mask(np.array([[0, 0, 0], [1, 1, 1]]), order)) == expected


def test_a_run_goes_on_in_the_next_column():
    mask = np.array([[0, 1, 0], [1, 1, 0], [1, 0, 1]])
    assert pairs(runs_of_mask(mask, "column")) == [(1, 4), (8, 1)]


@pytest.mark.parametrize("order", ["column", "row"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 3), (8, 8), (7, 16)])
def test_full_and_empty(order, shape):
    pixels = shape[0] * shape[1]
    assert pairs(runs_of_mask(np.ones(shape, bool), order)) == [(0, pixels)]
    assert len(runs_of_mask(np.zeros(shape, bool), order)) == 0
    assert mask_of_runs(NO_RUNS, *shape, order).sum() == 0
    assert mask_of_runs(runs((0, pixels)), *shape, order).sum() == pixels


@pytest.mark.parametrize("shape", [(0, 0), (0, 8), (8, 0)])
@pytest.mark.parametrize("order", ["column", "row"])
def test_an_image_without_pixels_has_no_runs(shape, order):
    assert len(runs_of_mask(np.zeros(shape, np.uint8), order)) == 0


@given(MASKS, ORDERS)
def test_runs_and_back(mask, order):
    runs_back = runs_of_mask(mask, order)
    assert np.array_equal(mask_of_runs(runs_back, *mask.shape, order), mask)
    assert area_px(runs_back) == mask.sum()
    assert (runs_back.starts[1:] > runs_back.ends[:-1]).all()


@given(MASKS, ORDERS)
def test_row_order_is_column_order_of_the_transpose(mask, order):
    other = "row" if order == "column" else "column"
    assert pairs(runs_of_mask(mask, order)) == pairs(runs_of_mask(mask.T, other))


@given(MASKS, ORDERS, st.sampled_from([bool, np.int8, np.uint16, np.int64]))
def test_dtype_value_and_layout_do_not_matter(mask, order, dtype):
    expected = pairs(runs_of_mask(mask, order))
    assert pairs(runs_of_mask((mask * 77).astype(dtype), order)) == expected
    assert pairs(runs_of_mask(np.asfortranarray(mask), order)) == expected
    wide = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)
    assert pairs(runs_of_mask(wide[::2, 1::2], order)) == expected


@given(PAIRS, ORDERS)
def test_unite_and_intersect_agree_with_pixels(masks, order):
    first, second = (runs_of_mask(mask, order) for mask in masks)
    assert pairs(merge_runs([first, second])) == pairs(runs_of_mask(masks[0] | masks[1], order))
    assert intersection_px(first, second) == (masks[0] & masks[1]).sum()


def test_negative_labels_belong_to_the_mask():
    assert pairs(runs_of_mask(np.array([[0, -1]], np.int16), "row")) == [(1, 1)]


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros((1, 2, 2), np.uint8), r"shape \(1, 2, 2\) with uint8"),
        (np.zeros((2, 2), np.float32), r"shape \(2, 2\) with float32"),
    ],
)
def test_probabilities_and_batches_are_refused(mask, words):
    with pytest.raises(InputError, match=rf"expected a mask of shape \(H, W\).*{words}"):
        runs_of_mask(mask, "column")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.uint16])
@pytest.mark.parametrize("width", [15, 16])  # 16 is looked at in words of eight pixels
def test_every_single_pixel(dtype, width):
    for pixel in range(5 * width):
        mask = np.zeros(5 * width, dtype)
        mask[pixel] = 1
        row, column = divmod(pixel, width)
        assert pairs(runs_of_mask(mask.reshape(5, width), "row")) == [(pixel, 1)]
        assert pairs(runs_of_mask(mask.reshape(5, width), "column")) == [(column * 5 + row, 1)]
