"""The members of an ensemble: models of this run and of others, with their stores opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from goldfold.errors import InputError, list_problems, plural
from goldfold.files import fingerprint, read_json
from goldfold.pipeline.fold_trainings import FoldTraining, choose_trainings
from goldfold.pipeline.open_run import OpenRun
from goldfold.pipeline.predictions import (
    changed_facts,
    finished_jobs,
    images_fingerprints,
    store_facts,
    store_of,
)
from goldfold.pipeline.same_classes import require_same_classes
from goldfold.pipeline.stage_runs import refuse_other_trainings

if TYPE_CHECKING:
    from goldfold.ensemble.blend import Member
    from goldfold.folds.fold_view import FoldView
    from goldfold.pipeline.predictions import Split

OUT_OF_FOLD = "out-of-fold predictions"
"""What an ensemble is made from, as its record and messages call it."""


class Members:
    """Opens the predictions of a run's members: its models, then those of other runs.

    A model of another run is called RUN/MODEL.
    """

    def __init__(self, run: OpenRun) -> None:
        """Take the run whose members they are."""
        self.run = run

    def open(
        self, split: Split, record: str = "", weights: Mapping[str, int] | None = None
    ) -> list[Member]:
        """Return the members with their stores opened.

        Args:
            split: which predictions.
            record: whose arrays, where an image has several.
            weights: by member; those of the settings, or 1, unless given.

        Raises:
            InputError: trainings are not finished or were made from other settings, labels or
                folds, predictions are missing or outdated, or another run has other folds.
        """
        return _open_members(self.run, split, weights, record)


def _open_members(
    run: OpenRun,
    split: Split,
    weights: Mapping[str, int] | None = None,
    of_class: str = "",
) -> list[Member]:
    """Return the members, as `Members.open`."""
    members: list[Member] = []
    problems: list[str] = []
    for member_run, prefix in runs_of(run):
        opened, missing = _open_own(member_run, split, prefix, of_class)
        members += opened
        problems += missing
    if problems:
        remedy = f"Run `{run.command('predict run')} --{split}`."
        raise InputError(list_problems("predictions are missing or outdated:", problems, remedy))
    if split == "out-of-fold":
        _require_out_of_fold(members, run.fold_view)
    return _choose(run, members, weights)


def _require_out_of_fold(members: Sequence[Member], view: FoldView) -> None:
    """Raise LeakInputError if a member's model saw an image that it predicts, or its group."""
    readers = [reader for member in members for seed in member.seeds for reader in seed]
    view.require_out_of_fold(
        (str(reader.path), int(reader.path.parent.name.split("-")[1]), reader.image_ids)
        for reader in readers
    )


def runs_of(run: OpenRun) -> list[tuple[OpenRun, str]]:
    """Return this run and the others with the prefix of their members."""
    runs = [(run, "")]
    for path in run.settings.ensemble.runs:
        folder = path if path.is_absolute() else run.directory.root / path
        if not folder.is_dir():
            raise InputError(
                f"ensemble.runs names {path}, but there is no folder {folder}. A relative path "
                f"is relative to {run.directory.root}."
            )
        other = OpenRun.open(folder, progress=run.progress)
        require_same_classes(run, other)
        _require_same_folds(run, other)
        runs.append((other, f"{folder.resolve().name}/"))
    return runs


def _require_same_folds(run: OpenRun, other: OpenRun) -> None:
    """Raise InputError unless both runs hold the same images out in the same folds."""
    different = [
        f"{image_id}: fold {_named(mine)} here, {_named(its)} there"
        for image_id, (mine, its) in run.fold_view.placed_otherwise(other.fold_view).items()
    ]
    if different:
        images = plural(len(different), "image is", "images are")
        title = (
            f"{other.directory.root} cannot be blended with {run.directory.root}: {images} held "
            "out in different folds, so an out-of-fold prediction of one run may come from a "
            "model that was trained on what the other holds out:"
        )
        remedy = f"Copy {run.directory.folds} there and train that run on it, or leave the run out."
        raise InputError(list_problems(title, different, remedy, limit=5))


def _named(fold: int | None) -> str:
    return "none" if fold is None else str(fold)


def _open_own(
    run: OpenRun,
    split: Split,
    prefix: str,
    of_class: str,
) -> tuple[list[Member], list[str]]:
    """Return the members of one run, and a line for each store that is missing or outdated."""
    from dataclasses import replace

    from goldfold.ensemble.blend import open_member

    models = {model.name: model for model in run.settings.models}
    chosen = [
        name
        for name in models
        if run.settings.ensemble.members is None or name in run.settings.ensemble.members
    ]
    jobs = {name: finished_jobs(run, choose_trainings(run, model=name)) for name in chosen}
    for name in chosen:
        refuse_other_trainings(run, jobs[name])
    members: list[Member] = []
    problems: list[str] = []
    for name in chosen:
        try:
            member = open_member(
                run.directory.root / "predictions",
                name,
                seeds=models[name].seeds,
                folds=sorted({job.fold for job in jobs[name]}),
                split=split,
                allow_missing=run.settings.inference.allow_missing_folds,
                of_class=of_class,
            )
        except InputError as error:
            problems.append(str(error))
            continue
        problems += _outdated(run, member, split)
        members.append(replace(member, name=prefix + name))
    return members, problems


def _choose(run: OpenRun, members: list[Member], weights: Mapping[str, int] | None) -> list[Member]:
    """Return the members with their weights.

    Raises:
        InputError: there are not as many weights as members, or those of ensemble.json are of
            other members.
    """
    from dataclasses import replace

    from goldfold.ensemble.decision_fields import require_members

    given = run.settings.ensemble.weights
    if weights is not None:
        require_members(run.directory.ensemble, weights, [member.name for member in members])
        return [replace(member, weight=weights[member.name]) for member in members]
    if isinstance(given, str):
        return members
    require_weight_each(run, [member.name for member in members])
    return [replace(member, weight=weight) for member, weight in zip(members, given, strict=True)]


def require_weight_each(run: OpenRun, names: Sequence[str]) -> None:
    """Accept settings that name no weights, or one for each member.

    Raises:
        InputError: there are not as many weights as members.
    """
    given = run.settings.ensemble.weights
    if not isinstance(given, str) and len(given) != len(names):
        raise InputError(
            f"ensemble.weights has {plural(len(given), 'value', 'values')} for "
            f"{plural(len(names), 'member', 'members')}: {', '.join(names)}."
        )


def _outdated(run: OpenRun, member: Member, split: Split) -> list[str]:
    """Return a line for each store that predicting now would not give."""
    model = next(model for model in run.settings.models if model.name == member.name)
    readers = [reader for readers in member.seeds for reader in readers]
    jobs = [
        FoldTraining(model, *(int(part.split("-")[1]) for part in reader.path.parts[-3:-1]))
        for reader in readers
    ]
    prints = images_fingerprints(run, [job.fold for job in jobs], split)
    problems = []
    for reader, job in zip(readers, jobs, strict=True):
        facts = store_facts(run, job, prints[job.fold], split)
        if changed := changed_facts(reader.facts, facts):
            problems.append(f"{reader.path} was made from other {' and '.join(changed)}.")
    return problems


def prediction_facts(run: OpenRun, split: Split) -> dict[str, str]:
    """Return the fingerprint of what each store was made from, by member and place.

    Raises:
        InputError: as `Members.open`.
    """
    facts = {}
    first = run.task.records[0]  # all are in the same stores
    for member in Members(run).open(split, first):
        for readers in member.seeds:
            for reader in readers:
                summary = read_json(reader.path.with_suffix(".json"))
                reader.close()
                place = "/".join(reader.path.parts[-3:])
                facts[f"{member.name}/{place}"] = fingerprint(summary)
    return facts


def expected_predictions(run: OpenRun, split: Split) -> dict[str, str]:
    """Return the fingerprint of what each prediction of the blend is to be made from, by place.

    They are those of this run and of the runs that are blended with it. Whether they are there is
    not looked at.

    Raises:
        InputError: a training is not finished or out of date, or another run has other folds.
    """
    expected = {}
    for member_run, prefix in runs_of(run):
        chosen = member_run.settings.ensemble.members
        jobs = [
            job
            for job in finished_jobs(member_run, choose_trainings(member_run))
            if chosen is None or job.model.name in chosen
        ]
        refuse_other_trainings(member_run, jobs)
        prints = images_fingerprints(member_run, [job.fold for job in jobs], split)
        for job in jobs:
            place = prefix + "/".join(store_of(member_run, job, split).parts[-4:])
            expected[place] = fingerprint(store_facts(member_run, job, prints[job.fold], split))
    return expected
