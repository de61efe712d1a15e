import pytest

from goldfold.errors import (
    GoldfoldError,
    ImageError,
    InputError,
    OutputError,
    RunLengthError,
    SettingsError,
    did_you_mean,
    list_problems,
    plural,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (GoldfoldError, 1), (OutputError, 1), (InputError, 2), (SettingsError, 2),
        (ImageError, 2), (RunLengthError, 2),
    ],
)  # fmt: skip
def test_exit_codes(kind, code):
    assert kind("x").exit_code == code
    assert isinstance(kind("x"), GoldfoldError)


def test_problems_are_listed_up_to_a_limit_and_counted_all():
    text = list_problems("3 bad rows:", ["row 2", "row 3", "row 4"], "Mend them.", limit=2)
    assert text.splitlines() == [
        "3 bad rows:",
        "  row 2",
        "  row 3",
        "  ... and 1 more",
        "Mend them.",
    ]


def test_without_remedy_the_last_line_is_a_problem():
    assert list_problems("Bad:", ["a"]) == "Bad:\n  a"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("dise", " Did you mean 'dice'?"),
        ("DICE", " Did you mean 'dice'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_asked_for(name, hint):
    assert did_you_mean(name, ["dice", "mean-iou-thresholds"]) == hint


def test_nothing_known_nothing_asked():
    assert did_you_mean("a", []) == ""


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 rows have"), (1, "1 row has"), (2000, "2,000 rows have")]
)
def test_plural(count, text):
    assert plural(count, "row has", "rows have") == text
