import copy

import pytest
import torch
from torch import nn

from goldfold.training.averages import Averages
from goldfold.training.averaging import MovingAverage, StochasticAverage
from goldfold.training.batch import network_input
from goldfold.training.batchnorm import has_batchnorm, reestimate_batchnorm
from goldfold.training.loader import Batch
from goldfold.training.networks import freeze


def network(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
    return model.to(memory_format=torch.channels_last)


def shaken(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator))
            else:
                value.add_(1)
    return model


def test_the_moving_average_by_hand():
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
    average, expected = MovingAverage(model, 0.5), 0.0
    for count, value in enumerate([1.0, 2.0, 3.0]):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update(model)
        decay = min(0.5, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * value
        assert average.model.weight.item() == pytest.approx(expected, rel=1e-6)


def test_it_agrees_with_torch_once_warm():
    model, decay = network(), 0.9
    average = MovingAverage(model, decay)
    average.count = 10_000
    theirs = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True
    )
    theirs.update_parameters(model)  # the first one copies
    for seed in range(3):
        shaken(model, seed)
        average.update(model)
        theirs.update_parameters(model)
    for name, value in average.model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, theirs.module.state_dict()[name])


def test_the_stochastic_average_is_the_mean():
    model = network()
    average, seen = StochasticAverage(model), []
    for seed in range(4):
        shaken(model, seed)
        average.add(model)
        seen.append(copy.deepcopy(model.state_dict()))
    for name, value in average.model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, torch.stack([one[name] for one in seen]).mean(0))
    assert average.count == 4


@pytest.mark.parametrize("kind", [lambda m: MovingAverage(m, 0.9), StochasticAverage])
def test_an_average_goes_on_bit_by_bit_after_saving(kind, tmp_path):
    from safetensors.torch import load_file

    from goldfold.training.checkpoint import save_tensors

    model = network()
    one = kind(model)
    move = one.update if isinstance(one, MovingAverage) else one.add
    for seed in range(3):
        move(shaken(model, seed))
    save_tensors(tmp_path / "a.safetensors", one.state_tensors())
    other = kind(network(9))
    other.load_state_tensors(load_file(tmp_path / "a.safetensors"))
    shaken(model, 7)
    move(model)
    (other.update if isinstance(other, MovingAverage) else other.add)(model)
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
        assert value.stride() == other.model.state_dict()[name].stride()


def test_an_average_is_never_trained():
    average = MovingAverage(network(), 0.9)
    assert not any(p.requires_grad for p in average.model.parameters())
    assert not average.model.training


# --- BatchNorm statistics ------------------------------------------------------------------------


def test_statistics_are_the_mean_over_batches(cpu):
    model = network()
    shaken(model, 3)
    batches = [torch.randn(5, 1, 6, 6) * k + k for k in (1, 2, 3)]
    reestimate_batchnorm(model, batches, cpu)
    features = [model[0](batch) for batch in batches]
    means = torch.stack([f.mean((0, 2, 3)) for f in features]).mean(0)
    variances = torch.stack([f.transpose(0, 1).flatten(1).var(1) for f in features]).mean(0)
    torch.testing.assert_close(model[1].running_mean, means)
    torch.testing.assert_close(model[1].running_var, variances)
    assert (model[1].momentum, model.training) == (0.1, False)


def test_short_memory_divides_the_batches_of_statistics(cpu):
    """A pass that fails in the last layer has spoiled the statistics of the first."""

    def deep():
        torch.manual_seed(1)
        return nn.Sequential(network(), network(), Last())

    class Last(nn.Module):
        most = 2

        def forward(self, images):
            if len(images) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return images

    model, expected, said = deep(), deep(), []
    batches = list(torch.randn(3, 4, 1, 6, 6))
    reestimate_batchnorm(model, batches, cpu, say=said.append)
    reestimate_batchnorm(expected, [half for batch in batches for half in batch.split(2)], cpu)
    for name, value in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert len(said) == 1
    assert "continuing with 2 images per pass instead of 4" in said[0]


def test_they_agree_with_torch(cpu):
    one, other = network(), network()
    batches = [torch.randn(4, 1, 8, 8) for _ in range(3)]
    reestimate_batchnorm(one, batches, cpu)
    torch.optim.swa_utils.update_bn(batches, other)
    torch.testing.assert_close(one[1].running_mean, other[1].running_mean)
    torch.testing.assert_close(one[1].running_var, other[1].running_var)


def test_frozen_batchnorm_is_left_alone(cpu):
    model = network()
    model.encoder = nn.Identity()
    freeze(model, ["batchnorm"])
    before = model[1].running_mean.clone()
    assert not has_batchnorm(model)
    reestimate_batchnorm(model, [torch.rand(2, 1, 8, 8)], cpu)
    assert torch.equal(model[1].running_mean, before)
    assert has_batchnorm(network())


def test_statistics_of_an_average_that_knows_nothing_else(cpu, cache):
    """The averaged network's statistics are those of the batches, not of the averaging."""
    model = network()
    averages = Averages(model, 0.9, None)
    shaken(model, 1)
    averages.after_step(model)
    batch = Batch(cache.pixels[:4], cache.pixels[:4], torch.arange(4).numpy())
    found = averages.candidates(last=False, batches=lambda: iter([batch]), device=cpu)["ema"]
    expected = found[0](network_input(batch.images, cpu.device)).mean((0, 2, 3))
    torch.testing.assert_close(found[1].running_mean, expected)


@pytest.mark.parametrize(
    ("swa_from", "epochs", "expected"), [(0.0, 3, 3), (0.5, 4, 2), (0.75, 4, 1), (0.99, 3, 1)]
)
def test_swa_takes_the_ends_of_the_late_epochs(swa_from, epochs, expected):
    model = network()
    averages = Averages(model, None, swa_from)
    for epoch in range(epochs):
        for _ in range(2):  # said twice where the validation was broken off
            averages.end_of_epoch(model, epoch, epochs)
    assert averages.by_name["swa"].count == expected
