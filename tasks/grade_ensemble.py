"""Blends of members that predict grades or numbers, their cut points and their honest score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.class_threshold import describe_search
from goldfold.competitions.number_metric import KAPPA, number_measures
from goldfold.ensemble.class_blend import ClassBlend
from goldfold.ensemble.class_intervals import known_bounds
from goldfold.ensemble.intervals import INTERVAL_LEVEL
from goldfold.ensemble.number_scale import NumberScale
from goldfold.ensemble.numbers import (
    JudgedNumbers,
    NumberAssessment,
    NumberTruth,
    assess_numbers,
    cross_fit_numbers,
    number_gains,
    resampled_scores,
)
from goldfold.errors import InputError
from goldfold.files import fingerprint, write_text
from goldfold.own_code import is_reference
from goldfold.tasks import class_members
from goldfold.tasks.class_ensemble import row_facts
from goldfold.tasks.class_held_out import mean_by_image
from goldfold.tasks.grade_training import scale_of, truth_of
from goldfold.tasks.prediction_rows import Rows
from goldfold.tasks.results import Judgement

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.ensemble.number_choice import NumberChoice
    from goldfold.tasks.run_view import MemberSource, RunView, Split

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NumberMembers:
    """What the models of one or several runs predict for the same images.

    Attributes:
        names: M models.
        image_ids: N ids, sorted.
        place: M arrays (N, 1) of places on the competition's scale, whatever a model outputs.
    """

    names: list[str]
    image_ids: list[str]
    place: list[FloatArray]


def number_members(
    source: MemberSource, split: Split, scale: NumberScale, rows: Rows
) -> NumberMembers:
    """Return the members, among them networks with other outputs than this run's.

    They speak of the rows of the submission where these are groups of images.

    Raises:
        InputError: as `class_members`.
    """
    members = class_members.class_members(source, split)
    places = [scale.place_of_rows(rows)[:, None] for rows in members.probability]
    ids, of_rows = rows.join(members.image_ids, places, split)
    return NumberMembers(members.names, ids, of_rows)


class NumberJudgement:
    """Judges ways to predict the numbers of training images, out of fold."""

    def __init__(self, run: RunView, image_ids: Sequence[str]) -> None:
        """Take the images, or rows of the submission, that every way predicts."""
        self.settings, rows = run.settings.ensemble, Rows(run)
        self.truth: NumberTruth = truth_of(run.settings.competition, rows.images, image_ids)
        self.parts = rows.fold_view.parts(image_ids, self.settings.seed)
        self.groups = rows.fold_view.group_numbers(image_ids)

    def judge(self, place: FloatArray) -> JudgedNumbers:
        """Return places (N, 1) with cut points that were chosen on the other folds."""
        return cross_fit_numbers(self.truth, self.parts, lambda _: ClassBlend(place))

    def gains(self, base: JudgedNumbers, others: Sequence[JudgedNumbers]) -> list[dict[str, Any]]:
        """Return what each way gains over the first one, as JSON values."""
        return number_gains(
            self.truth,
            base,
            others,
            self.groups,
            samples=self.settings.bootstrap_samples,
            seed=self.settings.seed,
        )


def judge_numbers(
    run: RunView, ways: Sequence[Sequence[Any]], held_out: Sequence[pd.DataFrame], base: int
) -> Judgement:
    """Return the cross-fitted scores of ways to predict the same numbers, as `Task.judge`."""
    ids = [list(table["image_id"]) for table in held_out]
    image_ids, seen = mean_by_image(ids, [np.stack(of_job) for of_job in zip(*ways, strict=True)])
    row_names, of_rows = Rows(run).join(image_ids, list(seen), "out-of-fold")
    judgement = NumberJudgement(run, row_names)
    judged = [judgement.judge(place) for place in of_rows]
    gains = judgement.gains(judged[base], judged)
    return Judgement([way.honest for way in judged], gains, len(row_names))


def judged_facts(run: RunView) -> dict[str, Any]:
    """Return what ensemble.json depends on besides predictions."""
    form = run.settings.competition
    known = run.images[run.images["labelled"]]
    truth = truth_of(form, known, list(known["image_id"]))
    return {
        "settings": run.settings.ensemble.model_dump(mode="json"),
        "metric": [form.metric, truth.scale.to_json()],
        "folds": fingerprint(run.folds.to_dict(orient="list")),
        "labels": fingerprint([list(truth.names), truth.numbers.tolist()]),
        **row_facts(run),
    }


def assess_run(run: RunView, source: MemberSource, made_from: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ensemble.json; metrics.csv is written.

    Raises:
        InputError: as `number_members`.
    """
    import pandas as pd

    settings, scale = run.settings.ensemble, scale_of(run.settings.competition)
    members = number_members(source, "out-of-fold", scale, Rows(run))
    judgement = NumberJudgement(run, members.image_ids)
    truth, parts = judgement.truth, judgement.parts
    assessed = assess_numbers(
        members.place, truth, parts, merge=settings.merge, weights=settings.weights
    )
    predicted = assessed.judged.predicted
    scores = resampled_scores(
        truth,
        [predicted],
        judgement.groups,
        samples=settings.bootstrap_samples,
        seed=settings.seed,
    )
    named = [*((str(part), parts == part) for part in assessed.judged.folds),
             ("all", np.ones(len(parts), bool))]  # fmt: skip
    rows = [
        {
            "fold": name,
            "images": int(here.sum()),
            **number_measures(truth.numbers[here], predicted[here], len(scale.grades)),
        }
        for name, here in named
    ]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6g")
    write_text(run.directory.metrics, text)
    one_fold = np.unique(Rows(run).fold_view.folds_of(members.image_ids)).size == 1
    interval = known_bounds(scores[:, 0], INTERVAL_LEVEL)
    return {
        "task": run.settings.competition.task,
        "metric": truth.metric,
        "merge": settings.merge,
        "weights": settings.weights if isinstance(settings.weights, str) else "given",
        "members": [
            {"name": name, "weight": weight}
            for name, weight in zip(members.names, assessed.weights, strict=True)
        ],
        "number": {**scale.to_json(), "cuts": assessed.cuts.tolist()},
        **_cut_search(truth),
        "honest": _honest(assessed, interval, one_fold),
        "optimistic": assessed.optimistic,
        "constant": truth.constant(),
        "measures": {name: plain(value) for name, value in rows[-1].items() if name != "fold"},
        "confusion": _confusion(truth, predicted),
        "images": len(members.image_ids),
        **Rows(run).named(),
        "made_from": dict(made_from),
    }


def _cut_search(truth: NumberTruth) -> dict[str, Any]:
    """Return how cut points are searched for, nothing where that is exact."""
    if not truth.scale.grades or not is_reference(truth.metric):
        return {}
    return {"cut_search": {**describe_search(), "begun_at": [KAPPA, "accuracy"]}}


def _honest(
    assessed: NumberAssessment, interval: tuple[float, float], one_fold: bool
) -> dict[str, Any]:
    what = "part" if one_fold else "fold"
    return {
        "score": assessed.judged.honest,
        "chosen_on": "the other parts of the only fold" if one_fold else "the other folds",
        "interval": {"low": interval[0], "high": interval[1], "level": INTERVAL_LEVEL},
        f"{what}s": [
            {what: part, "images": count, "score": score}
            for part, (count, score) in assessed.judged.folds.items()
        ],
    }


def _confusion(truth: NumberTruth, predicted: FloatArray) -> list[list[int]]:
    """Return the images by true and predicted grade; empty for numbers."""
    from sklearn.metrics import confusion_matrix

    if not truth.scale.grades:
        return []
    grades = np.arange(len(truth.scale.grades))
    pair = (np.rint(values).astype(np.int64) for values in (truth.numbers, predicted))
    table: list[list[int]] = confusion_matrix(*pair, labels=grades).tolist()
    return table


def plain(value: Any) -> Any:
    """Return a value, or None for NaN."""
    return None if isinstance(value, float) and np.isnan(value) else value


@dataclass(frozen=True)
class DecidedNumbers:
    """What members predict for images, and the decision of ensemble.json on it.

    Attributes:
        members: the members and their places, M arrays (N, 1).
        choice: how they are blended, the scale and the cut points.
        place: (N,) blended.
        predicted: (N,) grades from 0, or numbers.
    """

    members: NumberMembers
    choice: NumberChoice
    place: FloatArray
    predicted: FloatArray

    def words(self, number: float) -> str:
        """Return a predicted number as a cell shows it: the name of a grade, or six digits."""
        grades = self.choice.scale.grades
        return grades[round(number)] if grades else f"{number:.6g}"


def number_choice_of(run: RunView) -> NumberChoice:
    """Return what a run's ensemble.json decides on its grades or numbers.

    Raises:
        InputError: the file is missing, not whole, or decides on other grades or another range.
    """
    from goldfold.ensemble.decision_fields import AGAIN, require_classes
    from goldfold.ensemble.number_choice import read_number_choice

    source, scale = run.directory.ensemble, scale_of(run.settings.competition)
    choice = read_number_choice(source)
    require_classes(source, choice.scale.grades, scale.grades)
    if choice.scale != scale:
        raise InputError(
            f"{source} decides on numbers from {choice.scale.low:g} to {choice.scale.high:g}; the "
            f"competition's are from {scale.low:g} to {scale.high:g}. {AGAIN}"
        )
    return choice


def decide_run(run: RunView, source: MemberSource, split: Split) -> DecidedNumbers:
    """Return the grades or numbers of the test images, or of the training images out of fold.

    Raises:
        InputError: predictions or ensemble are missing or outdated.
    """
    from goldfold.ensemble.decision_fields import require_members

    choice = number_choice_of(run)
    rows = Rows(run)
    members = number_members(source, split, choice.scale, rows)
    require_members(run.directory.ensemble, choice.weights, members.names)
    references = None
    if choice.merge == "rank" and split == "test":
        references = number_members(source, "out-of-fold", choice.scale, rows).place
    place = choice.blend(members.names, members.place, references)
    return DecidedNumbers(members, choice, place, choice.decide(place))
