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
from goldfold.training.images import PseudoLabelled, TrainingImages
from goldfold.training.loader import Look, iterate_batches
from goldfold.training.stage_plan import split_batches

STRONG = get_recipe("strong")
CPU = torch.device("cpu")


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


def batches(cache, numbers, workers, epoch=1, **options):
    images = TrainingImages(cache, np.arange(len(cache)))
    return iterate_batches(images, numbers, Look(STRONG, 7, epoch), workers=workers, **options)


def batches_of(cache, workers, epoch=1):
    return list(batches(cache, split_batches(np.array([3, 1, 4, 1, 5, 9, 2]), 3), workers, epoch))


def test_a_batch_is_the_augmented_images_of_its_rows(cache):
    batch = batches_of(cache, workers=0)[0]
    assert batch.numbers.tolist() == [3, 1, 4]
    assert (batch.images.shape, batch.images.dtype) == ((3, 32, 32), np.uint8)
    for place, row in enumerate(batch.numbers):
        image, mask = augment(cache.pixels[row], cache.mask(row), STRONG, 7, 1, int(row))
        assert (batch.images[place] == image).all()
        assert (batch.masks[place] == 255 * mask).all()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_workers_changes_nothing(cache, workers):
    for one, other in zip(batches_of(cache, 0), batches_of(cache, workers), strict=True):
        assert (one.numbers == other.numbers).all()
        assert (one.images == other.images).all()
        assert (one.masks == other.masks).all()


def test_another_epoch_looks_different(cache):
    assert (batches_of(cache, 0)[0].images != batches_of(cache, 0, epoch=2)[0].images).any()


def test_only_a_few_batches_are_made_ahead(cache, monkeypatch):
    made = []
    monkeypatch.setattr(
        loader, "augment", lambda image, mask, *_, **__: (made.append(1), (image, mask))[1]
    )
    rows = [np.array([0])] * 50
    made_ahead = batches(cache, rows, 2)
    next(made_ahead)
    time.sleep(0.1)
    assert len(made) <= 4
    made_ahead.close()
    assert len(made) <= 5


def test_an_error_in_a_worker_reaches_the_caller_and_ends_the_threads(cache, monkeypatch):
    def fail(*_, **__):
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
    found = list(batches(cache, rows, 2, pin=True))
    assert len(where) == 2 * len(rows)
    assert all(name.startswith("loader") for name in where)
    plain = batches(cache, rows, 0)
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
        made = batches(cache, rows, 2)
        assert cv2.getNumThreads() == 3
        next(made)
        assert cv2.getNumThreads() == 1
        made.close()
        assert cv2.getNumThreads() == 3
        list(batches(cache, rows, 2))
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_pseudo_labelled_images_stand_behind_the_labelled_ones_with_soft_masks(cache):
    soft = np.full((2, 32, 32), 100, np.uint8)
    images = TrainingImages(cache, np.array([4, 5]), PseudoLabelled(cache, np.array([7, 8]), soft))
    look = Look(get_recipe("none"), 7, 0)
    batch = next(iter(iterate_batches(images, [np.array([3, 0])], look, workers=0)))
    assert (batch.images[0] == cache.pixels[8]).all()
    assert (batch.masks[0] == 100).all()
    assert (batch.images[1] == cache.pixels[4]).all()
    assert set(np.unique(batch.masks[1])) <= {0, 255}
    assert images.image_ids(np.array([3, 0])) == [cache.image_ids[8], cache.image_ids[4]]
    assert images.pseudo_labelled == 2
    assert len({images.key(number) for number in range(4)}) == 4


def on_device(images, numbers, recipe=STRONG, **options):
    look = Look(recipe, 7, 1, on_device=True)
    return next(iter(iterate_batches(images, [np.array(numbers)], look, workers=0, **options)))


def test_a_batch_for_the_device_is_raw_and_says_what_will_happen(cache):
    images = TrainingImages(cache, np.arange(len(cache)))
    batch = on_device(images, [3, 1, 3])
    assert (batch.images == cache.pixels[[3, 1, 3]]).all()
    whole, masks = batch.on(CPU)
    part = batch.part(slice(1, 3))
    assert (len(part), part.numbers.tolist()) == (2, [1, 3])
    assert (part.on(CPU)[0] == whole[1:]).all()
    assert (part.on(CPU)[1] == masks[1:]).all()


def test_the_device_augments_as_the_threads_do(cache):
    images = TrainingImages(cache, np.arange(len(cache)))
    there, masks = on_device(images, [3, 1, 4]).on(CPU)
    here = next(batches(cache, [np.array([3, 1, 4])], 0))
    apart = np.abs(there.numpy().astype(int) - here.images)
    assert apart.max() <= 2  # these images are noise, and tones steepen it
    assert (masks.numpy() != here.masks).mean() < 0.001


def test_the_device_augments_images_with_classes_and_leaves_their_targets(cache):
    labels = np.arange(2 * len(cache), dtype=np.float32).reshape(-1, 2)
    images = TrainingImages(cache, np.arange(len(cache)), labels=labels)
    batch = on_device(images, [3, 1])
    there, targets = batch.on(CPU)
    assert (targets.numpy() == labels[[3, 1]][:, None]).all()
    with_masks, _ = on_device(TrainingImages(cache, np.arange(len(cache))), [3, 1]).on(CPU)
    assert (there == with_masks).all()
    assert (there.numpy() != cache.pixels[[3, 1]]).any()


def test_pseudo_labels_stay_soft_on_the_device(cache):
    soft = np.full((1, 32, 32), 100, np.uint8)
    images = TrainingImages(cache, np.arange(6), PseudoLabelled(cache, np.array([7]), soft))
    _, masks = on_device(images, [4, 6]).on(CPU)
    assert (masks[1] == 100).all()
    assert set(masks[0].unique().tolist()) == {0, 255}
