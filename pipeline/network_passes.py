"""The passes that a run's networks will make: which sizes, and how many images in training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from goldfold.competitions.images_table import training_images
from goldfold.image_size import height_and_width
from goldfold.pipeline.pseudo_labels import count_pseudo_labels
from goldfold.pipeline.split import split_images
from goldfold.pipeline.training_data import sampling_weights_of
from goldfold.training.stage_plan import StagePlan

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings import InferenceSettings, ModelSettings, StageSettings
    from goldfold.training.network_trial import Pass

Reasons = dict["Pass", list[str]]
"""Pass -> the settings that ask for it, in words."""


def training_passes(model: ModelSettings) -> Reasons:
    """Return the passes of a model's stages: training on one image, and validation.

    One image is the least that a pass may have; `least_images` tells how many it will have.
    """
    from goldfold.training.network_trial import Pass

    reasons: Reasons = {}
    for number, stage in enumerate(model.stages, 1):
        of_stage = f" of stage {number}" if len(model.stages) > 1 else ""
        size = height_and_width(stage.crop_size or stage.image_size)
        name = "crop_size" if stage.crop_size else "image_size"
        frozen = tuple(stage.frozen)
        training = Pass(size, trains=True, frozen=frozen)
        reasons.setdefault(training, []).append(f"{name}{of_stage}")
        whole = Pass(height_and_width(stage.image_size))
        reasons.setdefault(whole, []).append(f"image_size{of_stage}")
    return reasons


def prediction_passes(
    model: ModelSettings, inference: InferenceSettings, mirror: tuple[int, ...] = ()
) -> Reasons:
    """Return the passes of a model in prediction: whole images or tiles, in every view."""
    import torch

    from goldfold.inference.views import get_views
    from goldfold.training.network_trial import Pass

    size = height_and_width(inference.image_size or model.stages[-1].image_size)
    setting = "inference.image_size" if inference.image_size else "image_size"
    reasons: Reasons = {}
    for view in [None, *get_views(inference.views, mirror)]:
        image = torch.empty(1, 1, *size, device="meta")
        seen = image if view is None else view.forward(image)
        height, width = seen.shape[-2:]
        words = setting if (height, width) == size else f"view {view.name} of {setting}"  # type: ignore[union-attr]
        if inference.tile is not None and inference.tile < max(height, width):
            height, width = min(height, inference.tile), min(width, inference.tile)
            words = "inference.tile"
        listed = reasons.setdefault(Pass((height, width)), [])
        if words not in listed:
            listed.append(words)
    return reasons


def joined(*parts: Reasons) -> Reasons:
    """Return the passes of all parts, each with all its reasons."""
    reasons: Reasons = {}
    for part in parts:
        for tried, words in part.items():
            listed = reasons.setdefault(tried, [])
            listed += [word for word in words if word not in listed]
    return reasons


def stages_that_train(model: ModelSettings, tried: Pass) -> Iterator[StageSettings]:
    """Yield the stages of a model that make a pass of training."""
    for stage in model.stages:
        size = height_and_width(stage.crop_size or stage.image_size)
        if (size, tuple(stage.frozen)) == (tried.size, tried.frozen):
            yield stage


def least_images(run: OpenRun, model: ModelSettings, stage: StageSettings) -> int:
    """Return how many images the smallest pass of a stage's training has, over folds and epochs.

    Args:
        run: with its images; they are split as `folds build` would where there are no folds yet.
        model: the model.
        stage: one of its stages.

    Raises:
        InputError: the split is impossible, or pseudo-labels are missing.
    """
    train = training_images(run.images).set_index("image_id")
    folds = split_images(run)
    smallest: list[int] = []
    for number in run.settings.folds.train or range(run.settings.folds.count):
        inside = train.loc[list(folds.loc[folds["fold"] != number, "image_id"])]
        pseudo = stage.pseudo_labels
        plan = StagePlan(
            stage,
            run.task.non_empty(inside),
            seed=model.seeds[0],  # the counts are the same for all
            weights=sampling_weights_of(inside, stage.sampling),
            pseudo_labelled=count_pseudo_labels(run, pseudo.name, number) if pseudo else 0,
        )
        counts = {sum(plan.counts(epoch)) for epoch in range(plan.epochs)}
        smallest += [smallest_part(count, stage.batch_size, stage.accumulation) for count in counts]
    return min(smallest)


def smallest_part(images: int, batch_size: int, accumulation: int) -> int:
    """Return the images of an epoch's smallest pass, as `split_batches` and a step divide them.

    >>> smallest_part(9, 4, 1), smallest_part(9, 2, 1), smallest_part(9, 4, 2)
    (3, 1, 2)
    """
    batches = max(1, -(-images // (batch_size * accumulation)))
    batch = images // batches
    return max(1, batch // max(1, min(accumulation, batch)))


def fitting_batch_size(run: OpenRun, model: ModelSettings, stage: StageSettings) -> int | None:
    """Return the next larger batch size with which no pass has a single image; None = none."""
    for batch_size in range(max(2, stage.batch_size), stage.batch_size + 8):
        larger = stage.model_copy(update={"batch_size": batch_size})
        if least_images(run, model, larger) > 1:
            return batch_size
    return None
