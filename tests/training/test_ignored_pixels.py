"""Ignored pixels of masks: whatever is predicted there changes neither loss nor score."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.augmentation_levels import get_recipe
from goldfold.competitions.histogram import level_histograms
from goldfold.competitions.ignored_pixels import IGNORED_PIXEL, decode_truth, split_truth
from goldfold.competitions.objects import TrueObjects, read_objects
from goldfold.competitions.rle import encode, get_dialect
from goldfold.ensemble.blend import blend_histograms
from goldfold.ensemble.post_search import search_steps
from goldfold.settings import CompetitionSettings
from goldfold.training.cache import build_cache
from goldfold.training.fold_run import FoldData
from goldfold.training.images import PseudoLabelled, TrainingImages
from goldfold.training.level_counts import device_histograms
from goldfold.training.loader import Look, iterate_batches
from goldfold.training.losses.weighted import WeightedLoss
from goldfold.training.resident import ResidentImages
from goldfold.training.validation import ValidationImages, validate

KAGGLE = get_dialect("kaggle")

PARTS = [
    {"bce": 1.0}, {"dice": 1.0}, {"dice": 1.0, "dice_over": "image"}, {"focal": 1.0},
    {"lovasz": 1.0}, {"tversky": 1.0}, {"bce": 0.5, "dice": 2.0, "lovasz": 1.0, "smoothing": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("classes", [1, 3])
def test_the_loss_is_that_of_the_other_pixels_alone(parts, classes):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(4, classes, 10, 12, generator=generator, requires_grad=True)
    masks = (torch.rand(4, classes, 10, 12, generator=generator) > 0.7).float()
    ignored = torch.zeros(4, 1, 10, 12)
    ignored[..., 8:] = 0.01  # touched by an ignored pixel
    loss = WeightedLoss(**parts)
    with_ignored = loss(logits, torch.cat([masks, ignored], dim=1))
    alone = loss(logits[..., :8], masks[..., :8])
    assert torch.isclose(with_ignored, alone, atol=1e-6)
    (gradient,) = torch.autograd.grad(with_ignored, logits)
    assert (gradient[..., 8:] == 0).all()
    assert torch.allclose(gradient, torch.autograd.grad(alone, logits)[0], atol=1e-6)
    every = torch.cat([masks, torch.ones_like(ignored)], dim=1)
    assert torch.isfinite(loss(logits, every))


def test_presence_and_losses_of_ones_own_see_no_ignored_pixel():
    logits, masks = torch.randn(2, 1, 6, 6), torch.zeros(2, 1, 6, 6)
    masks[0, 0, 0, 0] = masks[0, 0, 5, 5] = masks[1, 0, 5, 5] = 1
    ignored = torch.zeros(2, 1, 6, 6)
    ignored[..., 5] = 1
    loss, presence = WeightedLoss(presence=1.0), torch.tensor([3.0, -3.0])
    both = torch.cat([masks, ignored], dim=1)
    assert loss(logits, both, presence) < 0.1  # the second image has no mask that counts
    seen = []
    loss.own = [(1.0, lambda *shown: seen.extend(shown) or torch.zeros(()))]
    loss(logits, both)
    assert all((part[..., 5] == 0).all() for part in seen)
    assert (seen[0][..., :5] == logits[..., :5]).all()


@settings(max_examples=30)
@given(st.integers(0, 2**16), st.integers(1, 3))
def test_histograms_are_those_of_the_other_pixels_alone(seed, classes):
    random = np.random.default_rng(seed)
    levels = random.integers(0, 256, (classes, 9, 14)).astype(np.uint8)
    levels[random.random(levels.shape) < 0.5] = 0
    truths = random.integers(0, 2, levels.shape).astype(np.uint8)
    cut = levels[:, :, :10]
    expected = [level_histograms(*pair) for pair in zip(cut, truths[:, :, :10], strict=True)]
    truths[:, :, 10:] = IGNORED_PIXEL
    split = [split_truth(truth) for truth in truths]
    found = [
        level_histograms(of, mask, ignored=ignored)
        for of, (mask, ignored) in zip(levels, split, strict=True)
    ]
    assert (np.stack(found) == np.stack(expected)).all()
    probability = torch.from_numpy((levels.astype(np.float32) + 0.5) / 256)[None]
    on_device = device_histograms(probability, [(9, 14)], list(truths)).numpy()
    assert (on_device == np.stack(expected)).all()


def test_objects_are_judged_outside_ignored_pixels():
    levels = np.zeros((12, 20), np.uint8)
    levels[2:8, 2:8], levels[2:12, 14:] = 200, 250
    text = encode((levels == 200).astype(np.uint8), KAGGLE)
    objects: TrueObjects = read_objects(text, 12, 20, KAGGLE)
    ignored = np.zeros((12, 20), bool)
    ignored[:, 13:] = True
    row = level_histograms(levels, levels == 200, objects, ignored=ignored)[2]
    assert row[127] == 2**40  # the other object is not wrong, as it is not looked at
    assert level_histograms(levels, levels == 200, objects)[2][127] < 2**40


# --- from the files to the batches ----------------------------------------------------------------

SIDE = 32


@pytest.fixture(scope="module", params=[1, 2])
def cache(request, tmp_path_factory):
    """Return a cache of four images with one mask or two, and a stripe of ignored pixels."""
    folder, texts, paths = tmp_path_factory.mktemp("images"), [], []
    for number in range(4):
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), np.full((SIDE, SIDE), 40 * number, np.uint8))
        masks = np.zeros((request.param + 1, SIDE, SIDE), np.uint8)
        masks[0, 4:12, 5:15] = masks[-2, 8:20, 2:9] = number > 0
        masks[-1, :, 25:28] = 1
        texts.append(tuple(encode(mask, KAGGLE) if mask.any() else "" for mask in masks))
    return build_cache(
        folder, image_ids=[path.stem for path in paths], paths=paths, sizes=[(SIDE, SIDE)] * 4,
        masks=texts, dialect=KAGGLE, size=SIDE, ignores=True,
    )  # fmt: skip


def fold_data(cache, **more):
    return FoldData(cache, np.arange(4), np.arange(4) > 0, None, "dice", **more)


def test_the_last_mask_of_the_cache_is_that_of_ignored_pixels(cache):
    assert (cache.planes, fold_data(cache).classes) == (cache.classes + 1, cache.classes)
    mask = cache.mask(1)
    assert mask.shape == (cache.planes, SIDE, SIDE)
    assert mask[-1].sum() == 3 * SIDE
    assert (mask[-1].sum(axis=0) > 0).nonzero()[0].tolist() == [25, 26, 27]


@pytest.mark.parametrize("way", ["here", "on device", "resident"])
def test_ignored_pixels_move_with_the_image(cache, way):
    from dataclasses import replace

    mirror = (1, 0) if cache.classes == 2 else ()
    images = fold_data(cache, mirror=mirror).images
    look = Look(replace(get_recipe("none"), flip=1.0), 0, 0, on_device=way != "here")
    resident = None
    if way == "resident":
        resident = ResidentImages(images)
        resident.upload(torch.device("cpu"))
    order = [np.array([1, 3])]
    (batch,) = iterate_batches(images, order, look, workers=0, resident=resident)
    _, masks = batch.on(torch.device("cpu"))
    expected = np.stack([cache.mask(row)[..., ::-1] for row in (1, 3)])
    if mirror:
        expected = expected[:, [1, 0, 2]]
    assert (np.asarray(masks) > 127).tolist() == (expected > 0).tolist()


def test_pseudo_labels_ignore_no_pixel(cache):
    shape = (1, SIDE, SIDE) if cache.classes == 1 else (1, cache.classes, SIDE, SIDE)
    pseudo = PseudoLabelled(cache, np.array([2]), np.full(shape, 77, np.uint8))
    images = TrainingImages(cache, np.arange(2), pseudo)
    (batch,) = iterate_batches(
        images, [np.array([0, 2])], Look(get_recipe("none"), 0, 0), workers=0
    )
    assert batch.masks.shape == (2, cache.planes, SIDE, SIDE)
    assert (batch.masks[1, -1] == 0).all()
    assert (batch.masks[1, :-1] == 77).all()


class Right(torch.nn.Module):
    """Predicts the right half of every image, in all masks."""

    def __init__(self, masks):
        super().__init__()
        self.masks, self.own = masks, torch.nn.Parameter(torch.zeros(1))

    def forward(self, images):
        logits = torch.full((len(images), self.masks, *images.shape[-2:]), -9.0)
        logits[..., SIDE // 2 :] = 9
        return logits + 0 * self.own


def test_validation_does_not_look_at_ignored_pixels(cache):
    from goldfold.training.device import Device

    whole = np.zeros((SIDE, SIDE), np.uint8)
    whole[:, SIDE // 2 : 24] = 1
    ignored = np.zeros_like(whole)
    ignored[:, 24:] = 1
    images = ValidationImages(
        rows=np.arange(4),
        sizes=[(SIDE, SIDE)] * 4,
        masks=[encode(whole, KAGGLE)] * 4 * cache.classes,
        dialect=KAGGLE,
        classes=cache.classes,
        ignored=[encode(ignored, KAGGLE)] * 4,
    )
    device = Device(torch.device("cpu"), None, "CPU")
    how = {"metric": "dice", "batch_size": 4, "device": device}
    assert validate(Right(cache.classes), cache, images, **how).score_at_half == 1.0
    counted = ValidationImages(**{**vars(images), "ignored": None})
    assert validate(Right(cache.classes), cache, counted, **how).score_at_half < 0.7


# --- out of fold ----------------------------------------------------------------------------------


class Maps:
    """Reads the same map of every image."""

    def read(self, image_id):
        levels = np.zeros((8, 10), np.uint8)
        levels[2:6, 2:6], levels[:, 8:] = 200, 255
        return levels


def test_the_search_of_thresholds_and_steps_does_not_look_at_ignored_pixels():
    mask, ignored = np.zeros((8, 10), np.uint8), np.zeros((8, 10), bool)
    mask[2:6, 2:6], ignored[:, 7:] = 1, True
    found = blend_histograms(
        Maps(), ["a"], lambda _: mask, ignored_of=lambda _: ignored
    )[0]  # fmt: skip
    assert (found[0, 255], found[0, 200], found[0].sum()) == (0, 16, 56)
    predicted = (Maps().read("a") > 127).astype(np.uint8)
    searched = search_steps(
        lambda _: predicted, lambda _: mask, np.array([0, 1]), "dice", largest_px=4096,
        ignored_of=lambda _: ignored,
    )  # fmt: skip
    assert searched.scores.tolist() == [1.0, 1.0]


def test_a_truth_of_nothing_but_ignored_pixels():
    ignored = np.eye(6, dtype=np.uint8)
    truth = decode_truth("", encode(ignored, KAGGLE), 6, 6, KAGGLE)
    mask, left_out = split_truth(truth)
    assert (left_out == (ignored > 0)).all()
    assert not mask.any()
    assert decode_truth("", "", 6, 6, KAGGLE) is None


def test_the_table_of_images_has_the_ignored_pixels():
    labels = {"kind": "masks", "masks": [["{id}.png"]], "ignored_values": [255]}
    form = CompetitionSettings.model_validate({"labels": labels})
    assert (form.labelled_masks, form.masks_ignored, form.outputs) == (["ignored"], True, 1)
