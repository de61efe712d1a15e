"""Averages of the weights of a training's best checkpoints, uniform or greedy ("model soups").

Source: M. Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
accuracy without increasing inference time", ICML 2022. Here the ingredients are checkpoints of one
training, which lie close to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from goldfold.ensemble.threshold import search_rule
from goldfold.errors import InputError
from goldfold.training.batchnorm import has_batchnorm, reestimate_batchnorm
from goldfold.training.device import Device

IntArray = NDArray[np.int64]
HistogramsOf = Callable[[tuple[int, ...]], IntArray]
"""Places of checkpoints, the best first -> histograms (N, 2 or 3, 256) of their average."""


def average_weights(
    models: Sequence[nn.Module], batches: Callable[[], Iterable[torch.Tensor]], device: Device
) -> nn.Module:
    """Return the network with the mean of the weights, BatchNorm statistics taken anew.

    The first network is changed into it. A single network stays as it is.

    Args:
        models: of one architecture, in eval mode on the device.
        batches: makes some batches of training images, as network input.
        device: where they are.

    Raises:
        InputError: there are none, or they are of different architectures.
    """
    if not models:
        raise InputError("expected at least one checkpoint to average, found none.")
    target = models[0].state_dict()
    for model in models[1:]:
        if model.state_dict().keys() != target.keys():
            raise InputError("expected checkpoints of one architecture to average.")
    if len(models) == 1:
        return models[0]
    states = [model.state_dict() for model in models]
    with torch.no_grad():
        for name, value in target.items():
            if value.is_floating_point():  # whole numbers count batches: the first's stay
                total = torch.stack([state[name].double() for state in states]).mean(dim=0)
                value.copy_(total.to(value.dtype))
    if has_batchnorm(models[0]):
        reestimate_batchnorm(models[0], batches(), device)
    return models[0].eval()


@dataclass(frozen=True)
class GreedySoup:
    """The checkpoints that were taken, and the score with them.

    Attributes:
        places: of the checkpoints, the best one first.
        score: mean score at the best rule, on the images that chose.
    """

    places: tuple[int, ...]
    score: float


def greedy_soup(
    count: int, histograms_of: HistogramsOf, chosen: NDArray[np.bool_], metric: str
) -> GreedySoup:
    """Return the soup that grows as long as the score on held-out images rises.

    Begins with the best checkpoint; each next one is taken in only if the average with it scores
    more than without.

    Args:
        count: of the checkpoints, the best first.
        histograms_of: of the average of some of them.
        chosen: (N,) images that decide.
        metric: name of a metric of masks.
    """

    def score(places: tuple[int, ...]) -> float:
        return search_rule(histograms_of(places)[chosen], metric).score

    soup = GreedySoup((0,), score((0,)))
    for place in range(1, count):
        larger = (*soup.places, place)
        found = score(larger)
        if found > soup.score:
            soup = GreedySoup(larger, found)
    return soup


def honest_greedy(
    count: int, histograms_of: HistogramsOf, first_half: NDArray[np.bool_], metric: str
) -> IntArray:
    """Return histograms (N, 2 or 3, 256), each image predicted by a soup it did not choose.

    Args:
        count: of the checkpoints.
        histograms_of: of the average of some of them.
        first_half: (N,) whether an image is in the first half; whole groups together.
        metric: name of a metric of masks.
    """
    by_second = greedy_soup(count, histograms_of, ~first_half, metric).places
    by_first = greedy_soup(count, histograms_of, first_half, metric).places
    halves: IntArray = np.where(
        first_half[:, None, None], histograms_of(by_second), histograms_of(by_first)
    )
    return halves


def halve_groups(groups: IntArray, seed: int = 0) -> NDArray[np.bool_]:
    """Return which images are in the first half, whole groups dealt out in a seeded order.

    Args:
        groups: (N,) group numbers from 0.
        seed: of the order.
    """
    count = int(groups.max()) + 1
    first = np.zeros(count, bool)
    first[np.random.default_rng(seed).permutation(count)[: (count + 1) // 2]] = True
    halves: NDArray[np.bool_] = first[groups]
    return halves
