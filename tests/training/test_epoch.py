import math

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.errors import GoldfoldError
from goldfold.progress import SILENT
from goldfold.training.device import Device
from goldfold.training.epoch import MOST_SKIPPED, Step, train_epoch
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


# --- fp16 with a scaled loss ---------------------------------------------------------------------


def scaled_step(model, loss=None, clip=1.0, init_scale=2.0**10, rate=0.5):
    fp16 = Device(torch.device("cpu"), torch.float16, "")
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=init_scale)
    return Step(model, loss or nn.BCEWithLogitsLoss(), optimizer, fp16, clip, scaler)


class InfiniteFor(nn.Module):
    """A loss whose gradient is infinite in its first batches, and whose value never is."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def forward(self, logits, masks):
        self.batches -= 1
        whole = nn.functional.binary_cross_entropy_with_logits(logits, masks)
        return InfiniteGradient.apply(whole) if self.batches >= 0 else whole


def test_it_learns_in_fp16():
    torch.manual_seed(0)
    step = scaled_step(nn.Conv2d(1, 1, 1), clip=10.0)
    losses = [train(step, [batch([0, 1])], rate=lambda _: 0.1).loss for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_scaled_loss_is_shown_and_its_gradient_clipped_as_it_is_without_a_scale(cpu):
    torch.manual_seed(0)
    model = nn.Conv2d(1, 1, 1)
    plain = step_of(model, cpu, clip=1e9).take(batch([0, 1]), 0.0)
    scaled = scaled_step(model, clip=0.01)
    taken = scaled.take(batch([0, 1]), 0.0)
    assert taken.tolist() == pytest.approx(plain.tolist(), rel=0.01)
    norm = math.sqrt(sum(float((p.grad**2).sum()) for p in model.parameters()))
    assert norm == pytest.approx(0.01, rel=0.01)


def test_a_step_that_overflows_is_passed_over_with_half_the_scale():
    model = nn.Conv2d(1, 1, 1)
    before = [p.detach().clone() for p in model.parameters()]
    step = scaled_step(model, InfiniteFor(2), init_scale=1024.0)
    result = train(step, [batch([0, 1])] * 2)
    assert (result.images, math.isfinite(result.loss)) == (4, True)
    assert all(map(torch.equal, before, model.parameters()))
    assert step.scaler.get_scale() == 256.0
    train(step, [batch([0, 1])])
    assert not any(map(torch.equal, before, model.parameters()))


def test_steps_that_overflow_for_ever_stop_with_the_place():
    step = scaled_step(nn.Conv2d(1, 1, 1), InfiniteFor(MOST_SKIPPED - 1))
    train(step, [batch([0, 1])] * (MOST_SKIPPED + 5))
    step = scaled_step(nn.Conv2d(1, 1, 1), InfiniteFor(1000))
    with pytest.raises(GoldfoldError, match=rf"not finite in epoch 2, step {MOST_SKIPPED}, cache"):
        train(step, [batch([0, 1])] * (MOST_SKIPPED + 5))


def test_a_loss_that_is_not_finite_stops_at_once_in_fp16_too():
    step = scaled_step(nn.Conv2d(1, 1, 1), lambda logits, masks: logits.float().mean() * math.nan)
    with pytest.raises(GoldfoldError, match="not finite in epoch 2, step 1,"):
        train(step, [batch([0, 1])] * 3)
