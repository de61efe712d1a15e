"""Which averages there are, which epochs go into them, and when they are worth a validation."""

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.training.averages import Averages, batches_for_statistics
from goldfold.training.loader import Batch


def network(value=0.0, batchnorm=False):
    layer = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return nn.Sequential(layer, nn.BatchNorm2d(1)) if batchnorm else nn.Sequential(layer)


def weight_of(model):
    return round(model[0].weight.item(), 6)


def no_batches():
    pytest.fail("statistics were taken")


@pytest.mark.parametrize(
    ("swa_from", "epochs", "taken"),
    [(0.5, 4, [2, 3]), (0.75, 4, [3]), (0.0, 3, [0, 1, 2]), (1.0, 4, [3]), (0.5, 5, [2, 3, 4])],
)
def test_only_the_ends_of_the_last_epochs_are_averaged(swa_from, epochs, taken):
    model = network()
    averages = Averages(model, None, swa_from)
    for epoch in range(epochs):
        nn.init.constant_(model[0].weight, float(epoch))
        averages.end_of_epoch(model, epoch, epochs)
        averages.end_of_epoch(model, epoch, epochs)  # said again after a resume
    assert weight_of(averages.by_name["swa"].model) == pytest.approx(np.mean(taken), abs=1e-5)
    assert averages.by_name["swa"].count == len(taken)


def test_the_moving_average_follows_every_step_and_leaves_the_weights_alone():
    model = network()
    averages = Averages(model, 0.5, None)
    nn.init.constant_(model[0].weight, 1.0)
    averages.after_step(model)  # decay 1 / 10 at first
    averages.after_step(model)  # 2 / 11
    expected = 1 - (1 / 10) * (2 / 11)
    assert weight_of(averages.by_name["ema"].model) == pytest.approx(expected, abs=1e-5)
    assert weight_of(model) == 1.0
    averages.end_of_epoch(model, 0, 1)
    assert set(averages.by_name) == {"ema"}


def test_candidates_are_the_averages_themselves(cpu):
    model = network(3.0)
    averages = Averages(model, 0.9, 0.5)
    nn.init.constant_(model[0].weight, 5.0)
    averages.after_step(model)
    now = averages.candidates(last=False, batches=no_batches, device=cpu)
    assert list(now) == ["ema"]
    assert now["ema"] is averages.by_name["ema"].model
    assert weight_of(now["ema"]) != weight_of(model)
    assert "swa" not in averages.candidates(last=True, batches=no_batches, device=cpu)  # none added
    averages.end_of_epoch(model, 0, 1)
    assert list(averages.candidates(last=True, batches=no_batches, device=cpu)) == ["ema", "swa"]


def test_statistics_of_batchnorm_are_taken_from_the_batches(cpu):
    averages = Averages(network(1.0, batchnorm=True), 0.9, None)
    pixels = np.full((2, 4, 4), 255, np.uint8)
    batch = Batch(pixels, pixels, np.arange(2))
    (model,) = averages.candidates(last=False, batches=lambda: iter([batch]), device=cpu).values()
    assert not torch.equal(model[1].running_mean, torch.zeros(1))
    assert not model[1].training


def test_statistics_are_taken_from_512_images():
    epoch = [np.arange(4)] * 600
    assert [len(batches_for_statistics(epoch, size)) for size in (512, 16, 100)] == [1, 32, 6]


def test_a_divided_training_divides_the_batches_of_statistics():
    batches = [np.arange(5), np.arange(5, 6)]
    parts = batches_for_statistics(batches, 5, parts=4)
    assert [part.tolist() for part in parts] == [[0, 1], [2], [3], [4], [5]]
    assert [part.tolist() for part in batches_for_statistics(batches, 5)] == [
        batch.tolist() for batch in batches
    ]
