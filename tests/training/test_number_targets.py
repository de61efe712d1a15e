"""Numbers as targets: losses, batches, and the held-out score."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goldfold.ensemble.number_scale import NumberScale
from goldfold.ensemble.numbers import NumberTruth
from goldfold.tasks.grade_training import NumberedImages
from goldfold.training.device import Device
from goldfold.training.images import TrainingImages
from goldfold.training.loader import Batch
from goldfold.training.losses import WeightedLoss
from goldfold.training.optimizer import build_optimizer
from goldfold.training.step import Step

CPU = Device(torch.device("cpu"), None, "CPU, float32")


class Cache:
    """Images of one gray level each."""

    image_size = (8, 8)
    name = "train-8"

    def __init__(self, levels):
        self.pixels = np.repeat(np.uint8(levels)[:, None], 64, axis=1).reshape(-1, 8, 8)
        self.image_ids = [f"i{place}" for place in range(len(levels))]

    def images(self, rows):
        return np.stack([self.pixels[row] for row in rows])


class MeanLevel(nn.Module):
    """The logit whose sigmoid is an image's mean level over 255."""

    def forward(self, images):
        from goldfold.training.batch import MEAN, SPREAD

        share = (images * SPREAD + MEAN).mean(dim=(1, 2, 3)).clamp(1e-6, 1 - 1e-6)
        return torch.logit(share)[:, None, None, None]


def test_squared_and_smooth_errors_are_of_the_place():
    logits = torch.tensor([0.0, 2.0, -1.0]).reshape(3, 1, 1, 1)
    targets = torch.tensor([0.55, 0.1, 0.3]).reshape(3, 1, 1, 1)
    place = logits.sigmoid()
    assert WeightedLoss(mse=2.0)(logits, targets) == pytest.approx(
        2 * float(F.mse_loss(place, targets))
    )
    gap = (place - targets).abs()
    smooth = torch.where(gap < 0.1, gap**2 / 0.2, gap - 0.05).mean()
    assert WeightedLoss(smooth_l1=1.0)(logits, targets) == pytest.approx(float(smooth))


def test_numbers_reach_the_loss_unrounded_and_a_batch_may_be_taken_twice():
    cache = Cache([10, 20, 30])
    labels = np.array([[0.1234567], [0.5], [0.9876543]], np.float32)
    images = TrainingImages(cache, np.arange(3), labels=labels * np.uint8(255))
    targets = images.targets(np.array([2, 0]), [])
    assert targets.dtype == np.float32
    assert targets.shape == (2, 1, 1)
    model = nn.Conv2d(3, 1, 1)
    optimizer = build_optimizer(model, name="sgd", learning_rate=0.1, weight_decay=0.0)
    step = Step(model, WeightedLoss(mse=1.0), optimizer, CPU, gradient_clip=1.0)
    batch = Batch(np.zeros((2, 8, 8), np.uint8), targets, np.array([2, 0]))
    for _ in range(2):  # the second time is what a lack of memory causes
        _, masks = step._on_device(batch)
        assert masks.flatten().tolist() == pytest.approx([0.9876543, 0.1234567], rel=1e-6)


def test_the_held_out_score_is_at_the_best_cut_points():
    levels = [20, 40, 90, 100, 140, 200, 210]
    truth = np.array([0, 0, 1, 1, 1, 2, 2], float)
    scale = NumberScale.of_grades(("0", "1", "2"))
    ids = [f"i{place}" for place in range(7)]
    images = NumberedImages(
        np.arange(7), NumberTruth(truth, scale, "quadratic-weighted-kappa", ids), 1, False
    )
    how = {"metric": "quadratic-weighted-kappa", "batch_size": 4, "device": CPU, "workers": 1}
    score = images.score(MeanLevel(), Cache(levels), **how)
    assert score.score == 1.0
    numbers = scale.number(np.array(levels) / 255)
    assert score.non_empty_score == pytest.approx(-np.mean((numbers - truth) ** 2), rel=1e-3)
