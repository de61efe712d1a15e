"""Blend and thresholds of a run, made only from predictions of its present folds and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from goldfold.errors import InputError
from goldfold.files import write_json
from goldfold.pipeline.members import OUT_OF_FOLD, Members, expected_predictions, prediction_facts
from goldfold.rundirectory import recorded

if TYPE_CHECKING:
    from goldfold.pipeline.open_run import OpenRun


def ensemble_made_from(run: OpenRun) -> dict[str, Any]:
    """Return what ensemble.json depends on.

    Raises:
        InputError: as `Members.open`.
    """
    return {
        "predictions": prediction_facts(run, "out-of-fold"),
        OUT_OF_FOLD: expected_predictions(run, "out-of-fold"),
        **run.task.judged_facts(run),
    }


def require_ensemble(run: OpenRun) -> None:
    """Raise InputError unless ensemble.json is there and is what `ensemble run` would make now.

    Whoever answers from ensemble.json asks this first. The out-of-fold maps behind it may be gone:
    what they are to be made from (trainings, images, views) is compared with the record.
    """
    run.read_tables()
    command = run.command("ensemble run")
    path = run.directory.require(run.directory.ensemble, command)
    old = recorded(run.directory.stage("ensemble").path, "made_from")
    if not isinstance(old, dict):
        raise InputError(f"{path} has no record of what it was made from. Run `{command}` first.")
    new = run.task.judged_facts(run)
    changed = [name for name in new if old.get(name) != new[name]]
    if changed:  # the trainings may be of other folds, too, which is not the first fault
        raise InputError(
            f"{path} was made from other {' and '.join(changed)}. Run `{command}` first."
        )
    if old.get(OUT_OF_FOLD) != expected_predictions(run, "out-of-fold"):
        raise InputError(
            f"{path} was made from other {OUT_OF_FOLD}. Run `{run.command('predict run')}`, then "
            f"`{command}`."
        )


def ensure_ensemble(run: OpenRun) -> dict[str, Any]:
    """Return the content of ensemble.json, made anew if what it is made from changed.

    Raises:
        InputError: as `Members.open`.
    """
    made_from = ensemble_made_from(run)
    record = run.directory.stage("ensemble")
    there = recorded(run.directory.ensemble)
    whole = isinstance(there, dict) and "honest" in there  # or else someone wrote into it
    if whole and record.is_current(made_from) and _can_be_used(run, made_from):
        run.progress.say("ensemble: up to date")
        return dict(there)
    report = run.task.assess(run, Members(run), made_from)
    record.forget()
    write_json(run.directory.ensemble, report)
    record.write(made_from)
    return report


def _can_be_used(run: OpenRun, made_from: Mapping[str, Any]) -> bool:
    """Return whether ensemble.json follows its form and is of the run's members and classes.

    Whoever finds that it does not tells people to run `goldfold ensemble run`, which must then not
    take it for up to date.
    """
    from goldfold.ensemble.decision_fields import require_members

    places = made_from[OUT_OF_FOLD]  # MEMBER/seed-S/fold-K/FILE
    try:
        decision = run.task.image_decision(run, Members(run))
        names = dict.fromkeys(place.rsplit("/", 3)[0] for place in places)
        require_members(run.directory.ensemble, decision.weights, names)
    except InputError as error:
        run.progress.warn(f"made anew: {error}")
        return False
    return True
