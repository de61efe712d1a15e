import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.training.sampler import MAX_REPEATS, EpochPlan, fraction_at


def flags(positives: int, negatives: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation([True] * positives + [False] * negatives)


@pytest.mark.parametrize(
    ("schedule", "start", "end", "expected"),
    [
        ("constant", 0.5, 0.1, [0.5, 0.5, 0.5]),
        ("linear", 0.8, 0.2, [0.8, 0.5, 0.2]),
        ("linear", 0.8, "natural", [0.8, 0.55, 0.3]),
        ("linear", "natural", 0.5, [0.3, 0.4, 0.5]),
        ("cosine", 0.8, 0.2, [0.8, 0.5, 0.2]),
        ("natural", 0.8, 0.2, [0.3, 0.3, 0.3]),
    ],
)
def test_fraction_by_hand(schedule, start, end, expected):
    found = [fraction_at(schedule, start, end, epoch, 3, natural=0.3) for epoch in range(3)]
    assert found == pytest.approx(expected)


def test_cosine_falls_slowly_at_both_ends():
    found = [fraction_at("cosine", 1.0, 0.0, epoch, 5, natural=0.3) for epoch in range(5)]
    assert found == pytest.approx([1.0, 0.853553, 0.5, 0.146447, 0.0], abs=1e-6)


def test_one_epoch_takes_the_start():
    assert fraction_at("linear", 0.8, 0.2, 0, 1, natural=0.3) == 0.8


def test_unknown_schedule_is_named():
    with pytest.raises(
        InputError, match=r"unknown sampling schedule 'quadratic': choose one of constant"
    ):
        fraction_at("quadratic", 0.8, 0.2, 0, 3, natural=0.3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fraction", "negatives"), [(0.8, 25), (0.5, 100), (0.4, 150), (1.0, 0), (0.25, 300)]
)
def test_counts_by_hand(fraction, negatives):
    plan = EpochPlan(flags(100, 200), "constant", start=fraction)
    assert plan.counts(0) == (100, negatives)
    assert plan.fraction(0) == pytest.approx(fraction)


def test_linear_plan_by_hand():
    plan = EpochPlan(flags(20, 60), "linear", start=0.8, end="natural", epochs=3)
    # Fractions 0.8, 0.525, 0.25: 20 x 0.2 / 0.8 = 5, 20 x 0.475 / 0.525 = 18.1, all 60.
    assert [plan.counts(epoch) for epoch in range(3)] == [(20, 5), (20, 18), (20, 60)]
    assert len(plan) == 3


@given(
    positives=st.integers(1, 30),
    negatives=st.integers(3, 30),
    schedule=st.sampled_from(["constant", "linear", "cosine", "natural"]),
    start=st.floats(0.1, 1.0),
    end=st.floats(0.1, 1.0),
    epochs=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_laws_of_every_plan(positives, negatives, schedule, start, end, epochs, seed):
    non_empty = flags(positives, negatives, seed)
    plan = EpochPlan(non_empty, schedule, start, end, epochs=epochs, seed=seed)
    total = np.zeros(non_empty.size, dtype=int)
    for epoch in range(epochs):
        indices = plan.indices(epoch)
        shown = np.bincount(indices, minlength=non_empty.size)
        assert indices.dtype == np.int64
        assert (shown[non_empty] == 1).all()
        assert plan.counts(epoch) == (positives, shown[~non_empty].sum())
        aim = fraction_at(schedule, start, end, epoch, epochs, natural=positives / non_empty.size)
        assert abs(plan.counts(epoch)[1] - positives * (1 - aim) / aim) <= 0.5 + 1e-9
        # No empty image comes again before all others have come: in the epoch and in all.
        assert np.ptp(shown[~non_empty]) <= 1
        total += shown
        assert np.ptp(total[~non_empty]) <= 1


@given(positives=st.integers(0, 20), negatives=st.integers(0, 20), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_natural_shows_every_image_once(positives, negatives, seed):
    non_empty = flags(positives, negatives)
    if non_empty.size == 0:
        return
    plan = EpochPlan(non_empty, "natural", epochs=2, seed=seed)
    for epoch in range(2):
        assert sorted(plan.indices(epoch)) == list(range(non_empty.size))


def test_order_depends_on_seed_and_epoch_alone():
    def plan(seed: int) -> EpochPlan:
        return EpochPlan(flags(20, 50), "linear", 0.8, 0.3, epochs=4, seed=seed)

    first, again, other = plan(0), plan(0), plan(1)
    forward = [first.indices(epoch) for epoch in range(4)]
    backward = [again.indices(epoch) for epoch in reversed(range(4))][::-1]
    for one, two in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(forward[0], other.indices(0))
    assert not np.array_equal(forward[0][:20], forward[1][:20])


def test_all_positions_of_an_epoch_mix_the_classes():
    non_empty = flags(500, 500)
    first_half = EpochPlan(non_empty, "constant", start=0.5).indices(0)[:500]
    assert 200 < non_empty[first_half].sum() < 300


def test_the_epochs_before_do_not_depend_on_the_number_of_draws_after():
    short = EpochPlan(flags(10, 40), "constant", start=0.5, epochs=2)
    long = EpochPlan(flags(10, 40), "constant", start=0.5, epochs=9)
    np.testing.assert_array_equal(short.indices(1), long.indices(1))


@pytest.mark.parametrize(("positives", "negatives"), [(0, 7), (7, 0), (1, 0), (0, 1)])
def test_one_kind_alone_is_shown_whole(positives, negatives):
    plan = EpochPlan(flags(positives, negatives), "constant", start=0.5)
    assert sorted(plan.indices(0)) == list(range(positives + negatives))
    assert plan.counts(0) == (positives, negatives)
    assert plan.fraction(0) == float(positives > 0)


def test_no_images_is_an_error():
    with pytest.raises(InputError, match="expected images to sample from, found none"):
        EpochPlan([])


def test_fraction_zero_is_an_error_that_says_what_it_asks_for():
    with pytest.raises(InputError, match=r"fraction 0 in epoch 3 cannot be met") as caught:
        EpochPlan(flags(10, 30), "linear", 0.8, 0.0, epochs=3)
    assert '0.25 ("natural")' in str(caught.value)
    with pytest.raises(InputError, match=f"asks for 1990 empty ones.* more than {MAX_REPEATS}"):
        EpochPlan(flags(10, 3), "constant", start=0.005)


def test_fraction_out_of_range_is_an_error():
    with pytest.raises(InputError, match=r"must be between 0 and 1, found 1\.2"):
        EpochPlan(flags(10, 30), "constant", start=1.2)
