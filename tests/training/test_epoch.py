import math

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.errors import GoldfoldError
from goldfold.progress import SILENT
from goldfold.training.device import Device
from goldfold.training.epoch import EpochPart, EpochSoFar, train_epoch
from goldfold.training.loader import Batch
from goldfold.training.step import MOST_RESCALED, Step


class Fields:
    """A task that remembers the fields it was shown."""

    def __init__(self):
        self.shown = []

    def advance(self, steps=1, **fields):
        self.shown.append(fields)


def batch(numbers, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (len(numbers), 8, 8)).astype(np.uint8)
    return Batch(images, (images > 128).astype(np.uint8) * np.uint8(255), np.array(numbers))


class PixelLoss(nn.Module):
    """Cross-entropy; takes the presence logits like our losses do."""

    def forward(self, logits, masks, presence=None):
        return nn.functional.binary_cross_entropy_with_logits(logits, masks)


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, logits, masks, presence=None):
        return self.function(logits, masks)


def sgd(model):
    return torch.optim.SGD([{"params": list(model.parameters()), "highest": 1.0}], lr=0.0)


def step_of(model, cpu, loss=None, clip=1.0, **options):
    loss = Lambda(loss) if loss is not None and not isinstance(loss, nn.Module) else loss
    return Step(model, loss or PixelLoss(), sgd(model), cpu, gradient_clip=clip, **options)


def part(
    rate=lambda number: 0.1,
    most_skipped=1,
    after_step=lambda result, seconds, unread: None,
    sizes=(),
):
    return EpochPart(
        epoch=1,
        seed=0,
        rate=rate,
        image_ids=lambda numbers: [f"image-{number}" for number in numbers],
        most_skipped=most_skipped,
        whole=lambda number: sizes[number] if sizes else None,
        after_step=after_step,
    )


def train(step, batches, task=None, so_far=None, **options):
    so_far = so_far if so_far is not None else EpochSoFar()
    with SILENT.task("", 0) as silent:
        train_epoch(
            step, batches, part(**options), so_far, task=task or silent, shown={"epoch": "2/3"}
        )
    return so_far


def test_the_loss_is_a_mean_over_images_not_over_batches(cpu):
    class First(nn.Module):
        def forward(self, logits, masks, presence=None):
            return logits.mean() * 0 + len(logits)

    model = nn.Conv2d(1, 1, 1)
    result = train(step_of(model, cpu, First()), [batch([0]), batch([1, 2, 3])])
    assert result.loss == pytest.approx((1 * 1 + 3 * 3) / 4)
    assert result.images == 4
    assert result.rate == pytest.approx(0.1)
    assert result.step == 2


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
        match=r"not finite in 1 steps in a row, up to epoch 2, step 1, images image-4, image-2",
    ):
        train(step_of(nn.Conv2d(1, 1, 1), cpu, loss), [batch([4, 2])])


def test_masks_and_logits_meet_as_float32_of_one_shape(cpu):
    seen = []

    def loss(logits, masks):
        seen.append((logits.dtype, masks.dtype, logits.shape == masks.shape))
        return nn.functional.binary_cross_entropy_with_logits(logits, masks)

    train(step_of(nn.Conv2d(1, 1, 1), cpu, loss), [batch([0, 1])])
    assert seen == [(torch.float32, torch.float32, True)]


# --- steps that are not finite -------------------------------------------------------------------


class BadAt(nn.Module):
    """A loss that is not a number in the given steps."""

    def __init__(self, *steps):
        super().__init__()
        self.steps, self.step = steps, -1

    def forward(self, logits, masks, presence=None):
        self.step += 1
        whole = nn.functional.binary_cross_entropy_with_logits(logits, masks)
        return whole * math.nan if self.step in self.steps else whole


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))


def test_a_bad_batch_changes_nothing_and_is_remembered(cpu):
    model = network()
    step = step_of(model, cpu, BadAt(0))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    so_far = train(step, [batch([4, 2])], most_skipped=2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert so_far.skipped == [{"step": 1, "image_ids": ["image-4", "image-2"]}]
    assert (so_far.images, so_far.step) == (0, 1)
    assert math.isnan(so_far.loss)


def test_bad_batches_in_a_row_stop_the_training_and_others_do_not(cpu):
    train(step_of(network(), cpu, BadAt(0, 1, 3, 4)), [batch([0])] * 6, most_skipped=3)
    words = "not finite in 3 steps in a row, up to epoch 2, step 4, images image-0"
    with pytest.raises(GoldfoldError, match=words):
        train(step_of(network(), cpu, BadAt(1, 2, 3)), [batch([0])] * 6, most_skipped=3)


def test_bad_batches_in_a_row_are_counted_across_a_resume(cpu):
    so_far = train(step_of(network(), cpu, BadAt(0, 1)), [batch([0])] * 2, most_skipped=3)
    with pytest.raises(GoldfoldError, match="not finite in 3 steps in a row"):
        train(step_of(network(), cpu, BadAt(0)), [batch([0])], so_far=so_far, most_skipped=3)


def test_a_spoiled_batchnorm_is_put_back(cpu):
    """Infinite pixels spoil running statistics for good, unless someone looks."""

    class Spoiled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls = network(), 0

        def forward(self, images):
            self.calls += 1
            return self.inner(images * (math.inf if self.calls == 1 else 1.0))

    model = Spoiled()
    so_far = train(step_of(model, cpu), [batch([0, 1]), batch([2, 3])], most_skipped=2)
    assert len(so_far.skipped) == 1
    assert torch.isfinite(model.inner[1].running_var).all()


# --- an epoch in pieces --------------------------------------------------------------------------


class EnoughError(Exception):
    pass


def test_an_epoch_goes_on_in_the_middle_bit_by_bit(cpu):
    batches = [batch([n, n + 1], seed=n) for n in range(5)]
    rates = [0.1, 0.2, 0.3, 0.2, 0.1]

    def run(stops):
        model = network()
        model.insert(0, nn.Dropout(0.3))
        step, so_far = step_of(model, cpu), EpochSoFar()
        for stop in [*stops, None]:

            def after(result, seconds, unread, stop=stop):
                if so_far.step == stop:
                    raise EnoughError

            try:
                train(
                    step, batches[so_far.step :], so_far=so_far,
                    rate=rates.__getitem__, after_step=after,
                )  # fmt: skip
            except EnoughError:
                continue
        return model.state_dict(), so_far

    whole, one = run([])
    pieces, other = run([2, 3])
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)
    assert (one.loss, one.images, one.step, one.rate) == (
        other.loss, other.images, other.step, other.rate,
    )  # fmt: skip


def test_waiting_for_batches_is_told_apart(cpu, monkeypatch):
    import goldfold.training.epoch as epoch_module

    now = [0.0]
    monkeypatch.setattr(epoch_module.time, "perf_counter", lambda: now[0])

    def slow():
        for number in range(2):
            now[0] += 3.0
            yield batch([number])

    step = step_of(nn.Conv2d(1, 1, 1), cpu)
    real = step.take

    def take(*arguments, **keywords):
        now[0] += 1.0
        return real(*arguments, **keywords)

    step.take = take
    so_far = train(step, slow())
    assert (so_far.seconds, so_far.waited) == (8.0, 6.0)


# --- fp16 with a scaled loss ---------------------------------------------------------------------


def scaled_step(model, loss=None, clip=1.0, init_scale=2.0**10):
    fp16 = Device(torch.device("cpu"), torch.float16, "")
    groups = [{"params": list(model.parameters()), "highest": 1.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.5, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=init_scale)
    return Step(model, loss or PixelLoss(), optimizer, fp16, gradient_clip=clip, scaler=scaler)


class InfiniteFor(nn.Module):
    """A loss whose gradient is infinite in its first batches, and whose value never is."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def forward(self, logits, masks, presence=None):
        self.batches -= 1
        whole = nn.functional.binary_cross_entropy_with_logits(logits, masks)
        return InfiniteGradient.apply(whole) if self.batches >= 0 else whole


def test_it_learns_in_fp16():
    torch.manual_seed(0)
    step = scaled_step(nn.Conv2d(1, 1, 1), clip=10.0)
    losses = [train(step, [batch([0, 1])]).loss for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_scaled_loss_is_shown_and_its_gradient_clipped_as_it_is_without_a_scale(cpu):
    torch.manual_seed(0)
    model = nn.Conv2d(1, 1, 1)
    plain = step_of(model, cpu, clip=1e9).take(batch([0, 1]), 0.0)
    scaled = scaled_step(model, clip=0.01)
    taken = scaled.take(batch([0, 1]), 0.0)
    assert taken.loss_sum == pytest.approx(plain.loss_sum, rel=0.01)
    assert taken.gradient_norm == pytest.approx(plain.gradient_norm, rel=0.01)
    norm = math.sqrt(sum(float((p.grad**2).sum()) for p in model.parameters()))
    assert norm == pytest.approx(0.01, rel=0.01)


def test_a_step_that_overflows_is_passed_over_with_half_the_scale():
    model = nn.Conv2d(1, 1, 1)
    before = [p.detach().clone() for p in model.parameters()]
    step = scaled_step(model, InfiniteFor(2), init_scale=1024.0)
    result = train(step, [batch([0, 1])] * 2)
    assert (result.images, result.skipped) == (0, [])
    assert all(map(torch.equal, before, model.parameters()))
    assert step.scaler.get_scale() == 256.0
    train(step, [batch([0, 1])])
    assert not any(map(torch.equal, before, model.parameters()))


def test_steps_that_overflow_for_ever_stop_with_the_place():
    step = scaled_step(nn.Conv2d(1, 1, 1), InfiniteFor(MOST_RESCALED - 1))
    train(step, [batch([0, 1])] * (MOST_RESCALED + 5))
    step = scaled_step(nn.Conv2d(1, 1, 1), InfiniteFor(1000))
    with pytest.raises(GoldfoldError, match=rf"not finite .* epoch 2, step {MOST_RESCALED}, image"):
        train(step, [batch([0, 1])] * (MOST_RESCALED + 5))


def test_a_loss_that_is_not_finite_counts_at_once_in_fp16_too():
    step = scaled_step(nn.Conv2d(1, 1, 1), BadAt(0))
    with pytest.raises(
        GoldfoldError, match="not finite in 1 steps in a row, up to epoch 2, step 1,"
    ):
        train(step, [batch([0, 1])] * 3)
