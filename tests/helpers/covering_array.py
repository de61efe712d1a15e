"""Covering arrays: few rows in which any two values of any two factors meet.

Source: Cohen, Dalal, Fredman, Patton 1997, The AETG System (a greedy search, row by row).
"""

import random
from itertools import combinations, product

CANDIDATES = 12
"""Rows that are tried for each row that is taken."""


def covering_array(factors, allowed=lambda row: True, seed=0):
    """Return rows, {factor: value}, in which every pair of values that may meet does.

    Args:
        factors: the values of each factor by its name, the preferred one first.
        allowed: whether a row, or the part of one that is chosen so far, may be.
        seed: of the orders in which values are chosen.
    """
    draws, names = random.Random(seed), list(factors)
    missing = pairs_that_may_meet(factors, allowed)
    rows = []
    while missing:
        candidates = [_row(factors, names, missing, allowed, draws) for _ in range(CANDIDATES)]
        best = max(candidates, key=lambda places: len(_pairs(places) & missing))
        missing -= _pairs(best)
        rows.append({name: factors[name][best[name]] for name in names})
    return rows


def pairs_that_may_meet(factors, allowed=lambda row: True):
    """Return {((factor, place), (factor, place))}, each pair in the order of the factors."""
    return {
        ((one, here), (other, there))
        for one, other in combinations(factors, 2)
        for here, there in product(range(len(factors[one])), range(len(factors[other])))
        if allowed({one: factors[one][here], other: factors[other][there]})
    }


def _pairs(places):
    return set(combinations(places.items(), 2))


def _row(factors, names, missing, allowed, draws):
    """Return {factor: place}: begun with a missing pair, each next value meets most new ones."""
    pair = draws.choice(sorted(missing))
    chosen = dict(pair)
    rest = [name for name in names if name not in chosen]
    draws.shuffle(rest)
    for name in rest:
        values = {known: factors[known][place] for known, place in chosen.items()}
        possible = [
            place for place, value in enumerate(factors[name]) if allowed({**values, name: value})
        ]
        new = {place: _new_pairs(name, place, chosen, names, missing) for place in possible}
        chosen[name] = max(possible, key=lambda place: (new[place], -place))
    return {name: chosen[name] for name in names}


def _new_pairs(name, place, chosen, names, missing):
    here = names.index(name)
    return sum(
        (
            ((other, there), (name, place))
            if names.index(other) < here
            else ((name, place), (other, there))
        )
        in missing
        for other, there in chosen.items()
    )
