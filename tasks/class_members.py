"""What the members of an ensemble predict for the classes of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goldfold.errors import InputError, list_problems

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.inference.reader import MapReader
    from goldfold.tasks.prediction_rows import Rows
    from goldfold.tasks.run_view import MemberSource, Split


@dataclass(frozen=True)
class ClassMembers:
    """What the models of a run say of the classes of the same images.

    Attributes:
        names: M models.
        image_ids: N ids, sorted.
        probability: M arrays (N, C): means over seeds, and over folds on test images.
    """

    names: list[str]
    image_ids: list[str]
    probability: list[NDArray[np.float64]]


def class_members(source: MemberSource, split: Split) -> ClassMembers:
    """Return the members: the models of this run, then those of other runs, called RUN/MODEL.

    Raises:
        InputError: as `MemberSource.open`, or members predict different images.
    """
    from goldfold.ensemble.blend import close_members

    members = source.open(split)
    try:
        means = {member.name: _mean_over(member.seeds) for member in members}
    finally:
        close_members(members)
    _require_same_images(means)
    ids = list(next(iter(means.values())).index)
    return ClassMembers(list(means), ids, [table.loc[ids].to_numpy() for table in means.values()])


def row_members(members: ClassMembers, rows: Rows, split: Split) -> ClassMembers:
    """Return what the members say of the rows of the submission, which may be the images."""
    ids, tables = rows.join(members.image_ids, members.probability, split)
    return ClassMembers(members.names, ids, tables)


def _require_same_images(means: Mapping[str, pd.DataFrame]) -> None:
    """Raise InputError unless all members predict the same images."""
    first, *others = means
    known = means[first].index
    problems = []
    for name in others:
        different = known.symmetric_difference(means[name].index)
        problems += [
            f"{image_id}: predicted by {first if image_id in known else name} only"
            for image_id in different
        ]
    if problems:
        remedy = "Train and predict the folds that are missing, or leave a member out."
        raise InputError(
            list_problems("members predict different images:", problems, remedy, limit=5)
        )


def _mean_over(seeds: Sequence[Sequence[MapReader]]) -> pd.DataFrame:
    """Return the mean over seeds; of one seed, folds are joined, or averaged where they overlap."""
    import pandas as pd

    per_seed = [
        pd.concat([_frame(reader) for reader in readers]).groupby(level=0, sort=True).mean()
        for readers in seeds
    ]
    mean: pd.DataFrame = pd.concat(per_seed).groupby(level=0, sort=True).mean()
    return mean


def _frame(reader: MapReader) -> pd.DataFrame:
    """Return the rows of a store, float64, by image id."""
    import numpy as np
    import pandas as pd

    ids = sorted(reader.image_ids)
    rows = np.stack([reader.read_row(image_id) for image_id in ids]).astype(np.float64)
    return pd.DataFrame(rows, index=pd.Index(ids, name="image_id"))
