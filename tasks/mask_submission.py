"""The masks of a submission: thresholds on blended maps, class by class, encoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldfold.competitions.rle import get_dialect
from goldfold.errors import InputError, list_problems
from goldfold.tasks.submission_layout import unknown_classes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from goldfold.ensemble.blend import Blend
    from goldfold.ensemble.post_processing import PostProcessing
    from goldfold.ensemble.threshold import Rule
    from goldfold.submissions.layout import Layout
    from goldfold.submissions.table import Sample
    from goldfold.tasks.run_view import MemberSource, RunView, Split


def mask_cells(
    run: RunView, source: MemberSource, sample: Sample, layout: Layout
) -> list[tuple[str, Any]]:
    """Return key and encoded masks of each row of the sample, as `Task.cells`."""
    with ExitStack() as stack:
        decided = {}
        for name in run.settings.competition.mask_classes or [""]:
            decided[name] = open_masks(run, source, "test", name)
            stack.callback(decided[name].blend.close)
        return list(_masks(run, decided, sample, layout))


@dataclass(frozen=True)
class DecidedMasks:
    """Blended maps and what makes masks of them, as ensemble.json says."""

    blend: Blend
    rule: Rule
    steps: PostProcessing

    def mask(self, image_id: str) -> NDArray[np.uint8]:
        """Return the mask of an image, uint8 (H, W) of 0 and 1."""
        from goldfold.ensemble.post_processing import post_process
        from goldfold.ensemble.threshold import apply_rule

        presence = self.blend.presence(image_id) if self.rule.gate else None
        return post_process(apply_rule(self.blend.read(image_id), self.rule, presence), self.steps)


def open_masks(
    run: RunView, source: MemberSource, split: Split, of_class: str = ""
) -> DecidedMasks:
    """Return the masks of the test images, or of the training images out of fold.

    They are those of a class, where an image has several. The caller closes the blend.

    Raises:
        InputError: predictions or ensemble are missing or outdated.
    """
    from goldfold.ensemble.blend import Blend
    from goldfold.ensemble.mask_choice import read_choice

    choice = read_choice(run.directory.ensemble, of_class)
    members = source.open(split, of_class, choice.weights)
    partial = split == "out-of-fold" and run.settings.inference.allow_missing_folds
    blend = Blend(members, split, partial=partial, scales=choice.scales)
    return DecidedMasks(blend, choice.rule, choice.steps)


def _masks(
    run: RunView, decided: Mapping[str, DecidedMasks], sample: Sample, layout: Layout
) -> Iterator[tuple[str, str | list[str]]]:
    """Yield key and encoded mask of each row of the sample, some maps in memory at a time.

    A test image that images.exclude leaves out gets an empty mask.

    Args:
        run: the run.
        decided: by class; "" where an image has one mask.
        sample: what is asked for.
        layout: how its rows name images and classes.

    Raises:
        InputError: images of the sample have no prediction, or its classes are others; all are
            counted.
    """
    from goldfold.competitions.image_collection import left_out_test_ids
    from goldfold.submissions.encode import encode_masks

    dialect = get_dialect(run.settings.competition.submission.dialect)
    predicted = set(next(iter(decided.values())).blend.image_ids)
    left_out = left_out_test_ids(run.settings.competition, run.images) - predicted
    images = {layout.image_of(key) for key in sample.image_ids}
    missing = sorted(images - predicted - left_out)
    if missing:
        raise InputError(
            list_problems(
                f"{len(missing)} of {len(images)} images of the sample submission have "
                "no prediction:",
                missing,
                f"Are their files in {run.settings.competition.data}? `{run.command('check')}`",
                limit=5,
            )
        )
    if problem := unknown_classes(sample.image_ids, layout, decided):
        raise InputError(problem)

    def mask_of(key: str) -> NDArray[np.uint8] | None:
        image_id = layout.image_of(key)
        return None if image_id in left_out else decided[layout.class_of(key)].mask(image_id)

    yield from encode_masks(
        mask_of,
        sample.image_ids,
        dialect,
        objects=run.settings.competition.submission.objects,
        workers=run.workers,
        progress=run.progress,
    )
