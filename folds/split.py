"""The splitter: assigns whole groups to folds so that every count is spread evenly.

Each group is a row of counts (images, non-empty images, images of each area stratum). Groups are
placed greedily, heaviest first, each where it reduces the unevenness most; then single groups are
exchanged between folds, or moved, as long as that makes the folds more even.

The cost is the sum over folds and counts of `weight * (folds * load - total)^2`, computed in whole
numbers throughout, so the same input gives the same folds on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

_SCALE = 1 << 48  # of the weights; with 20 folds and 22 counts, costs stay below 2^63
_CANDIDATES = 192  # kinds of groups per fold that are tried in an exchange, smallest first
_EXCHANGES = 400  # an upper bound; more were never needed


def group_order(keys: Sequence[str], seed: int) -> IntArray:
    """Return the indices of the groups in an order drawn from the seed.

    The order depends on a hash of the seed and each key, so neither on the order of the rows nor on
    the version of a library.
    """
    digests = [hashlib.sha256(f"{seed}\n{key}".encode()).digest() for key in keys]
    return np.array(sorted(range(len(keys)), key=digests.__getitem__), dtype=np.int64)


def balance_weights(totals: IntArray, shares: IntArray) -> IntArray:
    """Return integer weights with which a relative deviation costs the same in each count.

    Args:
        totals: (F,) sum of each count over all groups.
        shares: (F,) divisor of each weight, e.g. the number of strata for each stratum.
    """
    return np.where(totals > 0, _SCALE // (np.maximum(totals, 1) ** 2 * shares), 0)


def split_groups(counts: IntArray, weights: IntArray, folds: int, required: int) -> IntArray:
    """Return the fold, 0 to `folds` - 1, of each group.

    Ties are broken by the order of the rows: pass the groups in the order of `group_order`.
    Every fold gets a group with the required count if at least `folds` groups have one.

    Args:
        counts: (G, F) counts of each group, 0 or more.
        weights: (F,) cost of an uneven spread of each count (`balance_weights`).
        folds: number of folds, at most G.
        required: column of `counts` that must not be 0 in any fold.
    """
    state = _State.empty(counts, weights, folds, required)
    load_first = np.argsort(-(counts**2 @ weights), kind="stable")
    for group in load_first.tolist():
        state.place(group, _best_fold(state, group))
    for _ in range(_EXCHANGES):
        if not _improve(state):
            break
    return state.fold


@dataclass
class _State:
    """The fold of each group, and how far each fold is from its share."""

    counts: IntArray  # (G, F)
    weights: IntArray  # (F,)
    required: int
    kinds: IntArray  # (P, F) unique rows of counts; the first is all zero and means no group
    kind: IntArray  # (G,) row of `kinds` that a group has
    fold: IntArray  # (G,) -1 = not placed
    excess: IntArray  # (K, F) folds * load - total
    lacking: NDArray[np.bool_]  # (K,) folds without any of the required count
    members: IntArray  # (K, P) number of groups of each kind in each fold

    @classmethod
    def empty(cls, counts: IntArray, weights: IntArray, folds: int, required: int) -> _State:
        """Return the state in which no group is placed."""
        with_none = np.vstack([np.zeros((1, counts.shape[1]), dtype=np.int64), counts])
        kinds, inverse = np.unique(with_none, axis=0, return_inverse=True)
        return cls(
            counts=counts,
            weights=weights,
            required=required,
            kinds=kinds,
            kind=inverse.reshape(-1)[1:],
            fold=np.full(len(counts), -1, dtype=np.int64),
            excess=np.tile(-counts.sum(axis=0), (folds, 1)),
            lacking=np.ones(folds, dtype=np.bool_),
            members=np.zeros((folds, len(kinds)), dtype=np.int64),
        )

    @property
    def folds(self) -> int:
        """Return the number of folds."""
        return len(self.excess)

    def place(self, group: int, fold: int) -> None:
        """Put a group into a fold, and remove it from the fold it was in."""
        before, change = int(self.fold[group]), self.folds * self.counts[group]
        if before >= 0:
            self.excess[before] -= change
            self.members[before, self.kind[group]] -= 1
        self.excess[fold] += change
        self.members[fold, self.kind[group]] += 1
        self.fold[group] = fold
        self.lacking[fold] &= self.counts[group, self.required] == 0

    def load(self, fold: int) -> int:
        """Return the required count of a fold."""
        total = int(self.counts[:, self.required].sum())
        return (int(self.excess[fold, self.required]) + total) // self.folds


def _best_fold(state: _State, group: int) -> int:
    """Return the fold to which adding the group costs least.

    The cost of adding x to a fold with excess D is sum(w (2 K x D + K^2 x^2)); only sum(w x D)
    depends on the fold. Folds that lack the required count take precedence.
    """
    cost = state.excess @ (state.weights * state.counts[group])
    if state.counts[group, state.required] > 0 and state.lacking.any():
        cost[~state.lacking] = np.iinfo(np.int64).max
    return int(np.argmin(cost))


class _Exchange(NamedTuple):
    """The kind of group that fold `a` gives and the kind it takes; kind 0 is no group (a move)."""

    gain: int
    a: int
    b: int
    give: int
    take: int


def _improve(state: _State) -> bool:
    """Make the best exchange of the least even fold that has one; return whether one was made."""
    unevenness = state.excess**2 @ state.weights
    for fold in np.argsort(-unevenness, kind="stable").tolist():
        others = [other for other in range(state.folds) if other != fold]
        best = max((_best_exchange(state, fold, other) for other in others), key=lambda x: x.gain)
        if best.gain > 0:
            given_group = _member(state, best.a, best.give)
            taken_group = _member(state, best.b, best.take)
            if given_group is not None:
                state.place(given_group, best.b)
            if taken_group is not None:
                state.place(taken_group, best.a)
            return True
    return False


def _member(state: _State, fold: int, kind: int) -> int | None:
    """Return the first group of a kind in a fold, None for kind 0."""
    if kind == 0:
        return None
    return int(np.argmax((state.fold == fold) & (state.kind == kind)))


def _best_exchange(state: _State, a: int, b: int) -> _Exchange:
    """Return the exchange between two folds that lowers the cost most.

    Giving x and taking y moves z = x - y from a to b. With excesses A and B the cost falls by
    2 K (sum(w z (A - B)) - K sum(w z^2)); the gain is the term in the outer brackets.
    """
    from_a, from_b = _candidates(state, a), _candidates(state, b)
    x, y = state.kinds[from_a], state.kinds[from_b]
    pull = state.weights * (state.excess[a] - state.excess[b])
    squares = (x**2 @ state.weights)[:, None] + (y**2 @ state.weights)[None, :]
    squares -= 2 * ((x * state.weights) @ y.T)
    gain = (x @ pull)[:, None] - (y @ pull)[None, :] - state.folds * squares
    moved = x[:, state.required][:, None] - y[:, state.required][None, :]
    gain[(state.load(a) - moved <= 0) | (state.load(b) + moved <= 0)] = np.iinfo(np.int64).min
    give, take = divmod(int(np.argmax(gain)), gain.shape[1])
    return _Exchange(int(gain[give, take]), a, b, int(from_a[give]), int(from_b[take]))


def _candidates(state: _State, fold: int) -> IntArray:
    """Return the kinds that a fold can give: kind 0, then at most `_CANDIDATES` others."""
    return np.append(0, np.flatnonzero(state.members[fold])[:_CANDIDATES])
