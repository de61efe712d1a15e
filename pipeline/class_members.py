"""The members of an ensemble of classes: models of this run and of others, with what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.predictions import Split


@dataclass(frozen=True)
class LabelMembers:
    """What the models of a run say of the classes of the same images.

    Attributes:
        names: M models.
        image_ids: N ids, sorted.
        probability: M arrays (N, C): means over seeds, and over folds on test images.
        facts: what each table was made from, by model and place.
    """

    names: list[str]
    image_ids: list[str]
    probability: list[NDArray[np.float64]]
    facts: dict[str, str]


def open_label_members(run: OpenRun, split: Split) -> LabelMembers:
    """Return the members: the models of this run, then those of other runs, called RUN/MODEL.

    Raises:
        InputError: trainings are not finished, predictions are missing or outdated, one comes
            from a model that saw the image or its group, or another run has other folds, classes
            or images.
    """
    from goldfold.ensemble.bookkeeping import check_out_of_fold
    from goldfold.pipeline.members import require_weight_each

    tables = read_tables(run, split)
    if split == "out-of-fold":
        check_out_of_fold(
            [(str(one.path), one.fold, one.ids) for one in tables],
            dict(zip(run.folds["image_id"], run.folds["fold"].tolist(), strict=True)),
            dict(
                zip(run.folds["image_id"], run.folds["group"].fillna("").astype(str), strict=True)
            ),
        )
    by_model: dict[str, dict[int, list[pd.DataFrame]]] = {}
    for one in tables:
        by_model.setdefault(one.member, {}).setdefault(one.seed, []).append(
            _frame(one.ids, one.probability)
        )
    means = {name: _mean_over(seeds.values()) for name, seeds in by_model.items()}
    _require_same_images(means)
    require_weight_each(run, list(means))
    ids = list(next(iter(means.values())).index)
    arrays = [table.loc[ids].to_numpy() for table in means.values()]
    facts = {one.place: one.made_from for one in tables}
    return LabelMembers(list(means), ids, arrays, facts)


@dataclass(frozen=True)
class LabelTable:
    """What one fold's models of a member say.

    Attributes:
        member: its name.
        seed: of the training.
        fold: of the training.
        path: of the table.
        place: member's run, model, seed, fold and file as one text.
        ids: N.
        probability: (N, C).
        made_from: fingerprint of what it was made from.
    """

    member: str
    seed: int
    fold: int
    path: Path
    place: str
    ids: list[str]
    probability: NDArray[np.float64]
    made_from: str


def read_tables(run: OpenRun, split: Split) -> list[LabelTable]:
    """Return every table of the members, those of other runs last.

    Raises:
        InputError: trainings are not finished, predictions are missing or outdated, or another run
            has other folds or classes.
    """
    from goldfold.errors import InputError, list_problems
    from goldfold.pipeline.members import runs_of

    found: list[LabelTable] = []
    missing: list[str] = []
    for member_run, prefix in runs_of(run):
        found += _read_own(member_run, prefix, split, missing)
    if missing:
        remedy = f"Run `{run.command('predict run')} --{split}`."
        raise InputError(list_problems("predictions are missing or outdated:", missing, remedy))
    return found


def _read_own(
    run: OpenRun,
    prefix: str,
    split: Split,
    missing: list[str],
) -> list[LabelTable]:
    """Return the tables of one run, whose members' names begin with the prefix.

    Paths of those that are missing or outdated are added to `missing`.
    """
    from goldfold.files import fingerprint
    from goldfold.inference.labels import read_labels_table
    from goldfold.pipeline.predictions import (
        images_fingerprints,
        is_predicted,
        ready_jobs,
        store_facts,
        store_of,
    )

    chosen = run.settings.ensemble.members
    jobs = [job for job in ready_jobs(run) if chosen is None or job.model.name in chosen]
    prints = images_fingerprints(run, [job.fold for job in jobs], split)
    found = []
    for job in jobs:
        path = store_of(run, job, split)
        wanted = store_facts(run, job, prints[job.fold], split)
        if not is_predicted(path, wanted):
            missing.append(str(path))
            continue
        ids, probability = read_labels_table(path, run.settings.competition.classes)
        place = prefix + "/".join(path.parts[-4:])
        found.append(
            LabelTable(
                prefix + job.model.name, job.seed, job.fold, path, place, ids, probability,
                fingerprint(wanted),
            )
        )  # fmt: skip
    return found


def _require_same_images(means: Mapping[str, pd.DataFrame]) -> None:
    """Raise InputError unless all members predict the same images."""
    from goldfold.errors import InputError, list_problems

    first, *others = means
    known = means[first].index
    problems = []
    for name in others:
        different = known.symmetric_difference(means[name].index)
        problems += [
            f"{image_id}: predicted by {first if image_id in known else name} alone"
            for image_id in different
        ]
    if problems:
        remedy = "Train and predict the folds that are missing, or leave a member out."
        raise InputError(
            list_problems("members predict different images:", problems, remedy, limit=5)
        )


def _frame(ids: list[str], probability: NDArray[np.float64]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(probability, index=pd.Index(ids, name="image_id"))


def _mean_over(seeds: Any) -> pd.DataFrame:
    """Return the mean over seeds; of one seed, folds are joined, or averaged where they overlap."""
    import pandas as pd

    per_seed = [pd.concat(tables).groupby(level=0, sort=True).mean() for tables in seeds]
    mean: pd.DataFrame = pd.concat(per_seed).groupby(level=0, sort=True).mean()
    return mean
