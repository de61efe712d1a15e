import math

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.errors import GoldfoldError
from goldfold.progress import SILENT
from goldfold.training.epoch import Step, train_epoch
from goldfold.training.loader import Batch


class Fields:
    """A task that remembers the fields it was shown."""

    def __init__(self):
        self.shown = []

    def advance(self, steps=1, **fields):
        self.shown.append(fields)


def batch(rows, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (len(rows), 8, 8)).astype(np.uint8)
    return Batch(images, (images > 128).astype(np.uint8), np.array(rows))


def step_of(model, cpu, loss=None, clip=1.0):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    return Step(model, loss or nn.BCEWithLogitsLoss(), optimizer, cpu, clip)


def train(step, batches, task=None, rate=lambda number: 0.1):
    with SILENT.task("", 0) as silent:
        return train_epoch(
            step, batches, epoch=1, learning_rate=rate, task=task or silent, shown={"epoch": "2/3"}
        )


def test_the_loss_is_a_mean_over_images_not_over_batches(cpu):
    class First(nn.Module):
        def forward(self, logits, masks):
            return logits.mean() * 0 + len(logits)

    model = nn.Conv2d(1, 1, 1)
    result = train(step_of(model, cpu, First()), [batch([0]), batch([1, 2, 3])])
    assert result.loss == pytest.approx((1 * 1 + 3 * 3) / 4)
    assert result.images == 4
    assert result.learning_rate == 0.1


def test_it_learns(cpu):
    torch.manual_seed(0)
    model = nn.Conv2d(1, 1, 1)
    step = step_of(model, cpu, clip=10.0)
    losses = [train(step, [batch([0, 1])], rate=lambda _: 0.5).loss for _ in range(20)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_rate_is_the_one_of_the_step_and_the_bar_sees_it(cpu):
    task = Fields()
    step = step_of(nn.Conv2d(1, 1, 1), cpu)
    train(step, [batch([0]), batch([1])], task, rate=lambda number: [0.1, 0.2][number])
    assert [fields["lr"] for fields in task.shown] == [0.1, 0.2]
    assert step.optimizer.param_groups[0]["lr"] == 0.2
    assert task.shown[0]["epoch"] == "2/3"
    assert {"loss", "images_per_s"} <= set(task.shown[0])


def test_the_gradient_is_clipped(cpu):
    model = nn.Conv2d(1, 1, 1)
    before = [p.detach().clone() for p in model.parameters()]
    train(step_of(model, cpu, clip=0.01), [batch([0, 1])], rate=lambda _: 1.0)
    moved = math.sqrt(
        sum(
            float(((a - b.detach()) ** 2).sum())
            for a, b in zip(before, model.parameters(), strict=True)
        )
    )
    assert moved <= 0.01 + 1e-6


class InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * torch.inf


@pytest.mark.parametrize(
    "loss",
    [lambda logits, masks: logits.mean() * math.nan, lambda x, _: InfiniteGradient.apply(x).mean()],
)
def test_a_loss_or_gradient_that_is_not_finite_stops_with_the_place(cpu, loss):
    with pytest.raises(
        GoldfoldError,
        match=r"not finite in epoch 2, step 1, cache rows \[4, 2\]\. Try a learning_rate ten times",
    ):
        train(step_of(nn.Conv2d(1, 1, 1), cpu, loss), [batch([4, 2])])


def test_masks_and_logits_meet_as_float32_of_one_shape(cpu):
    seen = []

    def loss(logits, masks):
        seen.append((logits.dtype, masks.dtype, logits.shape == masks.shape))
        return nn.functional.binary_cross_entropy_with_logits(logits, masks)

    train(step_of(nn.Conv2d(1, 1, 1), cpu, loss), [batch([0, 1])])
    assert seen == [(torch.float32, torch.float32, True)]
