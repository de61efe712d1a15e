import threading
import time

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goldfold.training import loader
from goldfold.training.augmentation import augment, get_recipe
from goldfold.training.loader import iterate_batches, split_batches

STRONG = get_recipe("strong")


@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(0, 4, []), (1, 4, [1]), (8, 4, [4, 4]), (9, 4, [3, 3, 3])]
)
def test_batches_by_hand(count, size, lengths):
    assert [len(batch) for batch in split_batches(np.arange(count), size)] == lengths


@given(st.integers(0, 200), st.integers(1, 50))
def test_batches_hold_every_index_once_in_order_and_in_equal_shares(count, size):
    batches = split_batches(np.arange(count), size)
    assert np.concatenate([*batches, np.empty(0, np.int64)]).tolist() == list(range(count))
    lengths = [len(batch) for batch in batches]
    assert len(batches) == -(-count // size)
    assert not lengths or (max(lengths) <= size and max(lengths) - min(lengths) <= 1)


def batches_of(cache, workers, epoch=1):
    rows = split_batches(np.array([3, 1, 4, 1, 5, 9, 2]), 3)
    return list(iterate_batches(cache, rows, STRONG, seed=7, epoch=epoch, workers=workers))


def test_a_batch_is_the_augmented_images_of_its_rows(cache):
    batch = batches_of(cache, workers=0)[0]
    assert batch.rows.tolist() == [3, 1, 4]
    assert (batch.images.shape, batch.images.dtype) == ((3, 32, 32), np.uint8)
    for place, row in enumerate(batch.rows):
        image, mask = augment(cache.pixels[row], cache.mask(row), STRONG, 7, 1, int(row))
        assert (batch.images[place] == image).all()
        assert (batch.masks[place] == mask).all()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_workers_changes_nothing(cache, workers):
    for one, other in zip(batches_of(cache, 0), batches_of(cache, workers), strict=True):
        assert (one.rows == other.rows).all()
        assert (one.images == other.images).all()
        assert (one.masks == other.masks).all()


def test_another_epoch_looks_different(cache):
    assert (batches_of(cache, 0)[0].images != batches_of(cache, 0, epoch=2)[0].images).any()


def test_only_a_few_batches_are_made_ahead(cache, monkeypatch):
    made = []
    monkeypatch.setattr(
        loader, "augment", lambda image, mask, *_: (made.append(1), (image, mask))[1]
    )
    rows = [np.array([0])] * 50
    batches = iterate_batches(cache, rows, STRONG, seed=0, epoch=0, workers=2)
    next(batches)
    time.sleep(0.1)
    assert len(made) <= 4
    batches.close()
    assert len(made) <= 5


def test_an_error_in_a_worker_reaches_the_caller_and_ends_the_threads(cache, monkeypatch):
    def fail(*_):
        raise OSError("the disk went away")

    monkeypatch.setattr(loader, "augment", fail)
    with pytest.raises(OSError, match="the disk went away"):
        batches_of(cache, 2)
    assert not [t for t in threading.enumerate() if t.name.startswith("loader")]


def test_batches_for_a_gpu_are_pinned_by_the_thread_that_makes_them(cache, monkeypatch):
    where = []

    def pin(tensor):
        where.append(threading.current_thread().name)
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    rows = split_batches(np.array([3, 1, 4]), 2)
    found = list(iterate_batches(cache, rows, STRONG, seed=7, epoch=1, workers=2, pin=True))
    assert len(where) == 2 * len(rows)
    assert all(name.startswith("loader") for name in where)
    plain = iterate_batches(cache, rows, STRONG, seed=7, epoch=1, workers=0)
    for one, other in zip(found, plain, strict=True):
        assert isinstance(one.images, torch.Tensor)
        assert (one.images.numpy() == other.images).all()
        assert (one.masks.numpy() == other.masks).all()
    assert isinstance(other.images, np.ndarray)


def test_opencv_works_in_our_threads_alone_and_gets_its_own_back(cache, monkeypatch):
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    rows = split_batches(np.array([3, 1, 4]), 1)
    try:
        batches = iterate_batches(cache, rows, STRONG, seed=7, epoch=1, workers=2)
        assert cv2.getNumThreads() == 3
        next(batches)
        assert cv2.getNumThreads() == 1
        batches.close()
        assert cv2.getNumThreads() == 3
        list(iterate_batches(cache, rows, STRONG, seed=7, epoch=1, workers=2))
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
