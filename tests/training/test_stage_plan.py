import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.settings import StageSettings
from goldfold.training.stage_plan import StagePlan

NON_EMPTY = np.arange(40) % 4 == 0


def plan(non_empty=NON_EMPTY, **options):
    names = ("seed", "weights", "extra_epochs", "pseudo_labelled")
    more = {name: options.pop(name) for name in names if name in options}
    return StagePlan(StageSettings(**options), non_empty, **{"seed": 0, **more})


def test_effective_batches_and_steps():
    one = plan(epochs=2, batch_size=4, accumulation=2)
    assert one.effective_batch == 8
    assert [len(batch) for batch in one.batches(0)] == [8] * 5
    assert (one.steps(0), one.total_steps) == (5, 10)
    assert sorted(np.concatenate(one.batches(1)).tolist()) == list(range(40))


def test_counts_and_fraction_follow_the_schedule():
    steps = [[1, 0.8], [2, 0.5], [4, 0.25]]
    one = plan(epochs=4, sampling={"schedule": "steps", "steps": steps})
    assert [one.counts(epoch) for epoch in range(4)] == [
        (10, 2, 0), (10, 10, 0), (10, 10, 0), (10, 30, 0),
    ]  # fmt: skip
    assert [one.fraction(epoch) for epoch in range(4)] == pytest.approx([10 / 12, 0.5, 0.5, 0.25])


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant", "natural", "positives-only"])
def test_more_epochs_change_nothing_before_them(schedule):
    sampling = {"schedule": schedule, "start": 0.8}
    short = plan(epochs=4, sampling=sampling)
    longer = plan(epochs=4, sampling=sampling, extra_epochs=3)
    assert (short.epochs, longer.epochs) == (4, 7)
    for epoch in range(4):
        assert (short.indices(epoch) == longer.indices(epoch)).all()
        assert short.draw(epoch) == longer.draw(epoch)
        for number in range(short.steps(epoch)):
            assert short.rate(epoch, number) == longer.rate(epoch, number)
    assert longer.fraction(6) == pytest.approx(longer.fraction(3), abs=0.05)
    assert all(0 < longer.rate(4, number) <= 1 for number in range(longer.steps(4)))


def test_positives_only():
    assert plan(sampling={"schedule": "positives-only"}).counts(0) == (10, 0, 0)
    with pytest.raises(InputError, match='"positives-only" needs images with a mask, found none'):
        plan(np.zeros(5, bool), sampling={"schedule": "positives-only"})


def test_every_empty_image_is_seen_before_one_comes_again_across_epochs():
    one = plan(epochs=9, sampling={"schedule": "constant", "start": 0.5})
    shown = np.concatenate([i[~NON_EMPTY[i]] for i in map(one.indices, range(9))])
    for start in range(0, 90, 30):
        assert len(set(shown[start : start + 30].tolist())) == 30


# --- pseudo-labels -------------------------------------------------------------------------------


@given(share=st.floats(0.05, 0.9), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_pseudo_labelled_images_have_their_share(share, seed):
    one = plan(epochs=3, pseudo_labels={"share": share}, pseudo_labelled=17, seed=seed)
    for epoch in range(3):
        indices = one.indices(epoch)
        pseudo = indices[indices >= 40] - 40
        assert one.counts(epoch) == (10, 30, len(pseudo))
        assert abs(len(pseudo) / len(indices) - share) < 0.03
        times = np.bincount(pseudo, minlength=17)
        assert times.max() - times.min() <= 1
        assert sorted(indices[indices < 40].tolist()) == list(range(40))


def test_pseudo_labels_that_are_missing():
    with pytest.raises(InputError, match="'more' have no image for this fold"):
        plan(pseudo_labels={"name": "more"})


# --- with replacement, by weight -----------------------------------------------------------------


def test_drawn_with_replacement_some_come_twice_and_the_numbers_stay():
    one = plan(sampling={"replacement": True}, epochs=2)
    indices = one.indices(0)
    assert len(indices) == 40
    assert NON_EMPTY[indices].sum() == 10
    assert len(set(indices.tolist())) < 40
    assert (one.indices(0) == indices).all()
    assert (one.indices(1) != indices).any()


def test_weights_make_images_likelier():
    weights = np.where(np.arange(40) == 8, 50.0, 1.0)
    sampling = {"replacement": True, "weight_by": "area"}
    one = plan(sampling=sampling, epochs=40, weights=weights)
    times = np.bincount(np.concatenate([one.indices(e) for e in range(40)]), minlength=40)
    assert times[8] > 0.7 * 40 * 10  # 50 of 59
    assert times[9] < 100


# --- learning rate -------------------------------------------------------------------------------


def test_the_rate_warms_up_over_epochs_and_falls_over_the_stage():
    one = plan(epochs=4, batch_size=4, warmup_epochs=1.0)
    rates = [one.rate(e, n) for e in range(4) for n in range(10)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_periods_are_counted_in_epochs():
    one = plan(epochs=6, batch_size=4, warmup_epochs=0, schedule={
        "name": "warm-restarts", "period": 2,
    })  # fmt: skip
    assert [one.rate(e, 0) for e in range(6)] == pytest.approx([1, 0.5, 1, 0.5, 1, 0.5])


def test_a_plateau_multiplies():
    one = plan(schedule={"name": "plateau"}, warmup_epochs=0)
    assert one.rate(3, 1, plateau_factor=0.25) == 0.25
    scores = [0.5, 0.4, 0.4, 0.4]
    cut = plan(schedule={"name": "plateau", "patience": 2, "factor": 0.5}).cuts(scores)
    assert (cut, plan().cuts(scores)) == (0.5, 1.0)


# --- the draw ------------------------------------------------------------------------------------


def test_the_draw_depends_on_seed_and_epoch_alone():
    one, other = plan(epochs=3), plan(epochs=3)
    assert [one.draw(e) for e in range(3)] == [other.draw(e) for e in (0, 1, 2)]
    assert other.draw(2) == one.draw(2)
    different = {one.draw(0), one.draw(1), plan(epochs=3, seed=1).draw(0)}
    assert len(different) == 3
    assert all(len(draw) == 12 for draw in different)


def test_a_plateau_has_a_floor():
    one = plan(schedule={"name": "plateau", "floor": 0.1}, warmup_epochs=0)
    assert one.rate(3, 1, plateau_factor=0.01) == 0.1
