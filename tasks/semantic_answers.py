"""Answers about images with one class per pixel: submission, explanation, and their texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import training_images
from goldfold.competitions.rle import get_dialect
from goldfold.ensemble.class_map_rule import class_scores, most_likely, pixels_of_map
from goldfold.errors import InputError, list_problems
from goldfold.tasks.results import Explanation
from goldfold.tasks.semantic_ensemble import open_class_blend, unstack
from goldfold.tasks.semantic_images import class_map_choice_of
from goldfold.tasks.true_class_maps import TrueClasses
from goldfold.text_table import Line, Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.blend import Blend
    from goldfold.submissions.layout import Layout
    from goldfold.submissions.table import Sample
    from goldfold.tasks.run_view import MemberSource, RunView, Split

    ClassMap = NDArray[np.uint8]
    Levels = NDArray[np.uint8]


class DecidedClassMaps:
    """Blended maps and least areas, as ensemble.json says; the class of each pixel from them."""

    def __init__(self, run: RunView, source: MemberSource, split: Split) -> None:
        """Open the predictions; the caller closes the blend.

        Raises:
            InputError: predictions or ensemble are missing or outdated.
        """
        self.classes = run.settings.competition.classes
        self.choice = class_map_choice_of(run)
        members = source.open(split, "", self.choice.weights)
        self.blend: Blend = open_class_blend(run, members, split, self.choice.merge)

    def levels(self, image_id: str) -> Levels:
        """Return the blended maps of all classes, uint8 (C, H, W)."""
        return unstack(self.blend.read(image_id), len(self.classes))

    def decide(self, levels: Levels) -> ClassMap:
        """Return the class of each pixel, uint8 (H, W)."""
        return self.choice.decide(levels, self.classes)


def semantic_cells(
    run: RunView, source: MemberSource, sample: Sample, layout: Layout
) -> list[tuple[str, Any]]:
    """Return key and encoded mask of each row of the sample, as `Task.cells`."""
    from goldfold.submissions.encode import encode_masks

    form = run.settings.competition
    decided = DecidedClassMaps(run, source, "test")
    try:
        left_out = _require_rows(run, decided, sample, layout)
        mask_of = _mask_reader(decided, layout, left_out)
        return list(
            encode_masks(
                mask_of,
                sample.image_ids,
                get_dialect(form.submission.dialect),
                objects=form.submission.objects,
                workers=run.workers,
                progress=run.progress,
            )
        )
    finally:
        decided.blend.close()


def _require_rows(
    run: RunView, decided: DecidedClassMaps, sample: Sample, layout: Layout
) -> set[str]:
    """Return the excluded test images; raise InputError where rows of the sample have no answer."""
    from goldfold.competitions.image_collection import left_out_test_ids

    predicted = set(decided.blend.image_ids)
    left_out = left_out_test_ids(run.settings.competition, run.images) - predicted
    images = {layout.image_of(key) for key in sample.image_ids}
    missing = sorted(images - predicted - left_out)
    unknown = [key for key in sample.image_ids if layout.class_of(key) not in decided.classes]
    problems = [f"{image_id}: no prediction" for image_id in missing]
    problems += [f"row {key}: not a class of the competition" for key in unknown]
    if problems:
        raise InputError(
            list_problems(
                f"{len(missing)} of {len(images)} images of the sample submission have no "
                f"prediction, {len(unknown)} of {len(sample.image_ids)} rows no known class "
                f"({', '.join(decided.classes)}):",
                problems,
                f"Are the image files in {run.settings.competition.data}? `{run.command('check')}` "
                "Set competition.classes, and submission.class_separator or class_column, as the "
                "sample has them.",
                limit=5,
            )
        )
    return left_out


def _mask_reader(
    decided: DecidedClassMaps, layout: Layout, left_out: set[str]
) -> Callable[[str], ClassMap | None]:
    """Return a function row of the sample -> mask; adjacent rows of an image share its map."""
    from functools import lru_cache

    import numpy as np

    @lru_cache(maxsize=16)  # as many images as threads encode at once
    def class_map(image_id: str) -> ClassMap:
        return decided.decide(decided.levels(image_id))

    def mask_of(key: str) -> ClassMap | None:
        image_id = layout.image_of(key)
        if image_id in left_out:
            return None
        number = decided.classes.index(layout.class_of(key))
        mask: ClassMap = (class_map(image_id) == number).astype(np.uint8)
        return mask

    return mask_of


def explain_class_map(run: RunView, source: MemberSource, row: pd.Series) -> Explanation:
    """Return why the pixels of an image of images.csv got their classes."""
    from goldfold.competitions.image import picture_reading, read_image
    from goldfold.competitions.resize import resize_image
    from goldfold.submissions.class_map_picture import draw_class_maps

    form, image_id = run.settings.competition, str(row["image_id"])
    labelled = bool(row["split"] == "train" and row["labelled"])
    decided = DecidedClassMaps(run, source, "out-of-fold" if labelled else "test")
    try:
        levels = decided.levels(image_id)
        facts = _facts(run, decided, image_id, levels)
    finally:
        decided.blend.close()
    class_map, true = decided.decide(levels), None
    if labelled:
        true = TrueClasses(form, training_images(run.images)).read(image_id)
        facts |= _against_truth(form.metric, class_map, true, form.classes, facts)
    reading = picture_reading(form.images)
    picture = read_image(form.data / row["path"], 3, reading=reading)
    if form.mask_size is not None:
        picture = resize_image(picture, *form.mask_size)
    panels = draw_class_maps(picture, class_map, form.classes, true)
    return Explanation(facts, panels, explanation_lines(facts))


def _facts(
    run: RunView, decided: DecidedClassMaps, image_id: str, levels: Levels
) -> dict[str, Any]:
    import numpy as np

    count = len(decided.classes)
    areas = np.bincount(most_likely(levels)[0].ravel(), minlength=count).tolist()
    decided_areas = np.bincount(decided.decide(levels).ravel(), minlength=count).tolist()
    blend = decided.blend
    members = []
    for place, member in enumerate(blend.members):
        alone = unstack(blend.of_member(place).read(image_id), count)
        likely = np.bincount(most_likely(alone)[0].ravel(), minlength=count).tolist()
        named = dict(zip(decided.classes, likely, strict=True))
        members.append({"member": member.name, "weight": member.weight, "most_likely_px": named})
    return {
        "image_id": image_id,
        "members": members,
        "classes": {
            name: {
                "highest_probability": (int(levels[place].max()) + 0.5) / 256,
                "most_likely_px": areas[place],
                "least_area": decided.choice.least_areas[decided.classes[place]],
                "decided_px": decided_areas[place],
            }
            for place, name in enumerate(decided.classes)
        },
    }


def _against_truth(
    metric: str,
    class_map: ClassMap,
    true: ClassMap,
    classes: list[str],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the score of an image, and the true pixels of each class."""
    pixels = pixels_of_map(class_map, true, len(classes))
    named = {
        name: {**facts["classes"][name], "true_px": int(pixels[2, place])}
        for place, name in enumerate(classes)
    }
    score = float(class_scores(metric, pixels[None]).mean())
    return {"classes": named, "score": score, "metric": metric}


def explanation_lines(facts: Mapping[str, Any]) -> list[Line]:
    """Return the classes of an image that some pixel has, is given or might have."""
    members = facts["members"]
    rows = []
    for name, row in facts["classes"].items():
        likely = [member["most_likely_px"][name] for member in members]
        if not (row["most_likely_px"] or row.get("true_px") or any(likely)):
            continue
        dropped = row["most_likely_px"] and not row["decided_px"]
        rows.append(
            [
                name,
                f"{row['highest_probability']:.3f}",
                *likely,
                row["most_likely_px"],
                row["least_area"] or "",
                f"{row['decided_px']}{' (dropped)' if dropped else ''}",
                row.get("true_px", ""),
            ]
        )
    names = [f"px of {member['member']}" for member in members]
    headers = ["class", "highest", *names, "px of the blend", "least area", "decided px", "true px"]
    lines: list[Line] = [Table(headers, rows)]
    if "score" in facts:
        lines.append(f"{facts['image_id']}: {facts['metric']} {facts['score']:.4f}")
    return lines


def ensemble_lines(report: Mapping[str, Any]) -> list[Line]:
    """Return the scores, the honest one first, then measures and least area of each class."""
    honest, interval = report["honest"], report["honest"]["interval"]
    scores = [
        [
            "honest",
            f"{honest['score']:.4f}",
            f"least areas chosen on {honest['chosen_on']}; "
            f"{interval['level']:.0%} interval {interval['low']:.4f} to {interval['high']:.4f}",
        ],
        ["all-background", f"{report['all_empty']:.4f}", "what predicting no class scores"],
        ["optimistic", f"{report['optimistic']:.4f}", "least areas chosen on the same images"],
    ]
    lines: list[Line] = [
        Table(["score", report["metric"], ""], scores),
        *(
            f"  fold {fold['fold']}: {fold['score']:.4f} on {fold['images']} images"
            for fold in honest.get("folds", [])
        ),
    ]
    rows = [
        [
            row["class"],
            *(f"{row[name]:.4f}" for name in ("dice", "iou", "precision", "recall")),
            f"{row['true_px']:,}",
            f"{report['least_areas'][row['class']]:,}"
            if report["least_areas"][row["class"]]
            else "",
        ]
        for row in report["measures"]
    ]
    headers = ["over all pixels", "Dice", "IoU", "precision", "recall", "true px", "least area px"]
    return [*lines, Table(headers, rows)]
