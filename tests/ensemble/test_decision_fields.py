"""An ensemble.json of other members or classes is refused, with every difference named."""

from pathlib import Path

import pytest

from goldfold.ensemble.decision_fields import require_classes, require_members
from goldfold.errors import InputError

SOURCE = Path("run/ensemble.json")


def test_weights_of_the_members_pass_in_any_order():
    require_members(SOURCE, {"b": 0, "a": 2}, ["a", "b"])


def test_weights_of_other_members_are_all_named():
    with pytest.raises(InputError) as caught:
        require_members(SOURCE, {"a": 1, "x": 1, "y": 0}, ["a", "b", "c"])
    said = str(caught.value)
    assert str(SOURCE) in said
    assert "names 'x'" in said
    assert "names 'y'" in said
    assert "lacks 'b'" in said
    assert "lacks 'c'" in said
    assert "goldfold ensemble run" in said


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (["1", "0"], ["0", "1"]),  # another order
        (["0"], ["0", "1"]),  # one is missing
        (["0", "1", "2"], ["0", "1"]),  # one too many
        ([], ["0", "1"]),
        (["0", "one"], ["0", "1"]),  # another name
    ],
)
def test_other_classes_are_refused(said, asked):
    with pytest.raises(InputError, match="goldfold ensemble run"):
        require_classes(SOURCE, said, asked)
    require_classes(SOURCE, asked, asked)
