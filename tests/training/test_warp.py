import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from goldfold.training.augmentation.warp import (
    Warp,
    Window,
    affine_matrix,
    apply_map,
    sampling_map,
    warp_image_and_mask,
)


def gray(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


def smooth(size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] / size
    return np.rint(127 + 60 * np.sin(5 * x + 1) + 60 * np.cos(4 * y)).astype(np.uint8)


def warped(image: np.ndarray, warp: Warp, **options) -> np.ndarray:
    return warp_image_and_mask(image, np.zeros(image.shape[:2], np.uint8), warp, **options)[0]


@pytest.mark.parametrize("shape", [(8, 8), (5, 9), (64, 48)])
def test_nothing_to_do_changes_nothing(shape):
    assert Warp().is_identity
    np.testing.assert_array_equal(warped(gray(*shape), Warp()), gray(*shape))


@pytest.mark.parametrize("shape", [(8, 8), (5, 9), (512, 511)])
def test_flip_is_exact(shape):
    image = gray(*shape)
    np.testing.assert_array_equal(warped(image, Warp(flip=True)), image[:, ::-1])


def test_shift_moves_right_and_down():
    image = gray(8, 10)
    found = warped(image, Warp(shift=(0.2, 0.25)))
    np.testing.assert_array_equal(found[2:, 2:], image[:-2, :-2])


def test_beyond_the_border_is_mirrored():
    image = np.array([[10, 20, 30, 40]], dtype=np.uint8)
    np.testing.assert_array_equal(warped(image, Warp(shift=(0.5, 0))), [[30, 20, 10, 20]])


def test_rotation_is_clockwise():
    image = gray(6, 6)
    np.testing.assert_array_equal(warped(image, Warp(rotation=90)), np.rot90(image, k=-1))


def test_scale_enlarges_about_the_centre():
    image = np.array([[1, 2], [3, 4]], dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(warped(image, Warp(scale=4.0))[:2, :2], 1)
    wide = np.zeros((9, 9), np.uint8)
    wide[3:6, 3:6] = 255
    assert (warped(wide, Warp(scale=2.0)) == 255).sum() == 25
    # Around the small picture its mirror images appear.
    assert (warped(wide, Warp(scale=0.5))[2:7, 2:7] == 255).sum() == 1


def test_flip_comes_before_the_shift():
    image = gray(4, 10)
    found = warped(image, Warp(flip=True, shift=(0.2, 0.0)))
    np.testing.assert_array_equal(found[:, 2:], image[:, ::-1][:, :-2])


def test_rotation_comes_before_the_shift():
    image = gray(8, 8)
    found = warped(image, Warp(rotation=90, shift=(0.25, 0.0)))
    np.testing.assert_array_equal(found[:, 2:], np.rot90(image, k=-1)[:, :-2])


def test_a_constant_bend_is_a_shift():
    # e = 0.25 to the right looks a quarter further right: the content moves left.
    elastic = np.zeros((2, 4, 4), np.float32)
    elastic[0] = 0.25
    image = gray(8, 8)
    np.testing.assert_array_equal(warped(image, Warp(elastic=elastic))[:, :6], image[:, 2:])


def test_half_the_size_averages_two_by_two():
    image = gray(8, 12)
    expected = image.reshape(4, 2, 6, 2).mean(axis=(1, 3))
    found = warped(image, Warp(), target=(4, 6))
    assert np.abs(found - expected).max() <= 0.5


def test_colour_channels_are_warped_alike():
    image = gray(16, 16)
    warp = Warp(flip=True, shift=(0.1, 0.0), scale=1.1, rotation=10)
    colour = warped(np.dstack([image, image, image]), warp)
    for channel in range(3):
        np.testing.assert_array_equal(colour[..., channel], warped(image, warp))


def some_warp(flip: bool, seed: int, bent: bool = True) -> Warp:
    random = np.random.default_rng(seed)
    x, y, scale, angle = random.uniform(-1, 1, 4)
    knots = random.uniform(-0.025, 0.025, (2, 7, 7)).astype(np.float32)
    return Warp(flip, (0.1 * x, 0.1 * y), 1.2**scale, 20 * angle, knots if bent else None)


@given(flip=st.booleans(), seed=st.integers(0, 9999))
@settings(max_examples=25, deadline=None)
def test_agrees_with_scipy(flip, seed):
    image = smooth(96)
    map_x, map_y = sampling_map(some_warp(flip, seed), (96, 96), (96, 96))
    expected = ndimage.map_coordinates(image.astype(float), [map_y, map_x], order=1, mode="mirror")
    # OpenCV may place a sample on a grid of 1/32 pixel.
    assert np.abs(apply_map(image, map_x, map_y) - expected).max() <= 2


@given(flip=st.booleans(), seed=st.integers(0, 9999))
@settings(max_examples=25, deadline=None)
def test_one_map_is_the_steps_one_after_another(flip, seed):
    warp, image = some_warp(flip, seed, bent=False), smooth(96)
    stepwise = image[:, ::-1] if flip else image
    for step in (Warp(scale=warp.scale), Warp(rotation=warp.rotation), Warp(shift=warp.shift)):
        stepwise = warped(np.ascontiguousarray(stepwise), step)
    middle = slice(30, 66)  # steps mirror at the border more than once
    difference = warped(image, warp)[middle, middle].astype(int) - stepwise[middle, middle]
    assert np.abs(difference).max() <= 4


@given(flip=st.booleans(), seed=st.integers(0, 9999), bent=st.booleans())
@settings(max_examples=25, deadline=None)
def test_mask_goes_where_the_image_goes(flip, seed, bent):
    y, x = np.mgrid[:64, :64]
    mask = ((y - 24) ** 2 + (x - 40) ** 2 < 12**2).astype(np.uint8)
    image, moved = warp_image_and_mask(mask * np.uint8(255), mask, some_warp(flip, seed, bent))
    np.testing.assert_array_equal(moved, image > 127)
    assert moved.any()


@pytest.mark.parametrize("seed", range(20))
def test_the_strongest_bend_does_not_fold(seed):
    knots = np.random.default_rng(seed).choice([-0.025, 0.025], (2, 7, 7)).astype(np.float32)
    map_x, map_y = sampling_map(Warp(elastic=knots), (128, 128), (128, 128))
    dx, dy = np.diff(map_x, axis=1)[:-1], np.diff(map_y, axis=0)[:, :-1]
    cross = np.diff(map_x, axis=0)[:, :-1] * np.diff(map_y, axis=1)[:-1]
    assert (dx * dy - cross > 0).all()


def test_full_and_empty_masks_stay_so():
    warp = some_warp(True, 3)
    for value in (0, 1):
        mask = np.full((32, 32), value, np.uint8)
        np.testing.assert_array_equal(warp_image_and_mask(gray(32, 32), mask, warp)[1], mask)


def test_empty_mask_takes_the_target_size():
    image, mask = warp_image_and_mask(gray(32, 32), np.zeros((32, 32), np.uint8), Warp(), (16, 24))
    assert image.shape == mask.shape == (16, 24)


def test_one_pixel_at_each_corner_survives_a_flip():
    mask = np.zeros((9, 7), np.uint8)
    mask[0, 0] = mask[-1, -1] = 1
    np.testing.assert_array_equal(
        warp_image_and_mask(gray(9, 7), mask, Warp(flip=True))[1], mask[:, ::-1]
    )


@given(
    flip=st.booleans(),
    shift=st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)),
    scale=st.floats(0.7, 1.4),
    rotation=st.floats(-45, 45),
    target=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    corner=st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
@settings(max_examples=60, deadline=None)
def test_the_matrix_says_what_the_map_says(flip, shift, scale, rotation, target, corner):
    warp = Warp(flip=flip, shift=shift, scale=scale, rotation=rotation)
    window = Window(corner[0], corner[1], target[0] - 5, target[1] - 5)
    map_x, map_y = sampling_map(warp, (40, 50), target, window)
    rows, columns = np.mgrid[: window.height, : window.width]
    places = np.stack([columns, rows, np.ones_like(rows)])
    x, y = np.einsum("ij,jhw->ihw", affine_matrix(warp, (40, 50), target, window), places)
    np.testing.assert_allclose(map_x, x, atol=1e-3)
    np.testing.assert_allclose(map_y, y, atol=1e-3)
