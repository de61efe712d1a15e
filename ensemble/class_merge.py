"""Blends of class probabilities: weighted means of probabilities, logarithms, logits or ranks."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_metric import CLIP
from goldfold.errors import InputError, did_you_mean
from goldfold.vocabulary import MemberMerge, names_of

FloatArray = NDArray[np.float64]

MERGES = names_of(MemberMerge)
"""Names of the ways to merge, those of masks."""
MOST_REFERENCES = 1001
"""Rows of a member's out-of-fold probabilities that an exported model keeps to count ranks in."""


def merge_probabilities(
    members: Sequence[FloatArray],
    weights: Sequence[int],
    merge: str,
    *,
    exclusive: bool,
    references: Sequence[FloatArray] | None = None,
) -> FloatArray:
    """Return the weighted mean of members' probabilities, float64 (N, C).

    The plain mean is not scaled to a sum of one: members' rows sum to one up to float32 rounding,
    and equal members blend to themselves, to the last bit.

    Args:
        members: M arrays (N, C); where classes are exclusive, each row sums to one.
        weights: (M,) whole numbers.
        merge: `mean`, `geometric`, `logit`, or `rank`: a probability counts as the share of the
            reference's images that lie below it.
        exclusive: exactly one class an image: other merges are scaled to a sum of one.
        references: for ranks, each member's out-of-fold probabilities.
    """
    members = [np.asarray(member, np.float64) for member in members]
    held = [np.clip(member, CLIP, 1 - CLIP) for member in members]
    match merge:
        case "mean":
            merged = _mean(members, weights)
        case "geometric":
            merged = np.exp(_mean([np.log(probability) for probability in held], weights))
        case "logit":
            logits = [np.log(probability) - np.log1p(-probability) for probability in held]
            merged = 1 / (1 + np.exp(-_mean(logits, weights)))
        case "rank":
            merged = _mean_rank(members, members if references is None else references, weights)
        case _:
            hint = did_you_mean(merge, MERGES)
            raise InputError(f"unknown merge {merge!r}; there are {', '.join(MERGES)}.{hint}")
    if exclusive and merge != "mean":
        merged = merged / np.maximum(merged.sum(axis=1, keepdims=True), CLIP)
    return merged


def rank_reference(table: FloatArray) -> FloatArray:
    """Return what an exported model counts ranks in, float64 (Q, C), each column rising.

    Of few images these are their probabilities themselves, so that ranks are those of the run; of
    more, `MOST_REFERENCES` quantiles.

    Args:
        table: out-of-fold probabilities of a member, (N, C).
    """
    if 2 <= len(table) <= MOST_REFERENCES:
        return np.sort(np.asarray(table, np.float64), axis=0)
    shares = np.linspace(0, 1, MOST_REFERENCES)
    return np.asarray(np.quantile(table, shares, axis=0), np.float64)


def _mean(values: Sequence[FloatArray], weights: Sequence[int]) -> FloatArray:
    """Return the weighted mean, divided once: multiples of float32 add up exactly, ties stay."""
    total = sum(w * value for w, value in zip(weights, values, strict=True))
    return np.asarray(total / sum(weights), np.float64)


def _mean_rank(
    members: Sequence[FloatArray], references: Sequence[FloatArray], weights: Sequence[int]
) -> FloatArray:
    """Return the mean share of the references that lies below each value, ties counting half.

    Counts are added as whole numbers and divided once, so that equal mean ranks are equal numbers.
    """
    whole = lcm(*(len(own) for own in references))
    shares = [w * (whole // len(own)) for w, own in zip(weights, references, strict=True)]
    counts = [_twice_below(member, own) for member, own in zip(members, references, strict=True)]
    total = sum(share * below for share, below in zip(shares, counts, strict=True))
    return np.asarray(total / (2 * whole * sum(weights)), np.float64)


def _twice_below(probability: FloatArray, reference: FloatArray) -> FloatArray:
    """Return twice how many of the reference lie below each value, and once those equal to it."""
    counts = np.empty_like(probability)
    for place in range(probability.shape[1]):
        ordered = np.sort(reference[:, place])
        below = np.searchsorted(ordered, probability[:, place], side="left")
        upto = np.searchsorted(ordered, probability[:, place], side="right")
        counts[:, place] = below + upto
    return counts
