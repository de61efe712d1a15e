"""Several maps per image: stored by class, read as if each were the only one."""

import numpy as np
import pytest
import torch

from goldfold.errors import InputError
from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.reader import MapReader
from goldfold.inference.store import MapWriter
from goldfold.inference.tiles import TiledNetwork
from goldfold.inference.views import QuarterTurns, get_views
from goldfold.training.device import Device

CPU = Device(torch.device("cpu"), None, "CPU")
SIZE, ORIGINAL, NAMES = 16, [(20, 30), (16, 16), (9, 40)], ["left", "right"]


class Pixels:
    """What the predictor needs of an image cache."""

    image_ids = ("c", "a", "b")
    pixels = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE)).astype(np.uint8)

    def rows(self, image_ids):
        return np.array([self.image_ids.index(name) for name in image_ids])

    def images(self, rows):
        return np.stack([self.pixels[row] for row in rows])


def two(images):
    """Return logits (N, 2, H, W) that follow the pixels."""
    return torch.cat([images, 1 - 2 * images], dim=1)


def predict(path, network, classes, share=(0, 1)):
    predictor = Predictor([network], CPU)
    with MapWriter(path, {"a": 1}, shared=share[1] > 1) as writer:
        new = predict_maps(
            predictor, Pixels(), ["c", "a", "b"], ORIGINAL, writer, classes=classes, batch_size=2,
            share=share,
        )  # fmt: skip
        if writer.holds(3 * len(classes)):
            writer.finish()
    return new


def test_the_maps_of_a_class_are_those_that_a_network_for_it_alone_gives(tmp_path):
    assert predict(tmp_path / "both.maps", two, NAMES) == 6
    for place, name in enumerate(NAMES):
        predict(tmp_path / "one.maps", lambda images, at=place: two(images)[:, [at]], [""])
        with (
            MapReader(tmp_path / "both.maps", name) as both,
            MapReader(tmp_path / "one.maps") as one,
        ):
            assert both.image_ids == one.image_ids == ["c", "a", "b"]
            for image_id, size in zip(both.image_ids, ORIGINAL, strict=True):
                assert both.size(image_id) == size
                assert (both.read(image_id) == one.read(image_id)).all()
        (tmp_path / "one.maps").unlink()
        (tmp_path / "one.json").unlink()


def test_processes_share_images_with_all_their_masks(tmp_path):
    path = tmp_path / "shared.maps"
    assert predict(path, two, NAMES, (1, 2)) == 2
    assert not path.with_suffix(".json").exists()
    assert predict(path, two, NAMES, (0, 2)) == 4
    with MapReader(path, "right") as reader:
        assert sorted(reader.image_ids) == ["a", "b", "c"]


def test_tiles_see_all_masks():
    images = torch.rand(2, 1, 40, 56)
    whole = two(images)
    assert torch.allclose(TiledNetwork(two, 16)(images), whole, atol=1e-6)


@pytest.mark.parametrize("names", ["hflip", "d4", ["none", "vflip", "hflip+vflip"]])
def test_masks_that_a_mirror_exchanges_come_back_to_their_places(names):
    """A network that calls what lies in the left half left is right about mirrored images, too."""

    def by_side(images):
        seen = (images > 0).float()
        columns = torch.arange(images.shape[-1]) < images.shape[-1] / 2
        left = columns[None, :].expand(images.shape[-2:])
        return torch.cat([seen * left, seen * ~left], dim=1)

    images = torch.randn(1, 1, 8, 8)
    expected = by_side(images)
    for view in get_views(["hflip"] if names == "hflip" else ["hflip", "none"], (1, 0)):
        assert torch.equal(view.inverse(by_side(view.forward(images)), 8, 8), expected)
    for view in get_views(names, (1, 0)):
        maps = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)], dim=1)
        back = view.inverse(view.forward(maps), 8, 8)
        mirrored = (view.name.count("hflip") + view.name.count("vflip")) % 2 == 1
        assert back[0, 0].mean() == (1.0 if mirrored else 0.0)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_quarter_turns_are_torch_s(angle):
    images = torch.rand(2, 3, 5, 7)
    turned = QuarterTurns().apply_aug_image(images, angle)
    assert torch.equal(turned, torch.rot90(images, angle // 90, (2, 3)))
    assert torch.equal(QuarterTurns().apply_deaug_mask(turned, angle), images)


def test_a_class_without_maps_is_missed_at_once(tmp_path):
    predict(tmp_path / "both.maps", two, NAMES)
    with pytest.raises(InputError, match="no maps of class 'lung'"):
        MapReader(tmp_path / "both.maps", "lung")
