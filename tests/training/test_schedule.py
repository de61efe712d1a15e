import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.training.schedule import learning_rate_at


@pytest.mark.parametrize(("step", "rate"), [(0, 0.5), (1, 1.0), (2, 1.0), (3, 0.75), (4, 0.25)])
def test_by_hand(step, rate):
    # Falling over 3 steps: cos(0) = 1, cos(60 degrees) = 1/2, cos(120 degrees) = -1/2.
    assert learning_rate_at(step, total=5, warmup=2, peak=1.0) == pytest.approx(rate)


@given(
    total=st.integers(1, 300),
    share=st.floats(0, 1),
    peak=st.floats(1e-6, 1.0, allow_nan=False),
)
def test_it_rises_to_the_peak_then_falls_and_stays_positive(total, share, peak):
    warmup = int(share * total)
    rates = [learning_rate_at(s, total=total, warmup=warmup, peak=peak) for s in range(total)]
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates)
    assert max(rates) == pytest.approx(peak)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_one_step_without_warmup_is_the_peak():
    assert learning_rate_at(0, total=1, warmup=0, peak=0.1) == 0.1


def test_a_warmup_longer_than_the_training_never_divides_by_zero():
    assert learning_rate_at(3, total=2, warmup=4, peak=1.0) == 1.0
    assert learning_rate_at(4, total=2, warmup=4, peak=1.0) == 1.0
