"""The splitter for several labels: every count of every group is spread evenly at once.

Each group is a row of counts: images, images of each label, images of each area quantile. Groups
are placed greedily, those with most of the rare counts first; then groups are moved, or exchanged
between two folds, as long as that makes the folds more even (local search).

The cost is the sum over folds and counts of `weight * (folds * load - total)^2`. Weights and counts
are whole numbers small enough for float64 to hold every sum exactly, so products of matrices give
the same on every machine, whatever the order of their additions.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_EXACT = 2.0**50  # sums of costs stay below it, far enough from 2^53
_LACKING = 2.0**52  # cost of a fold without a count that it could have; above any other change
_CANDIDATES = 1000  # kinds of groups per fold that are compared in one step
_ROUNDS = 60  # over all pairs of folds; a handful is usual
_SMALL = 500  # up to so many groups the search starts several times
_STARTS = 8
_FEW = 30  # up to so many groups it also starts from orders that ignore how heavy groups are
_STARTS_FEW = 24
_STARTS_LACKING = 60  # until no fold lacks a count that it could have


def spread_groups(counts: IntArray, folds: int, shares: FloatArray | None = None) -> IntArray:
    """Return the fold, 0 to `folds` - 1, of each group.

    Every fold gets some of each count that at least `folds` groups have, where the search finds
    such a split. Ties are broken by the order of the rows: pass the groups in the order of
    `group_order`.

    Args:
        counts: (G, F) counts of each group, 0 or more; the first is that of its images.
        folds: number of folds, at most G.
        shares: (F,) importance of an even spread of each count; all equal unless given.
    """
    weights: FloatArray = _weights(
        counts, folds, np.ones(counts.shape[1]) if shares is None else shares
    )
    best, lowest = None, (np.inf, np.inf)
    starts = 1 if len(counts) > _SMALL else _STARTS if len(counts) > _FEW else _STARTS_FEW
    for start in range(_STARTS_LACKING):
        state = _State.placed(_start_order(counts, weights, start), counts, weights, folds)
        _search(state)
        if state.cost() < lowest:
            best, lowest = state.fold, state.cost()
        if lowest == (0, 0) or (lowest[0] == 0 and start + 1 >= starts):
            break
    assert best is not None  # the first start is below infinity
    return best


def largest_deviation(counts: IntArray, fold: IntArray, folds: int) -> FloatArray:
    """Return how far each count is from its ideal share in the worst fold, (F,).

    A deviation is a fraction of the ideal share, which is the total divided by the number of folds;
    0.03 is 3 %. A count whose total is 0 deviates by 0.

    >>> largest_deviation(np.array([[1, 4], [1, 8]]), np.array([0, 1]), 2).round(2).tolist()
    [0.0, 0.33]

    Args:
        counts: (G, F) counts of each group (or image).
        fold: (G,) fold of each, from 0.
        folds: number of folds.
    """
    loads = np.zeros((folds, counts.shape[1]))
    np.add.at(loads, fold, counts)
    share = loads.sum(axis=0) / folds
    deviation: FloatArray = np.abs(loads - share).max(axis=0) / np.where(share > 0, share, 1)
    return deviation


def _start_order(counts: IntArray, weights: FloatArray, start: int) -> IntArray:
    """Return the order (G,) in which groups are placed: the heaviest first, or any order of few."""
    if start >= _STARTS and len(counts) <= _FEW:
        return np.random.default_rng(start).permutation(len(counts))
    order = np.roll(np.arange(len(counts)), start)
    heaviness = (counts.astype(np.float64) ** 2) @ weights
    return order[np.argsort(-heaviness[order], kind="stable")]


def _weights(counts: IntArray, folds: int, shares: FloatArray) -> FloatArray:
    """Return whole weights (F,) with which a relative deviation costs the same in each count."""
    totals = np.maximum(counts.sum(axis=0), 1).astype(np.float64)
    scale = _EXACT / (4 * folds**2 * max(shares.sum(), 1))
    weights: FloatArray = np.maximum(np.floor(scale * shares / totals**2), 1)
    return weights


@dataclass
class _State:
    """The fold of each group, and how far each fold is from its share."""

    counts: FloatArray  # (G, F)
    weights: FloatArray  # (F,)
    kind: IntArray  # (G,) groups with equal counts are of one kind
    required: NDArray[np.bool_]  # (F,) counts that at least as many groups have as there are folds
    fold: IntArray  # (G,)
    load: FloatArray  # (K, F)
    total: FloatArray  # (F,)

    @classmethod
    def placed(cls, order: IntArray, counts: IntArray, weights: FloatArray, folds: int) -> _State:
        """Return the state in which each group is placed, in turn, where it costs least.

        Args:
            order: (G,) in which the groups are placed.
            counts: (G, F).
            weights: (F,).
            folds: number of folds.
        """
        state = cls(
            counts=counts.astype(np.float64),
            weights=weights,
            kind=np.unique(counts, axis=0, return_inverse=True)[1].reshape(-1),
            required=(counts > 0).sum(axis=0) >= folds,
            fold=np.full(len(counts), -1, np.int64),
            load=np.zeros((folds, counts.shape[1])),
            total=counts.sum(axis=0).astype(np.float64),
        )
        for group in order.tolist():
            state.put(group, state.best_fold(group))
        return state

    @property
    def folds(self) -> int:
        return len(self.load)

    def put(self, group: int, fold: int) -> None:
        """Put a group into a fold, and remove it from the fold it was in."""
        if self.fold[group] >= 0:
            self.load[self.fold[group]] -= self.counts[group]
        self.load[fold] += self.counts[group]
        self.fold[group] = fold

    def best_fold(self, group: int) -> int:
        """Return the fold to which adding the group costs least; those that lack it come first."""
        own = self.counts[group]
        cost = (self.folds * self.load - self.total) @ (self.weights * own)
        lacked = ((self.load == 0) & (own > 0) & self.required).sum(axis=1)
        cost[lacked < lacked.max()] = np.inf
        return int(np.argmin(cost))

    def cost(self) -> tuple[float, float]:
        """Return how many counts are lacking in some fold that could be there, and the cost."""
        excess = self.folds * self.load - self.total
        lacking = float(((self.load == 0) & self.required).sum())
        return lacking, float((excess**2 @ self.weights).sum())

    def candidates(self, fold: int, turn: int) -> IntArray:
        """Return one group of each kind in a fold; of many kinds some, others in each turn."""
        members = np.flatnonzero(self.fold == fold)
        first = np.sort(members[np.unique(self.kind[members], return_index=True)[1]])
        if len(first) <= _CANDIDATES:
            return first
        return np.roll(first, -turn * _CANDIDATES)[:_CANDIDATES]


def _search(state: _State) -> None:
    """Move and exchange groups until no pair of folds becomes more even by it."""
    for turn in range(_ROUNDS):
        changed = [_even_out(state, a, b, turn) for a, b in combinations(range(state.folds), 2)]
        if not any(changed):
            return


def _even_out(state: _State, a: int, b: int, turn: int) -> bool:
    """Move and exchange groups of two folds; return whether anything changed."""
    none = np.zeros((1, state.counts.shape[1]))
    from_a, from_b = (np.append(-1, state.candidates(fold, turn)) for fold in (a, b))
    x = np.vstack([none, state.counts[from_a[1:]]])
    y = np.vstack([none, state.counts[from_b[1:]]])
    gain = _gains(state, a, b, x, y)
    best = np.argmax(gain, axis=1)
    order = np.argsort(-gain[np.arange(len(best)), best], kind="stable")
    used: set[int] = set()
    changed = False
    for row in order.tolist():
        given, taken = int(from_a[row]), int(from_b[best[row]])
        if gain[row, best[row]] <= 0:
            break
        if {given, taken} & used:
            continue
        # Earlier exchanges of this loop changed the folds, so the gain is computed again.
        if changed and _gains(state, a, b, x[[row]], y[[best[row]]])[0, 0] <= 0:
            continue
        for group, fold in ((given, b), (taken, a)):
            if group >= 0:
                state.put(group, fold)
                used.add(group)
        changed = True
    return changed


def _gains(state: _State, a: int, b: int, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return by how much the cost falls if fold `a` gives x and takes y, (X, Y).

    With z = x - y and the excesses A and B the cost falls by 2 K (sum(w z (A - B)) - K sum(w z^2));
    the gain is the term in the outer brackets.

    Args:
        state: the folds.
        a: a fold.
        b: another fold.
        x: (X, F) counts of groups of fold a.
        y: (Y, F) counts of groups of fold b.
    """
    weights, folds = state.weights, state.folds
    pull = weights * folds * (state.load[a] - state.load[b])
    squares = (x**2 @ weights)[:, None] + (y**2 @ weights)[None, :] - 2 * ((x * weights) @ y.T)
    gain: FloatArray = (x @ pull)[:, None] - (y @ pull)[None, :] - folds * squares
    load_a, load_b = state.load[a], state.load[b]
    near_zero = (load_a <= x.max(axis=0)) | (load_b <= y.max(axis=0))
    for count in np.flatnonzero(state.required & near_zero).tolist():
        moved = x[:, count][:, None] - y[:, count][None, :]
        lacking = (moved >= load_a[count]).astype(np.float64) + (-moved >= load_b[count])
        before = float(load_a[count] == 0) + float(load_b[count] == 0)
        gain -= _LACKING * (lacking - before)
    return gain
