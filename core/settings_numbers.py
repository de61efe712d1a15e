"""What goldfold.toml must say where grades or a continuous number are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.metric_names import wrong_metric
from goldfold.vocabulary import NumberTask, names_of

if TYPE_CHECKING:
    from goldfold.settings_competition import CompetitionSettings
    from goldfold.settings_loss import Loss

NUMBER_TASKS = names_of(NumberTask)
GRADE_KINDS, REGRESSION_KINDS = ("column", "folders"), ("column",)
FEWEST_GRADES = 3
LARGEST_NUMBER = 1e100
"""Squares of larger numbers, summed over images, are infinite."""

LOSSES = {
    "classes": ("cross_entropy",),
    "ordinal": ("bce", "focal"),
    "regression": ("mse", "smooth_l1"),
}
"""By output of a network, the parts of the loss that can train it."""


def output_of(form: CompetitionSettings) -> str:
    """Return the kind of output that networks of a competition of grades or numbers have."""
    return form.output if form.task == "grades" else "regression"


def outputs_of(form: CompetitionSettings) -> int:
    """Return how many numbers a network outputs per image."""
    grades = len(form.classes)
    return {"classes": grades, "ordinal": grades - 1, "regression": 1}[output_of(form)]


def check_numbers(form: CompetitionSettings) -> None:
    """Raise ValueError where a competition of grades or numbers is described wrongly."""
    grades = form.task == "grades"
    kinds = GRADE_KINDS if grades else REGRESSION_KINDS
    if form.labels.kind not in kinds:
        raise ValueError(
            f'task = "{form.task}" needs labels.kind {" or ".join(kinds)}, found '
            f'"{form.labels.kind}"'
        )
    if problem := wrong_metric(form.metric, form.task):
        raise ValueError(problem)
    if form.mirrored or form.metric_weights or form.exclusive:
        raise ValueError(f"mirrored, metric_weights and exclusive do not belong to {form.task}")
    if grades:
        _check_grades(form)
    else:
        _check_range(form)
    form_of_file = form.submission
    if form_of_file.sample and form_of_file.label_column is None:
        raise ValueError(
            f'task = "{form.task}" with submission.sample needs submission.label_column, the '
            "column that holds the prediction"
        )
    if form_of_file.class_column or form_of_file.class_separator or form_of_file.objects:
        raise ValueError(f"a submission of {form.task} has one row per image, without a class")


def _check_grades(form: CompetitionSettings) -> None:
    if len(form.classes) < FEWEST_GRADES or len(set(form.classes)) != len(form.classes):
        raise ValueError(
            'task = "grades" needs classes = ["0", "1", "2"]: the names of three or more grades, '
            'from lowest to highest, each once; two are task = "classification"'
        )
    if form.number_range is not None:
        raise ValueError('number_range belongs to task = "regression"; grades are counted from 0')


def _check_range(form: CompetitionSettings) -> None:
    if form.classes or form.output != "classes":
        raise ValueError('classes and output do not belong to task = "regression"')
    low, high = form.number_range or (0.0, 0.0)
    if max(abs(low), abs(high)) > LARGEST_NUMBER:
        raise ValueError(
            f"number_range holds numbers beyond {LARGEST_NUMBER:g}, whose squares are infinite: "
            "choose a larger unit"
        )
    if low >= high:
        raise ValueError(
            'task = "regression" needs number_range = [lowest, highest], the numbers that can '
            "occur, e.g. [0, 228] months: networks predict a position between the two"
        )


def check_number_loss(name: str, loss: Loss, form: CompetitionSettings) -> None:
    """Raise ValueError where a stage's loss does not train the output of its network.

    Args:
        name: of the stage, for the message.
        loss: of the stage.
        form: of the competition.
    """
    output = output_of(form)
    allowed = LOSSES[output]
    wrong = [part for part in loss.parts if part not in allowed]
    if wrong:
        named = " and ".join(f"loss.{part}" for part in wrong)
        zero = [f"{part} = 0" for part in loss.default_parts if part not in allowed]
        example = ", ".join([*zero, f"{allowed[0]} = 1"])
        raise ValueError(
            f'{name}: {named} cannot train output = "{output}": set loss = {{ {example} }}'
        )
    if output != "classes" and loss.class_weights:
        raise ValueError(f'{name}: loss.class_weights needs output = "classes"')
    if output == "regression" and loss.smoothing:
        raise ValueError(f"{name}: loss.smoothing has no meaning for a number; set it to 0")
    weights = loss.class_weights
    if isinstance(weights, dict) and (
        bad := [grade for grade in weights if grade not in form.classes]
    ):
        raise ValueError(f"{name}: loss.class_weights names {bad[0]!r}, which is not a grade")
