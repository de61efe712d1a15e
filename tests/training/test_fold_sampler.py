"""The sampling schedules as a PyTorch sampler."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Sampler

from goldfold.errors import InputError
from goldfold.training import EpochPlan, FoldSampler

FLAGS = [True] * 6 + [False] * 30
LINEAR = {"schedule": "linear", "start": 0.75, "end": 0.5, "epochs": 3}


def epoch_of(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_it_is_the_plan_of_the_trainings():
    sampler, plan = FoldSampler(FLAGS, seed=5, **LINEAR), EpochPlan(FLAGS, seed=5, **LINEAR)
    assert isinstance(sampler, Sampler)
    for epoch in range(3):
        assert epoch_of(sampler, epoch) == plan.indices(epoch).tolist()
        assert sampler.fraction() == plan.fraction(epoch)
        assert len(sampler) == sum(plan.counts(epoch))


def test_counts_by_hand():
    sampler = FoldSampler(FLAGS, **LINEAR)
    sizes = [(len(epoch_of(sampler, epoch)), sampler.fraction()) for epoch in (0, 2, 9)]
    assert sizes == [(8, 0.75), (12, 0.5), (12, 0.5)]


@given(st.integers(0, 99), st.lists(st.integers(0, 12), max_size=6), st.integers(0, 12))
def test_an_epoch_depends_on_seed_and_epoch_alone(seed, before, epoch):
    used, fresh = FoldSampler(FLAGS, seed=seed, **LINEAR), FoldSampler(FLAGS, seed=seed, **LINEAR)
    for earlier in before:
        epoch_of(used, earlier)
    assert epoch_of(used, epoch) == epoch_of(fresh, epoch)


@given(st.integers(1, 5), st.integers(0, 4), st.booleans())
def test_ranks_share_an_epoch(world, epoch, drop_last):
    whole = epoch_of(FoldSampler(FLAGS, **LINEAR), epoch)
    parts = []
    for rank in range(world):
        sampler = FoldSampler(FLAGS, rank=rank, world=world, drop_last=drop_last, **LINEAR)
        parts.append(epoch_of(sampler, epoch))
        assert len(sampler) == len(parts[-1])
    assert len({len(part) for part in parts}) == 1
    together = [index for row in zip(*parts, strict=True) for index in row]
    if drop_last:
        assert together == whole[: len(together)]
        assert len(whole) - len(together) < world
    else:
        assert together == [*whole, *whole[: len(together) - len(whole)]]


def test_more_ranks_than_images_still_get_one_each():
    parts = [list(FoldSampler([1, 1], rank=rank, world=5)) for rank in range(5)]
    assert [len(part) for part in parts] == [1] * 5


def test_a_fold_is_held_out_and_indices_are_of_the_whole_data_set():
    folds = np.arange(36) % 4
    sampler = FoldSampler(FLAGS, folds=folds, held_out=2, **LINEAR)
    for epoch in range(3):
        shown = epoch_of(sampler, epoch)
        assert 2 not in folds[shown]
        assert {index for index in range(6) if folds[index] != 2} <= set(shown)
    text = FoldSampler(FLAGS, folds=[f"f{fold}" for fold in folds], held_out="f2", **LINEAR)
    assert list(text) == epoch_of(sampler, 0)


@pytest.mark.parametrize("form", [np.array, torch.tensor, list])
def test_areas_are_taken_for_masks(form):
    areas = [0, 9, 0, 400]
    sampler = FoldSampler(form(areas), "positives-only")
    assert sorted(sampler) == [1, 3]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_draws_what_the_sampler_says(workers):
    sampler = FoldSampler(FLAGS, **LINEAR)
    loader = DataLoader(list(range(36)), batch_size=5, sampler=sampler, num_workers=workers)
    for epoch in (0, 2):
        sampler.set_epoch(epoch)
        shown = [int(index) for batch in loader for index in batch]
        assert shown == list(sampler)
        assert len(loader) == -(-len(shown) // 5)


def test_weights_belong_to_the_whole_data_set():
    weights = np.where(np.arange(36) == 1, 1e6, 1e-6)
    sampler = FoldSampler(
        FLAGS, folds=np.arange(36) % 2, held_out=0, replacement=True, weights=weights, start=0.5
    )
    assert [index for index in sampler if index < 6] == [1] * 3


ERRORS = {
    "no images": (lambda: FoldSampler([]), "one value per image, found shape"),
    "text": (lambda: FoldSampler(["1 2", ""]), "found <U3 such as .*Say which images have a mask"),
    "nan": (lambda: FoldSampler([1.0, float("nan")]), "found nan at 1, 1 such in all"),
    "negative": (lambda: FoldSampler([-1, 2]), "found -1 at 0"),
    "rank": (lambda: FoldSampler(FLAGS, rank=2, world=2), "from 0 to world - 1, found 2 of 2"),
    "folds alone": (lambda: FoldSampler(FLAGS, folds=[0] * 36), "folds together with held_out"),
    "held out alone": (lambda: FoldSampler(FLAGS, held_out=0), "folds together with held_out"),
    "fold": (
        lambda: FoldSampler(FLAGS, folds=[0, 1] * 18, held_out=3),
        "held_out = 3 is none of the folds 0, 1",
    ),
    "all held out": (lambda: FoldSampler(FLAGS, folds=[0] * 36, held_out=0), "nothing is left"),
    "length": (lambda: FoldSampler(FLAGS, folds=[0, 1], held_out=0), "36 images, found shape .2,"),
    "epoch": (lambda: FoldSampler(FLAGS).set_epoch(-1), "an epoch of 0 or more, found -1"),
    "fraction": (lambda: FoldSampler(FLAGS, "constant", 1e-6), "cannot be met"),
    "schedule": (lambda: FoldSampler(FLAGS, "lineal"), "unknown sampling schedule 'lineal'"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_to_do(name):
    call, words = ERRORS[name]
    with pytest.raises(InputError, match=words):
        call()
