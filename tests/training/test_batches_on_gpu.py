"""Batches on the pretend GPU: none is waited for, no copy blocks, and the bytes are the CPU's."""

import numpy as np
import pytest
import torch

from goldfold.competitions.rle import get_dialect
from goldfold.settings import ModelSettings, StageSettings, TrainingSettings
from goldfold.training import resident as resident_module
from goldfold.training.batches import EpochBatches
from goldfold.training.device import Device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.images import PseudoLabelled, TrainingImages
from goldfold.training.runtime import Machine
from goldfold.training.state import read_progressed
from goldfold.training.validation import ValidationImages

pretend = pytest.importorskip("pretend_gpu")
backend = pytest.importorskip("pretend_gpu.backend")
EVERYTHING = {
    "base": "siim-1st-place", "distort": 0.8, "tone": 0.6, "vertical_flip": 0.5, "blur": 0.5,
    "cutout": 0.5,
}  # fmt: skip
CPU = Device(torch.device("cpu"), None, "CPU, float32")
ROWS = np.array([5, 1, 0, 9, 3, 12, 7, 8])
ORDER = [np.array([0, 3, 8, 1]), np.array([9, 2, 5, 4]), np.array([6, 7, 8, 1])]


@pytest.fixture
def gpu():
    if not pretend.is_supported():
        pytest.skip("this PyTorch lets no device be written in Python")
    with pretend.pretend_gpu() as device:
        yield device


@pytest.fixture
def images(cache):
    soft = np.random.default_rng(0).integers(0, 256, (2, 32, 32)).astype(np.uint8)
    return TrainingImages(cache, ROWS, PseudoLabelled(cache, np.array([2, 10]), soft))


def stage(**changes):
    settings = {
        "epochs": 1, "image_size": 32, "batch_size": 4, "learning_rate": 0.005,
        "augmentation": EVERYTHING, "sampling": {"schedule": "natural"},
    }  # fmt: skip
    return StageSettings.model_validate({**settings, **changes})


def batches(images, device, *, workers=0, said=None, **changes):
    settings = TrainingSettings(augment_on="device" if device is CPU else "auto")
    machine = Machine(device, workers, settings)
    say = [].append if said is None else said.append
    return EpochBatches(images, stage(**changes), 7, machine, say)


def content(batch, device):
    return [tensor.cpu() for tensor in batch.on(device.device)]


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("workers", [0, 2])
def test_the_bytes_do_not_depend_on_where_the_images_are(gpu, images, monkeypatch, kept, workers):
    if not kept:
        monkeypatch.setattr(resident_module, "SHARE", 0.0)
    device, said = gpu.choose(), []
    made = batches(images, device, workers=workers, said=said)
    expected = batches(images, CPU)
    for ours, theirs in zip(made.of(2, ORDER), expected.of(2, ORDER), strict=True):
        assert (ours.images is None) == kept
        for one, other in zip(content(ours, device), theirs.on(CPU.device), strict=True):
            assert torch.equal(one, other)
    assert said[0] == "augmenting on the GPU"
    assert ("stay in the GPU's memory" in said[1]) == kept


@pytest.mark.parametrize("kept", [True, False])
def test_a_batch_is_few_launches_no_wait_and_no_blocking_copy(gpu, images, monkeypatch, kept):
    if not kept:
        monkeypatch.setattr(resident_module, "SHARE", 0.0)
    device = gpu.choose()
    made = batches(images, device).of(2, ORDER)
    next(made).on(device.device)
    before = gpu.ledger.copy()
    for batch in made:
        batch.on(device.device)
    counted = gpu.ledger.since(before)
    assert not counted.waits
    assert not counted.blocking_copies
    # The next batch, the last, was under way at the first count: one more was copied since.
    assert len(counted.copies) == (1 if kept else 3)
    assert counted.launched <= 2 * 30


def test_all_epochs_copy_on_one_stream(gpu, images, monkeypatch):
    made = []

    class Counted(backend.Stream):
        def __init__(self, *args, **named):
            super().__init__(*args, **named)
            made.append(self)

    monkeypatch.setattr(backend.Module, "Stream", Counted)
    for _ in range(2):  # folds
        stage_batches = batches(images, gpu.choose())
        for epoch in range(3):
            assert len(list(stage_batches.of(epoch, ORDER))) == len(ORDER)
    assert len(made) <= 1  # none if the process has one already


def test_what_the_images_take_is_given_back_in_the_middle_of_an_epoch(gpu, images):
    device, said = gpu.choose(), []
    made = batches(images, device, said=said)
    expected = list(batches(images, CPU).of(2, ORDER))
    seen = []
    for number, batch in enumerate(made.of(2, ORDER)):
        if number == 0:
            assert made.release()
        seen.append((batch.images is None, content(batch, device)))
    assert [resident for resident, _ in seen] == [True, True, False]
    for (_, ours), theirs in zip(seen, expected, strict=True):
        for one, other in zip(ours, theirs.on(CPU.device), strict=True):
            assert torch.equal(one, other)
    assert not made.release()
    assert said[2:] == [
        "out of memory: images leave the GPU's memory and are copied batch by batch"
    ]


def test_noise_stays_with_the_threads(gpu, images):
    said = []
    made = batches(images, gpu.choose(), said=said, augmentation={"noise": 0.5})
    assert not made.on_device
    assert said == ["augmenting on the CPU, as the GPU path has no noise"]
    batch = next(made.of(0, ORDER))
    assert batch.draws is None
    assert batch.images.device == gpu.device


# --- a whole training ----------------------------------------------------------------------------


class Lines:
    """A progress that remembers what was said."""

    def __init__(self):
        self.said = []

    def task(self, *_):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def advance(self, *_, **__):
        return None

    def say(self, text):
        self.said.append(text)

    warn = say


def test_a_gpu_augments_and_gives_the_images_up_before_it_halves_the_batch(
    gpu, cache, mask_texts, tmp_path
):
    gpu.most_images = 4  # of the five in a step
    validation = ValidationImages(
        np.arange(10, 12), [(40, 56)] * 2, mask_texts[10:12], get_dialect("siim")
    )
    data = FoldData(cache, np.arange(5), cache.non_empty[:5], validation, "dice")
    model = ModelSettings(
        name="tiny", encoder="tu-test_resnet", options={"decoder_channels": [8, 8, 8, 8, 8]}
    )
    run = FoldRun(tmp_path / "tiny" / "seed-0" / "fold-0" / "stage-1", 0, {})
    progress, machine = Lines(), Machine(gpu.choose(), 1)
    train_fold(run, model, stage(batch_size=5), data, machine=machine, progress=progress)
    assert read_progressed(run.state_folder).on_device
    told = [line.removeprefix("tiny fold-0 stage-1: ") for line in progress.said]
    assert told[0] == "augmenting on the GPU"
    assert "stay in the GPU's memory" in told[1]
    assert told[2].startswith("out of memory: images leave the GPU's memory")
    assert told[3].startswith("out of memory: continuing with 3 images per pass")
