import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.competitions.resize import resize_image, resize_mask


def test_shrinking_averages_areas():
    image = np.array([[0, 4, 10, 10], [8, 0, 10, 30]], dtype=np.uint8)
    np.testing.assert_array_equal(resize_image(image, 1, 2), [[3, 15]])


def test_enlarging_interpolates_between_pixel_centres():
    image = np.array([[0, 100]], dtype=np.uint8)
    np.testing.assert_array_equal(resize_image(image, 1, 4), [[0, 25, 75, 100]])


def test_one_side_may_shrink_while_the_other_grows():
    image = np.array([[0, 100], [20, 120]], dtype=np.uint8)
    np.testing.assert_array_equal(resize_image(image, 1, 4), [[10, 35, 85, 110]])


@pytest.mark.parametrize("channels", [(), (3,)])
def test_same_size_is_the_same_image(channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, *channels)).astype(np.uint8)
    np.testing.assert_array_equal(resize_image(image, 5, 7), image)


def test_a_transposed_view_is_taken():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    resized = resize_image(image.T, 4, 3)
    np.testing.assert_array_equal(resized, image.T)
    assert resized.flags.c_contiguous


def test_mask_pixels_are_those_at_least_half_covered():
    mask = np.array([[1, 1, 1, 0, 0, 0], [1, 1, 0, 1, 1, 0]], dtype=np.uint8)
    np.testing.assert_array_equal(resize_mask(mask, 1, 3), [[1, 1, 0]])


def test_a_mask_too_small_keeps_its_most_covered_pixel():
    mask = np.zeros((100, 100), dtype=np.uint8)
    mask[41:43, 71] = 1
    small = resize_mask(mask, 10, 10)
    assert np.argwhere(small).tolist() == [[4, 7]]


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.integers(1, 40),
    seed=st.integers(0, 999),
    level=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
@settings(max_examples=100, deadline=None)
def test_laws_of_masks(height, width, size, seed, level):
    mask = (np.random.default_rng(seed).random((height, width)) < level).astype(np.uint8)
    resized = resize_mask(mask, size, size)
    assert resized.shape == (size, size)
    assert resized.dtype == np.uint8
    assert resized.max() <= 1
    assert resized.any() == mask.any()
    assert mask.min() <= resized.min()  # a full mask stays full
