"""A batch augmented at once, compared with OpenCV and with one image after the other."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from goldfold.training.augmentation import apply, augment_on_device, draw, get_recipe, pack_draws
from goldfold.training.augmentation.changes import Draw
from goldfold.training.augmentation.packing import _matrices
from goldfold.training.augmentation.pixel_changes import blur_kernel, place_of
from goldfold.training.augmentation.warp import Warp, fractions_to_source, sampling_map

EVERYTHING = replace(
    get_recipe("siim-1st-place"),
    vertical_flip=0.4, distort=0.8, move=0.8, tone=0.6, blur=0.5, cutout=0.5, knots=7,
)  # fmt: skip
RECIPES = {
    **{name: get_recipe(name) for name in ("none", "flip", "light", "strong", "siim-1st-place")},
    "everything": EVERYTHING,
    "many holes": replace(get_recipe("none"), cutout=1.0, cutout_holes=64),
    "blur": replace(get_recipe("light"), blur=0.5, blur_sigma=5.0),
}


def smooth_images(count, size, channels, seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 5, 5, channels)).astype(np.uint8)
    images = [cv2.resize(one, size[::-1], interpolation=cv2.INTER_CUBIC) for one in coarse]
    return np.stack(images).reshape(count, *size, *([channels] if channels > 1 else []))


def masks_of(images):
    gray = images if images.ndim == 3 else images[..., 0]
    return (gray > 130).astype(np.uint8)


def drawn(recipe, count, size, crop=None, seed=0):
    return [draw(recipe, seed, 0, index, size=size, crop=crop) for index in range(count)]


def on_device(images, mask_values, draws, crop=None, **options):
    size = images.shape[1:3]
    packed = pack_draws(draws, size, crop or size, **options)
    moved = None if mask_values is None else torch.from_numpy(mask_values)
    return augment_on_device(torch.from_numpy(images), moved, packed)


def steepness(draws):
    """Return the largest rise of each image's tone table between neighbouring gray levels."""
    tables = (np.arange(256) if one.tones is None else one.tones for one in draws)
    return np.array([max(1, np.diff(np.asarray(table, int)).max()) for table in tables])


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(RECIPES)),
    st.integers(0, 10_000),
    st.sampled_from([((48, 48), None), ((64, 48), (32, 40)), ((40, 72), (40, 40))]),
    st.sampled_from([1, 3]),
)
def test_images_agree_to_one_gray_level_and_masks_but_at_their_edge(name, seed, sizes, channels):
    size, crop = sizes
    images = smooth_images(4, size, channels, seed)
    masks = masks_of(images)
    draws = drawn(RECIPES[name], 4, size, crop, seed)
    there, coverage = on_device(images, masks * np.uint8(255), draws, crop)
    assert set(coverage.unique().tolist()) <= {0, 255}
    for number, (changes, most) in enumerate(zip(draws, steepness(draws), strict=True)):
        image, mask = apply(images[number], masks[number], changes, size, crop=crop)
        apart = np.abs(there[number].numpy().astype(int) - image)
        assert apart.max() <= most
        assert (apart <= 1).mean() > 0.995
        wrong = (coverage[number].numpy() > 0) != mask
        inner = cv2.erode(mask, np.ones((3, 3), np.uint8)) == cv2.dilate(mask, np.ones((3, 3)))
        assert not (wrong & inner).any()
        assert wrong.mean() < 0.01


@settings(max_examples=30)
@given(st.sampled_from(sorted(RECIPES)), st.integers(0, 10_000), st.sampled_from([None, (24, 40)]))
def test_a_batch_at_once_is_its_images_one_by_one(name, seed, crop):
    images = np.random.default_rng(seed).integers(0, 256, (4, 32, 48, 3)).astype(np.uint8)
    masks = masks_of(images) * np.uint8(255)
    draws = drawn(RECIPES[name], 4, (32, 48), crop, seed)
    there, coverage = on_device(images, masks, draws, crop)
    for number, changes in enumerate(draws):
        image, mask = alone(images[number], masks[number], changes, crop or (32, 48))
        apart = (there[number].int() - image.int()).abs()
        assert apart.max() <= steepness([changes])[0]
        assert (apart == 0).float().mean() > 0.995
        assert (coverage[number] == mask).float().mean() > 0.995


def alone(image, mask, changes, shape):
    """Return one image and its hard mask, sampled at the places of the CPU's map in float64."""
    top, left = changes.corner or (0, 0)
    rows, columns = slice(top, top + shape[0]), slice(left, left + shape[1])
    x, y = (part[rows, columns] for part in sampling_map(changes.warp, image.shape[:2], (32, 48)))
    last = np.array([image.shape[1] - 1, image.shape[0] - 1])
    grid = torch.from_numpy(np.stack([x, y], -1) * 2 / last - 1)[None]
    both = torch.from_numpy(np.concatenate([image, mask[..., None]], -1)).double()
    seen = F.grid_sample(
        both.permute(2, 0, 1)[None], grid, padding_mode="reflection", align_corners=True
    )[0].permute(1, 2, 0)
    pixels = seen[..., :3].round().numpy().astype(np.uint8)
    pixels = pixels if changes.tones is None else changes.tones[pixels]
    if changes.pixels.blur > 0:
        kernel = blur_kernel(changes.pixels.blur, min(shape)).astype(np.float64)
        smooth = cv2.sepFilter2D(
            pixels.astype(np.float64), -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101
        )
        pixels = np.rint(smooth).astype(np.uint8)
    for hole in changes.pixels.holes:
        pixels[place_of(hole, shape)] = 0
    return torch.from_numpy(pixels), (seen[..., 3] >= 127.5).to(torch.uint8) * 255


@given(st.booleans(), st.booleans(), st.floats(-180, 180), st.floats(0.5, 2.0), st.integers(1, 300))
def test_matrices_of_a_batch_are_those_of_its_warps(flip, upright, rotation, scale, width):
    warp = Warp(flip=flip, vertical_flip=upright, rotation=rotation, scale=scale)
    expected = fractions_to_source(warp, (70, width), (70, width))
    expected *= 2 / np.array([[max(width - 1, 1)], [69]])
    for matrix in _matrices([warp, warp], (70, width)):
        np.testing.assert_allclose(matrix, expected, rtol=1e-12, atol=1e-12)


def test_a_part_of_a_batch_is_changed_as_in_the_whole():
    images = smooth_images(9, (40, 40), 1, 0)
    masks = masks_of(images) * np.uint8(255)
    packed = pack_draws(drawn(EVERYTHING, 9, 40), 40, 40, soft=[False] * 8 + [True])
    whole = augment_on_device(torch.from_numpy(images), torch.from_numpy(masks), packed)
    assert {"distorted", "blurred", "tones", "hole_rows", "soft"} <= set(packed.fields)
    for first, stop in [(0, 4), (4, 5), (3, 9), (8, 9)]:
        part = augment_on_device(
            torch.from_numpy(images[first:stop]),
            torch.from_numpy(masks[first:stop]),
            packed.part(slice(first, stop)),
        )
        for ours, theirs in zip(part, whole, strict=True):
            assert torch.equal(ours, theirs[first:stop])
    nested = packed.part(slice(3, 9)).part(slice(1, 3))
    assert (len(nested), list(nested.images)) == (2, [4, 5])


def test_what_no_image_of_a_part_needs_is_not_done():
    draws = [Draw(Warp()), Draw(Warp(optical=0.3))]
    packed = pack_draws(draws, 16, 16)
    assert "distorted" in packed
    assert "distorted" not in packed.part(slice(0, 1))
    assert "tones" not in packed


class Operators(TorchDispatchMode):
    """Counts operators that compute or copy, and collects the dtypes they give."""

    def __init__(self):
        super().__init__()
        self.count, self.dtypes, self.names = 0, set(), []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        views = any(one.alias_info and not one.alias_info.is_write for one in func._schema.returns)
        self.count += not views
        self.names.append(func._schema.name)
        if isinstance(result, torch.Tensor):
            self.dtypes.add(result.dtype)
        return result


@pytest.mark.parametrize(
    ("name", "expected"),
    [("flip", 9), ("light", 10), ("strong", 13), ("siim-1st-place", 13), ("everything", 24)],
)
def test_the_number_of_operators_is_small_and_that_of_any_batch(name, expected):
    """On a GPU each of them is a launch, and a copy in between would wait for all of them."""
    counts = set()
    for count in (12, 36):
        images = smooth_images(count, (32, 32), 1, 0)
        draws = drawn(RECIPES[name], count, 32)
        packed = pack_draws(draws, 32, 32)
        pixels, masks = torch.from_numpy(images), torch.from_numpy(masks_of(images))
        with Operators() as operators:
            augment_on_device(pixels, masks, packed)
        counts.add(operators.count)
        assert torch.float64 not in operators.dtypes
        waits = {"aten::_local_scalar_dense", "aten::nonzero", "aten::item", "aten::equal"}
        assert not waits & set(operators.names)
    assert counts == {expected}


def test_masks_keep_their_bytes_where_nothing_moves():
    images = smooth_images(2, (24, 24), 1, 0)
    masks = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 24)).astype(np.uint8)
    still = [Draw(Warp())] * 2
    there, coverage = on_device(images, masks, still, soft=[True, True])
    assert (there.numpy() == images).all()
    assert (coverage.numpy() == masks).all()
    classes = masks[:, 0].copy()
    _, numbers = on_device(images, classes, still, masks="classes")
    assert (numbers.numpy() == classes).all()
    only, none = on_device(images, None, still, masks="none")
    assert none is None
    assert (only.numpy() == images).all()


def test_a_blur_is_not_rounded_as_tensor_cores_would(monkeypatch):
    """TF32 is allowed in convolutions by default; eleven bits are too few for gray levels."""
    allowed, plain = [], F.conv2d

    def watched(*words, **named):
        allowed.append(torch.backends.cudnn.allow_tf32)
        return plain(*words, **named)

    monkeypatch.setattr(F, "conv2d", watched)
    before = torch.backends.cudnn.allow_tf32
    images = smooth_images(2, (24, 24), 1, 0)
    draws = drawn(replace(get_recipe("none"), blur=1.0), 2, 24)
    on_device(images, None, draws, masks="none")
    assert allowed == [False, False]
    assert torch.backends.cudnn.allow_tf32 == before
