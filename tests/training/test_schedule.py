import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.training.schedule import plateau_factor, rate_at

NAMES = ["cosine", "warm-restarts", "one-cycle", "plateau", "polynomial", "constant"]


@pytest.mark.parametrize(("step", "rate"), [(0, 0.5), (1, 1.0), (2, 1.0), (3, 0.75), (4, 0.25)])
def test_cosine_by_hand(step, rate):
    # Falling over 3 steps: cos(0) = 1, cos(60 degrees) = 1/2, cos(120 degrees) = -1/2.
    assert rate_at("cosine", step, total=5, warmup=2) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("constant", {}, [1, 1, 1, 1]),
        ("plateau", {}, [1, 1, 1, 1]),
        ("polynomial", {"power": 1.0}, [1, 0.75, 0.5, 0.25]),
        ("polynomial", {"power": 2.0, "floor": 0.2}, [1, 0.65, 0.4, 0.25]),
        ("warm-restarts", {"period": 2}, [1, 0.5, 1, 0.5]),
        ("warm-restarts", {"period": 1, "growth": 3}, [1, 1, 0.75, 0.25]),
        ("cosine", {"floor": 0.5}, [1, 0.9268, 0.75, 0.5732]),
        ("one-cycle", {"rise": 0.5}, [0.04, 0.52, 1, 0.5]),
    ],
)
def test_by_hand(name, options, expected):
    found = [rate_at(name, step, total=4, **options) for step in range(4)]
    assert found == pytest.approx(expected, abs=1e-4)


@given(
    name=st.sampled_from(NAMES),
    total=st.integers(1, 300),
    share=st.floats(0, 1),
    floor=st.floats(0, 1),
)
def test_rates_are_between_0_and_1_and_rise_first(name, total, share, floor):
    warmup = int(share * total)
    rates = [rate_at(name, s, total=total, warmup=warmup, floor=floor) for s in range(total)]
    assert all(0 <= rate <= 1 + 1e-12 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    if name in ("cosine", "polynomial"):
        assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_cosine_agrees_with_torch():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.1)
    for step in range(20):
        ours = rate_at("cosine", step, total=20, floor=0.1)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()


def test_warm_restarts_agree_with_torch():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=5, T_mult=2)
    for step in range(34):
        ours = rate_at("warm-restarts", step, total=34, period=5, growth=2)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()


def test_one_step_without_warmup_is_the_highest_and_a_long_warmup_divides_by_nothing():
    assert rate_at("cosine", 0, total=1) == 1.0
    assert rate_at("cosine", 3, total=2, warmup=4) == 1.0
    assert rate_at("cosine", 4, total=2, warmup=4) == 1.0


def test_an_unknown_schedule():
    with pytest.raises(InputError, match="unknown learning rate schedule 'step'"):
        rate_at("step", 0, total=3)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], 1.0),
        ([0.5], 1.0),
        ([0.5, 0.4], 1.0),
        ([0.5, 0.4, 0.5], 0.5),
        ([0.5, None, 0.4, None, 0.3], 0.5),
        ([0.5, 0.4, 0.6, 0.5], 1.0),
        ([0.5, 0.4, 0.4, 0.4, 0.4], 0.25),
        ([0.5, 0.4, 0.4, 0.9, 0.4, 0.4], 0.25),
    ],
)
def test_plateau_by_hand(scores, expected):
    assert plateau_factor(scores, patience=2, factor=0.5) == expected


@given(st.lists(st.floats(0, 1), max_size=40), st.integers(1, 5))
def test_plateau_agrees_with_torch(scores, patience):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=patience - 1, threshold=0.0, eps=0.0
    )
    for score in scores:
        theirs.step(score)
    ours = plateau_factor(scores, patience=patience, factor=0.5)
    assert math.isclose(ours, optimizer.param_groups[0]["lr"])
