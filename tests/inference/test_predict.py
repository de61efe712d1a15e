"""Maps of a small network: the right mean, at the right size, the same bytes after a break."""

import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.reader import MapReader
from goldfold.inference.record import checked_record
from goldfold.inference.store import MapWriter
from goldfold.inference.views import get_views
from goldfold.training import probability
from goldfold.training.batch import network_input
from goldfold.training.device import Device
from goldfold.training.probability import quantise

CPU = Device(torch.device("cpu"), None, "CPU")
SIZE = 32


@dataclass
class Images:
    """Stands in for the image cache."""

    image_ids: list[str]
    pixels: np.ndarray

    def rows(self, image_ids: list[str]) -> np.ndarray:
        return np.array([self.image_ids.index(name) for name in image_ids], np.int64)

    def images(self, rows: Iterable[int]) -> np.ndarray:
        return np.stack([self.pixels[row] for row in rows])


def make_images(count: int, channels: int = 1) -> Images:
    shape = (count, SIZE, SIZE) if channels == 1 else (count, SIZE, SIZE, channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Images([f"image-{place}" for place in range(count)], pixels)


def make_model(seed: int, channels: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)
    ).eval()


def predict(path: Path, images: Images, models: list[nn.Module], **options: object) -> MapReader:
    count = len(images.image_ids)
    predictor = Predictor(models, CPU, get_views(options.pop("views", "hflip")))  # type: ignore
    given = {"sizes": [(SIZE, SIZE)] * count, "batch_size": 4, **options}
    with MapWriter(path, {}) as writer:
        predict_maps(predictor, images, images.image_ids, writer=writer, **given)  # type: ignore
        writer.finish()
    return MapReader(path)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("views", ["none", "hflip"])
def test_a_map_is_the_mean_over_models_and_views(tmp_path: Path, views: str, channels: int) -> None:
    images = make_images(6, channels)
    models = [make_model(seed, channels) for seed in range(3)]
    reader = predict(tmp_path / "a.maps", images, models, views=views)
    with torch.inference_mode():
        inputs = network_input(images.pixels, CPU.device)
        seen = [torch.sigmoid(model(inputs)) for model in models]
        if views == "hflip":
            seen += [torch.sigmoid(model(inputs.flip(3))).flip(3) for model in models]
        expected = quantise(torch.stack(seen).mean(0)[:, 0]).numpy().astype(int)
    found = np.stack([reader.read(name) for name in images.image_ids]).astype(int)
    # Sums in another order may fall to the other side of a level.
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.001


def test_flipped_images_give_flipped_maps(tmp_path: Path) -> None:
    images = make_images(4)
    flipped = Images(images.image_ids, images.pixels[:, :, ::-1])
    one = predict(tmp_path / "a.maps", images, [make_model(0)])
    two = predict(tmp_path / "b.maps", flipped, [make_model(0)])
    for name in images.image_ids:
        assert np.array_equal(one.read(name), two.read(name)[:, ::-1])


def test_maps_have_the_original_sizes(tmp_path: Path) -> None:
    images = make_images(5)
    sizes = [(32, 32), (40, 50), (101, 7), (16, 16), (1, 64)]
    reader = predict(tmp_path / "a.maps", images, [make_model(0)], sizes=sizes)
    assert [reader.read(name).shape for name in images.image_ids] == sizes


@pytest.mark.parametrize("sizes", [[(40, 50)] * 10, [(40, 50)] * 3 + [(20, 64)] * 7])
def test_maps_resized_together_have_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[tuple[int, int]]
) -> None:
    images, model = make_images(10), make_model(0)
    predict(tmp_path / "one.maps", images, [model], sizes=sizes)
    monkeypatch.setattr(probability, "_images_at_once", lambda *_: 3)  # as a GPU would
    predict(tmp_path / "three.maps", images, [model], sizes=sizes)
    assert (tmp_path / "one.maps").read_bytes() == (tmp_path / "three.maps").read_bytes()


class Breaks(nn.Module):
    """Fails in its n-th batch."""

    def __init__(self, model: nn.Module, batches: int) -> None:
        super().__init__()
        self.model, self.batches = model, batches

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.batches == 0:
            raise RuntimeError("broken")
        self.batches -= 1
        return torch.as_tensor(self.model(images))


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_resumed_store_has_the_same_bytes(tmp_path: Path, batches: int) -> None:
    images, model = make_images(10), make_model(0)
    predict(tmp_path / "whole.maps", images, [model], views="none")
    with pytest.raises(RuntimeError, match="broken"):
        predict(tmp_path / "broken.maps", images, [Breaks(model, batches)], views="none")
    predict(tmp_path / "broken.maps", images, [model], views="none")
    whole = (tmp_path / "whole.maps").read_bytes()
    assert (tmp_path / "broken.maps").read_bytes() == whole


def test_a_break_within_a_batch_changes_no_byte(tmp_path: Path) -> None:
    images, model = make_images(10), make_model(0)
    whole = tmp_path / "whole.maps"
    reader = predict(whole, images, [model])
    for stored in range(11):
        path = tmp_path / f"{stored}.maps"
        with MapWriter(path, {}) as writer:
            for name in images.image_ids[:stored]:
                writer.append(name, reader.read(name))
        predict(path, images, [model])
        assert path.read_bytes() == whole.read_bytes()


def test_what_is_stored_is_not_predicted_again(tmp_path: Path) -> None:
    images = make_images(9)
    predict(tmp_path / "a.maps", images, [make_model(0)])
    predict(tmp_path / "a.maps", images, [Breaks(make_model(0), 0)])
    with MapWriter(tmp_path / "b.maps", {}) as writer:
        counts = [
            predict_maps(
                Predictor([make_model(0)], CPU),
                images,  # type: ignore[arg-type]
                images.image_ids[:count],
                [(SIZE, SIZE)] * count,
                writer,
            )
            for count in (5, 9, 9)
        ]
    assert counts == [5, 4, 0]


def test_few_maps_are_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def watch(image_id: str, levels: np.ndarray, presence: float | None) -> bytes:
        seen.append(weakref.ref(levels))
        alive.append(sum(one() is not None for one in seen))
        return checked_record(image_id, levels, presence)

    monkeypatch.setattr("goldfold.inference.predict.checked_record", watch)
    predict(tmp_path / "a.maps", make_images(80), [make_model(0)], batch_size=4)
    assert len(alive) == 80
    assert max(alive) <= 8


@pytest.mark.parametrize("workers", [2, 5])
def test_threads_that_compress_change_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    images, model = make_images(23), make_model(0)
    predict(tmp_path / "one.maps", images, [model])

    def uneven(image_id: str, levels: np.ndarray, presence: float | None) -> bytes:
        time.sleep(0.01 if image_id.endswith(("0", "5")) else 0)  # these are done last
        return checked_record(image_id, levels, presence)

    monkeypatch.setattr("goldfold.inference.predict.checked_record", uneven)
    predict(tmp_path / "several.maps", images, [model], workers=workers)
    assert (tmp_path / "one.maps").read_bytes() == (tmp_path / "several.maps").read_bytes()


def test_no_images_are_no_work(tmp_path: Path) -> None:
    assert len(predict(tmp_path / "a.maps", make_images(0), [make_model(0)])) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": [(8, 8)]}, "one size for each image, found 1 sizes for 2 images"),
        ({"image_ids": ["image-0", "image-0"]}, "each image once, found image-0 twice"),
    ],
)
def test_wrong_requests_are_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    given = {
        "predictor": Predictor([make_model(0)], CPU),
        "cache": make_images(2),
        "image_ids": ["image-0", "image-1"],
        "sizes": [(8, 8), (8, 8)],
        **change,
    }
    with MapWriter(tmp_path / "a.maps", {}) as writer, pytest.raises(InputError, match=message):
        predict_maps(writer=writer, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks": []}, "at least one checkpoint to predict with, found none"),
        ({"views": []}, "at least one view, found none"),
        ({"merge": "max"}, "unknown merge 'max'"),
    ],
)
def test_wrong_predictors_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Predictor(**{"networks": [make_model(0)], "device": CPU, **change})  # type: ignore


def test_shares_of_several_processes_make_one_store(tmp_path: Path) -> None:
    images, predictor = make_images(22), Predictor([make_model(0)], CPU, get_views("hflip"))
    whole = predict(tmp_path / "whole.maps", images, [make_model(0)])
    path = tmp_path / "shared.maps"
    sizes = [(SIZE, SIZE)] * 22
    writers = [MapWriter(path, {}, shared=True) for _ in range(3)]
    counts = [
        predict_maps(
            predictor,
            images,  # type: ignore[arg-type]
            images.image_ids,
            sizes,
            writer,
            batch_size=4,
            share=(number, 3),
        )
        for number, writer in enumerate(writers)
    ]
    assert counts == [8, 8, 6]
    assert all(writer.holds(22) for writer in writers)
    writers[0].finish()
    reader = MapReader(path)
    for name in images.image_ids:
        assert np.array_equal(reader.read(name), whole.read(name))
