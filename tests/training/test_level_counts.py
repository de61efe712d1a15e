"""Maps that are counted on the device have the counts of the host."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goldfold.competitions.histogram import level_histograms
from goldfold.training import level_counts
from goldfold.training.device import Device
from goldfold.training.level_counts import counts_on, device_histograms
from goldfold.training.probability import levels_at_size


def case(seed, classes, sizes, zero=0.5):
    """Return probabilities (N, C, 12, 9), of which a part is 0, and masks, some of them empty."""
    random = np.random.default_rng(seed)
    probability = random.random((len(sizes), classes, 12, 9), np.float32)
    probability[random.random(probability.shape) < zero] = 0
    masks = [
        None if random.random() < 0.3 else random.integers(0, 2, size, np.uint8)
        for size in sizes
        for _ in range(classes)
    ]
    return torch.from_numpy(probability), masks


def on_host(probability, sizes, masks):
    maps = levels_at_size(probability, sizes)
    return np.stack([level_histograms(*pair) for pair in zip(maps, masks, strict=True)])


@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(1, 3),
    sizes=st.lists(st.sampled_from([(12, 9), (20, 31), (5, 4)]), min_size=1, max_size=5),
    zero=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_counts_are_those_of_the_host(seed, classes, sizes, zero):
    probability, masks = case(seed, classes, sizes, zero)
    found = device_histograms(probability, sizes, masks)
    assert found.dtype == torch.int64
    np.testing.assert_array_equal(found.numpy(), on_host(probability, sizes, masks))


def test_many_pixels_are_counted_in_several_parts(monkeypatch):
    monkeypatch.setattr(level_counts, "_PIXELS", 500)  # one or two images at once
    probability, masks = case(7, 2, sizes := [(12, 9)] * 5)
    found = device_histograms(probability, sizes, masks).numpy()
    np.testing.assert_array_equal(found, on_host(probability, sizes, masks))


@pytest.mark.parametrize(
    ("kind", "expected"), [("cpu", False), ("cuda", True), ("xpu", True), ("mps", False)]
)
def test_where_maps_are_counted(kind, expected):
    assert counts_on(Device(torch.device(kind), None, kind)) is expected
