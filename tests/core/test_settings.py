import pytest
from pydantic import ValidationError

from goldfold.settings import (
    CompetitionSettings,
    EnsembleSettings,
    ExtraTable,
    FoldSettings,
    ImageFiles,
    InferenceSettings,
    LabelTable,
    Loss,
    ModelSettings,
    Sampling,
    Settings,
    StageSettings,
    Strict,
    SubmissionFormat,
    SubmissionSettings,
)


def tables(model=Settings):
    found = {model}
    for field in model.model_fields.values():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, Strict):
                found |= tables(kind)
    return found


def test_all_has_a_default_but_the_facts_of_an_extra_table():
    assert Settings().models[0].stages[0].epochs > 0
    assert Settings().competition.data.as_posix() == "data"


@pytest.mark.parametrize("table", sorted(tables(), key=lambda one: one.__name__))
def test_every_field_of_every_table_is_explained(table):
    assert table.__doc__
    assert [name for name, field in table.model_fields.items() if not field.description] == []


def test_nothing_changes_after_reading():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().workers = 3


EXTRA = {"file": "a.csv", "id_column": "id", "columns": {"patient": "p"}}


@pytest.mark.parametrize(
    ("table", "values", "words"),
    [
        (FoldSettings, {"count": 1}, "greater than or equal to 2"),
        (FoldSettings, {"count": 21}, "less than or equal to 20"),
        (FoldSettings, {"seed": -1}, "greater than or equal to 0"),
        (FoldSettings, {"train": [5]}, r"train = \[5\] must name different folds between 0 and 4"),
        (FoldSettings, {"train": [0, 0]}, r"train = \[0, 0\] must name different folds"),
        (FoldSettings, {"train": []}, r"train = \[\] must name different folds"),
        (Loss, {"bce": 0, "dice": 0}, "at least one weight of a loss over pixels or classes"),
        (Loss, {"bce": -1}, "greater than or equal to 0"),
        (StageSettings, {"image_size": 100}, "multiple of 32"),
        (StageSettings, {"augmentation": "stong"}, "'none', 'flip', 'light', 'strong', 'siim"),
        (LabelTable, {"dialect": "kagle"}, "'siim', 'kaggle', 'kaggle-dash', 'row-major', 'row"),
        (LabelTable, {"dialect": {"base": 2}}, "dialect.table.base\n.*0 or 1"),
        (SubmissionFormat, {"dialect": ""}, "'siim', 'kaggle', 'kaggle-dash', 'row-major', 'row"),
        (StageSettings, {"learning_rate": float("inf")}, "finite number"),
        (StageSettings, {"learning_rate": float("nan")}, "finite number"),
        (StageSettings, {"sampling": {"start": 1.5}}, "less than or equal to 1"),
        (ModelSettings, {"name": "../up"}, "should match pattern"),
        (ModelSettings, {"seeds": [1, 1]}, r"seeds must be different, found \[1, 1\]"),
        (ModelSettings, {"seeds": [-1]}, "greater than or equal to 0"),
        (ModelSettings, {"stages": [{"loss": {"presence": 0.1}}]}, "the model has none: set pres"),
        (ModelSettings, {"presence_head": True}, r"never learn: set loss\.presence in one of 1 st"),
        (
            ModelSettings,
            {"stages": [{}, {"start": "averaged"}]},
            "stage 2 starts from averaged weights, but stage 1 makes none: set its ema or swa",
        ),
        (StageSettings, {"image_size": 64, "crop_size": 96}, "crop_size 96 is larger than image_"),
        (Sampling, {"schedule": "steps"}, 'steps belong to schedule = "steps", and that needs'),
        (
            Sampling,
            {"schedule": "steps", "steps": [[2, 0.5]]},
            r"steps must begin with epoch 1 and rise, found epochs \[2\]",
        ),
        (Sampling, {"weight_by": "area"}, "weight_by needs replacement = true"),
        (ModelSettings, {"channels": 2}, "should be 1 or 3"),
        (Settings, {"models": [{}, {}]}, "model names must be different, found"),
        (Settings, {"workers": -1}, "greater than or equal to 0"),
        (Settings, {"ensemble": {"members": ["unet-resnet43"]}},
         r"names 'unet-resnet43', but the models are unet-resnet34\. Did you mean 'unet-resnet34'"),
        (Settings, {"ensemble": {"weights": [1, 2]}}, "has 2 values for 1 member"),
        (EnsembleSettings, {"weights": [-1]}, "greater than or equal to 0"),
        (SubmissionSettings, {"file": "../s.csv"}, "should match pattern"),
        (SubmissionSettings, {"file": "s.txt"}, "should match pattern"),
        (SubmissionSettings, {"file": "folds.csv"}, "has another file of that name"),
        (ImageFiles, {"shape": [0, 5]}, "greater than or equal to 1"),
        (CompetitionSettings, {"metric": "auc"}, "f2-iou-thresholds.*auroc.*Did you mean 'auroc'"),
        (ExtraTable, {**EXTRA, "patterns": {"age": "(a)"}}, "patterns names 'age', which columns"),
        (ExtraTable, {**EXTRA, "patterns": {"patient": "("}}, r"pattern '\(' of 'patient': m"),
        (ExtraTable, {**EXTRA, "patterns": {"patient": "a"}}, r"has no \(group\) to keep"),
    ],
)  # fmt: skip
def test_what_is_refused(table, values, words):
    with pytest.raises(ValidationError, match=words):
        table.model_validate(values)


def test_folds_that_are_trained_may_be_a_part():
    assert FoldSettings(train=[4, 0]).train == [4, 0]


def test_members_and_weights_that_fit():
    settings = Settings.model_validate(
        {
            "models": [{"name": "a"}, {"name": "b"}],
            "ensemble": {"members": ["b"], "weights": [3]},
        }
    )
    assert settings.ensemble.members == ["b"]


def test_as_many_checkpoints_are_kept_as_are_averaged():
    words = (
        "inference.checkpoints is 4, but model unet-resnet34 keeps 3 checkpoints: set its "
        "keep_checkpoints to 4 or inference.checkpoints to 3"
    )
    with pytest.raises(ValidationError, match=words):
        Settings(inference=InferenceSettings(checkpoints=4))
    assert Settings(inference=InferenceSettings(checkpoints=1)).inference.checkpoints == 1
