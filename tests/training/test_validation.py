from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.competitions.metric import image_scores
from goldfold.competitions.objects import mask_score, read_objects
from goldfold.competitions.rle import get_dialect
from goldfold.errors import InputError
from goldfold.training.batch import network_input
from goldfold.training.class_validation import predict_held_out
from goldfold.training.fold_run import FoldData
from goldfold.training.held_out import score_held_out
from goldfold.training.passes import Passes
from goldfold.training.probability import quantise, resize_probability
from goldfold.training.runtime import Machine
from goldfold.training.validation import ValidationImages, validate

SIZE = (40, 56)


class Brightness(nn.Module):
    """Calls bright pixels the mask, with a BatchNorm that would betray a forgotten eval()."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, images):
        return 3.0 * nn.functional.avg_pool2d(self.norm(images), 7, 1, 3) + 0.5


def held_out(rows, texts):
    return ValidationImages(
        rows=np.array(rows, dtype=np.int64),
        sizes=[SIZE] * len(rows),
        masks=[texts[row] for row in rows],
        dialect=get_dialect("siim"),
    )


def score(cache, cpu, rows, texts, metric="dice", batch_size=4, model=None, workers=1):
    return validate(
        model or Brightness(),
        cache,
        held_out(rows, texts),
        metric=metric,
        batch_size=batch_size,
        device=cpu,
        workers=workers,
    )


@pytest.mark.parametrize("metric", ["dice", "mean-iou-thresholds"])
def test_the_score_is_that_of_brute_force_over_pixels_at_original_size(
    cache, cpu, masks, mask_texts, metric
):
    rows = list(range(len(masks)))
    found = score(cache, cpu, rows, mask_texts, metric)
    model = Brightness().eval()
    with torch.inference_mode():
        probability = torch.sigmoid(model(network_input(cache.pixels[:].copy(), cpu.device)))
        levels = quantise(resize_probability(probability, *SIZE)).numpy()
    means, seen = [], []
    for level in range(256):
        predicted = levels > level
        counts = [(predicted & (masks > 0)), predicted, masks > 0]
        each = image_scores(metric, *(c.sum(axis=(1, 2)) for c in counts))
        means.append(each.mean())
        seen.append(each[masks.any(axis=(1, 2))].mean())
    assert found.score == pytest.approx(max(means), abs=1e-12)
    assert found.level == int(np.argmax(means))
    assert found.score_at_half == pytest.approx(means[127], abs=1e-12)
    assert found.non_empty_score == pytest.approx(max(seen), abs=1e-12)
    assert 0.3 < found.score < 1  # the case says something


def test_the_order_of_the_images_and_the_size_of_the_batch_change_nothing(cache, cpu, mask_texts):
    rows = [1, 2, 3, 4, 5, 6, 7]
    one = score(cache, cpu, rows, mask_texts)
    other = score(cache, cpu, rows[::-1], mask_texts, batch_size=1)
    assert other.score == pytest.approx(one.score, abs=1e-12)
    assert other.level == one.level


def test_objects_are_scored_at_seven_levels(cache, cpu, masks, mask_texts):
    dialect, count = get_dialect("siim"), len(masks)
    images = replace(held_out(range(count), mask_texts), objects=mask_texts)
    found = validate(
        Brightness(), cache, images, metric="f2-iou-thresholds", batch_size=4, device=cpu
    )
    model = Brightness().eval()
    with torch.inference_mode():
        probability = torch.sigmoid(model(network_input(cache.pixels[:].copy(), cpu.device)))
        levels = quantise(resize_probability(probability, *SIZE)).numpy()
    objects = [read_objects(text, *SIZE, dialect) for text in mask_texts]
    means = {}
    for level in range(31, 256, 32):
        predicted = (levels > level).astype(np.uint8)
        means[level] = np.mean([mask_score(*one) for one in zip(predicted, objects, strict=True)])
    assert found.level in means
    assert found.score == pytest.approx(max(means.values()), abs=1e-9)
    assert found.score_at_half == pytest.approx(means[127], abs=1e-9)


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_threads_change_nothing(cache, cpu, mask_texts, workers, batch_size):
    rows = list(range(len(mask_texts)))
    one = score(cache, cpu, rows, mask_texts, batch_size=batch_size)
    assert score(cache, cpu, rows, mask_texts, batch_size=batch_size, workers=workers) == one


def test_networks_at_the_all_empty_score_are_told_apart(cache, cpu, mask_texts):
    """Both are best where they predict nothing; one of them sees the square."""

    class Blind(nn.Module):
        def forward(self, images):
            return torch.full_like(images, -1.0)

    class FarTooKeen(nn.Module):
        def forward(self, images):
            # Sure of itself in the empty images, so any threshold costs more than it brings.
            bright = nn.functional.avg_pool2d(images, 7, 1, 3)
            empty = images.mean(dim=(1, 2, 3), keepdim=True) < -1.1
            return torch.where(empty, 9.0, bright)

    rows = [0, 3, 6, 9, 12, 1]
    blind = score(cache, cpu, rows, mask_texts, model=Blind())
    keen = score(cache, cpu, rows, mask_texts, model=FarTooKeen())
    assert blind.score == keen.score == 5 / 6
    assert keen.non_empty_score > blind.non_empty_score > 0


def test_one_empty_image_that_is_predicted_empty_scores_one(cache, cpu, mask_texts):
    class Nothing(nn.Module):
        def forward(self, images):
            return torch.full_like(images, -20.0)

    found = score(cache, cpu, [0], mask_texts, model=Nothing())
    assert (found.score, found.score_at_half, found.non_empty_score) == (1.0, 1.0, 0.0)


def test_a_full_prediction_of_a_mask_scores_its_dice(cache, cpu, masks, mask_texts):
    class Everything(nn.Module):
        def forward(self, images):
            return torch.full_like(images, 20.0)

    area, pixels = int(masks[1].sum()), masks[1].size
    found = score(cache, cpu, [1], mask_texts, model=Everything())
    assert found.score_at_half == pytest.approx(2 * area / (area + pixels))


def test_without_images_there_is_no_score(cache, cpu, mask_texts):
    with pytest.raises(InputError, match="found none: the held-out fold is empty"):
        score(cache, cpu, [], mask_texts)


# --- memory, and counting on the device ----------------------------------------------------------


class Cramped(Brightness):
    """Has room for three images at a time."""

    def forward(self, images):
        if len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(images)


def test_without_memory_for_a_batch_it_is_validated_in_parts(cache, cpu, mask_texts):
    rows, said, passes = list(range(len(mask_texts))), [], Passes()
    expected = score(cache, cpu, rows, mask_texts, batch_size=8)
    how = {"metric": "dice", "batch_size": 8, "device": cpu, "passes": passes, "say": said.append}
    for _ in range(2):  # it is tried and told in the first validation only
        assert validate(Cramped(), cache, held_out(rows, mask_texts), **how) == expected
    assert said == [
        "out of memory on CPU, float32: continuing with 4 images per pass instead of 8",
        "out of memory on CPU, float32: continuing with 2 images per pass instead of 4",
    ]


def test_a_training_remembers_from_epoch_to_epoch(cache, cpu, mask_texts):
    rows, warned = list(range(len(mask_texts))), []
    data = FoldData(
        cache=cache,
        rows=np.array(rows),
        non_empty=np.ones(len(rows), bool),
        validation=held_out(rows, mask_texts),
        metric="dice",
    )
    machine = Machine(cpu)
    for _ in range(2):
        how = {"batch_size": 4, "machine": machine, "check": lambda: None, "warn": warned.append}
        score_held_out(Cramped(), data, **how)
    assert len(warned) == 1


class Classes(nn.Module):
    """Two logits an image; with room for so many images at a time."""

    def __init__(self, most=100):
        super().__init__()
        self.most = most

    def forward(self, images):
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        mean = images.mean((1, 2, 3))
        return torch.stack([mean, -mean], dim=1)[:, None, None]


def test_classes_are_validated_in_parts_too(cache, cpu):
    rows, said = np.arange(len(cache)), []
    how = {"exclusive": True, "batch_size": 5, "device": cpu, "say": said.append}
    expected = predict_held_out(Classes(), cache, rows, 2, **how)
    np.testing.assert_array_equal(predict_held_out(Classes(2), cache, rows, 2, **how), expected)
    assert len(said) == 2


@pytest.mark.parametrize("model", [Brightness, Cramped])
@pytest.mark.parametrize("metric", ["dice", "mean-iou-thresholds"])
def test_a_gpu_counts_what_the_host_counts(cache, cpu, mask_texts, pretend_gpu, metric, model):
    rows = list(range(len(mask_texts)))
    expected = score(cache, cpu, rows, mask_texts, metric)
    device = pretend_gpu.choose("float32")
    network = model().to(device.device)
    for workers in (1, 3):
        found = score(cache, device, rows, mask_texts, metric, model=network, workers=workers)
        assert found == expected


def test_a_gpu_is_waited_for_once_a_batch(cache, mask_texts, pretend_gpu):
    rows, device = list(range(12)), pretend_gpu.choose("float32")
    model = Brightness().to(device.device)
    score(cache, device, rows, mask_texts, model=model)
    before = pretend_gpu.ledger.copy()
    score(cache, device, rows, mask_texts, model=model)  # three batches
    made = pretend_gpu.ledger.since(before)
    assert len(made.waits) == 3, made.waits


def test_objects_are_scored_on_the_host_whatever_the_device(cache, cpu, mask_texts, pretend_gpu):
    rows = list(range(len(mask_texts)))
    images = replace(held_out(rows, mask_texts), objects=mask_texts)
    how = {"metric": "f2-iou-thresholds", "batch_size": 4}
    expected = validate(Brightness(), cache, images, device=cpu, **how)
    device = pretend_gpu.choose("float32")
    model = Brightness().to(device.device)
    assert validate(model, cache, images, device=device, **how) == expected
