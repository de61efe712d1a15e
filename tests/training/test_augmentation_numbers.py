"""Augmentation as a table of numbers: what it takes from its level, and the changes of pixels."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter

from goldfold.augmentation_levels import RECIPES, Recipe, get_recipe
from goldfold.settings import StageSettings
from goldfold.settings_augmentation import Augmentation, augmentation_in_words, recipe_of
from goldfold.training.augmentation import augment, augment_on_device, draw, pack_draws
from goldfold.training.augmentation.pixel_changes import blurred, place_of
from goldfold.training.augmentation.warp import Warp, warp_image_and_mask

IMAGE = np.random.default_rng(0).integers(60, 200, (64, 96), dtype=np.uint8)
MASK = (IMAGE > 150).astype(np.uint8)


def table(**numbers):
    return StageSettings(augmentation=numbers).augmentation


def test_every_number_of_a_recipe_can_be_set():
    fields = set(Recipe.__dataclass_fields__) - {"name"}
    assert set(Augmentation.model_fields) - {"base"} == fields


@pytest.mark.parametrize("level", RECIPES)
def test_a_bare_table_is_its_level(level):
    assert recipe_of(table(base=level)) == get_recipe(level)
    assert table(base=level).model_dump() == {"base": level}


def test_numbers_replace_those_of_the_level():
    chosen = table(base="light", rotation=15, blur=0.1, cutout=0.2, vertical_flip=0.5)
    recipe = recipe_of(chosen)
    assert (recipe.rotation, recipe.shift, recipe.vertical_flip) == (15, 0.06, 0.5)
    assert chosen.model_dump(mode="json") == {
        "base": "light", "rotation": 15.0, "blur": 0.1, "cutout": 0.2, "vertical_flip": 0.5,
    }  # fmt: skip
    assert augmentation_in_words(chosen).startswith("light with vertical_flip = 0.5, rotation = 15")
    assert augmentation_in_words("strong") == "strong"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"rotation": 15}, "rotation does nothing while move is 0: set move"),
        ({"base": "light", "elastic": 0.1}, "elastic does nothing while distort is 0"),
        ({"distort": 1, "grid": 0.1}, r'grid does nothing without distortions = \["grid"\]'),
        ({"base": "light", "blur_sigma": 2}, "blur_sigma does nothing while blur is 0"),
        ({"flip": 1.5}, "less than or equal to 1"),
        ({"rotation": 200}, "less than or equal to 180"),
        ({"rotate": 15}, "Extra inputs"),
    ],
)
def test_numbers_that_would_change_nothing_or_are_out_of_range(numbers, words):
    with pytest.raises(ValidationError, match=words):
        table(**numbers)


@pytest.mark.parametrize("level", RECIPES)
def test_further_numbers_leave_the_draws_of_a_level_alone(level):
    plain, more = get_recipe(level), recipe_of(table(base=level, blur=0.5, cutout=0.5, noise=0.5))
    for index in range(8):
        before, after = (draw(one, 3, 1, index, size=(64, 96), crop=32) for one in (plain, more))
        assert before.corner == after.corner
        assert str(before.warp) == str(after.warp)


def test_upside_down():
    recipe = recipe_of(table(vertical_flip=1.0))
    image, mask = augment(IMAGE, MASK, recipe, 0, 0, 0)
    np.testing.assert_array_equal(image, IMAGE[::-1])
    np.testing.assert_array_equal(mask, MASK[::-1])
    half = recipe_of(table(vertical_flip=0.5))
    flipped = [draw(half, 0, 0, index, size=64).warp.vertical_flip for index in range(200)]
    assert 70 < sum(flipped) < 130


def test_upside_down_along_the_map_and_along_the_matrix():
    for warp in (
        Warp(vertical_flip=True, optical=1e-9),  # the map
        Warp(vertical_flip=True, rotation=1e-9),  # the matrix
    ):
        image, mask = warp_image_and_mask(IMAGE, MASK, warp)
        assert np.abs(image.astype(int) - IMAGE[::-1]).max() <= 1
        np.testing.assert_array_equal(mask, MASK[::-1])


def test_blur_is_a_gaussian():
    expected = gaussian_filter(IMAGE.astype(float), 1.2, mode="mirror", truncate=3.0)
    assert np.abs(blurred(IMAGE, 1.2) - expected).max() < 1
    colour = np.stack([IMAGE, IMAGE.T.reshape(64, 96), IMAGE], axis=-1)
    np.testing.assert_array_equal(blurred(colour, 2.0)[..., 0], blurred(IMAGE, 2.0))
    assert (blurred(np.full((3, 40), 7, np.uint8), 20.0) == 7).all()


def test_cutout_blackens_rectangles_of_the_image_and_leaves_the_mask():
    recipe = recipe_of(table(cutout=1.0, cutout_size=0.5, cutout_holes=2))
    shares = []
    for index in range(30):
        image, mask = augment(IMAGE, MASK, recipe, 0, 0, index)
        np.testing.assert_array_equal(mask, MASK)
        black = image == 0
        np.testing.assert_array_equal(image[~black], IMAGE[~black])
        holes = draw(recipe, 0, 0, index, size=IMAGE.shape).pixels.holes
        assert 1 <= len(holes) <= 2
        covered = np.zeros(IMAGE.shape, bool)
        for hole in holes:
            covered[place_of(hole, IMAGE.shape)] = True
        np.testing.assert_array_equal(black, covered)
        shares.append(black.mean())
    assert min(shares) > 0.125**2
    assert max(shares) < 0.5


def test_noise_has_the_strength_that_was_drawn():
    recipe = recipe_of(table(noise=1.0, noise_sigma=0.1))
    for index in range(5):
        image, _ = augment(IMAGE, MASK, recipe, 0, 0, index)
        sigma = draw(recipe, 0, 0, index, size=IMAGE.shape).pixels.noise
        assert 0 < sigma <= 25.5
        assert np.std(image.astype(float) - IMAGE) == pytest.approx(np.hypot(sigma, 0.29), rel=0.05)


def test_changes_follow_from_seed_epoch_and_index_alone():
    recipe = recipe_of(table(base="strong", blur=0.5, noise=0.5, cutout=0.5, vertical_flip=0.5))
    seen = set()
    for seed, epoch, index in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]:
        first = augment(IMAGE, MASK, recipe, seed, epoch, index)
        again = augment(IMAGE, MASK, recipe, seed, epoch, index)
        np.testing.assert_array_equal(first[0], again[0])
        seen.add(first[0].tobytes())
    assert len(seen) == 4


def test_the_device_blurs_cuts_and_flips_alike():
    recipe = recipe_of(table(vertical_flip=0.5, blur=0.8, cutout=0.8))
    draws = [draw(recipe, 0, 0, index, size=IMAGE.shape) for index in range(12)]
    images, masks = (
        torch.from_numpy(np.stack([IMAGE] * 12)),
        torch.from_numpy(np.stack([MASK * 255] * 12)),
    )
    there, mask = augment_on_device(images, masks, pack_draws(draws, IMAGE.shape, IMAGE.shape))
    for index in range(12):
        image, expected = augment(IMAGE, MASK, recipe, 0, 0, index)
        assert np.abs(there[index].numpy().astype(int) - image).max() <= 1
        np.testing.assert_array_equal(mask[index].numpy(), expected * 255)


def test_what_no_device_does():
    assert recipe_of(table(base="strong", blur=1, cutout=1)).only_on_cpu == ""
    assert recipe_of(table(noise=1, steps=["mine:f"])).only_on_cpu == "noise and steps"
