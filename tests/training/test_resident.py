"""Images that stay in the device's memory give the batches that the files give."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from goldfold.competitions.rle import get_dialect
from goldfold.training import resident as resident_module
from goldfold.training.augmentation import get_recipe
from goldfold.training.cache import build_cache
from goldfold.training.device import Device
from goldfold.training.images import PseudoLabelled, TrainingImages
from goldfold.training.loader import Look, iterate_batches
from goldfold.training.resident import ResidentImages, keep_on_device

CPU = torch.device("cpu")
GPU = Device(torch.device("cpu"), None, "a CPU that stands in for a GPU")
FLIPS = replace(get_recipe("strong"), flip=0.5)
SIZE = 32


@pytest.fixture(scope="module")
def others(cache, masks, mask_texts, tmp_path_factory):
    """Return caches of the same images: in colour, with three masks each, with class numbers."""
    paths = [cache.folder.parent / f"{image_id}.png" for image_id in cache.image_ids]
    folder = tmp_path_factory.mktemp("others")
    several = [(text, "" if row % 2 else text, "") for row, text in enumerate(mask_texts)]

    def build(name, texts, **options):
        return build_cache(
            folder / name, image_ids=cache.image_ids, paths=paths, masks=texts, size=SIZE,
            sizes=[mask.shape for mask in masks], dialect=get_dialect("siim"), **options,
        )  # fmt: skip

    return {
        "gray": cache,
        "colour": build("colour", mask_texts, channels=3),
        "several masks": build("several", several),
        "class numbers": build("numbers", several, numbers=(1, 2, 3)),
    }


def neighbours(cache, count):
    rows = np.arange(len(cache))
    return cache.with_neighbours(np.stack([np.roll(rows, n) for n in range(count)], axis=1))


def soft(count):
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE)).astype(np.uint8)


ROWS = np.array([5, 1, 0, 9, 3, 12])
CASES = {
    "one mask": lambda caches: TrainingImages(caches["gray"], ROWS),
    "colour": lambda caches: TrainingImages(caches["colour"], ROWS),
    "neighbours": lambda caches: TrainingImages(neighbours(caches["gray"], 2), ROWS),
    "neighbours in colour": lambda caches: TrainingImages(neighbours(caches["colour"], 3), ROWS),
    "several masks": lambda caches: TrainingImages(caches["several masks"], ROWS),
    "mirrored masks": lambda caches: TrainingImages(
        caches["several masks"], ROWS, mirror=(1, 0, 2)
    ),
    "class numbers": lambda caches: TrainingImages(caches["class numbers"], ROWS),
    "mirrored numbers": lambda caches: TrainingImages(
        caches["class numbers"], ROWS, mirror=(0, 2, 1, 3)
    ),
    "pseudo-labels": lambda caches: TrainingImages(
        caches["gray"], ROWS, PseudoLabelled(caches["gray"], np.array([2, 8]), soft(2))
    ),
    "pseudo-labelled neighbours": lambda caches: TrainingImages(
        neighbours(caches["gray"], 2),
        ROWS,
        PseudoLabelled(neighbours(caches["gray"], 2), np.array([2, 8]), soft(2)),
    ),
    "classes of images": lambda caches: TrainingImages(
        caches["gray"], ROWS, labels=np.arange(12, dtype=np.uint8).reshape(6, 2)
    ),
    "pseudo-labelled classes": lambda caches: TrainingImages(
        caches["gray"],
        ROWS,
        PseudoLabelled(caches["gray"], np.array([2, 8]), np.full((2, 2), 99, np.uint8)),
        labels=np.arange(12, dtype=np.uint8).reshape(6, 2),
    ),
}


def batch_of(images, resident=None, numbers=None):
    everything = np.arange(len(images.rows) + images.pseudo_labelled)[::-1]
    look = Look(FLIPS, 7, 1, on_device=True)
    wanted = [everything if numbers is None else numbers]
    (batch,) = iterate_batches(images, wanted, look, workers=0, resident=resident)
    return batch


def uploaded(images):
    resident = ResidentImages(images)
    resident.upload(CPU)
    return resident


@pytest.mark.parametrize("case", CASES)
def test_the_bytes_are_those_of_the_files(others, case, monkeypatch):
    monkeypatch.setattr(resident_module, "_CHUNK", 3 * SIZE * SIZE)  # several chunks
    images = CASES[case](others)
    resident = uploaded(images)
    expected, batch = batch_of(images), batch_of(images, resident)
    assert expected.images is not None
    assert batch.images is None
    for ours, theirs in zip(batch.on(CPU), expected.on(CPU), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(
        batch.part(slice(1, 4)).on(CPU), expected.part(slice(1, 4)).on(CPU), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert resident.release()
    assert not resident.release()
    # A batch that was made before is read from the files; later ones are sent whole again.
    for ours, theirs in zip(batch.on(CPU), expected.on(CPU), strict=True):
        assert torch.equal(ours, theirs)
    assert batch_of(images, resident).images is not None


def test_only_the_images_that_are_learned_from_are_kept(cache):
    images = TrainingImages(cache, ROWS)
    resident = ResidentImages(images)
    non_empty = int(cache.non_empty[ROWS].sum())
    assert 0 < non_empty < len(ROWS)
    assert resident.bytes == (len(ROWS) + 1 + non_empty) * SIZE * SIZE
    labels = np.zeros((len(ROWS), 2), np.uint8)
    only = ResidentImages(TrainingImages(cache, ROWS, labels=labels))
    assert only.bytes == len(ROWS) * SIZE * SIZE


def test_a_batch_sends_numbers_alone(cache):
    images = TrainingImages(cache, ROWS)
    batch = batch_of(images, uploaded(images))
    assert (batch.images, batch.masks) == (None, None)


@pytest.mark.parametrize(
    ("free", "kept", "words"),
    [
        (None, False, []),
        (35 * SIZE * SIZE, False, ["more than 25% of the GPU's"]),
        (36 * SIZE * SIZE, True, ["stay in the GPU's memory"]),
    ],
)
def test_images_stay_where_a_quarter_of_the_free_memory_holds_them(
    cache, monkeypatch, free, kept, words
):
    monkeypatch.setattr(resident_module, "free_bytes", lambda _: free)
    said = []
    images = TrainingImages(cache, ROWS)
    assert ResidentImages(images).bytes == 9 * SIZE * SIZE
    resident = keep_on_device(images, GPU, said.append)
    assert (resident is not None and resident.held) == kept
    assert len(said) == len(words)
    assert all(word in line for word, line in zip(words, said, strict=True))


def test_several_masks_with_pseudo_labels_are_copied(others, monkeypatch):
    monkeypatch.setattr(resident_module, "free_bytes", lambda _: 10**12)
    masks = np.zeros((1, 3, SIZE, SIZE), np.uint8)
    cache = others["several masks"]
    said = []
    images = TrainingImages(cache, ROWS, PseudoLabelled(cache, np.array([2]), masks))
    assert keep_on_device(images, GPU, said.append) is None
    assert said == ["several masks and pseudo-labels: batches are copied to the GPU one by one"]


def test_without_the_memory_that_was_free_a_moment_ago_batches_are_copied(cache, monkeypatch):
    def refuse(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(resident_module, "free_bytes", lambda _: 10**12)
    monkeypatch.setattr(resident_module._Store, "upload", refuse)
    said = []
    assert keep_on_device(TrainingImages(cache, ROWS), GPU, said.append) is None
    assert said == ["the GPU's memory does not hold the training images: batches are copied to it"]


def test_a_cpu_has_no_memory_of_its_own():
    device = Device(torch.device("cpu"), None, "CPU")
    assert resident_module.free_bytes(device) is None


def test_what_an_earlier_stage_left_counts_as_free(monkeypatch):
    order = []
    module = SimpleNamespace(mem_get_info=lambda _: (order.append("asked"), (123, 456))[1])
    monkeypatch.setattr(torch, "get_device_module", lambda _: module)
    monkeypatch.setattr(resident_module, "free_memory", lambda _: order.append("freed"))
    device = Device(torch.device("cuda", 0), None, "a GPU")
    assert resident_module.free_bytes(device) == 123
    assert order == ["freed", "asked"]
