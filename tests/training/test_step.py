"""A step in parts: accumulation, too little memory, rates of several groups."""

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.errors import GoldfoldError, InputError
from goldfold.training import step as step_module
from goldfold.training.augmentation.changes import Draw
from goldfold.training.augmentation.packing import pack_draws
from goldfold.training.augmentation.warp import Warp
from goldfold.training.loader import Batch
from goldfold.training.losses import WeightedLoss
from goldfold.training.ranks import Ranks
from goldfold.training.step import Step


def batch(count=6):
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8)).astype(np.uint8)
    return Batch(images, (images > 128).astype(np.uint8) * np.uint8(255), np.arange(count))


def network(normalised=False):
    torch.manual_seed(0)
    middle = nn.BatchNorm2d(4) if normalised else nn.Identity()
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), middle, nn.ReLU(), nn.Conv2d(4, 1, 1))


def step_of(model, cpu, parts=1, rates=(1.0,), **options):
    groups = [
        {"params": [weight], "highest": rates[number % len(rates)]}
        for number, weight in enumerate(model.parameters())
    ]
    optimizer = torch.optim.SGD(groups, lr=0.0)
    return Step(
        model, WeightedLoss(bce=1.0), optimizer, cpu, gradient_clip=1e9, parts=parts, **options
    )


@pytest.mark.parametrize("parts", [2, 3, 4, 6, 50])
def test_accumulation_gives_the_gradient_of_the_whole_batch(cpu, parts):
    """The mean over pixels does not care how images are grouped, unequal groups included."""
    whole, divided = network(), network()
    one = step_of(whole, cpu).take(batch(), 0.1)
    other = step_of(divided, cpu, parts=parts).take(batch(), 0.1)
    assert other.loss_sum == pytest.approx(one.loss_sum, rel=1e-6)
    assert other.gradient_norm == pytest.approx(one.gradient_norm, rel=1e-5)
    for a, b in zip(whole.parameters(), divided.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_each_group_has_its_own_highest_rate(cpu):
    model = network()
    step = step_of(model, cpu, rates=(1.0, 0.01))
    step.take(batch(), 0.5)
    assert [group["lr"] for group in step.optimizer.param_groups] == [0.5, 0.005, 0.5, 0.005]


class Greedy(nn.Module):
    """A network that has memory for so many images only."""

    def __init__(self, most):
        super().__init__()
        self.inner, self.most, self.sizes = network(normalised=True), most, []

    def forward(self, images):
        self.sizes.append(len(images))
        if len(images) > self.most:
            self.inner(images)  # the statistics of the failed pass must not stay
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.inner(images)


def test_too_little_memory_halves_the_pass_and_keeps_the_effective_batch(cpu):
    said = []
    model, plain = Greedy(most=2), Greedy(most=2)
    step = step_of(model, cpu, say=said.append)
    result = step.take(batch(6), 0.1)
    assert model.sizes == [6, 3, 2, 2, 1, 1]
    assert (step.parts, result.images, result.moved) == (4, 6, True)
    assert said == [
        "out of memory: continuing with 3 images per pass and 2 passes per step; "
        "the effective batch stays 6",
        "out of memory: continuing with 2 images per pass and 4 passes per step; "
        "the effective batch stays 6",
    ]
    step_of(plain, cpu, parts=4).take(batch(6), 0.1)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name
    said.clear()
    step.take(batch(6), 0.1)
    assert said == []


def test_too_little_memory_for_one_image(cpu):
    words = r"out of memory on .* with 1 image per pass\. Lower image_size or crop_size"
    with pytest.raises(GoldfoldError, match=words):
        step_of(Greedy(most=0), cpu).take(batch(3), 0.1)


class Failing(Greedy):
    """A network whose library fails with more than so many images."""

    def forward(self, images):
        try:
            return super().forward(images)
        except torch.OutOfMemoryError:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED\nat conv.cpp") from None


def test_a_library_that_fails_is_tried_once_smaller_and_then_told(cpu):
    said = []
    helped = step_of(Failing(most=3), cpu, say=said.append)
    helped.release = lambda: pytest.fail("released")
    assert helped.take(batch(6), 0.1).moved
    assert said == [
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED: continuing with 3 images per pass and 2 "
        "passes per step; the effective batch stays 6"
    ]
    hopeless = Failing(most=1)
    words = r"CUDNN_STATUS_EXECUTION_FAILED on .* with 3 images per pass\. Lower image_size"
    with pytest.raises(GoldfoldError, match=words):
        step_of(hopeless, cpu).take(batch(6), 0.1)
    assert hopeless.sizes == [6, 3]
    with pytest.raises(GoldfoldError, match=r"FAILED on one of several GPUs; .* 6 images per pass"):
        step_of(Failing(most=1), cpu, ranks=Ranks(0, 2, 0)).take(batch(6), 0.1)


def test_another_error_of_the_network_is_not_taken_for_one_of_memory(cpu):
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            raise RuntimeError("expected 3 channels, got 1")

    with pytest.raises(RuntimeError, match="expected 3 channels"):
        step_of(Broken(), cpu).take(batch(3), 0.1)


def test_a_rank_cannot_change_its_parts_alone(cpu):
    step = step_of(Greedy(most=2), cpu, ranks=Ranks(0, 2, 0))
    words = r"out of memory on one of several GPUs; .*Halve batch_size .* with 4 images per pass"
    with pytest.raises(GoldfoldError, match=words):
        step.take(batch(4), 0.1)


@pytest.mark.parametrize("parts", [1, 2])
def test_the_device_augments_what_was_left_to_it(cpu, parts):
    draws = [Draw(Warp(flip=True)), Draw(Warp(vertical_flip=True))]
    raw, here = batch(2), batch(2)
    images = np.stack([raw.images[0][:, ::-1], raw.images[1][::-1]])
    masks = np.stack([raw.masks[0][:, ::-1], raw.masks[1][::-1]])
    here = Batch(images, masks, raw.numbers)
    there = Batch(raw.images, raw.masks, raw.numbers, pack_draws(draws, 8, 8))
    results = [step_of(network(), cpu, parts=parts).take(one, 0.1) for one in (here, there)]
    assert results[0].outcome == results[1].outcome


def test_out_of_memory_first_gives_back_what_the_images_take(cpu):
    """The batch is only divided once nothing else is left to give."""
    held = [True]
    model = Greedy(most=4)

    def release():
        model.most, given = 6, held[0]
        held[0] = False
        return given

    said = []
    step = step_of(model, cpu, say=said.append)
    step.release = release
    step.take(batch(6), 0.1)
    assert (step.parts, model.sizes, said) == (1, [6, 6], [])
    model.most = 4
    step.take(batch(6), 0.1)
    assert (step.parts, len(said)) == (2, 1)


def test_one_of_several_ranks_releases_nothing(cpu):
    """The others would be a pass ahead of it."""
    step = step_of(Greedy(most=2), cpu, ranks=Ranks(0, 2, 0))
    step.release = lambda: pytest.fail("released")
    with pytest.raises(GoldfoldError, match="out of memory on one of several GPUs"):
        step.take(batch(4), 0.1)


@pytest.mark.parametrize(
    ("count", "parts", "lengths"), [(5, 2, [3, 2]), (4, 2, [2, 2]), (2, 5, [1, 1]), (1, 1, [1])]
)
def test_parts_by_hand(count, parts, lengths):
    slices = step_module._split(count, parts)
    assert [one.stop - one.start for one in slices] == lengths
    assert (slices[0].start, slices[-1].stop) == (0, count)


def test_batchnorm_over_a_single_value_is_explained(cpu):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 8, stride=8), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 1, 8, stride=8)
    )
    words = r"BatchNorm cannot normalise 1 image of 8 px: .* Raise batch_size"
    with pytest.raises(InputError, match=words):
        step_of(model, cpu).take(batch(1), 0.1)
    step_of(model, cpu).take(batch(2), 0.1)
