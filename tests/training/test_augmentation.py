from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.image_size import height_and_width
from goldfold.training.augmentation import (
    RECIPES,
    Draw,
    Recipe,
    Warp,
    apply,
    augment,
    augment_on_device,
    draw,
    get_recipe,
    pack_draws,
    tone_table,
)
from goldfold.training.augmentation.changes import draw_warp
from goldfold.training.augmentation.tones import draw_tones
from goldfold.training.augmentation.warp import warp_image_and_mask

SIZE = 48


def sample(seed: int = 0, channels: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (SIZE, SIZE, *channels)).astype(np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[12:30, 20:35] = 1
    return image, mask


def test_recipes_by_name():
    assert list(RECIPES) == [
        "none", "flip", "light", "strong", "siim-1st-place", "siim-4th-place",
    ]  # fmt: skip
    assert all(get_recipe(name).name == name for name in RECIPES)


def test_unknown_recipe_is_named_with_a_guess():
    with pytest.raises(
        InputError, match=r"'lihgt': choose one of none, flip, light, .*\. Did you mean 'light'"
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
    assert len(bends) / 400 == pytest.approx(recipe.distort, abs=0.08)
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


# --- one of several, as the medal solutions have it ----------------------------------------------


def test_the_first_place_changes_one_tone_and_one_shape_at_most():
    recipe = replace(get_recipe("siim-1st-place"), distort=1.0, tone=1.0)
    kinds = {"elastic": 0, "grid": 0, "optical": 0}
    for seed in range(600):
        warp = draw_warp(recipe, np.random.default_rng(seed))
        present = {
            "elastic": warp.elastic is not None,
            "grid": warp.grid is not None,
            "optical": warp.optical != 0.0,
        }
        assert sum(present.values()) == 1
        kinds[max(present, key=present.get)] += 1
    assert min(kinds.values()) > 150
    tables = [draw_tones(recipe, np.random.default_rng(seed)) for seed in range(200)]
    steps = [np.diff(table.astype(int)) for table in tables]
    plain = [
        len(set(step[60:190])) <= 2 for step in steps
    ]  # brightness or contrast: a straight line
    assert 0.5 < np.mean(plain) < 0.95


def smooth(size):
    y, x = np.mgrid[:size, :size] / size
    waves = 60 * np.sin(5 * x + 1) + 50 * np.cos(4 * y + x)
    return np.rint(127 + waves).astype(np.uint8)


PARTS = {
    "flip": Warp(flip=True),
    "move": Warp(shift=(0.05, -0.04), scale=1.15, rotation=11.0),
    "elastic": Warp(
        elastic=np.random.default_rng(1).uniform(-0.03, 0.03, (2, 5, 5)).astype(np.float32)
    ),
    "grid": Warp(grid=np.array([[0, 0.05, -0.02, 0], [0, -0.03, 0.04, 0]], np.float32)),
    "optical": Warp(optical=0.2),
}


@pytest.mark.parametrize("distortion", ["elastic", "grid", "optical"])
def test_one_map_agrees_with_the_parts_one_after_the_other(distortion):
    """Flip, then move, then distort, each with an interpolation of its own."""
    size = 256
    image = smooth(size)
    y, x = np.mgrid[:size, :size]
    mask = ((y - 110) ** 2 + (x - 140) ** 2 < 60**2).astype(np.uint8)
    whole = replace(PARTS["move"], flip=True, **changed(PARTS[distortion]))
    once = warp_image_and_mask(image, mask, whole)
    steps = image, mask
    for part in ("flip", "move", distortion):
        steps = warp_image_and_mask(*steps, PARTS[part])
    inside = slice(40, -40), slice(40, -40)  # near the border the parts mirror twice
    difference = np.abs(once[0][inside].astype(int) - steps[0][inside])
    assert difference.max() <= 6
    assert difference.mean() < 1.0
    both, either = (once[1] & steps[1]).sum(), (once[1] | steps[1]).sum()
    assert both / either > 0.98
    assert set(np.unique(once[1])) == {0, 1}


def changed(warp):
    return {n: v for n, v in vars(warp).items() if v is not getattr(Warp(), n) and n != "shift"}


def test_a_distorted_grid_by_hand():
    """Lines at a half move to three quarters: the left half is shown in three quarters."""
    image = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (100, 1))
    grid = np.array([[0, 0.25, 0], [0, 0, 0]], np.float32)
    warped, _ = warp_image_and_mask(image, np.zeros((100, 100), np.uint8), Warp(grid=grid))
    # The result's middle column looks at three quarters of the original.
    assert abs(int(warped[50, 50]) - 2 * 75) <= 2
    assert abs(int(warped[50, 25]) - 2 * 37.5) <= 3
    assert (warped[:, 0] <= 2).all()


def test_a_lens_by_hand():
    """The middle of the right side looks 10 % of half the size further out, where it mirrors."""
    size = 101
    image = np.tile(np.arange(size, dtype=np.uint8), (size, 1))
    warped, _ = warp_image_and_mask(image, np.zeros((size, size), np.uint8), Warp(optical=-0.1))
    assert warped[50, 50] == 50
    assert abs(int(warped[50, 100]) - 95) <= 1  # 50 + 50 x 0.9
    assert abs(int(warped[50, 75]) - 74.4) <= 1  # 50 + 25 x (1 - 0.1 / 4)


# --- crops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_crop_is_a_part_of_the_whole_result(name):
    image, mask = sample()
    for index in range(12):
        whole = augment(image, mask, get_recipe(name), 0, 0, index)
        part = augment(image, mask, get_recipe(name), 0, 0, index, crop=20)
        top, left = draw(get_recipe(name), 0, 0, index, size=SIZE, crop=20).corner
        window = slice(top, top + 20), slice(left, left + 20)
        # Places are rounded to a 32nd of a pixel, counted from another corner.
        difference = np.abs(part[0].astype(int) - whole[0][window])
        assert (difference > 1).mean() < 0.01
        assert difference.max() <= 8
        assert (part[1] != whole[1][window]).mean() < 0.01


def test_crops_come_from_everywhere_and_a_crop_of_all_is_none():
    recipe = get_recipe("none")
    corners = [draw(recipe, 0, 0, index, size=10, crop=8).corner for index in range(300)]
    assert {c for corner in corners for c in corner} == {0, 1, 2}
    assert draw(recipe, 0, 0, 0, size=10, crop=10).corner is None


def test_soft_masks_stay_soft():
    image, _ = sample()
    soft = np.full((SIZE, SIZE), 100, np.uint8)
    changed, mask = augment(image, soft, get_recipe("strong"), 0, 0, 3, soft=True)
    assert (mask == 100).all()
    assert changed.shape == mask.shape


# --- on the device -------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize(
    ("size", "crop"), [(96, None), (96, 48), ((64, 96), None), ((96, 64), (96, 32)), (96, (32, 64))]
)
def test_the_device_agrees_with_the_processor(channels, size, crop):
    height, width = height_and_width(size)
    gray = smooth(96)[:height, :width]
    image = gray if not channels else np.stack([gray, gray[::-1], gray[:, ::-1]], axis=-1)
    y, x = np.mgrid[:height, :width]
    mask = ((y - 40) ** 2 + (x - 50) ** 2 < 25**2).astype(np.uint8)
    recipe = replace(get_recipe("siim-1st-place"), distort=0.8, move=0.9, tone=0.8)
    draws = [draw(recipe, 0, 0, index, size=size, crop=crop) for index in range(24)]
    images = torch.from_numpy(np.stack([image] * 24))
    masks = torch.from_numpy(np.stack([mask] * 24) * np.uint8(255))
    found, coverage = augment_on_device(images, masks, pack_draws(draws, size, crop or size))
    for place, one in enumerate(draws):
        expected, hard = apply(image, mask, one, size, crop=crop)
        difference = np.abs(found[place].numpy().astype(int) - expected)
        assert difference.max() <= 3  # a tone table steepens what rounding leaves
        assert (difference <= 1).mean() > 0.999
        assert ((coverage[place].numpy() > 127) == hard).mean() > 0.999
    assert set(coverage.unique().tolist()) <= {0, 255}


def test_cuts_of_rectangles_lie_within_them_and_reach_every_side():
    recipe = get_recipe("none")
    corners = [
        draw(recipe, 0, 0, index, size=(64, 160), crop=(64, 96)).corner for index in range(400)
    ]
    assert {top for top, _ in corners} == {0}
    lefts = {left for _, left in corners}
    assert (min(lefts), max(lefts)) == (0, 64)
    image = np.arange(64 * 160, dtype=np.uint32).reshape(64, 160).astype(np.uint8)
    cut, _ = augment(image, image * 0, recipe, 0, 0, 3, crop=(64, 96))
    left = corners[3][1]
    assert (cut == image[:, left : left + 96]).all()


def test_a_rectangle_is_flipped_and_kept_whole():
    image = np.random.default_rng(0).integers(0, 256, (32, 80)).astype(np.uint8)
    flip = replace(get_recipe("none"), flip=1.0)
    changed, _ = augment(image, image * 0, flip, 0, 0, 0)
    assert (changed == image[:, ::-1]).all()
    for epoch in range(20):
        changed, mask = augment(
            image, (image > 128).astype(np.uint8), get_recipe("strong"), 0, epoch, 0
        )
        assert changed.shape == mask.shape == (32, 80)


def test_soft_masks_stay_soft_on_the_device():
    images = torch.zeros(2, 16, 16, dtype=torch.uint8)
    masks = torch.zeros(2, 16, 16, dtype=torch.uint8)
    masks[0] = 100
    masks[1, :, 8:] = 255
    moved = Warp(shift=(0.03, 0.0))
    draws = pack_draws([Draw(moved), Draw(moved)], 16, 16, soft=[True, False])
    _, coverage = augment_on_device(images, masks, draws)
    assert (coverage[0] == 100).all()
    assert set(coverage[1].unique().tolist()) == {0, 255}
