"""Images with their neighbours as channels: assembled in one place, held out together."""

import ast
import copy
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from goldfold.competitions.image import read_image
from goldfold.competitions.resize import resize_image
from goldfold.competitions.rle import get_dialect
from goldfold.errors import LeakError
from goldfold.folds.fold_view import FoldView
from goldfold.settings import ModelSettings, StageSettings
from goldfold.training.augmentation import augment, get_recipe
from goldfold.training.cache import build_cache
from goldfold.training.checkpoint import list_checkpoints
from goldfold.training.device import Device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.images import PseudoLabelled, TrainingImages
from goldfold.training.loader import Look, iterate_batches
from goldfold.training.networks.build import build_model, load_encoder
from goldfold.training.runtime import Machine
from goldfold.training.validation import ValidationImages

ROOT = Path(__file__).parents[2]
STRONG = get_recipe("strong")
COUNT = 14
# Two sequences: the even rows rising, the odd rows falling.
ORDER = [[*range(0, COUNT, 2)], [*range(COUNT - 1, 0, -2)]]


def neighbours_of(offsets):
    rows = np.empty((COUNT, len(offsets)), np.int64)
    for sequence in ORDER:
        for place, row in enumerate(sequence):
            for channel, offset in enumerate(offsets):
                rows[row, channel] = sequence[min(max(place + offset, 0), len(sequence) - 1)]
    return rows


@pytest.fixture(scope="module")
def paths(cache):
    return [cache.folder.parent / f"{image_id}.png" for image_id in cache.image_ids]


@pytest.fixture(scope="module")
def colour(cache, paths, masks, mask_texts):
    """Return a cache of the same images in three channels, each image tinted."""
    folder = cache.folder.parent / "colour"
    folder.mkdir()
    for path in paths:
        gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(folder / path.name), np.stack([gray // 3, gray // 2, gray], axis=-1))
    return build_cache(
        folder / "cache", image_ids=cache.image_ids, paths=[folder / path.name for path in paths],
        sizes=[mask.shape for mask in masks], masks=mask_texts, dialect=get_dialect("siim"),
        size=32, channels=3,
    )  # fmt: skip


# --- assembly ------------------------------------------------------------------------------------


@pytest.mark.parametrize("offsets", [[-1, 0, 1], [0, -2], [2, 1, 0, -1, -2]])
def test_the_channels_are_the_slices_read_one_by_one(cache, paths, offsets):
    rows = neighbours_of(offsets)
    near = cache.with_neighbours(rows)
    batch = near.images(range(COUNT))
    assert (batch.shape, batch.dtype) == ((COUNT, 32, 32, len(offsets)), np.uint8)
    for row in range(COUNT):
        for channel, other in enumerate(rows[row]):
            alone = resize_image(read_image(paths[other]), 32, 32)
            assert (near.image(row)[:, :, channel] == alone).all()
            assert (batch[row, :, :, channel] == alone).all()


def test_colours_of_neighbours_stand_beside_each_other(colour):
    rows = neighbours_of([0, 1])
    near = colour.with_neighbours(rows)
    image = near.image(4)
    assert image.shape == (32, 32, 6)
    assert (image[:, :, :3] == colour.pixels[4]).all()
    assert (image[:, :, 3:] == colour.pixels[6]).all()


def test_the_files_stay_one_slice_each_and_a_copy_keeps_its_neighbours(cache):
    before = sorted(path.name for path in cache.folder.iterdir())
    near = cache.with_neighbours(neighbours_of([-1, 0, 1]))
    sent = copy.copy(near)
    assert (sent.image(3) == near.image(3)).all()
    assert sorted(path.name for path in cache.folder.iterdir()) == before
    assert near.pixels.shape == cache.pixels.shape
    with pytest.raises(ValueError, match="expected neighbours of 14 images, found 2"):
        cache.with_neighbours(np.zeros((2, 3), np.int64))


@pytest.mark.parametrize("on_device", [False, True])
def test_the_number_of_workers_changes_no_sample(cache, on_device):
    near = cache.with_neighbours(neighbours_of([-1, 0, 1]))
    pseudo = PseudoLabelled(near, np.array([2]), np.full((1, 32, 32), 99, np.uint8))
    images = TrainingImages(near, np.arange(COUNT), pseudo)
    numbers = [np.array([3, 0, 13]), np.array([14, 5])]  # 14 is pseudo-labelled

    def made(workers):
        look = Look(STRONG, 7, 2, on_device=on_device)
        return [b.images for b in iterate_batches(images, numbers, look, workers=workers)]

    alone = made(0)
    assert [batch.shape for batch in alone] == [(3, 32, 32, 3), (2, 32, 32, 3)]
    for workers in (1, 3):
        for one, other in zip(alone, made(workers), strict=True):
            assert (one == other).all()


@pytest.mark.parametrize("offsets", [[-1, 0, 1], [-2, -1, 0, 1, 2]])
def test_augmentation_moves_all_channels_alike(cache, offsets):
    rows = neighbours_of(offsets)
    near = cache.with_neighbours(rows)
    for epoch in range(6):
        image, _ = augment(near.image(5), cache.mask(5), STRONG, 3, epoch, 5)
        for channel, other in enumerate(rows[5]):
            alone, _ = augment(cache.pixels[other], cache.mask(5), STRONG, 3, epoch, 5)
            apart = np.abs(image[:, :, channel].astype(int) - alone.astype(int))
            # OpenCV samples one and three channels exactly, others at 32nds of a pixel.
            assert apart.max() <= (0 if len(offsets) == 3 else 16)
            assert apart.mean() <= 2


def test_pixels_of_a_cache_are_read_in_one_place():
    """Whoever reads `cache.pixels` past `ImageCache.image` would not see the neighbours."""
    readers = set()
    for package in ("training", "inference", "ensemble", "tasks", "pipeline", "commands"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                # `cache.pixels[...]`: the pixels of a prediction or of a draw are not subscripted.
                if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".pixels"):
                    readers.add(file.relative_to(ROOT).as_posix())
    assert readers == {"training/image_cache.py"}


# --- training ------------------------------------------------------------------------------------

STAGE = StageSettings(
    epochs=1, image_size=32, batch_size=4, learning_rate=0.005, augmentation="strong"
)
CPU = Device(torch.device("cpu"), None, "CPU, float32")


def weights_of(cache, mask_texts, folder, **settings):
    model = ModelSettings(
        name="tiny", encoder="tu-test_resnet", options={"decoder_channels": [8, 8, 8, 8, 8]},
        **settings,
    )  # fmt: skip
    rows, held_out = np.arange(8), np.arange(8, COUNT)
    validation = ValidationImages(held_out, [(40, 56)] * 6, mask_texts[8:], get_dialect("siim"))
    data = FoldData(cache, rows, cache.non_empty[rows], validation, "dice")
    run = FoldRun(folder, 0, {"model": model.model_dump(mode="json")})
    train_fold(run, model, STAGE, data, machine=Machine(CPU))
    (best,) = list_checkpoints(folder)[:1]
    assert best.facts["channels"] == model.inputs
    return load_file(best.path)


def same(ones, others):
    return all(torch.equal(ones[name], others[name]) for name in ones | others)


def test_an_image_as_its_own_neighbours_is_the_gray_image_in_three_channels(
    cache, paths, masks, mask_texts, tmp_path
):
    three = build_cache(
        tmp_path / "three", image_ids=cache.image_ids, paths=paths,
        sizes=[mask.shape for mask in masks], masks=mask_texts, dialect=get_dialect("siim"),
        size=32, channels=3,
    )  # fmt: skip
    own = cache.with_neighbours(neighbours_of([0, 0, 0]))
    expected = weights_of(three, mask_texts, tmp_path / "a", channels=3)
    assert same(weights_of(own, mask_texts, tmp_path / "b", neighbours=[0, 0, 0]), expected)
    others = cache.with_neighbours(neighbours_of([-1, 0, 1]))
    other = weights_of(others, mask_texts, tmp_path / "c", neighbours=[-1, 0, 1])
    assert not same(other, expected)


def test_an_image_alone_is_the_gray_image(cache, mask_texts, tmp_path):
    expected = weights_of(cache, mask_texts, tmp_path / "a")
    alone = cache.with_neighbours(neighbours_of([0]))
    assert same(weights_of(alone, mask_texts, tmp_path / "b", neighbours=[0]), expected)


# --- leaks ---------------------------------------------------------------------------------------


def fold_data(cache, mask_texts, held_out):
    rows = np.array([row for row in range(COUNT) if row not in held_out])
    validation = ValidationImages(
        np.array(held_out),
        [(40, 56)] * len(held_out),
        [mask_texts[row] for row in held_out],
        get_dialect("siim"),
    )
    table = pd.DataFrame(
        {
            "image_id": cache.image_ids,
            "fold": [int(row not in held_out) for row in range(COUNT)],
            "group": "",
        }
    )
    fold = FoldView(table).fold(0)
    return FoldData(cache, rows, cache.non_empty[rows], validation, "dice", fold=fold)


def test_neighbours_that_are_held_out_are_a_leak_in_training_and_in_validation(cache, mask_texts):
    near = cache.with_neighbours(neighbours_of([-1, 0, 1]))
    whole = fold_data(near, mask_texts, ORDER[0])  # a whole sequence
    assert len(whole.images.rows) == COUNT - len(ORDER[0])
    with pytest.raises(LeakError, match=r"validation was about to judge 1 image .*: i04"):
        fold_data(near, mask_texts, [0, 2])
    # The same images without neighbours are no leak.
    fold_data(cache, mask_texts, [0, 2])
    # Row 4 is trained on and shown beside row 2.
    fold = fold_data(cache, mask_texts, [0, 2]).fold
    with pytest.raises(LeakError, match=r"training was about to use 1 image .*: i02"):
        TrainingImages(near, np.array([4, 6]), fold=fold)


# --- networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [2, 5, 9])
@pytest.mark.parametrize(
    ("architecture", "encoder"), [("Unet", "resnet18"), ("Classifier", "test_resnet")]
)
def test_networks_take_any_number_of_channels(architecture, encoder, channels):
    options = {"decoder_channels": [8, 8, 8, 8, 8]} if architecture == "Unet" else {}
    model = build_model(architecture, encoder, channels=channels, options=options).eval()
    with torch.inference_mode():
        assert len(model(torch.zeros(1, channels, 64, 64))) == 1


def test_the_first_kernel_of_a_file_is_repeated_for_more_channels(tmp_path):
    options = {"decoder_channels": [8, 8, 8, 8, 8]}
    three = build_model("Unet", "resnet18", channels=3, options=options)
    weights = {name: one.contiguous() for name, one in three.encoder.state_dict().items()}
    save_file(weights, tmp_path / "encoder.safetensors")
    five = build_model("Unet", "resnet18", channels=5, options=options)
    load_encoder(five, tmp_path / "encoder.safetensors")
    kernel, expected = five.encoder.conv1.weight, three.encoder.conv1.weight
    for channel in range(5):
        assert torch.equal(kernel[:, channel], expected[:, channel % 3] * (3 / 5))
    assert torch.equal(five.encoder.layer1[0].conv1.weight, three.encoder.layer1[0].conv1.weight)
