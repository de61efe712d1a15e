"""Averages of the weights of a training's best checkpoints, uniform or greedy ("model soups").

Source: M. Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves
accuracy without increasing inference time", ICML 2022. Here the ingredients are checkpoints of one
training, which lie close to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from goldfold.ensemble.threshold import search_rule
from goldfold.errors import InputError
from goldfold.folds.parts import names_of, refuse_judging
from goldfold.training.batchnorm import has_batchnorm, reestimate_batchnorm
from goldfold.training.device import Device

IntArray = NDArray[np.int64]
Flags = NDArray[np.bool_]
Seen = NDArray[Any]
SeenBy = Callable[[tuple[int, ...]], Seen]
"""Places of checkpoints, the best first -> what their average says of N images: histograms
(N, 2 or 3, 256) of maps, or probabilities (N, C) of classes."""
ScoreOf = Callable[[Seen, Flags], float]
"""What is said of N images, and (N,) which of them count -> their score at the best rule."""


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
        chosen_on: (N,) images that chose.
    """

    places: tuple[int, ...]
    score: float
    chosen_on: Flags


def mask_score(metric: str) -> ScoreOf:
    """Return what scores histograms of maps.

    Args:
        metric: name of a metric of masks.
    """
    return lambda histograms, chosen: search_rule(histograms[chosen], metric).score


def greedy_soup(count: int, seen_by: SeenBy, chosen: Flags, score_of: ScoreOf) -> GreedySoup:
    """Return the soup that grows as long as the score on held-out images rises.

    Begins with the best checkpoint; each next one is taken in only if the average with it scores
    more than without. A score without a meaning (NaN) takes nothing in.

    Args:
        count: of the checkpoints, the best first.
        seen_by: what an average of some of them says.
        chosen: (N,) images that decide.
        score_of: their score.
    """
    soup = GreedySoup((0,), score_of(seen_by((0,)), chosen), chosen)
    for place in range(1, count):
        larger = (*soup.places, place)
        candidate_score = score_of(seen_by(larger), chosen)
        if candidate_score > soup.score:
            soup = GreedySoup(larger, candidate_score, chosen)
    return soup


def honest_greedy(count: int, seen_by: SeenBy, first_half: Flags, score_of: ScoreOf) -> Seen:
    """Return what is said of N images, each by a soup it did not choose.

    Args:
        count: of the checkpoints.
        seen_by: what an average of some of them says.
        first_half: (N,) whether an image is in the first half; whole groups together.
        score_of: what soups are chosen by.

    Raises:
        LeakError: a soup would judge images that chose it.
    """
    of_second = greedy_soup(count, seen_by, ~first_half, score_of)
    of_first = greedy_soup(count, seen_by, first_half, score_of)
    names = names_of(None, len(first_half))
    refuse_judging("greedy averages", 1, names[of_second.chosen_on], names[first_half])
    refuse_judging("greedy averages", 2, names[of_first.chosen_on], names[~first_half])
    by_second, by_first = seen_by(of_second.places), seen_by(of_first.places)
    first = first_half.reshape(-1, *[1] * (by_first.ndim - 1))
    halves: Seen = np.where(first, by_second, by_first)
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
