"""The submission of a run that predicts classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldfold.competitions.class_metric import CLIP
from goldfold.competitions.class_metric_table import class_kind
from goldfold.competitions.images_table import CLASSES, JOINT, test_images
from goldfold.errors import InputError, list_problems
from goldfold.files import write_text
from goldfold.folds.parts import number_groups
from goldfold.submissions.layout import format_probability
from goldfold.tasks.class_ensemble import truth_of, with_bounds
from goldfold.tasks.class_members import class_members, row_members
from goldfold.tasks.prediction_rows import Rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.class_choice import ClassChoice
    from goldfold.settings import CompetitionSettings
    from goldfold.submissions.layout import Layout
    from goldfold.tasks.class_members import ClassMembers
    from goldfold.tasks.run_view import MemberSource, RunView, Split

ANY = "any"
"""A class of this name holds wherever another one does; it should not be less likely."""


def class_cells(
    run: RunView, source: MemberSource, keys: Sequence[str], layout: Layout
) -> list[tuple[str, Any]]:
    """Return what each row of the sample holds.

    A metric of labels is told 1 and 0 by the thresholds, not probabilities.

    Raises:
        InputError: predictions are missing or outdated, or a row has none.
    """
    form = run.settings.competition
    ids, probability, predicted = test_classes(run, source)
    place = {image_id: row for row, image_id in enumerate(ids)}
    _refuse_missing(run, keys, layout, place)
    _tell_of_any(run, form, probability)
    column = {name: number for number, name in enumerate(form.classes)}
    certain = class_kind(form.metric).takes == "labels"
    cells: list[tuple[str, Any]] = []
    for key in keys:
        row = place[layout.image_of(key)]
        if layout.content == "label":
            cells.append((key, form.classes[_named(predicted[row], probability[row])]))
            continue
        held = [min(max(float(p), CLIP), 1 - CLIP) for p in probability[row]]
        if certain:
            held = [float(yes) for yes in predicted[row]]
        if len(layout.value_columns) > 1 or not layout.class_of(key):
            wanted = [column[name] for name in _classes_of(layout, form)]
            cells.append((key, [format_probability(held[number]) for number in wanted]))
        else:
            cells.append((key, format_probability(held[column[layout.class_of(key)]])))
    return cells


def _classes_of(layout: Layout, form: CompetitionSettings) -> Sequence[str]:
    """Return the class of each column of probabilities; a single one is that of the last class."""
    return layout.value_columns if len(layout.value_columns) > 1 else form.classes[-1:]


def _named(predicted: NDArray[np.bool_], probability: NDArray[np.float64]) -> int:
    """Return the class to name: the predicted one, of several the most likely."""
    import numpy as np

    return int(np.where(predicted, probability, -1.0).argmax())


@dataclass(frozen=True)
class DecidedClasses:
    """What members say of images, and what ensemble.json makes of it.

    Attributes:
        members: with their probabilities, M arrays (N, C).
        choice: how they are blended, and the thresholds.
        probability: (N, C) blended.
        predicted: (N, C).
    """

    members: ClassMembers
    choice: ClassChoice
    probability: NDArray[np.float64]
    predicted: NDArray[np.bool_]


def class_choice_of(run: RunView) -> ClassChoice:
    """Return what a run's ensemble.json decides on its classes.

    Raises:
        InputError: the file is missing, not whole, or decides on other classes.
    """
    from goldfold.ensemble.class_choice import read_class_choice
    from goldfold.ensemble.decision_fields import require_classes

    source = run.directory.ensemble
    choice = read_class_choice(source)
    require_classes(source, choice.classes, run.settings.competition.classes)
    return choice


def decide_classes(run: RunView, source: MemberSource, split: Split) -> DecidedClasses:
    """Return the classes of the test images, or of the training images out of fold.

    Raises:
        InputError: predictions or ensemble are missing or outdated.
    """
    from goldfold.ensemble.decision_fields import require_members

    choice = class_choice_of(run)
    rows = Rows(run)
    members = row_members(class_members(source, split), rows, split)
    require_members(run.directory.ensemble, choice.weights, members.names)
    references = None
    if choice.merge == "rank" and split == "test":
        known = row_members(class_members(source, "out-of-fold"), rows, "out-of-fold")
        references = known.probability
    probability = choice.blend(members.names, members.probability, references)
    return DecidedClasses(members, choice, probability, choice.decide(probability))


def test_classes(
    run: RunView, source: MemberSource
) -> tuple[list[str], NDArray[np.float64], NDArray[np.bool_]]:
    """Return ids, blended probabilities (N, C) and predicted classes (N, C) of the test images.

    Raises:
        InputError: predictions or ensemble are missing or outdated.
    """
    decided = decide_classes(run, source, "test")
    return decided.members.image_ids, decided.probability, decided.predicted


test_classes.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it


def _refuse_missing(
    run: RunView, keys: Sequence[str], layout: Layout, place: dict[str, int]
) -> None:

    classes = run.settings.competition.classes
    problems = [f"{key}: no prediction" for key in keys if layout.image_of(key) not in place]
    problems += [
        f"{key}: {layout.class_of(key)!r} is no class"
        for key in keys
        if layout.class_of(key) and layout.class_of(key) not in classes
    ]
    if problems:
        raise InputError(
            list_problems(
                f"{len(problems)} of {len(keys)} rows of the sample submission cannot be filled:",
                problems,
                f"Are their files in {run.settings.competition.data}? `{run.command('check')}`",
                limit=5,
            )
        )


def _tell_of_any(run: RunView, form: CompetitionSettings, probability: NDArray[np.float64]) -> None:
    """Say how many images have `any` less likely than one of the classes that it stands for."""
    if ANY not in form.classes or len(form.classes) < 3 or form.exclusive:
        return
    place = form.classes.index(ANY)
    others = [number for number in range(len(form.classes)) if number != place]
    below = probability[:, others].max(axis=1) - probability[:, place]
    count = int((below > 0).sum())
    run.progress.say(
        f"consistency: in {count:,} of {len(probability):,} images `{ANY}` is less likely than one "
        f"of its classes, by up to {max(float(below.max()), 0.0):.3f}"
    )


def plain_class_table(run: RunView, source: MemberSource) -> pd.DataFrame:
    """Return probabilities and the predicted classes of the test images."""
    import pandas as pd

    classes = run.settings.competition.classes
    ids, probability, predicted = test_classes(run, source)
    table = pd.DataFrame(probability, columns=classes)
    table.insert(0, "image_id", ids)
    table["predicted"] = [
        JOINT.join(name for name, yes in zip(classes, row, strict=True) if yes)
        for row in predicted.tolist()
    ]
    return table


def judge_test_classes(run: RunView, source: MemberSource) -> dict[str, Any] | None:
    """Return score and measures of the test images where their folders name their classes.

    Writes test-metrics.csv. None where nothing is known of them.
    """
    import pandas as pd

    from goldfold.ensemble.class_blend import honest_score
    from goldfold.ensemble.class_intervals import bootstrap_classes, measures_of_classes

    test = test_images(Rows(run).images)
    if run.settings.competition.labels.kind != "folders" or (test[CLASSES] == "").any():
        return None
    ids, probability, predicted = test_classes(run, source)
    truth = truth_of(run, test, ids)
    rows = measures_of_classes(truth, probability, predicted)
    group = run.settings.folds.group
    known = test.set_index("image_id").loc[ids]
    groups = list(known[group]) if group in known.columns else [""] * len(ids)
    settings = run.settings.ensemble
    bounds = bootstrap_classes(
        truth,
        probability,
        predicted,
        number_groups(groups),
        samples=settings.bootstrap_samples,
        seed=settings.seed,
    )
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6g")
    write_text(run.directory.root / "test-metrics.csv", text)
    score = honest_score(truth, probability, predicted)
    low, high = bounds.score
    measures = with_bounds(rows, bounds)
    return {"metric": truth.metric, "score": score, "low": low, "high": high, "measures": measures}
