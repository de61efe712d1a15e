"""What settings accept of grades and numbers, and what they say otherwise."""

import pytest
from pydantic import ValidationError

from goldfold.settings import CompetitionSettings, Loss, Settings
from goldfold.vocabulary import score_name

GRADES = {
    "task": "grades",
    "classes": ["0", "1", "2"],
    "metric": "quadratic-weighted-kappa",
    "labels": {"kind": "column", "class_column": "grade"},
}
AGE = {
    "task": "regression",
    "number_range": (0, 228),
    "metric": "mae",
    "labels": {"kind": "column", "class_column": "months"},
}


def competition(base, **changes):
    return CompetitionSettings.model_validate({**base, **changes})


def settings(base, loss, **changes):
    stage = {"loss": {"bce": 0, "dice": 0, **loss}}
    model = {"name": "one", "architecture": "Classifier", "stages": [stage]}
    return Settings.model_validate(
        {"competition": {**base, **changes}, "models": [model], "inference": {"checkpoints": 1}}
    )


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "a\x1b", "a;b", "a" * 201])
def test_names_of_classes_that_files_cannot_hold_are_refused(name):
    with pytest.raises(ValidationError, match="names of classes are printable") as caught:
        competition(GRADES, classes=["0", name, "2"])
    assert repr(name[:40])[:-1] in str(caught.value)
    odd = ["a b", "a:b", "a/b", "\u00e9"]
    assert competition(GRADES, classes=odd).classes == odd


@pytest.mark.parametrize(("output", "count"), [("classes", 3), ("ordinal", 2), ("regression", 1)])
def test_outputs_of_a_network(output, count):
    assert competition(GRADES, output=output).outputs == count
    assert competition(AGE).outputs == 1


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (GRADES, {"classes": ["0", "1"]}, "three or more grades"),
        (GRADES, {"classes": ["0", "1", "1"]}, "each once"),
        (GRADES, {"metric": "auroc"}, "choose quadratic-weighted-kappa, .* mae or rmse"),
        (GRADES, {"labels": {"kind": "wide"}}, "needs labels.kind column or folders"),
        (GRADES, {"number_range": (0, 4)}, "number_range belongs to"),
        (GRADES, {"exclusive": True}, "exclusive do not belong to grades"),
        (GRADES, {"submission": {"sample": ["s.csv"]}}, "needs submission.label_column"),
        (AGE, {"number_range": None}, r"needs number_range = \[lowest, highest\]"),
        (AGE, {"number_range": (5, 5)}, "needs number_range"),
        (AGE, {"number_range": (0, 1e101)}, "number_range holds numbers beyond"),
        (AGE, {"number_range": (-1e308, 0)}, "number_range holds numbers beyond"),
        (AGE, {"classes": ["a"]}, "do not belong to"),
        (AGE, {"metric": "accuracy"}, "choose mae or rmse"),
        ({}, {"output": "ordinal"}, "output belongs to grades"),
    ],
)
def test_what_does_not_fit_is_said_with_the_way_out(base, changes, message):
    with pytest.raises(ValidationError, match=message):
        competition(base, **changes)


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("classes", {"cross_entropy": 1, "class_weights": "balanced"}),
        ("ordinal", {"bce": 1}),
        ("regression", {"mse": 1, "smooth_l1": 1}),
    ],
)
def test_the_loss_trains_the_output(output, loss):
    assert settings(GRADES, loss, output=output).models
    for other in {"classes", "ordinal", "regression"} - {output}:
        with pytest.raises(ValidationError, match=r"cannot train output|needs output"):
            settings(GRADES, loss, output=other)


def test_the_message_names_a_loss_that_works():
    with pytest.raises(ValidationError, match=r"set loss = \{ bce = 0, dice = 0, mse = 1 \}"):
        settings(GRADES, {"bce": 1, "dice": 1}, output="regression")


def test_classes_and_masks_have_no_squared_error():
    with pytest.raises(ValidationError, match="belong to grades and regression"):
        Settings.model_validate({"models": [{"name": "a", "stages": [{"loss": {"mse": 1}}]}]})


def test_ranks_are_no_numbers():
    one = {"competition": AGE, "ensemble": {"merge": "rank"}, "inference": {"checkpoints": 1}}
    stage = {"loss": {"bce": 0, "dice": 0, "mse": 1}}
    model = {"name": "one", "architecture": "Classifier", "stages": [stage]}
    with pytest.raises(ValidationError, match="the order of images, not a number"):
        Settings.model_validate({**one, "models": [model]})


def test_a_loss_of_before_is_recorded_as_before():
    assert {"mse", "smooth_l1", "own"}.isdisjoint(Loss().model_dump(mode="json"))
    assert Loss(mse=1).model_dump()["mse"] == 1


def test_an_error_is_named_as_what_is_shown():
    assert score_name("rmse") == "minus rmse"
    assert score_name("quadratic-weighted-kappa") == "quadratic-weighted-kappa"
