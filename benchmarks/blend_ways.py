"""Ways to blend class probabilities: is the honest score what unseen images give?

Two members see the same truth with different noise. One is too sure of itself, the other too shy
and shifted. Each way is chosen and judged on the training images, then scored on unseen ones.
Beside the honest score stands the optimistic one, of the images that the way was chosen on.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import expit

from goldfold.ensemble.blend_ways import blend_ways
from goldfold.ensemble.class_blend import ClassBlends, assess_class_probabilities
from goldfold.ensemble.class_merge import MERGES
from goldfold.ensemble.class_truth import Truth

FOLDS = 5
UNSEEN = 20_000


def simulate(count: int, metric: str, rng: np.random.Generator) -> tuple[list[np.ndarray], Truth]:
    """Return what two members say of images, (N, 1) each, and the truth."""
    signal = rng.normal(-1, 1.5, count)
    targets = (rng.random(count) < expit(signal)).astype(np.uint8)
    sure = expit(3.0 * (signal + rng.normal(0, 0.7, count)))
    shy = expit(0.3 * (signal + rng.normal(0, 1.0, count)) + 1.0)
    return [sure[:, None], shy[:, None]], Truth(targets[:, None], ("a",), False, metric, (1.0,))


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--metric", default="neg-log-loss", choices=["neg-log-loss", "auroc"])
    arguments = parser.parse_args()
    ways = blend_ways(2, MERGES, ("equal", "hill-climb"), calibrate_alone=True)
    scores = np.zeros((len(ways), arguments.seeds, 3))
    for seed in range(arguments.seeds):
        rng = np.random.default_rng(seed)
        members, truth = simulate(arguments.images, arguments.metric, rng)
        unseen, unseen_truth = simulate(UNSEEN, arguments.metric, rng)
        parts = np.arange(arguments.images) % FOLDS
        for place, way in enumerate(ways):
            options = {"merge": way.merge, "weights": way.weights, "calibration": way.calibration}
            found = assess_class_probabilities(members, truth, parts, **options)
            blends = ClassBlends(members, truth, **options)
            blend = blends.chosen_on(np.ones(len(parts), bool)).blend
            references = members if way.merge == "rank" else None
            private = unseen_truth.reported_score(blend(unseen, references), found.thresholds)
            scores[place, seed] = found.honest, found.optimistic, private
    print(f"{arguments.images} images, {arguments.seeds} seeds, {arguments.metric}")
    print("| merge | weights by | calibration | honest | optimistic | unseen images |")
    print("|---|---|---|---:|---:|---:|")
    for way, mean in zip(ways, scores.mean(axis=1), strict=True):
        cells = " | ".join(f"{score:.4f}" for score in mean)
        print(f"| {way.merge} | {way.weights} | {way.calibration} | {cells} |")
    means = scores.mean(axis=1)
    for place, name in enumerate(("honest", "optimistic")):
        error = np.abs(means[:, place] - means[:, 2]).mean()
        chosen = scores[:, :, place].argmax(axis=0)
        picked = scores[chosen, np.arange(arguments.seeds), 2].mean()
        print(f"{name}: mean distance to unseen {error:.4f}; the way it picks gives {picked:.4f}")


if __name__ == "__main__":
    main()
