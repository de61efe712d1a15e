"""Planted NaN and infinity: one retry in float32, else an error naming checkpoint and image."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.competitions.rle import get_dialect
from goldfold.errors import GoldfoldError, InputError, NotFiniteError
from goldfold.inference.class_prediction import predict_classes, view_probabilities
from goldfold.inference.engine import _SameBatch
from goldfold.inference.held_out import held_out_histograms
from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.reader import MapReader
from goldfold.inference.store import MapWriter
from goldfold.inference.tiles import TiledNetwork
from goldfold.inference.views import get_views
from goldfold.tasks.mask_held_out import look_at_masks
from goldfold.tasks.view_sets import timed_views
from goldfold.training.batch import network_input
from goldfold.training.device import Device

CPU = Device(torch.device("cpu"), None, "CPU, float32")
HALF = Device(torch.device("cpu"), torch.float16, "CPU, fp16 autocast")
IDS = [f"image-{place}" for place in range(6)]
SPOILED = 4  # the one white image


class Heard:
    """A progress that keeps what it is warned of."""

    def __init__(self):
        self.warnings, self.said = [], []

    def task(self, *_):
        return nullcontext(self)

    def advance(self, *_, **__):
        pass

    def say(self, text):
        self.said.append(text)

    def warn(self, text):
        self.warnings.append(text)


class Images:
    """Stands in for the image cache: gray noise, and one white image."""

    def __init__(self):
        self.pixels = np.random.default_rng(0).integers(0, 200, (len(IDS), 16, 16), np.uint8)
        self.pixels[SPOILED] = 255

    def rows(self, image_ids):
        return np.array([IDS.index(name) for name in image_ids], np.int64)

    def images(self, rows):
        return np.stack([self.pixels[row] for row in rows])


class Dots(nn.Module):
    """Logits of each pixel, or of two classes: 0.1 times the image."""

    def __init__(self, of_classes=False, factor=0.1):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1, bias=False)
        self.of_classes, self.calls = of_classes, 0
        with torch.no_grad():
            self.layer.weight.fill_(factor)

    def forward(self, images):
        self.calls += 1
        logits = self.layer(images)
        if not self.of_classes:
            return logits
        mean = logits.mean((1, 2, 3))
        return torch.stack([mean, -mean], dim=1)[:, None, None]


class Overflowing(Dots):
    """Finite in float32, infinite in fp16, whose largest number is 65,504."""

    def __init__(self, of_classes=False):
        super().__init__(of_classes, factor=1e6)


class Spoiling(Dots):
    """Spoils the logits of a white image, in any precision."""

    def __init__(self, of_classes=False, value=torch.nan):
        super().__init__(of_classes)
        self.value = value

    def forward(self, images):
        logits = super().forward(images).clone()
        logits[images.amin((1, 2, 3)) > 2.0] = self.value
        return logits


def to_store(predictor, folder):
    with MapWriter(folder / "a.maps", {}) as writer:
        predict_maps(predictor, Images(), IDS, [(20, 20)] * 6, writer, batch_size=3)
        writer.finish()
    with MapReader(folder / "a.maps") as reader:
        return np.stack([reader.read(name) for name in IDS])


def to_histograms(predictor, _):
    how = {"sizes": [(20, 20)] * 6, "masks": [""] * 6, "dialect": get_dialect("siim")}
    return held_out_histograms(predictor, Images(), IDS, batch_size=3, **how)


def to_views(predictor, _, look=look_at_masks):
    found = []
    for start in (0, 3):
        pixels = Images().pixels[start : start + 3]
        inputs = network_input(pixels, predictor.device.device)
        ids = IDS[start : start + 3]
        seen, _ = timed_views(predictor, predictor.views, inputs, look, ids)
        found.append(torch.stack([torch.stack(of_view) for of_view in seen]))
    return torch.cat(found, dim=2).cpu().numpy()


def to_classes(predictor, _):
    return predict_classes(predictor, Images(), IDS, exclusive=True, batch_size=3)


def to_class_views(predictor, _):
    return to_views(predictor, _, partial(view_probabilities, exclusive=True))


PREDICTIONS = {
    "store": (to_store, False),
    "histograms": (to_histograms, False),
    "views": (to_views, False),
    "classes": (to_classes, True),
    "views of classes": (to_class_views, True),
}


@pytest.fixture(params=PREDICTIONS)
def prediction(request):
    """Return a way from a predictor to numbers, and whether they are of classes."""
    return PREDICTIONS[request.param]


def predictor_of(networks, device=CPU, progress=None):
    names = [f"epoch-{place}.safetensors" for place in range(len(networks))]
    return Predictor(
        networks, device, get_views("hflip"), names=names, progress=progress or Heard()
    )


def test_what_overflows_in_half_precision_is_predicted_in_float32(prediction, tmp_path):
    predict, of_classes = prediction
    network, heard = Overflowing(of_classes), Heard()
    expected = predict(predictor_of([network]), tmp_path)
    (tmp_path / "half").mkdir()
    found = predict(predictor_of([network], HALF, heard), tmp_path / "half")
    np.testing.assert_array_equal(found, expected)
    assert len(heard.warnings) == 1  # of two batches
    assert (
        "epoch-0.safetensors: the logits of 3 images (image-0, image-1, image-2)"
        in (heard.warnings[0])
    )
    assert "predicted again in float32" in heard.warnings[0]


@pytest.mark.parametrize("device", [CPU, HALF], ids=["float32", "fp16"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_only_the_image_and_the_checkpoint_at_fault_are_named(prediction, tmp_path, device, value):
    predict, of_classes = prediction
    networks = [Dots(of_classes), Spoiling(of_classes, value)]
    with pytest.raises(NotFiniteError) as error:
        predict(predictor_of(networks, device), tmp_path)
    assert "epoch-1.safetensors: the logits of 1 image (image-4) are NaN or infinite" in (
        str(error.value)
    )
    assert "epoch-0" not in str(error.value)
    assert "Train with a lower learning_rate" in str(error.value)
    assert error.value.exit_code == 1


def test_a_store_with_such_an_image_is_never_finished(tmp_path):
    with pytest.raises(NotFiniteError):
        to_store(predictor_of([Spoiling()]), tmp_path)
    with pytest.raises(InputError, match="is not finished"):
        MapReader(tmp_path / "a.maps")
    with MapWriter(tmp_path / "a.maps", {}) as writer:
        assert [name in writer for name in IDS] == [True] * 3 + [False] * 3  # the batch before


def test_what_is_finite_passes_once_and_float32_is_not_tried_twice(tmp_path):
    network = Dots()
    to_store(predictor_of([network]), tmp_path)
    assert network.calls == 4  # two batches, two views
    broken = Spoiling()
    with pytest.raises(NotFiniteError):
        predictor_of([broken]).probability(Images().pixels, IDS)
    assert broken.calls == 2


class Cramped(Dots):
    """Has room for two images at a time."""

    error: Exception = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    most = 2

    def forward(self, images):
        logits = super().forward(images)
        if len(images) > self.most:
            raise self.error
        return logits


@pytest.mark.parametrize("device", [CPU, HALF], ids=["float32", "fp16"])
def test_without_memory_for_a_batch_it_passes_in_parts(prediction, tmp_path, device):
    predict, of_classes = prediction
    expected = predict(predictor_of([Dots(of_classes)], device), tmp_path)
    (tmp_path / "cramped").mkdir()
    heard = Heard()
    networks = [Cramped(of_classes)]
    found = predict(predictor_of(networks, device, heard), tmp_path / "cramped")
    np.testing.assert_array_equal(found, expected)
    assert heard.said == [
        f"out of memory on {device.description}: continuing with 2 images per pass instead of 3"
    ]
    # Three images fail; then each of two batches passes in two parts, in two views.
    assert networks[0].calls == 1 + 2 * 2 * 2


@pytest.mark.parametrize("most", [None, 2])
def test_a_gpu_predicts_what_the_processor_does(prediction, tmp_path, pretend_gpu, most):
    predict, of_classes = prediction
    expected = predict(predictor_of([Dots(of_classes), Dots(of_classes)]), tmp_path)
    (tmp_path / "gpu").mkdir()
    device, heard = pretend_gpu.choose("float32"), Heard()
    pretend_gpu.most_images = most
    networks = [Dots(of_classes).to(device.device) for _ in range(2)]
    found = predict(predictor_of(networks, device, heard), tmp_path / "gpu")
    np.testing.assert_array_equal(found, expected)
    assert len(heard.said) == (most is not None)


def test_tiles_of_fewer_images_take_less_memory():
    pixels, heard = Images().pixels, Heard()
    expected = predictor_of([TiledNetwork(Dots(), 8)]).probability(pixels)[0]
    cramped = predictor_of([TiledNetwork(Cramped(), 8)], CPU, heard)
    torch.testing.assert_close(cramped.probability(pixels)[0], expected)
    assert heard.said[-1].endswith("with 2 images per pass instead of 3")


def test_the_float32_retry_has_its_own_need_of_memory():
    """float32 takes twice the memory of fp16."""

    class Wide(Overflowing):
        def forward(self, images):
            if len(images) > 3 and not torch.is_autocast_enabled("cpu"):
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(images)

    pixels, heard = Images().pixels, Heard()
    expected = predictor_of([Overflowing()]).probability(pixels)[0]
    found = predictor_of([Wide()], HALF, heard).probability(pixels)[0]
    assert torch.equal(found, expected)
    assert (len(heard.said), len(heard.warnings)) == (1, 1)


def test_an_image_without_memory_is_an_error_that_says_what_to_do(prediction, tmp_path):
    predict, of_classes = prediction
    hopeless = Cramped(of_classes)
    hopeless.most = 0
    with pytest.raises(GoldfoldError, match=r"out of memory on CPU, float32 with 1 image per pass"):
        predict(predictor_of([hopeless]), tmp_path)


def test_a_failing_library_is_told_with_device_and_batch(prediction, tmp_path):
    predict, of_classes = prediction
    failing = Cramped(of_classes)
    failing.most, failing.error = 0, RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")
    with pytest.raises(GoldfoldError, match=r"EXECUTION_FAILED on CPU, float32 with 2 images per"):
        predict(predictor_of([failing]), tmp_path)
    assert failing.calls == 2


def test_an_engine_is_replaced_by_pytorch_in_the_retry():
    """A compiled network and OpenVINO have a precision of their own."""
    pixels, heard = Images().pixels, Heard()
    engine = _SameBatch(Spoiling(), Dots())
    expected = predictor_of([Dots()]).probability(pixels)[0]
    assert torch.equal(predictor_of([engine], CPU, heard).probability(pixels, IDS)[0], expected)
    assert "(image-4)" in heard.warnings[0]
    tiled = TiledNetwork(engine, 16)
    found = predictor_of([tiled]).probability(pixels)[0]
    torch.testing.assert_close(found, expected)
    plain = TiledNetwork(Dots(), 16)
    assert plain.plain is plain


def test_the_presence_counts_too():
    class Told(Spoiling):
        def forward(self, images):
            logits = super().forward(images)
            return torch.zeros_like(images), logits.amax((1, 2, 3))[:, None]

    with pytest.raises(NotFiniteError, match=r"checkpoint 1 of 1.*\(image-4\)"):
        Predictor([Told()], CPU).probability(Images().pixels, IDS)
    with pytest.raises(NotFiniteError, match=r"\(number 5 of the batch\)"):
        Predictor([Told()], CPU).probability(Images().pixels)


# --- what is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_store_takes_no_presence_that_is_not_finite(tmp_path, value):
    """NaN in a record means that no head told."""
    with MapWriter(tmp_path / "a.maps", {}) as writer:
        with pytest.raises(NotFiniteError, match="image-0: the probability of its presence is"):
            writer.append("image-0", np.zeros((4, 4), np.uint8), value)
        assert len(writer) == 0


def test_a_store_of_an_older_version_with_such_a_presence_is_refused(tmp_path, monkeypatch):
    with MapWriter(tmp_path / "a.maps", {}) as writer:
        monkeypatch.setattr("goldfold.inference.record.math.isfinite", lambda _: True)
        for name, presence in [("image-0", 0.25), ("image-1", np.nan), ("image-2", 0.5)]:
            writer.append(name, np.zeros((4, 4), np.uint8), presence)
        writer.finish()
    with pytest.raises(
        InputError, match=r"presence was NaN for 1 image:\n  image-1\nRemove a\.maps"
    ):
        MapReader(tmp_path / "a.maps")
