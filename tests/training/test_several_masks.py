"""Several masks per image: each is treated as if it were the only one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from goldfold.augmentation_levels import RECIPES, get_recipe
from goldfold.competitions.resize import resize_mask
from goldfold.competitions.rle import encode, get_dialect
from goldfold.training.augmentation.changes import draw
from goldfold.training.augmentation.on_device import augment_on_device
from goldfold.training.augmentation.packing import pack_draws
from goldfold.training.augmentation.pipeline import augment
from goldfold.training.cache import build_cache
from goldfold.training.images import PseudoLabelled, TrainingImages
from goldfold.training.loader import Look, iterate_batches
from goldfold.training.losses.overlap import soft_dice_loss
from goldfold.training.losses.weighted import WeightedLoss
from goldfold.training.pseudo_labels import cached_pseudo_labels
from goldfold.training.validation import ValidationImages, validate

KAGGLE = get_dialect("kaggle")
COUNT, CLASSES, HEIGHT, WIDTH, SIZE = 6, 3, 40, 56, 32


def drawn():
    """Return (6, 3, 40, 56) masks that overlap, some empty, all of the last image's."""
    masks = np.zeros((COUNT, CLASSES, HEIGHT, WIDTH), np.uint8)
    for row in range(COUNT - 1):
        for place in range(CLASSES):
            if (row + place) % 3:
                top, left = 3 + 2 * row + 4 * place, 5 + 3 * row + 5 * place
                masks[row, place, top : top + 14, left : left + 17] = 1
    return masks


@pytest.fixture(scope="module")
def masks():
    return drawn()


@pytest.fixture(scope="module")
def texts(masks):
    return [tuple(encode(m, KAGGLE) if m.any() else "" for m in of_image) for of_image in masks]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    paths = []
    for row in range(COUNT):
        pixels = np.random.default_rng(row).integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
        paths.append(folder / f"{row}.png")
        cv2.imwrite(str(paths[-1]), pixels)
    return paths


def build(folder, files, texts):
    return build_cache(
        folder, image_ids=[path.stem for path in files], paths=files,
        sizes=[(HEIGHT, WIDTH)] * COUNT, masks=texts, dialect=KAGGLE, size=SIZE,
    )  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory, files, texts):
    return build(tmp_path_factory.mktemp("cache"), files, texts)


def test_the_cache_gives_each_mask_as_if_it_were_the_only_one(cache, files, texts, tmp_path):
    assert cache.classes == CLASSES
    assert cache.non_empty.tolist() == [True] * (COUNT - 1) + [False]
    for place in range(CLASSES):
        alone = build(tmp_path / str(place), files, [of_image[place] for of_image in texts])
        for row in range(COUNT):
            assert (cache.mask(row)[place] == alone.mask(row)).all()
    assert cache.mask(COUNT - 1).shape == (CLASSES, SIZE, SIZE)


def test_a_changed_mask_of_any_class_makes_the_cache_anew(files, texts, tmp_path):
    before = build(tmp_path, files, texts).fingerprint
    assert build(tmp_path, files, texts).fingerprint == before
    changed = [*texts[:-1], ("", "", "1 2")]
    assert build(tmp_path, files, changed).fingerprint != before


@settings(max_examples=40)
@given(st.sampled_from(sorted(RECIPES)), st.integers(0, 50), st.sampled_from([None, 24]))
def test_every_mask_is_changed_as_the_image_is(recipe, epoch, crop):
    random = np.random.default_rng(epoch)
    image = random.integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
    masks = cv2.blur(random.integers(0, 256, (SIZE, SIZE, CLASSES)).astype(np.uint8), (5, 5))
    masks = np.ascontiguousarray((masks > 130).astype(np.uint8).transpose(2, 0, 1))
    chosen = get_recipe(recipe)
    changed, together = augment(image, masks, chosen, 0, epoch, 7, crop=crop)
    for place in range(CLASSES):
        same, alone = augment(image, masks[place], chosen, 0, epoch, 7, crop=crop)
        assert (changed == same).all()
        assert (together[place] == alone).all()


def test_the_device_changes_every_mask_as_it_would_alone(cache):
    recipe = get_recipe("strong")
    draws = [draw(recipe, 0, 3, row, size=SIZE) for row in range(COUNT)]
    images = torch.from_numpy(cache.pixels[:].copy())
    masks = torch.from_numpy(np.stack([cache.mask(row) for row in range(COUNT)]) * np.uint8(255))
    packed = pack_draws(draws, SIZE, SIZE)
    pixels, together = augment_on_device(images, masks, packed)
    for place in range(CLASSES):
        same, alone = augment_on_device(images, masks[:, place], packed)
        assert torch.equal(pixels, same)
        assert torch.equal(together[:, place], alone)


def test_a_mirrored_left_lung_is_a_right_one(cache):
    flip = replace(get_recipe("none"), flip=1.0)
    masks = cache.mask(0)
    image, changed = augment(cache.pixels[0], masks, flip, 0, 0, 0, mirror=(1, 0, 2))
    assert (image == cache.pixels[0][:, ::-1]).all()
    assert (changed == masks[[1, 0, 2], :, ::-1]).all()
    never = get_recipe("none")
    assert (augment(cache.pixels[0], masks, never, 0, 0, 0, mirror=(1, 0, 2))[1] == masks).all()


@pytest.mark.parametrize("on_device", [False, True])
def test_batches_hold_all_masks_and_trade_mirrored_ones(cache, on_device):
    look = Look(replace(get_recipe("none"), flip=0.5), 0, 1, None, on_device)
    plain = TrainingImages(cache, np.arange(COUNT))
    traded = replace(plain, mirror=(1, 0, 2))
    order = [np.arange(COUNT)]
    (one,), (two,) = (
        list(iterate_batches(images, order, look, workers=0)) for images in (plain, traded)
    )
    assert one.masks.shape == (COUNT, CLASSES, SIZE, SIZE)
    flips = [draw(look.recipe, 0, 1, row, size=SIZE).warp.flip for row in range(COUNT)]
    assert len(set(flips)) == 2
    for row, flipped in enumerate(flips):
        expected = one.masks[row][[1, 0, 2]] if flipped else one.masks[row]
        assert (two.masks[row] == expected).all()


def test_pseudo_labels_of_several_masks_stand_beside_labelled_images(cache, tmp_path):
    read = [lambda _, level=level: np.full((9, 11), level, np.uint8) for level in (10, 20, 30)]
    labels = cached_pseudo_labels(
        tmp_path, "pseudo", SIZE, image_ids=["4", "5"], read=read, made_from="a"
    )
    assert labels.masks.shape == (2, CLASSES, SIZE, SIZE)
    assert labels.masks[1].mean(axis=(1, 2)).tolist() == [10, 20, 30]
    pseudo = PseudoLabelled(cache, cache.rows(["4", "5"]), labels.masks)
    images = TrainingImages(cache, np.arange(4), pseudo)
    look = Look(get_recipe("none"), 0, 0)
    (batch,) = iterate_batches(images, [np.array([0, 4])], look, workers=0)
    assert batch.masks[1, 2].max() == 30
    assert (batch.masks[0] == cache.mask(0) * 255).all()


@pytest.mark.parametrize(
    "parts",
    [
        {"bce": 1.0},
        {"dice": 1.0},
        {"dice": 1.0, "dice_over": "image"},
        {"focal": 1.0},
        {"lovasz": 1.0},
        {"tversky": 1.0},
        {"bce": 0.5, "dice": 2.0, "smoothing": 0.1},
    ],
)
def test_the_loss_of_several_masks_is_the_mean_of_each_alone(parts):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4, CLASSES, 12, 10, generator=generator)
    masks = (torch.rand(4, CLASSES, 12, 10, generator=generator) > 0.8).float()
    loss = WeightedLoss(**parts)
    alone = [loss(logits[:, [place]], masks[:, [place]]) for place in range(CLASSES)]
    assert torch.isclose(loss(logits, masks), torch.stack(alone).mean(), atol=1e-6)


def test_a_cache_of_rectangles(files, texts, masks, tmp_path):
    cache = build_cache(
        tmp_path, image_ids=[path.stem for path in files], paths=files,
        sizes=[(HEIGHT, WIDTH)] * COUNT, masks=texts, dialect=KAGGLE, size=(32, 96),
    )  # fmt: skip
    assert cache.name == "train-32x96-gray"
    assert cache.image_size == (32, 96)
    assert cache.pixels.shape == (COUNT, 32, 96)
    for row in range(COUNT):
        for place in range(CLASSES):
            assert (cache.mask(row)[place] == resize_mask(masks[row, place], 32, 96)).all()
    images = TrainingImages(cache, np.arange(COUNT))
    look = Look(get_recipe("light"), 0, 0, (32, 64))
    (batch,) = iterate_batches(images, [np.arange(4)], look, workers=0)
    assert batch.images.shape == (4, 32, 64)
    assert batch.masks.shape == (4, CLASSES, 32, 64)


@pytest.mark.parametrize("name", ["dice", "tversky", "bce", "focal"])
def test_losses_agree_with_the_library_s_for_several_labels(name):
    from segmentation_models_pytorch import losses

    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(3, CLASSES, 20, 14, generator=generator)
    masks = (torch.rand(3, CLASSES, 20, 14, generator=generator) > 0.7).float()  # all have pixels
    theirs = {
        "dice": losses.DiceLoss("multilabel", smooth=0.0),
        "tversky": losses.TverskyLoss("multilabel", smooth=1.0, alpha=0.3, beta=0.7),
        "bce": losses.SoftBCEWithLogitsLoss(),
        "focal": losses.FocalLoss("multilabel", gamma=2.0),
    }[name]
    ours = WeightedLoss(**{name: 1.0})
    found = soft_dice_loss(logits, masks, smooth_px=1e-6) if name == "dice" else ours(logits, masks)
    assert torch.isclose(found, theirs(logits, masks), atol=1e-5)


class Shades(nn.Module):
    """Three masks of an image by its brightness, smoothed."""

    def forward(self, images):
        seen = nn.functional.avg_pool2d(images, 5, 1, 2)
        return torch.cat([3 * seen - 0.2, -2 * seen, 4 * seen + 0.5], dim=1)


class One(nn.Module):
    """One of these masks."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def forward(self, images):
        return Shades()(images)[:, [self.place]]


@pytest.mark.parametrize("workers", [1, 3])
def test_validation_counts_every_pair_of_an_image_and_a_class(cache, cpu, texts, workers):
    rows = np.arange(COUNT)

    def score(model, masks, classes):
        held_out = ValidationImages(rows, [(HEIGHT, WIDTH)] * COUNT, masks, KAGGLE, classes)
        return validate(
            model, cache, held_out, metric="dice", batch_size=4, device=cpu, workers=workers
        )

    together = score(Shades(), [text for of_image in texts for text in of_image], CLASSES)
    alone = [
        score(One(place), [of_image[place] for of_image in texts], 1) for place in range(CLASSES)
    ]
    mean = np.mean([one.score_at_half for one in alone])
    assert together.score_at_half == pytest.approx(mean, abs=1e-12)
    assert together.score <= np.mean([one.score for one in alone]) + 1e-12  # one threshold for all
