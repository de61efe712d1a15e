"""Steps that are read once the next one is queued, as on a GPU, equal those read at once."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.errors import GoldfoldError
from goldfold.progress import SILENT
from goldfold.training.averages import Averages
from goldfold.training.device import Device
from goldfold.training.epoch import EpochPart, EpochSoFar, train_epoch
from goldfold.training.host_copy import HostCopy, runs_ahead
from goldfold.training.kept_buffers import KeptBuffers
from goldfold.training.loader import Batch
from goldfold.training.optimizer import build_optimizer
from goldfold.training.step import MOST_RESCALED, Step
from goldfold.training.step_result import MOST_UNREAD

FP16 = Device(torch.device("cpu"), torch.float16, "")
FLOAT32 = Device(torch.device("cpu"), None, "")


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Conv2d(4, 1, 1)
    ).to(memory_format=torch.channels_last)


class InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * torch.inf


class Bad(nn.Module):
    """A loss that is not finite, or whose gradient alone or value alone is not, at given steps."""

    def __init__(self, loss=(), gradient=(), value=()):
        super().__init__()
        self.of_loss, self.of_gradient, self.of_value, self.step = loss, gradient, value, -1

    def forward(self, logits, masks, presence=None):
        self.step += 1
        loss = nn.functional.binary_cross_entropy_with_logits(logits, masks)
        if self.step in self.of_loss:
            return loss * math.nan
        if self.step in self.of_value:
            return loss + (math.inf - loss.detach())
        return InfiniteGradient.apply(loss) if self.step in self.of_gradient else loss


def batches(count):
    random = np.random.default_rng(1)
    for number in range(count):
        images = random.integers(0, 256, (3, 8, 8)).astype(np.uint8)
        masks = (images > 128).astype(np.uint8) * np.uint8(255)
        yield Batch(images, masks, np.arange(3) + 3 * number)


class Training:
    """A training of a few steps, with all that it leaves."""

    def __init__(self, ahead, loss=None, *, fp16=False, name="adamw", parts=1):
        self.model = network()
        optimizer = build_optimizer(
            self.model, name=name, learning_rate=0.05, weight_decay=0.1, momentum=0.9
        )
        self.step = Step(
            self.model,
            loss or Bad(),
            optimizer,
            FP16 if fp16 else FLOAT32,
            gradient_clip=1.0,
            parts=parts,
            scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10) if fp16 else None,
            ahead=ahead,
        )
        self.averages = Averages(self.model, 0.9, None)
        self.so_far = EpochSoFar()
        self.unread = []

    def run(self, count=8, most_skipped=4, stop_at=None):
        def after_step(result, seconds, unread):
            self.averages.after_step(self.model, result)
            self.unread.append(len(unread))
            if len(self.unread) == stop_at:
                unread.read()
                raise StopIteration

        part = EpochPart(
            epoch=0,
            seed=0,
            rate=lambda number: 1.0 - number / 20,
            image_ids=lambda numbers: [str(number) for number in numbers],
            most_skipped=most_skipped,
            whole=lambda number: None,
            after_step=after_step,
        )
        with SILENT.task("", 0) as task:
            train_epoch(self.step, batches(count), part, self.so_far, task=task, shown={})
        return self

    def counted(self):
        facts = {**vars(self.so_far), "seconds": 0, "waited": 0}
        scaler = self.step.scaler
        return facts, self.averages.by_name["ema"].count, scaler and scaler.state_dict()


def assert_same(one, other):
    assert one.counted() == other.counted()
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
    average = other.averages.by_name["ema"].model.state_dict()
    for name, value in one.averages.by_name["ema"].model.state_dict().items():
        torch.testing.assert_close(value, average[name], rtol=1e-5, atol=1e-7)


FAULTS = {
    "none": {},
    "the first loss": {"loss": (0,)},
    "the last loss": {"loss": (7,)},
    "losses in a row": {"loss": (2, 3, 4)},
    "gradients": {"gradient": (0, 4)},
    "a loss with a good gradient": {"value": (1, 5)},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("fp16", [False, True])
def test_what_is_read_late_is_the_same(fault, name, fp16):
    at_once = Training(False, Bad(**FAULTS[fault]), fp16=fp16, name=name).run()
    late = Training(True, Bad(**FAULTS[fault]), fp16=fp16, name=name).run()
    assert (set(at_once.unread), set(late.unread)) == ({0}, {1})
    assert_same(at_once, late)
    bad = sum(len(steps) for steps in FAULTS[fault].values())
    assert late.averages.by_name["ema"].count == 8 - bad
    assert math.isfinite(late.so_far.loss)


def test_accumulation():
    losses = [Bad(loss=(3,)), Bad(loss=(3,))]  # in the second step's second part
    at_once, late = (
        Training(ahead, loss, parts=2).run(4)
        for ahead, loss in zip((False, True), losses, strict=True)
    )
    assert [row["step"] for row in late.so_far.skipped] == [2]
    assert_same(at_once, late)


@pytest.mark.parametrize("stop_at", [1, 4, 5, 8])
def test_a_stop_reads_what_is_left(stop_at):
    """What is saved then knows of every step."""
    ended = []
    for ahead in (False, True):
        training = Training(ahead, Bad(loss=(4,)))
        with pytest.raises(StopIteration):
            training.run(stop_at=stop_at)
        assert training.so_far.step == stop_at
        ended.append(training)
    assert_same(*ended)


def test_too_many_in_a_row_end_it_one_step_later_with_the_right_place():
    training = Training(True, Bad(loss=(1, 2)))
    words = "not finite in 2 steps in a row, up to epoch 1, step 3, images 6, 7, 8"
    with pytest.raises(GoldfoldError, match=words):
        training.run(most_skipped=2)
    assert training.step.loss.step == 3
    last = Training(True, Bad(loss=(6, 7)))
    with pytest.raises(GoldfoldError, match="up to epoch 1, step 8"):
        last.run(most_skipped=2)


def test_a_scaler_that_never_finds_its_scale():
    training = Training(True, Bad(gradient=range(100)), fp16=True)
    with pytest.raises(GoldfoldError, match=rf"not finite .* step {MOST_RESCALED}, images"):
        training.run(MOST_RESCALED + 5, most_skipped=1)


def test_results_nobody_looks_at_are_read_in_their_order():
    """As by a benchmark; the scaler's count of steps in a row depends on the order."""
    step = Training(True, Bad(loss=(1,))).step
    results = [step.take(batch, 0.1) for batch in batches(5)]
    assert [result._outcome is None for result in results] == [False] * 3 + [True] * MOST_UNREAD
    assert results[4].moved
    assert [result.moved for result in results] == [True, False, True, True, True]


def test_only_a_fused_optimizer_can_skip_on_the_device():
    model = network()
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    step = Step(model, Bad(), plain, FLOAT32, gradient_clip=1.0, ahead=True)
    assert not step.runs_ahead


def test_where_it_is_read_late():
    kinds = {name: runs_ahead(torch.device(name)) for name in ("cpu", "mps", "cuda", "xpu")}
    assert kinds == {"cpu": False, "mps": False, "cuda": True, "xpu": True}
    model = network()
    optimizer = build_optimizer(model, learning_rate=0.1, weight_decay=0.0)
    assert not Step(model, Bad(), optimizer, FLOAT32, gradient_clip=1.0).runs_ahead


def test_buffers_of_all_kinds_are_put_back():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm1d(2))
    model.register_buffer("mask", torch.tensor([True, False]))
    model.register_buffer("wide", torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last))
    model.register_buffer("short", torch.rand(3).half())
    before = {name: value.clone() for name, value in model.named_buffers()}
    kept = KeptBuffers(model)

    def spoil():
        for value in model.buffers():
            value.logical_not_() if value.dtype is torch.bool else value.fill_(7)
        return {name: value.clone() for name, value in model.named_buffers()}

    for put_back, returns in (
        (kept.put_back, True),
        (lambda: kept.put_back_where(torch.tensor(True)), True),
        (lambda: kept.put_back_where(torch.tensor(False)), False),
    ):
        for name, value in model.named_buffers():
            value.copy_(before[name])
        kept.keep()
        spoiled = spoil()
        put_back()
        for name, value in model.named_buffers():
            assert torch.equal(value, before[name] if returns else spoiled[name]), name
            assert value.stride() == before[name].stride()
    assert not list(KeptBuffers(nn.Linear(1, 1))._groups)


def test_a_host_copy_shares_no_memory():
    weight = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    copy = HostCopy({"a": weight, "b": weight[0]})
    expected = weight.clone()
    weight.zero_()
    tensors = copy.wait()
    assert torch.equal(tensors["a"], expected) and torch.equal(tensors["b"], expected[0])
    assert tensors["a"].is_contiguous()
    assert copy.wait() is tensors
