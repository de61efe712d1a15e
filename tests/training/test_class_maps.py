"""One class per pixel in training: cache, augmentation, loss; ignored pixels change nothing."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional as F

from goldfold.augmentation_levels import get_recipe
from goldfold.competitions.class_maps import IGNORED_NUMBER, overlapping_classes, paint
from goldfold.competitions.resize import resize_class_map
from goldfold.competitions.rle import encode, get_dialect
from goldfold.inference.network import activate
from goldfold.training.augmentation.changes import Draw, draw
from goldfold.training.augmentation.on_device import augment_on_device
from goldfold.training.augmentation.packing import pack_draws
from goldfold.training.augmentation.pipeline import augment, traded
from goldfold.training.augmentation.warp import Warp
from goldfold.training.cache import build_cache
from goldfold.training.images import TrainingImages
from goldfold.training.loader import Look, iterate_batches
from goldfold.training.losses.class_map import ClassMapLoss, class_dice_loss, pixel_cross_entropy

KAGGLE = get_dialect("kaggle")
NUMBERS = (*range(1, 12), IGNORED_NUMBER)
MAPS = hnp.arrays(np.uint8, (9, 11), elements=st.sampled_from([0, *NUMBERS]))


def encoded(class_map):
    masks = [(class_map == number).astype(np.uint8) for number in NUMBERS]
    return tuple(encode(mask, KAGGLE) if mask.any() else "" for mask in masks)


@given(MAPS)
def test_levels_come_back_from_their_encodings(class_map):
    assert np.array_equal(paint(encoded(class_map), NUMBERS, 9, 11, KAGGLE), class_map)
    assert overlapping_classes(encoded(class_map), [str(n) for n in NUMBERS], KAGGLE) == []


def test_classes_that_share_a_pixel_are_named():
    masks = ["1 3", "", "3 2", "9 1"]
    assert overlapping_classes(masks, list("abcd"), KAGGLE) == [("a", "c")]


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """Return a cache of three images at their own size, and their class maps."""
    folder = tmp_path_factory.mktemp("maps")
    random = np.random.default_rng(0)
    maps = random.choice([0, *NUMBERS], (3, 32, 48)).astype(np.uint8)
    maps[1] = 0
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), random.integers(0, 255, (32, 48), np.uint8))
    cache = build_cache(
        folder / "cache",
        image_ids=list("abc"),
        paths=[folder / f"{number}.png" for number in range(3)],
        sizes=[(32, 48)] * 3,
        masks=[encoded(one) for one in maps],
        dialect=KAGGLE,
        size=(32, 48),
        numbers=NUMBERS,
    )
    return cache, maps


def test_the_cache_holds_one_byte_per_pixel_for_more_than_eight_classes(cached):
    cache, maps = cached
    assert (cache.classes, cache.numbers) == (12, NUMBERS)
    assert all(np.array_equal(cache.mask(row), maps[row]) for row in range(3))
    stored = np.load(cache.folder / f"{cache.name}.masks.npy")
    assert stored.shape == (2, 32, 48)  # background alone is not stored


def test_batches_hold_class_numbers_and_the_device_changes_them_as_the_processor_does(cached):
    cache, maps = cached
    images = TrainingImages(cache, np.arange(3))
    order = [np.arange(3)]
    (batch,) = iterate_batches(images, order, Look(get_recipe("none"), 0, 0), workers=0)
    assert batch.classes == 12
    assert np.array_equal(batch.masks, maps)
    flips = Look(get_recipe("flip"), 0, 1)
    (here,) = iterate_batches(images, order, flips, workers=0)
    (raw,) = iterate_batches(images, order, Look(flips.recipe, 0, 1, on_device=True), workers=0)
    _, masks = raw.on(torch.device("cpu"))
    assert np.array_equal(masks.numpy(), here.masks)


@given(st.integers(0, 500), st.sampled_from(["light", "strong", "siim-1st-place"]))
def test_no_interpolation_makes_up_a_class(seed, level):
    random = np.random.default_rng(seed)
    classes = random.choice([0, 3, 200, IGNORED_NUMBER], (40, 40)).astype(np.uint8)
    image = random.integers(0, 255, (40, 40), np.uint8)
    _, changed = augment(image, classes, get_recipe(level), seed, 0, 0, classes=True)
    assert set(np.unique(changed)) <= {0, 3, 200, IGNORED_NUMBER}
    changes = draw(get_recipe(level), seed, 0, 0, size=(40, 40))
    _, on_device = augment_on_device(
        torch.as_tensor(image)[None],
        torch.as_tensor(classes)[None],
        pack_draws([changes], 40, 40, masks="classes"),
    )
    assert set(np.unique(on_device)) <= {0, 3, 200, IGNORED_NUMBER}


def test_a_mirror_exchanges_left_and_right_and_leaves_ignored_pixels():
    classes = np.array([[0, 1, 2, IGNORED_NUMBER]], np.uint8)
    mirrored = Draw(Warp(flip=True))
    assert traded(classes, mirrored, (0, 2, 1), classes=True).tolist() == [[0, 2, 1, 255]]
    assert traded(classes, Draw(Warp(vertical_flip=True)), (0, 2, 1), classes=True) is classes


def test_a_smaller_map_has_the_class_that_covers_most():
    classes = np.array([[1, 1, 2, 0], [1, 3, 2, 2]], np.uint8)
    assert resize_class_map(classes, 1, 2).tolist() == [[1, 2]]
    assert np.array_equal(resize_class_map(classes, 4, 8)[::3, ::7], classes[:, ::3])


# --- loss ----------------------------------------------------------------------------------------


def batch(seed=0):
    torch.manual_seed(seed)
    classes = torch.randint(0, 10, (2, 6, 7))
    classes[0, :2] = IGNORED_NUMBER
    return torch.randn(2, 10, 6, 7), classes


@pytest.mark.parametrize("over", ["batch", "image"])
def test_ignored_pixels_change_neither_loss_nor_gradient(over):
    logits, classes = batch()
    other = torch.where((classes == IGNORED_NUMBER).unsqueeze(1), torch.randn_like(logits), logits)
    assert not torch.equal(logits, other)
    loss = ClassMapLoss(cross_entropy=1.0, dice=1.0, dice_over=over, smoothing=0.1)
    found = []
    for one in (logits, other):
        given = one.clone().requires_grad_()
        value = loss(given, classes)
        value.backward()
        found.append((value.detach(), given.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.allclose(found[0][1], found[1][1])
    ignored = (classes == IGNORED_NUMBER).unsqueeze(1).expand_as(logits)
    assert found[0][1][ignored].abs().max() == 0


def test_cross_entropy_is_pytorchs_weighted_mean_and_zero_without_a_class():
    logits, classes = batch()
    weights = torch.rand(10)
    for some in (None, weights):
        expected = F.cross_entropy(logits, classes, weight=some, ignore_index=IGNORED_NUMBER)
        assert torch.allclose(pixel_cross_entropy(logits, classes, some), expected)
    nothing = torch.full_like(classes, IGNORED_NUMBER)
    assert pixel_cross_entropy(logits, nothing) == 0
    assert pixel_cross_entropy(logits, nothing, weights) == 0


def test_dice_is_that_of_a_loop_over_classes_but_the_background():
    logits, classes = batch()
    known = classes != IGNORED_NUMBER
    p = logits.softmax(dim=1)
    losses = []
    for number in range(1, 10):
        pn, t = p[:, number][known], (classes == number)[known].float()
        losses.append(1 - (2 * (pn * t).sum() + 1) / (pn.sum() + t.sum() + 1))
    assert torch.allclose(class_dice_loss(logits, classes), torch.stack(losses).mean())


def test_a_softmax_sums_to_one_and_a_sigmoid_does_not():
    logits, _ = batch()
    assert torch.allclose(activate(logits, "softmax").sum(dim=1), torch.ones(2, 6, 7))
    assert torch.equal(activate(logits, "sigmoid"), logits.sigmoid())
