"""The words of an explanation of classes."""

import pytest

from goldfold.tasks.class_explanation import told_apart


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [
        (0.25, 0.5, ("0.250", "0.500")),
        (0.47879168, 0.47879171, ("0.47879168", "0.47879171")),
        (0.5, 0.5, ("0.500", "0.500")),
        (1e-20, 2e-20, ("1e-20", "2e-20")),
        (0.1, 0.1 + 2**-56, ("0.10000000000000001", "0.10000000000000002")),
    ],
)
def test_an_explanation_never_says_that_a_number_is_below_itself(value, limit, shown):
    assert told_apart(value, limit) == shown
