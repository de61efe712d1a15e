"""Where a whole training augments: with classes, too, and after it was interrupted."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from goldfold.competitions.rle import get_dialect
from goldfold.files import read_json, write_json
from goldfold.settings import ModelSettings, StageSettings, TrainingSettings
from goldfold.training import batches as batches_module
from goldfold.training.class_validation import LabelledImages
from goldfold.training.device import Device
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.runtime import Machine
from goldfold.training.state import read_progressed
from goldfold.training.validation import ValidationImages

CPU = Device(torch.device("cpu"), None, "CPU, float32")
STAGE = StageSettings(
    epochs=1, image_size=32, batch_size=4, learning_rate=0.005, augmentation="strong"
)
MASKS = ModelSettings(
    name="tiny", encoder="tu-test_resnet", options={"decoder_channels": [8, 8, 8, 8, 8]}
)
CLASSES = ModelSettings(name="tiny", architecture="Classifier", encoder="test_resnet")


class Interrupted(Exception):  # noqa: N818
    """What the tests throw into a training."""


class Progress:
    """Throws at the n-th step, and remembers what was said."""

    def __init__(self, at=0):
        self.left, self.said = at, []

    def task(self, *_):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def advance(self, *_, **__):
        self.left -= 1
        if self.left == 0:
            raise Interrupted

    def say(self, text):
        self.said.append(text)

    warn = say


@pytest.fixture
def looks(monkeypatch):
    """Return where the batches of each epoch were augmented."""
    seen, plain = [], batches_module.iterate_batches

    def watched(images, batches, look, **options):
        seen.append(look.on_device)
        return plain(images, batches, look, **options)

    monkeypatch.setattr(batches_module, "iterate_batches", watched)
    return seen


def fold_data(cache, mask_texts):
    held_out = np.arange(10, 14)
    validation = ValidationImages(
        held_out, [(40, 56)] * 4, [mask_texts[row] for row in held_out], get_dialect("siim")
    )
    return FoldData(cache, np.arange(10), cache.non_empty[:10], validation, "dice")


def train(folder, data, augment_on, *, model=MASKS, stage=STAGE, progress=None):
    run = FoldRun(folder / "tiny" / "seed-0" / "fold-0" / "stage-1", 0, {})
    machine = Machine(
        CPU, 0, TrainingSettings(augment_on=augment_on), state_seconds=0, mid_epoch_seconds=0
    )
    train_fold(run, model, stage, data, machine=machine, progress=progress or Progress())
    return run


def last_weights(run):
    return load_file(run.state_folder / read_json(run.state_folder / "state.json")["file"])


def test_an_interrupted_training_augments_where_it_did(cache, mask_texts, tmp_path, looks):
    data = fold_data(cache, mask_texts)
    unbroken = train(tmp_path / "unbroken", data, "device")
    with pytest.raises(Interrupted):
        train(tmp_path / "broken", data, "device", progress=Progress(at=2))
    resumed = train(tmp_path / "broken", data, "auto")  # which is the CPU's threads, here
    assert looks == [True, True, True]
    for name, weight in last_weights(unbroken).items():
        assert torch.equal(weight, last_weights(resumed)[name])


def test_a_state_from_before_it_was_decided_is_gone_on_from(cache, mask_texts, tmp_path, looks):
    data = fold_data(cache, mask_texts)
    with pytest.raises(Interrupted):
        train(tmp_path, data, "device", progress=Progress(at=2))
    (path,) = tmp_path.rglob("state.json")
    write_json(path, {**read_json(path), "on_device": None})
    run = train(tmp_path, data, "auto")
    assert looks == [True, False]
    assert read_progressed(run.state_folder).on_device is False


@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.4, "cutmix": 1.0}])
def test_images_with_classes_are_augmented_on_the_device(cache, tmp_path, looks, mixing):
    labels = np.eye(2, dtype=np.uint8)[np.arange(14) % 2]
    validation = LabelledImages(np.arange(10, 14), labels[10:], True, (1.0, 1.0))
    data = FoldData(
        cache, np.arange(10), cache.non_empty[:10], validation, "accuracy", labels=labels[:10]
    )
    stage = STAGE.model_copy(update=mixing)
    run = train(tmp_path, data, "device", model=CLASSES, stage=stage)
    assert looks == [True]
    assert np.isfinite(read_json(run.result_path)["checkpoints"][0]["score"])
    assert read_progressed(run.state_folder).on_device
