"""Cut points of grades for the quadratic weighted kappa: exact, against Nelder-Mead.

    python benchmarks/cut_points.py [--rounds 5]

Numbers are simulated as a regression would give them: true grades as frequent as in the
competition, plus noise that is skewed towards the middle. Nelder-Mead starts from equidistant cuts,
as public solutions do; its kappa is computed as fast as ours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from goldfold.competitions.number_metric import KAPPA, number_score
from goldfold.ensemble.cut_points import best_cuts, to_grades

FloatArray = NDArray[np.float64]
SETS = {
    "APTOS 2019": (3_662, (0.493, 0.101, 0.273, 0.053, 0.080)),
    "PANDA": (10_616, (0.272, 0.251, 0.127, 0.117, 0.118, 0.115)),
}
"""Images, and shares of the grades."""
NOISE = (0.10, 0.15, 0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="timings; their median counts")
    rounds = parser.parse_args().rounds
    print("set | images | noise | kappa exact | kappa Nelder-Mead | ms exact | ms N-M | time ratio")
    for name, (count, shares) in SETS.items():
        for noise in NOISE:
            truth, place = simulated(count, shares, noise)
            grades = len(shares)
            exact = best_cuts(truth, place, KAPPA, grades)
            local = nelder_mead(truth, place, grades)
            ours, theirs = (
                number_score(KAPPA, truth.astype(float), to_grades(place, cuts))
                for cuts in (exact, local)
            )
            assert ours >= theirs - 1e-12, "the exact search lost"
            fast = milliseconds(
                lambda t=truth, p=place, g=grades: best_cuts(t, p, KAPPA, g), rounds
            )
            slow = milliseconds(lambda t=truth, p=place, g=grades: nelder_mead(t, p, g), rounds)
            print(f"{name} | {count:,} | {noise:.2f} | {ours:.5f} | {theirs:.5f} | {fast:.1f} | "
                  f"{slow:.0f} | {slow / fast:.0f}")  # fmt: skip


def simulated(
    count: int, shares: tuple[float, ...], noise: float
) -> tuple[NDArray[np.int64], FloatArray]:
    """Return true grades and predicted places from 0 to 1."""
    rng = np.random.default_rng(0)
    truth = rng.choice(len(shares), count, p=np.array(shares) / sum(shares))
    place = (truth + 0.5) / len(shares)
    shrunk = 0.5 + 0.8 * (place - 0.5) + rng.normal(0, noise, count)
    return truth, np.clip(shrunk, 0, 1)


def nelder_mead(truth: NDArray[np.int64], place: FloatArray, grades: int) -> FloatArray:
    """Return the cuts that Nelder-Mead finds from equidistant ones."""
    known = truth.astype(float)

    def loss(cuts: FloatArray) -> float:
        return -number_score(KAPPA, known, to_grades(place, np.sort(cuts)))

    found = minimize(loss, np.arange(1, grades) / grades, method="nelder-mead")
    return np.sort(found.x)


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - begun))
    return float(np.median(times))


if __name__ == "__main__":
    main()
