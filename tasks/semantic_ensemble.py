"""Blend and least areas of classes of pixels, chosen and judged on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import training_images
from goldfold.competitions.scores import gather
from goldfold.ensemble.class_map_rule import (
    choose_areas,
    class_scores,
    count_classes,
    count_pixels,
    most_likely,
)
from goldfold.ensemble.intervals import group_interval
from goldfold.files import write_text
from goldfold.folds.parts import refuse_judging
from goldfold.tasks.true_class_maps import TrueClasses

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goldfold.competitions.scores import Scores
    from goldfold.ensemble.blend import Blend, Member
    from goldfold.ensemble.class_map_rule import ClassCounts
    from goldfold.ensemble.class_map_weights import SampledPixels
    from goldfold.tasks.run_view import MemberSource, RunView, Split

    IntArray = NDArray[np.int64]

FORMAT = 1


def open_class_blend(
    run: RunView, members: Sequence[Member], split: Split, merge: str | None = None
) -> Blend:
    """Return a blend of members, on the scale of the settings unless another is given."""
    from goldfold.ensemble.blend import Blend
    from goldfold.ensemble.probability_scale import make_scale

    merge = merge or run.settings.ensemble.merge
    scales = None if merge == "mean" else {member.name: make_scale(merge) for member in members}
    partial = split == "out-of-fold" and run.settings.inference.allow_missing_folds
    return Blend(members, split, partial=partial, scales=scales)


def unstack(levels: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """Return the maps of all classes, uint8 (C, H, W), from a record that stacks them."""
    return levels.reshape(classes, -1, levels.shape[1])


class ClassBlender:
    """Out-of-fold maps of a run's members, blended in any way, and the true classes."""

    def __init__(self, run: RunView, members: Sequence[Member]) -> None:
        """Take the images that all members have predicted."""
        self.run, self.members = run, list(members)
        self.form, self.settings = run.settings.competition, run.settings.ensemble
        self.true = TrueClasses(self.form, training_images(run.images))
        self.image_ids = open_class_blend(run, self.members, "out-of-fold").image_ids
        self.parts = run.fold_view.parts(self.image_ids, self.settings.seed)

    def counts(self, members: Sequence[Member]) -> ClassCounts:
        """Return the pixels of every image by most likely, second most likely and true class."""
        from concurrent.futures import ThreadPoolExecutor

        blend, classes = open_class_blend(self.run, members, "out-of-fold"), len(self.form.classes)

        def count(image_id: str) -> tuple[IntArray, IntArray]:
            first, second = most_likely(unstack(blend.read(image_id), classes))
            return count_pixels(first, second, self.true.read(image_id), classes)

        counts = []
        with (
            self.run.progress.task("blend", len(self.image_ids)) as task,
            ThreadPoolExecutor(max(1, self.run.workers), thread_name_prefix="blend") as pool,
        ):
            for of_image in pool.map(count, self.image_ids):
                counts.append(of_image)
                task.advance()
        return count_classes(counts)

    def sample(self) -> tuple[IntArray, SampledPixels]:
        """Return the places of at most `MOST_IMAGES` images, rising, and pixels of them."""
        from dataclasses import replace

        import numpy as np

        from goldfold.ensemble.class_map_weights import MOST_IMAGES, sample_pixels

        order = np.random.default_rng(self.settings.seed).permutation(len(self.image_ids))
        places = np.sort(order[:MOST_IMAGES])
        alone = [
            open_class_blend(self.run, [replace(member, weight=1)], "out-of-fold", "mean")
            for member in self.members
        ]
        classes = len(self.form.classes)
        pixels = sample_pixels(
            lambda image_id: [unstack(blend.read(image_id), classes) for blend in alone],
            self.true.read,
            [self.image_ids[place] for place in places],
        )
        return places, pixels

    def weigh(self) -> tuple[list[Member], dict[int, tuple[list[Member], NDArray[np.str_]]]]:
        """Return the members with their weights.

        Where weights are searched for, there are also, by part, the members with weights that were
        chosen without it, and the ids of the images that chose them.
        """
        from dataclasses import replace

        import numpy as np

        from goldfold.ensemble.class_map_weights import ClassMapObjective
        from goldfold.ensemble.weights import choose_weights

        way, merge = self.settings.weights, self.settings.merge
        if not isinstance(way, str) or way == "equal" or len(self.members) == 1:
            return self.members, {}
        places, pixels = self.sample()

        def weighed(objective: ClassMapObjective) -> list[Member]:
            pairs = zip(self.members, choose_weights(way, objective), strict=True)
            return [replace(member, weight=weight) for member, weight in pairs]

        without = {}
        for part in np.unique(self.parts):
            inside = pixels.of(self.parts[places] != part)
            objective = ClassMapObjective(inside, merge, self.form.metric)
            without[int(part)] = weighed(objective), objective.image_ids
        return weighed(ClassMapObjective(pixels, merge, self.form.metric)), without


@dataclass(frozen=True)
class AssessedClasses:
    """What was chosen, and what to expect of it.

    Attributes:
        least_areas: (C,) in pixels, chosen on all images.
        scores: (N,) honest score of each image, as `class_scores`.
        optimistic: score with what was chosen on the same images.
        all_empty: score of background everywhere.
        confusion: by part, (C, C) pixels by true and honestly decided class.
    """

    least_areas: IntArray
    scores: Scores
    optimistic: float
    all_empty: float
    confusion: dict[int, IntArray]


def cross_fit_areas(
    counts: ClassCounts,
    parts: IntArray,
    metric: str,
    image_ids: Sequence[str],
    without: Mapping[int, tuple[ClassCounts, Sequence[str]]] | None = None,
) -> AssessedClasses:
    """Return the least areas chosen on all images, and scores under areas chosen on the others.

    Args:
        counts: of the N images.
        parts: (N,) part of each image.
        metric: name of a metric of pixel counts.
        image_ids: N ids.
        without: by part, the counts of a blend whose weights were chosen without it, and the ids
            of the images that chose them.

    Raises:
        LeakError: weights or areas would judge an image that chose them.
    """
    import numpy as np

    ids, pieces, confusion = np.array(image_ids, np.str_), [], {}
    for part in np.unique(parts).tolist():
        here = parts == part
        judged, chosen_on = (without or {}).get(part, (counts, ()))
        refuse_judging("least areas", part, {*ids[~here], *chosen_on}, ids[here])
        areas = choose_areas(judged.of(~here), metric)
        pieces.append((here, judged.of(here).scores(metric, areas)))
        confusion[part] = judged.of(here).confusion(areas)
    least_areas = choose_areas(counts, metric)
    empty = counts.pixels(least_areas)
    empty[:, :2, 1:] = 0
    return AssessedClasses(
        least_areas,
        gather(pieces),
        float(counts.scores(metric, least_areas).mean()),
        float(class_scores(metric, empty).mean()),
        confusion,
    )


def measures_of(confusion: IntArray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return Dice, IoU, precision and recall of each class over all pixels, as JSON values.

    Args:
        confusion: (C, C) pixels by true class (rows) and decided class.
        classes: their names.
    """
    import numpy as np

    from goldfold.ensemble.overlap import MEASURES, overlap

    predicted, true = confusion.sum(axis=0), confusion.sum(axis=1)
    ratios = overlap(np.diag(confusion), predicted, true)
    return [
        {
            "class": name,
            **{measure: float(ratios[measure][place]) for measure in MEASURES},
            "true_px": int(true[place]),
            "predicted_px": int(predicted[place]),
        }
        for place, name in enumerate(classes)
    ]


def assess_semantic(
    run: RunView, source: MemberSource, made_from: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of ensemble.json; metrics.csv is written."""
    import numpy as np
    import pandas as pd

    from goldfold.ensemble.blend import close_members

    form = run.settings.competition
    members = source.open("out-of-fold")
    try:
        blender = ClassBlender(run, members)
        weighed, chosen = blender.weigh()
        made: dict[tuple[int, ...], ClassCounts] = {}

        def counts(of: Sequence[Member]) -> ClassCounts:
            key = tuple(member.weight for member in of)
            if key not in made:
                made[key] = blender.counts(of)
            return made[key]

        without = {part: (counts(of), ids.tolist()) for part, (of, ids) in chosen.items()}
        assessed = cross_fit_areas(
            counts(weighed), blender.parts, form.metric, blender.image_ids, without
        )
    finally:
        close_members(members)
    whole = np.sum(list(assessed.confusion.values()), axis=0)
    tables = {**{str(part): table for part, table in assessed.confusion.items()}, "all": whole}
    rows = [
        {"fold": name, **row}
        for name, table in tables.items()
        for row in measures_of(table, form.classes)
    ]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6g")
    write_text(run.directory.metrics, text)
    measures = measures_of(whole, form.classes)
    return _report(run, blender, weighed, assessed, measures, made_from)


def _report(
    run: RunView,
    blender: ClassBlender,
    members: Sequence[Member],
    assessed: AssessedClasses,
    measures: list[dict[str, Any]],
    made_from: Mapping[str, Any],
) -> dict[str, Any]:
    from dataclasses import asdict

    import numpy as np

    settings, form, ids = run.settings.ensemble, run.settings.competition, blender.image_ids
    one_fold = np.unique(run.fold_view.folds_of(ids)).size == 1
    interval = group_interval(
        assessed.scores,
        run.fold_view.group_numbers(ids),
        samples=settings.bootstrap_samples,
        seed=settings.seed,
    )
    parts = [
        {
            "part" if one_fold else "fold": int(part),
            "images": int((blender.parts == part).sum()),
            "score": float(assessed.scores[blender.parts == part].mean()),
        }
        for part in np.unique(blender.parts)
    ]
    return {
        "format": FORMAT,
        "metric": form.metric,
        "merge": settings.merge,
        "weights": settings.weights if isinstance(settings.weights, str) else "given",
        "members": [{"name": member.name, "weight": member.weight} for member in members],
        "least_areas": dict(zip(form.classes, assessed.least_areas.tolist(), strict=True)),
        "honest": {
            "score": float(assessed.scores.mean()),
            "chosen_on": "the other parts of the only fold" if one_fold else "the other folds",
            "interval": asdict(interval),
            "parts" if one_fold else "folds": parts,
        },
        "optimistic": assessed.optimistic,
        "all_empty": assessed.all_empty,
        "measures": measures,
        "images": {"all": len(ids)},
        "made_from": dict(made_from),
    }
