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
from goldfold.training.probability import quantise, resize_probability
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
