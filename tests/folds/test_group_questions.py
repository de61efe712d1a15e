"""Questions about groups, and how the audit counts columns that look like groups."""

import pandas as pd
import pytest

from goldfold.errors import SettingsError
from goldfold.folds.audit import audit_folds
from goldfold.folds.group_questions import count_open, open_columns, question, unknown_values
from goldfold.settings_file import validate_settings

IDS = ["a", "b", "c", "d"]
PATIENT, STUDY = ["p", "p", "q", "q"], ["s", "s", "t", "u"]


def test_what_is_open():
    both = {"study": STUDY, "patient": PATIENT}
    assert open_columns(both, IDS, []) == {"patient": ["study"]}
    assert open_columns(both, PATIENT, []) == {}
    assert open_columns(both, STUDY, []) == {"patient": []}
    assert open_columns(both, IDS, ["patient"]) == {"study": []}
    assert open_columns(both, IDS, ["patient", "study"]) == {}
    crossed = {"patient": PATIENT, "lesion": ["l", "m", "m", "n"]}
    assert open_columns(crossed, IDS, []) == {"patient": [], "lesion": []}
    assert open_columns(crossed, PATIENT, []) == {"lesion": []}


def test_the_question():
    said = question(count_open("Patient ID", PATIENT, ["study"], [0, 1, 0, 0]), ["site"])
    assert said == (
        'column "Patient ID" of images.csv looks like a group: 2 values, 2 with several images, '
        "and 1 would be split across folds. Set one of these lines in [folds] of "
        'goldfold.toml: group = "Patient ID" keeps each value in one fold; not_groups = ["site", '
        '"Patient ID", "study"] says that images with equal values are independent. The answer '
        'also applies to "study", which is finer.'
    )
    said = question(count_open("lesion", ["l", "l", *[""] * 3], [], None), [])
    assert "1 value, 1 with several images, and up to 1 would be split" in said
    assert "it needs values for more images: 3 of 5 have none" in said


def test_images_without_a_value():
    assert unknown_values("patient", ["p", "q"], declared=False) == ([], [])
    problems, notices = unknown_values("patient", ["p", "p", "", "q"], declared=False)
    assert notices == []
    assert problems[0].startswith('folds.group = "patient", but 1 of 4 training images have no')
    assert 'Set ungrouped = "single" in [folds]' in problems[0]
    problems, notices = unknown_values("patient", ["p", "p", "", "q"], declared=True)
    assert problems == []
    assert notices == [
        "1 of 4 training images have no value in the column patient (folds.group); each of them "
        'is its own group (ungrouped = "single")'
    ]
    problems, notices = unknown_values("patient", ["p", "", ""], declared=True)
    assert notices == []
    assert problems[0].startswith('folds.group = "patient", but 2 of 3 training images have no')


def test_a_group_cannot_be_declined():
    with pytest.raises(SettingsError, match="group and not_groups both name 'patient'"):
        validate_settings({"folds": {"not_groups": ["patient"]}}, "test")


def audited(folds, **more):
    table = pd.DataFrame({"image_id": IDS, "fold": folds})
    columns = {"patient": dict(zip(IDS, PATIENT, strict=True)), "study": {"a": "s", "b": "s"}}
    return audit_folds(table, columns=columns, **more)


def test_the_audit_looks_at_every_column():
    report = audited(["0", "0", "1", "0"])
    assert report.leaking
    assert [leak.kind for leak in report.leaks] == ["column-in-several-folds"]
    assert report.text().splitlines()[:2] == [
        'LEAK: values of the column "patient" in more than one fold: 1 of 2 (2 images); images of '
        "the same patient would be trained on and validated.",
        "  q: 1 in fold 0, 1 in fold 1",
    ]
    assert report.text().splitlines()[-1] == (
        'no value of column "study" is in more than one fold: 1 value, 1 with several images'
    )
    counts = report.to_json()["columns"]
    assert [(count["name"], count["repeated"], count["split"]) for count in counts] == [
        ("patient", 2, 1),
        ("study", 1, 0),
    ]


def test_a_declined_column_is_counted_and_does_not_leak():
    report = audited(["0", "0", "1", "0"], declined=["patient"])
    assert not report.leaking
    assert (
        'notice: column "patient" was declined (folds.not_groups): 2 values, 2 with several '
        "images, 1 in more than one fold" in report.text()
    )


def test_a_column_whose_values_stay_in_one_fold_does_not_leak():
    report = audited(["0", "0", "1", "1"])
    assert not report.leaking
    words = 'no value of column "patient" is in more than one fold: 2 values, 2 with several images'
    assert words in report.text()
