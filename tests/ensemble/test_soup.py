"""Averages of weights: the plain mean, BatchNorm anew, greedy only where it helps."""

import numpy as np
import pytest
import torch
from torch import nn

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.soup import (
    average_weights,
    greedy_soup,
    halve_groups,
    honest_greedy,
    mask_score,
)
from goldfold.errors import InputError
from goldfold.training.device import Device

CPU = Device(torch.device("cpu"), None, "CPU")


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1)
    ).eval()


def test_weights_are_the_plain_mean_and_statistics_those_of_the_images() -> None:
    models = [network(seed) for seed in range(3)]
    expected = torch.stack([one[0].weight.detach().clone() for one in models]).mean(0)
    images = torch.randn(16, 1, 8, 8)
    averaged = average_weights(models, lambda: [images[:8], images[8:]], CPU)
    assert torch.allclose(averaged[0].weight, expected, atol=1e-6)
    with torch.no_grad():
        seen = averaged[0](images)
    assert torch.allclose(averaged[1].running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert not averaged.training


def test_a_single_checkpoint_stays_as_it_is() -> None:
    model = network(0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert average_weights([model], lambda: pytest.fail("not asked"), CPU) is model
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_other_networks_are_refused() -> None:
    with pytest.raises(InputError, match="checkpoints of one architecture"):
        average_weights([network(0), nn.Conv2d(1, 1, 1)], list, CPU)
    with pytest.raises(InputError, match="at least one checkpoint to average"):
        average_weights([], list, CPU)


def histograms_of_noise(noise: float, seed: int = 0, count: int = 20) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, 2:6] = 1
    maps = np.clip(60 + 100 * mask + rng.normal(0, noise, (count, 8, 8)), 0, 255)
    return np.stack([level_histograms(one.astype(np.uint8), mask) for one in maps])


def test_a_greedy_average_takes_in_only_what_helps() -> None:
    noise = {(0,): 60, (0, 1): 80, (0, 2): 30, (0, 2, 3): 20}
    asked = []

    def histograms_of(places: tuple[int, ...]) -> np.ndarray:
        asked.append(places)
        return histograms_of_noise(noise[places])

    found = greedy_soup(4, histograms_of, np.ones(20, bool), mask_score("dice"))
    assert found.places == (0, 2, 3)
    assert asked == [(0,), (0, 1), (0, 2), (0, 2, 3)]


def test_an_honest_greedy_average_is_chosen_on_the_other_half() -> None:
    """The second checkpoint helps on the first half only."""
    good, bad = histograms_of_noise(10), histograms_of_noise(120)
    half = np.arange(20) < 10

    def histograms_of(places: tuple[int, ...]) -> np.ndarray:
        middle = histograms_of_noise(50)
        return middle if places == (0,) else np.where(half[:, None, None], good, bad)

    found = honest_greedy(2, histograms_of, half, mask_score("dice"))
    # The first half is judged by what the second half chose, and the other way round.
    assert np.array_equal(found[half], histograms_of((0,))[half])
    assert np.array_equal(found[~half], bad[~half])


def test_halves_keep_groups_together() -> None:
    groups = np.array([0, 0, 1, 2, 2, 2, 3])
    half = halve_groups(groups, seed=1)
    for group in range(4):
        assert len(set(half[groups == group].tolist())) == 1
    assert 0 < half.sum() < 7
