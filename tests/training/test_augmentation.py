from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.training.augmentation import (
    RECIPES,
    Recipe,
    augment,
    draw_tones,
    draw_warp,
    get_recipe,
    tone_table,
)

SIZE = 48


def sample(seed: int = 0, channels: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (SIZE, SIZE, *channels)).astype(np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[12:30, 20:35] = 1
    return image, mask


def test_recipes_by_name():
    assert list(RECIPES) == ["none", "flip", "light", "strong"]
    assert all(get_recipe(name).name == name for name in RECIPES)


def test_unknown_recipe_is_named_with_a_guess():
    with pytest.raises(
        InputError, match=r"'lihgt': choose one of none, flip, light, strong\. Did you mean 'light'"
    ):
        get_recipe("lihgt")


def test_none_changes_nothing_but_copies():
    image, mask = sample()
    image.flags.writeable = mask.flags.writeable = False
    new_image, new_mask = augment(image, mask, get_recipe("none"), 0, 0, 0)
    np.testing.assert_array_equal(new_image, image)
    np.testing.assert_array_equal(new_mask, mask)
    assert new_image.flags.writeable
    assert new_mask.flags.writeable


def test_flip_flips_half_of_the_images_and_mask_with_image():
    image, mask = sample()
    flipped = 0
    for index in range(200):
        new_image, new_mask = augment(image, mask, get_recipe("flip"), 0, 0, index)
        turn = slice(None, None, -1 if not np.array_equal(new_image, image) else 1)
        np.testing.assert_array_equal(new_image, image[:, turn])
        np.testing.assert_array_equal(new_mask, mask[:, turn])
        flipped += turn.step == -1
    assert 70 < flipped < 130


@pytest.mark.parametrize("name", list(RECIPES))
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("size", [None, 24])
def test_shapes_types_and_values(name, channels, size):
    image, mask = sample(channels=channels)
    for index in range(8):
        new_image, new_mask = augment(image, mask, get_recipe(name), 0, 0, index, size)
        assert new_image.shape == (size or SIZE, size or SIZE, *channels)
        assert new_mask.shape == (size or SIZE, size or SIZE)
        assert new_image.dtype == new_mask.dtype == np.uint8
        assert new_mask.max() <= 1


@given(seed=st.integers(0, 50), epoch=st.integers(0, 50), index=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_depends_on_seed_epoch_and_index_alone(seed, epoch, index):
    image, mask = sample()
    recipe = get_recipe("strong")
    first = augment(image, mask, recipe, seed, epoch, index)
    np.random.default_rng(0).random()
    augment(image, mask, recipe, seed, epoch, index + 1)
    again = augment(image, mask, recipe, seed, epoch, index)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_each_of_seed_epoch_and_index_changes_the_draw():
    image, mask = sample()
    recipe = Recipe("always", move=1.0, shift=0.1)
    draws = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    images = {augment(image, mask, recipe, *draw)[0].tobytes() for draw in draws}
    assert len(images) == 4


def test_threads_do_not_change_the_images():
    image, mask = sample()

    def one(index: int) -> bytes:
        return b"".join(
            a.tobytes() for a in augment(image, mask, get_recipe("strong"), 0, 0, index)
        )

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(40))) == [one(index) for index in range(40)]


@pytest.mark.parametrize("name", ["light", "strong"])
def test_draws_stay_within_the_recipe(name):
    recipe = get_recipe(name)
    warps = [draw_warp(recipe, np.random.default_rng(seed)) for seed in range(400)]
    assert max(abs(v) for w in warps for v in w.shift) <= recipe.shift
    assert max(abs(w.rotation) for w in warps) <= recipe.rotation
    assert max(w.scale for w in warps) <= 1 + recipe.scale
    assert min(w.scale for w in warps) >= 1 / (1 + recipe.scale)
    still = np.mean([w.scale == 1 and w.rotation == 0 and w.shift == (0, 0) for w in warps])
    assert still == pytest.approx(1 - recipe.move, abs=0.08)
    bends = [w.elastic for w in warps if w.elastic is not None]
    assert len(bends) / 400 == pytest.approx(recipe.bend, abs=0.08)
    assert all(np.abs(bend).max() <= recipe.elastic for bend in bends)
    toned = [draw_tones(recipe, np.random.default_rng(seed)) is not None for seed in range(400)]
    assert np.mean(toned) == pytest.approx(recipe.tone, abs=0.08)


@pytest.mark.parametrize(
    ("brightness", "contrast", "gamma", "value", "expected"),
    [
        (0.0, 1.0, 1.0, 100, 100),
        (0.2, 1.0, 1.0, 100, 151),
        (0.5, 1.0, 1.0, 200, 255),
        (0.0, 3.0, 1.0, 100, 45),  # 127.5 - 3 x 27.5
        (0.0, 3.0, 1.0, 20, 0),
        (0.0, 1.0, 2.0, 51, 10),  # 255 x 0.2^2 = 10.2
        (0.0, 1.0, 0.5, 51, 114),  # 255 x sqrt(0.2) = 114.04
        (0.2, 2.0, 0.5, 51, 152),  # 2 x (114.04 - 127.5) + 127.5 + 51 = 151.57
    ],
)
def test_tones_by_hand(brightness, contrast, gamma, value, expected):
    assert tone_table(brightness, contrast, gamma)[value] == expected


@given(brightness=st.floats(-0.5, 0.5), contrast=st.floats(0.1, 3.0), gamma=st.floats(0.3, 3.0))
@settings(max_examples=50, deadline=None)
def test_tones_never_change_the_order_of_gray_values(brightness, contrast, gamma):
    assert (np.diff(tone_table(brightness, contrast, gamma).astype(int)) >= 0).all()


def test_tones_leave_the_mask_alone():
    image, mask = sample()
    recipe = Recipe("tones", tone=1.0, brightness=0.2, contrast=0.3, gamma=0.3)
    new_image, new_mask = augment(image, mask, recipe, 0, 0, 0)
    assert not np.array_equal(new_image, image)
    np.testing.assert_array_equal(new_mask, mask)
