"""A GPU computes what a CPU computes: training, validation, prediction, augmentation, folding."""

import numpy as np
import pandas as pd
import pytest
import torch
from small_competitions import HEIGHT, IDS, WIDTH, Shown, fold_data
from torch import nn

from goldfold.augmentation_levels import get_recipe
from goldfold.inference.engine import start_engine
from goldfold.inference.fold_batchnorm import fold_batchnorms
from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.reader import MapReader
from goldfold.inference.store import MapWriter
from goldfold.inference.views import get_views
from goldfold.training.augmentation.changes import draw
from goldfold.training.augmentation.on_device import augment_on_device
from goldfold.training.augmentation.packing import pack_draws
from goldfold.training.batch import network_input
from goldfold.training.checkpoint import list_checkpoints, load_model
from goldfold.training.device import Device
from goldfold.training.networks.build import build_model
from goldfold.training.probability import levels_at_size

MASK = Shown("mask", 1, [], 32)
CPU = Device(torch.device("cpu"), None, "CPU")
FEW = 0.001
"""Share of pixels that may differ by more than a gray level."""


def share_apart(first, other):
    """Return the share of uint8 values that differ by more than one level."""
    return float((np.abs(np.asarray(first, int) - np.asarray(other, int)) > 1).mean())


@pytest.mark.usefixtures("exact")
def test_two_steps_have_the_same_loss_and_gradient(train, place):
    folders = [train("here", CPU, epochs=1), train("there", place.device(), epochs=1)]
    here, there = (pd.read_csv(folder / "history.csv").iloc[0] for folder in folders)
    assert there["loss"] == pytest.approx(here["loss"], rel=1e-3)
    assert there["score"] == pytest.approx(here["score"], abs=0.02)


@pytest.mark.usefixtures("exact")
def test_validation_and_prediction_see_the_same(train, place, root, tmp_path):
    data, device = fold_data(root, MASK), place.device()
    (checkpoint, *_) = list_checkpoints(train("trained", device, epochs=1))
    scores, maps = [], []
    for chosen in (CPU, device):
        model = load_model(checkpoint, chosen.device)
        how = {"metric": "dice", "batch_size": 4, "device": chosen}
        scores.append(data.validation.score(model, data.cache, **how).score)
        sample = network_input(np.asarray(data.cache.pixels[:4]), chosen.device)
        network = start_engine(model, chosen, sample, "torch")
        predictor = Predictor([network], chosen, get_views("hflip"))
        path = tmp_path / f"{len(maps)}.maps"
        with MapWriter(path, {}) as writer:
            predict_maps(predictor, data.cache, IDS, [(HEIGHT, WIDTH)] * len(IDS), writer)
            writer.finish()
        with MapReader(path) as reader:
            maps.append(np.stack([reader.read(image_id) for image_id in IDS]))
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)
    assert maps[0].min() < maps[0].max()
    assert share_apart(*maps) <= FEW


def smooth_images(count, size):
    """Return uint8 (N, S, S) without edges, on which a 32nd of a pixel is less than a level."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 1, 8, 8)).astype(np.float32)
    fine = nn.functional.interpolate(torch.from_numpy(coarse), size, mode="bicubic")
    return fine[:, 0].clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("level", ["strong", "siim-1st-place", "siim-4th-place"])
def test_images_are_augmented_alike(place, level):
    images = smooth_images(8, 64)
    masks = (images > 150).to(torch.uint8) * 255
    draws = [draw(get_recipe(level), 0, 0, index, size=64) for index in range(8)]
    packed = pack_draws(draws, 64, 64)
    here = augment_on_device(images, masks, packed)
    device = place.device().device
    moved = packed.changed(lambda tensor: tensor.to(device))
    there = augment_on_device(images.to(device), masks.to(device), moved)
    for first, other in zip(here, there, strict=True):
        assert share_apart(first, other.cpu()) <= FEW
    assert (here[0] != images).any()


def test_maps_of_8_bits_are_alike(place):
    torch.manual_seed(0)
    probability = torch.sigmoid(torch.randn(4, 1, 64, 64).mul(3))
    sizes = [(150, 130), (150, 130), (64, 64), (32, 40)]
    here = list(levels_at_size(probability, sizes))
    there = list(levels_at_size(probability.to(place.device().device), sizes))
    assert [levels.shape for levels in there] == [levels.shape for levels in here]
    for first, other in zip(here, there, strict=True):
        assert share_apart(first, other) <= FEW


def test_batchnorms_are_folded_although_tf32_is_on(place):
    model = build_model("Unet", "tu-test_resnet", channels=1).train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 1, 64, 64))
    device = place.device().device
    model = model.eval().to(device)
    images = torch.randn(2, 1, 64, 64, device=device)
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        folded, count = fold_batchnorms(model, images)
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = allowed
    assert count > 0
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.encoder.modules())
