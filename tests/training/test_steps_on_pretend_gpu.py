"""What a training asks of a GPU, counted on one that is not there; and that it resumes there."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from goldfold.competitions.rle import get_dialect
from goldfold.inference.predict import predict_maps
from goldfold.inference.predictor import Predictor
from goldfold.inference.reader import MapReader
from goldfold.inference.store import MapWriter
from goldfold.inference.views import get_views
from goldfold.pipeline import rate_search
from goldfold.pipeline.step_time import seconds_an_image
from goldfold.settings import ModelSettings, StageSettings, TrainingSettings
from goldfold.training import stage_validation
from goldfold.training.assembly import build_network
from goldfold.training.class_validation import LabelledImages
from goldfold.training.fold_run import FoldData, FoldRun, train_fold
from goldfold.training.held_out import score_held_out
from goldfold.training.runtime import Machine
from goldfold.training.validation import ValidationImages

UNET = {"encoder": "tu-test_resnet", "options": {"decoder_channels": [16, 8, 8, 8, 8]}}
CLASSIFIER = {"architecture": "Classifier", "encoder": "test_resnet"}
BATCH = 4
OUTSIDE = 100
"""Launches of a pass beside the network's: input, loss, clipping, optimizer, scaler."""
AVERAGE = 6
"""Launches that a moving average adds to a step, however many BatchNorms there are."""
AUGMENTATION = 40
"""Launches that augment a batch of images and masks, whatever its size."""


def masks_to_learn(cache, mask_texts, repeats=1):
    rows = np.repeat(np.arange(10), repeats)
    validation = ValidationImages(
        rows=np.arange(10, 14),
        sizes=[(40, 56)] * 4,
        masks=mask_texts[10:],
        dialect=get_dialect("siim"),
    )
    return FoldData(cache, rows, cache.non_empty[rows], validation, "dice")


def classes_to_learn(cache, mask_texts, repeats=1):
    data = masks_to_learn(cache, mask_texts, repeats)
    truth = np.eye(3, dtype=np.uint8)[np.arange(14) % 3]
    validation = LabelledImages(np.arange(10, 14), truth[10:], True, [1.0] * 3)
    return replace(data, validation=validation, metric="accuracy", labels=truth[data.rows])


def train(gpu, folder, data, model, stage, progress, **training):
    """Train on the pretend GPU; no state is written between steps."""
    settings = {"augment_on": "cpu", "precision": "bf16", **training}
    changed = {"epochs": 1, "image_size": 32, "batch_size": BATCH, "warmup_epochs": 0,
               "sampling": {"schedule": "natural"}, "augmentation": "strong"}  # fmt: skip
    stage = StageSettings.model_validate({**changed, **stage})
    return train_fold(
        FoldRun(folder, 0, {}),
        ModelSettings.model_validate({**model, "stages": [stage]}),
        stage,
        data,
        machine=Machine(gpu.choose(settings["precision"]), 1, TrainingSettings(**settings)),
        progress=progress,
    )


def steps_of(gpu, folder, data, model, stage, **training):
    """Return what each step but the first two asked for."""
    from pretend_gpu import EachStep

    watch = EachStep(gpu.ledger)
    train(gpu, folder, data, model, stage, watch, **training)
    steps = watch.steps[2:]
    assert len(steps) >= 3
    return steps


def size_of_the_network(gpu, model, stage, classes, precision):
    """Return the launches of a forward and a backward pass, and how many weights there are."""
    device = gpu.choose(precision)
    settings = ModelSettings.model_validate({**model, "stages": [stage]})
    network = build_network(settings, classes=classes)
    network.to(gpu.device, memory_format=torch.channels_last).train()
    images = torch.zeros(BATCH, 1, 32, 32, device=gpu.device)
    before = gpu.ledger.copy()
    with device.autocast():
        output = network(images)
    output = output if isinstance(output, torch.Tensor) else output[0].mean() + output[1].mean()
    output.float().sum().backward()
    return gpu.ledger.since(before).launched, len(list(network.parameters()))


CASES = {
    "default": ({}, {}, {}),
    "fp16 with a scaler": ({}, {}, {"precision": "fp16"}),
    "float32": ({}, {}, {"precision": "float32"}),
    "presence head": ({"presence_head": True}, {"loss": {"presence": 0.1}}, {}),
    "accumulation": ({}, {"accumulation": 2, "batch_size": BATCH // 2}, {}),
    "swa": ({}, {"swa_from": 0.5}, {}),
    "classes": (CLASSIFIER, {"loss": {"bce": 0, "dice": 0, "cross_entropy": 1}}, {}),
    "weighted classes, mixed": (
        CLASSIFIER,
        {"loss": {"bce": 1, "dice": 0, "class_weights": "balanced"}, "mixup": 0.4, "cutmix": 0.4},
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_step_waits_once_and_no_copy_blocks(pretend_gpu, tmp_path, cache, mask_texts, case):
    changed, stage, training = CASES[case]
    if changed is CLASSIFIER:
        model = CLASSIFIER
        data = replace(classes_to_learn(cache, mask_texts, 2), class_weights=(1.0, 2.0, 3.0))
    else:
        model = {**UNET, **changed}
        data = masks_to_learn(cache, mask_texts, 2)
    steps = steps_of(pretend_gpu, tmp_path, data, model, stage, **training)
    precision = training.get("precision", "bf16")
    network, weights = size_of_the_network(pretend_gpu, model, stage, data.classes, precision)
    passes = stage.get("accumulation", 1)
    # From the second pass on each gradient is added to the one before.
    bound = passes * (network + OUTSIDE) + (passes - 1) * weights
    for step in steps:
        assert len(step.waits) <= 1, step.waits
        assert not step.blocking_copies
        assert network < step.launched <= bound, step.launches


def test_a_moving_average_is_a_few_launches(pretend_gpu, tmp_path, cache, mask_texts):
    data = masks_to_learn(cache, mask_texts, 2)
    without, averaged = (
        steps_of(pretend_gpu, tmp_path / str(ema), data, UNET, {"ema": ema})
        for ema in (None, 0.998)
    )
    for step in averaged:
        assert len(step.waits) <= 1 and not step.blocking_copies
        assert 0 < step.launched - without[0].launched <= AVERAGE


@pytest.mark.parametrize("classes", [False, True])
def test_augmentation_on_the_device(pretend_gpu, tmp_path, cache, mask_texts, classes):
    model = CLASSIFIER if classes else UNET
    data = (classes_to_learn if classes else masks_to_learn)(cache, mask_texts, 4)
    loss = {"loss": {"bce": 1, "dice": 0}, "batch_size": 8}
    launches = {}
    for place in ("cpu", "device"):
        steps = steps_of(pretend_gpu, tmp_path / place, data, model, loss, augment_on=place)
        launches[place] = max(step.launched for step in steps)
        for step in steps:
            assert len(step.waits) <= 1, step.waits
            assert not step.blocking_copies
    assert 0 < launches["device"] - launches["cpu"] <= AUGMENTATION


@pytest.mark.parametrize("kind", [masks_to_learn, classes_to_learn])
def test_validation_divides_its_batch_where_memory_is_short(
    pretend_gpu, tmp_path, cache, mask_texts, kind
):
    from pretend_gpu import EachStep

    pretend_gpu.most_images = 2
    watch = EachStep(pretend_gpu.ledger)
    model = UNET if kind is masks_to_learn else CLASSIFIER
    stage = {"loss": {"bce": 1, "dice": 0}}
    result = train(pretend_gpu, tmp_path, kind(cache, mask_texts, 2), model, stage, watch)
    assert (result["passes_a_step"], len(result["checkpoints"])) == (2, 1)


@pytest.mark.parametrize("kind", [masks_to_learn, classes_to_learn])
def test_validation_first_gives_back_what_the_training_images_take(
    pretend_gpu, tmp_path, cache, mask_texts, kind, monkeypatch
):
    from pretend_gpu import EachStep

    def short_of_memory(*args, **how):
        pretend_gpu.fail(1)
        return score_held_out(*args, **how)

    monkeypatch.setattr(stage_validation, "score_held_out", short_of_memory)
    watch = EachStep(pretend_gpu.ledger)
    model = UNET if kind is masks_to_learn else CLASSIFIER
    stage = {"loss": {"bce": 1, "dice": 0}}
    data = kind(cache, mask_texts, 2)
    train(pretend_gpu, tmp_path, data, model, stage, watch, augment_on="device")
    assert [line for line in watch.said if "images leave the GPU's memory" in line]
    assert not [line for line in watch.said if "continuing with" in line]


@pytest.mark.parametrize("kind", [masks_to_learn, classes_to_learn])
def test_a_search_for_the_rate_continues_where_memory_is_short(
    pretend_gpu, cache, mask_texts, kind, monkeypatch
):
    from pretend_gpu import EachStep

    watch = EachStep(pretend_gpu.ledger)
    model = UNET if kind is masks_to_learn else CLASSIFIER
    stage = StageSettings.model_validate(
        {
            "epochs": 1,
            "image_size": 32,
            "batch_size": BATCH,
            "learning_rate": 1e-3,
            "loss": {"bce": 1, "dice": 0},
            "sampling": {"schedule": "natural"},
        }
    )
    settings = ModelSettings.model_validate({**model, "stages": [stage]})
    training = TrainingSettings(augment_on="device", precision="bf16")
    monkeypatch.setattr(rate_search, "fold_data", lambda *_: kind(cache, mask_texts, 2))
    machine = Machine(pretend_gpu.choose("bf16"), 1, training)
    monkeypatch.setattr(rate_search, "choose_machine", lambda _: machine)
    monkeypatch.setattr(rate_search, "refuse_misfits", lambda *_, **__: None)
    job = SimpleNamespace(model=settings, seed=0)
    take = rate_search.rate_stepper(
        SimpleNamespace(progress=watch, workers=1), SimpleNamespace(job=job, settings=stage)
    )
    pretend_gpu.fail(2)
    losses = [take(1e-4)]
    words = ["images leave the GPU's memory", "continuing with 2 images per pass and 2 passes"]
    for word in words:
        assert [line for line in watch.said if word in line], word
    before = pretend_gpu.ledger.copy()
    losses.append(take(1e-4))
    seen = pretend_gpu.ledger.since(before)
    assert np.isfinite(losses).all()
    assert not seen.blocking_copies
    assert len(seen.waits) <= 1, seen.waits


def test_a_plan_is_measured_where_memory_is_short(pretend_gpu):
    pretend_gpu.most_images = 2
    stage = StageSettings.model_validate({"epochs": 1, "image_size": 32, "batch_size": BATCH})
    settings = ModelSettings.model_validate({**UNET, "stages": [stage]})
    machine = Machine(pretend_gpu.choose("bf16"), 1, TrainingSettings(precision="bf16"))
    task = SimpleNamespace(
        form=SimpleNamespace(outputs=1),
        classes_per_pixel=0,
        target_shape=lambda count, size: (count, 1, *size),
    )
    how = {"count": BATCH, "size": (32, 32), "steps": 1}
    assert min(seconds_an_image(settings, stage, machine, task, **how)) > 0


def test_prediction_divides_its_batch_where_memory_is_short(pretend_gpu, tmp_path, cache):
    device = pretend_gpu.choose("fp16")
    network = build_network(ModelSettings.model_validate(UNET)).eval()
    network.to(pretend_gpu.device, memory_format=torch.channels_last)
    maps = []
    for most in (None, 2):
        pretend_gpu.most_images = most
        predictor = Predictor([network], device, views=get_views("hflip"))
        with MapWriter(tmp_path / f"{most}.maps", {}) as writer:
            ids, sizes = list(cache.image_ids), [(40, 56)] * len(cache)
            assert predict_maps(predictor, cache, ids, sizes, writer, batch_size=8) == len(cache)
            writer.finish()
        with MapReader(tmp_path / f"{most}.maps") as reader:
            maps.append(np.stack([reader.read(image_id) for image_id in ids]).astype(int))
    assert np.abs(maps[0] - maps[1]).max() <= 1  # a level; sums of other lengths round otherwise


class StoppedError(Exception):
    """What a test throws into a training."""


def test_a_training_that_was_stopped_resumes_on_the_device(
    pretend_gpu, tmp_path, cache, mask_texts
):
    from pretend_gpu import EachStep

    class Stopper(EachStep):
        def advance(self, steps=1, **fields):
            super().advance(steps, **fields)
            if len(self.steps) == 3:
                raise StoppedError

    data = masks_to_learn(cache, mask_texts)
    model = {**UNET, "presence_head": True}
    stage = {"epochs": 2, "ema": 0.9, "swa_from": 0.5, "loss": {"presence": 0.1}}
    how = (data, model, stage)
    whole = train(pretend_gpu, tmp_path / "whole", *how, EachStep(pretend_gpu.ledger))
    with pytest.raises(StoppedError):
        train(pretend_gpu, tmp_path / "broken", *how, Stopper(pretend_gpu.ledger))
    resumed = train(pretend_gpu, tmp_path / "broken", *how, EachStep(pretend_gpu.ledger))
    assert resumed["last_weights"] == whole["last_weights"]
    assert [c["sha256"] for c in resumed["checkpoints"]] == [
        c["sha256"] for c in whole["checkpoints"]
    ]
