"""The sequences of a run's images, for models that see an image with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from goldfold.competitions.image_sequence import image_sequences, neighbour_rows
from goldfold.competitions.images_table import test_images, training_images
from goldfold.files import fingerprint
from goldfold.folds.whole_sequences import refuse_split_sequences as refuse

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.folds.fold_view import FoldView
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.settings import ImageSequence, ModelSettings
    from goldfold.training.cache import ImageCache


def with_neighbours(
    run: OpenRun, cache: ImageCache, table: pd.DataFrame, offsets: Sequence[int]
) -> ImageCache:
    """Return a cache whose images have their neighbours as channels, or as it is without offsets.

    Neighbours are images of the same cache: images that were left out of the run are none.

    Args:
        run: the run.
        cache: of the images of the table, in its order.
        table: rows of images.csv, of one split.
        offsets: `neighbours` of a model.

    Raises:
        InputError: it is not clear which images are neighbours.
    """
    if not offsets:
        return cache
    sequences = image_sequences(table, _sequence(run))
    return cache.with_neighbours(neighbour_rows(list(table["image_id"]), sequences, offsets))


def sequence_facts(
    run: OpenRun, model: ModelSettings, split: Literal["train", "test"]
) -> dict[str, Any]:
    """Return what changes when an image of a split gets other neighbours; {} without neighbours."""
    if not model.neighbours:
        return {}
    table = (training_images if split == "train" else test_images)(run.images)
    sequence = _sequence(run)
    columns = ["image_id", *sequence.group, sequence.order]
    known = [list(table[name]) for name in columns if name in table.columns]
    name = "sequences" if split == "train" else "test_sequences"
    return {"neighbours": list(model.neighbours), name: fingerprint([columns, known])}


def refuse_split_sequences(run: OpenRun, view: FoldView) -> None:
    """Accept folds of which each holds whole sequences, if any model sees neighbours.

    Raises:
        LeakInputError: a sequence lies in several folds.
        InputError: it is not clear which images are neighbours.
    """
    if not any(model.neighbours for model in run.settings.models):
        return
    sequence = _sequence(run)
    refuse(view, image_sequences(training_images(run.images), sequence), sequence.group)


def _sequence(run: OpenRun) -> ImageSequence:
    sequence = run.settings.competition.images.sequence
    assert sequence is not None, "settings with neighbours have a sequence"
    return sequence
