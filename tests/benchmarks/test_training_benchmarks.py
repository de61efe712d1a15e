"""The figures and files behind training_speed.py and training_memory.py."""

from pathlib import Path

import pytest
import torch

from goldfold.training.cache import ImageCache


def test_speed_counts_whole_epochs_after_the_first(benchmark_module):
    curves = benchmark_module("loops/curves.py")
    curve = curves.Curve(
        images=10, validated=2, ended=[7.0, 12.0, 17.0], trained=[6, 4, 4], busy=6.0
    )
    assert curve.images_per_second() == pytest.approx(2.0)  # 20 images in 10 s
    assert curve.busy_share() == pytest.approx(0.75)
    assert curves.GpuClock(torch.device("cpu")).seconds() is None


def test_the_synthetic_cache_is_one(benchmark_module, tmp_path):
    memory = benchmark_module("training_memory.py")
    memory.write_synthetic_cache(tmp_path, 41, 32)
    cache = ImageCache(tmp_path, "train-32-gray")
    assert (len(cache), cache.non_empty.sum()) == (41, 3)
    assert [bool(cache.mask(row).any()) for row in (0, 1, 20, 40)] == [True, False, True, True]
    assert (cache.pixels[0] != cache.pixels[1]).any()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_is_read_in_mebibytes(benchmark_module):
    found = benchmark_module("training_memory.py").resident()
    assert set(found) == {"Anon", "File", "Shmem"}
    assert 10 < found["Anon"] < 100_000
