"""What a batch of prediction or validation asks of a GPU: one wait, and no blocking copy."""

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.competitions.rle import encode, get_dialect
from goldfold.inference.class_prediction import class_forward, predict_classes
from goldfold.inference.held_out import held_out_histograms
from goldfold.inference.predict import predict_arrays, predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.reader import MapReader
from goldfold.inference.store import MapWriter
from goldfold.inference.tiles import TiledNetwork
from goldfold.inference.views import get_views
from goldfold.tasks.semantic_validation import PixelCounter
from goldfold.training.class_validation import predict_held_out
from goldfold.training.device import Device
from goldfold.training.finite import checked
from goldfold.training.validation import ValidationImages, validate

CPU = Device(torch.device("cpu"), None, "CPU")
SIIM = get_dialect("siim")
COUNT, SIZE, BATCH = 12, 32, 4
SIZES = [(40, 56)] * 6 + [(32, 32), (20, 30)] * 3
PACKAGES = ("inference/", "training/", "tasks/")  # a test moves a network as it likes
IDS = [f"i{place:02d}" for place in range(COUNT)]


class Images:
    """Stands in for the image cache."""

    image_ids = IDS
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE), dtype=np.uint8)

    def rows(self, image_ids):
        return np.array([IDS.index(name) for name in image_ids], np.int64)

    def images(self, rows):
        return np.stack([self.pixels[row] for row in rows])


class Headed(nn.Module):
    """Logits of `outputs` masks, and of presence."""

    def __init__(self, outputs=1):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Conv2d(1, outputs, 3, padding=1)

    def forward(self, images):
        masks = self.body(images) * 4.0
        return masks, masks.mean(dim=(1, 2, 3)).unsqueeze(1)


class Classes(Headed):
    """Logits of three classes."""

    def __init__(self):
        super().__init__(3)

    def forward(self, images):
        return self.body(images).mean(dim=(2, 3), keepdim=True)


class Pixelwise(Headed):
    """Logits of four classes of pixels."""

    def __init__(self):
        super().__init__(4)

    def forward(self, images):
        return self.body(images) * 4.0


def on(device, network, tile=None):
    network = network.eval().to(device.device, memory_format=torch.channels_last)
    return network if tile is None else TiledNetwork(network, tile, batch_size=2)


def masks_of(outputs=1):
    random = np.random.default_rng(1)
    return [
        encode((random.random(size) < 0.3).astype(np.uint8), SIIM) if place % 3 else ""
        for place, size in enumerate(size for size in SIZES for _ in range(outputs))
    ]


class TrueMaps:
    """True class maps with pixels that have none."""

    def size(self, image_id):
        return SIZES[IDS.index(image_id)]

    def read(self, image_id):
        random = np.random.default_rng(IDS.index(image_id))
        drawn = random.integers(0, 5, self.size(image_id), dtype=np.uint8)
        return np.where(drawn == 4, np.uint8(255), drawn)


# --- what is asked for: each returns numbers that a CPU gives, too ------------------------------


def maps(device, folder, network, **how):
    predictor = Predictor([on(device, network, how.pop("tile", None))], device, **how)
    with MapWriter(folder / "a.maps", {}) as writer:
        names = ("",) if network.body.out_channels == 1 else tuple("abc")
        predict_maps(
            predictor, Images(), IDS, SIZES, writer, classes=names, batch_size=BATCH, workers=2
        )
        writer.finish()
    readers = [MapReader(folder / "a.maps", name) for name in names]
    return [reader.read(name).astype(int) for reader in readers for name in reader.image_ids]


def one_mask(device, folder):
    return maps(device, folder, Headed())


def three_masks_flipped(device, folder):
    return maps(device, folder, Headed(3), views=get_views("hflip"))


def tiles(device, folder):
    return maps(device, folder, Headed(), tile=16, views=get_views("hflip"))


def softmax(device, folder):
    return maps(device, folder, Headed(3), activation="softmax")


def rows_of_classes(device, folder):
    predictor = Predictor([on(device, Classes())], device, get_views("hflip"))
    with MapWriter(folder / "a.maps", {}) as writer:
        forward = class_forward(predictor, IDS, True)
        predict_arrays(forward, Images(), IDS, writer, batch_size=BATCH)
        writer.finish()
    with MapReader(folder / "a.maps") as reader:
        return [reader.read_row(name) for name in reader.image_ids]


def classes_at_once(device, folder):
    predictor = Predictor([on(device, Classes())], device)
    return [predict_classes(predictor, Images(), IDS, exclusive=False, batch_size=BATCH)]


def histograms(device, folder, outputs=1):
    predictor = Predictor([on(device, Headed(outputs))], device, get_views("hflip"))
    how = {"sizes": SIZES, "masks": masks_of(outputs), "dialect": SIIM, "batch_size": BATCH}
    return [held_out_histograms(predictor, Images(), IDS, **how)]


def histograms_of_three(device, folder):
    return histograms(device, folder, 3)


def validated_masks(device, folder, **how):
    images = ValidationImages(np.arange(COUNT), SIZES, masks_of(), SIIM, **how)
    score = validate(
        on(device, Headed()), Images(), images, metric="dice", batch_size=BATCH, device=device
    )
    return [np.array([score.score, score.level, score.non_empty_score])]


def validated_objects(device, folder):
    """Objects are always counted here, so that the maps are sent."""
    return validated_masks(device, folder, objects=masks_of())


def validated_classes(device, folder):
    network, rows = on(device, Classes()), np.arange(COUNT)
    how = {"exclusive": True, "batch_size": BATCH, "device": device}
    return [predict_held_out(network, Images(), rows, 3, **how)]


def validated_class_maps(device, folder):
    network, counts = on(device, Pixelwise()), []
    with PixelCounter(TrueMaps(), 2) as counter:
        for start in range(0, COUNT, BATCH):
            block = slice(start, start + BATCH)
            count = counter.batch(IDS[block])
            pixels, finite = count.validated(network, Images.pixels[block], device, checked)
            assert finite.all()
            counts.append(pixels)
    return counts


def held_out_class_maps(device, folder):
    predictor = Predictor([on(device, Pixelwise())], device, activation="softmax")
    counts = []
    with PixelCounter(TrueMaps(), 2) as counter:
        for start in range(0, COUNT, BATCH):
            block = slice(start, start + BATCH)
            counts.append(counter.batch(IDS[block]).predicted(predictor, Images.pixels[block]))
    return counts


WAYS = [
    one_mask, three_masks_flipped, tiles, softmax, rows_of_classes, classes_at_once, histograms,
    histograms_of_three, validated_masks, validated_objects, validated_classes,
    validated_class_maps, held_out_class_maps,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_batch_waits_once_and_no_copy_blocks(pretend_gpu, tmp_path, way):
    expected = way(CPU, tmp_path)
    (tmp_path / "a.maps").unlink(missing_ok=True)
    before = pretend_gpu.ledger.copy()
    found = way(pretend_gpu.choose("float32"), tmp_path)
    seen = pretend_gpu.ledger.since(before)
    assert len(seen.waits) <= COUNT // BATCH, seen.waits
    assert not [copy for copy in seen.blocking_copies if copy.place.startswith(PACKAGES)]
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_batch_without_room_is_divided_and_says_the_same(pretend_gpu, tmp_path, way):
    expected = way(CPU, tmp_path)
    (tmp_path / "a.maps").unlink(missing_ok=True)
    pretend_gpu.most_images = 1
    found = way(pretend_gpu.choose("float32"), tmp_path)
    for a, b in zip(found, expected, strict=True):
        # Sums over other numbers of images may round to the next level.
        assert np.allclose(a, b, atol=1e-3 if a.dtype.kind == "f" else 1)


def test_weights_of_tiles_are_sent_once(pretend_gpu):
    device = pretend_gpu.choose("float32")
    network, sent = on(device, Headed(), tile=16), []
    images = torch.zeros(1, 1, 40, 40).to(device.device)
    for _ in range(3):
        before = pretend_gpu.ledger.copy()
        network(images)
        sent.append(len(pretend_gpu.ledger.since(before).copies))
    assert sent == [9, 0, 0]  # of tiles in the corners, along the edges, and within
