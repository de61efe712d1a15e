import math

import pytest

from goldfold.errors import InputError
from goldfold.training.rate_range import rate_range


def bowl(best, blown):
    """A loss that falls fastest about `best` and explodes beyond `blown`."""

    def step(rate):
        fall = 1 / (1 + math.exp(-4 * math.log10(rate / best)))
        return 1.0 - 0.8 * fall + (50.0 * math.log10(rate / blown) if rate > blown else 0.0)

    return step


def test_the_suggestion_is_where_the_loss_falls_fastest():
    found = rate_range(bowl(1e-3, 0.3), lowest=1e-6, highest=1.0, steps=400)
    assert 0.8e-3 < found.suggestion < 1.25e-3
    assert found.rates[0] == 1e-6
    assert found.rates == sorted(found.rates)


def test_it_ends_when_the_loss_explodes_or_is_no_number():
    found = rate_range(bowl(1e-3, 0.05), lowest=1e-6, highest=10.0, steps=200)
    assert len(found.rates) < 200
    assert 0.05 < found.rates[-1] < 0.5
    found = rate_range(
        lambda rate: math.nan if rate > 0.01 else 1 - rate, lowest=1e-6, highest=1.0, steps=100
    )
    assert max(found.rates) <= 0.01


def test_few_steps_do_not_make_the_suggestion_late():
    """A running mean from the left alone lags behind: by a factor of 14 here."""
    found = rate_range(bowl(1e-3, 1.0), lowest=1e-6, highest=10.0, steps=60)
    assert 0.5e-3 < found.suggestion < 2e-3


def test_the_means_are_corrected_for_their_beginnings():
    found = rate_range(lambda rate: 2.0 - rate, lowest=1e-8, highest=1e-3, steps=30)
    assert found.smoothed[0] == pytest.approx(2.0, abs=1e-3)
    assert found.smoothed[-1] == pytest.approx(2.0, abs=1e-3)
    assert len(found.losses) == 30


@pytest.mark.parametrize(
    ("lowest", "highest", "steps"), [(1e-3, 1e-3, 100), (0.0, 1.0, 100), (1e-6, 1.0, 10)]
)
def test_a_range_that_is_none(lowest, highest, steps):
    with pytest.raises(InputError, match="expected 0 < lowest < highest and more than 10 steps"):
        rate_range(lambda rate: 1.0, lowest=lowest, highest=highest, steps=steps)


def test_a_loss_that_never_falls():
    with pytest.raises(InputError, match="the loss never fell, so there is nothing to suggest"):
        rate_range(lambda rate: 1.0 + rate, lowest=1e-6, highest=1e-2, steps=50)


def test_a_loss_that_is_no_number_at_once():
    with pytest.raises(InputError, match="even the lowest rate is too high"):
        rate_range(lambda rate: math.nan, lowest=1e-6, highest=1.0, steps=50)
