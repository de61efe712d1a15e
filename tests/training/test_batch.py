import numpy as np
import pytest
import torch

from goldfold.training.batch import MEAN, SPREAD, network_input

CPU = torch.device("cpu")


def test_black_and_white_by_hand():
    pixels = np.array([[[0, 255]]], dtype=np.uint8)
    batch = network_input(pixels, CPU)
    assert batch.shape == (1, 1, 1, 2)
    assert batch.dtype is torch.float32
    expected = [(0 - MEAN) / SPREAD, (1 - MEAN) / SPREAD]
    assert batch.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_colour_comes_channels_first_in_channels_last_memory():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3)).astype(np.uint8)
    batch = network_input(pixels, CPU)
    assert batch.shape == (2, 3, 4, 6)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    back = (batch * SPREAD + MEAN) * 255
    assert torch.equal(back.round().to(torch.uint8), torch.from_numpy(pixels).permute(0, 3, 1, 2))


def test_arrays_and_tensors_give_the_same_and_stay_as_they_were():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    before = pixels.copy()
    tensor = torch.from_numpy(pixels.copy())
    assert torch.equal(network_input(pixels, CPU), network_input(tensor, CPU))
    assert (pixels == before).all()
    assert (tensor.numpy() == before).all()
