"""The rounding that stands in for TensorFloat-32 where there is no GPU."""

import pytest
import torch
from tf32 import Tf32, round_to_tf32
from torch import nn


def test_ten_bits_of_mantissa_are_kept():
    values = torch.tensor([1.0, 1 + 2**-10, 1 + 2**-11, 1 + 2**-12, -(1 + 2**-11), 3e38, 0.0])
    rounded = round_to_tf32(values)
    up = 1 + 2**-10
    assert rounded[:5].tolist() == [1.0, up, up, 1.0, -up]
    assert rounded[6] == 0.0
    torch.manual_seed(0)
    many = torch.randn(10_000)
    error = ((round_to_tf32(many) - many) / many).abs().max()
    assert 2**-12 < error <= 2**-11
    assert torch.equal(round_to_tf32(round_to_tf32(many)), round_to_tf32(many))


def test_what_is_not_finite_stays():
    values = torch.tensor([float("inf"), -float("inf"), float("nan")])
    assert torch.equal(round_to_tf32(values)[:2], values[:2])
    assert round_to_tf32(values)[2].isnan()
    assert round_to_tf32(torch.ones(2, dtype=torch.float64)).dtype is torch.float64


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_convolutions_are_rounded_and_only_while_it_is_allowed(mode):
    torch.manual_seed(0)
    layer, images = nn.Conv2d(8, 8, 3), torch.randn(2, 8, 16, 16)
    images = images.contiguous(memory_format=torch.channels_last)
    with mode():
        exact = layer(images)
        with Tf32() as tf32:
            coarse = layer(images)
            with torch.backends.cudnn.flags(allow_tf32=False):
                plain = layer(images)
    assert tf32.rounded == ["aten::convolution"]
    assert torch.equal(plain, exact)
    error = float((coarse - exact).detach().abs().max() / exact.detach().std())
    assert 1e-4 < error < 1e-2


def test_matrix_products_are_rounded_where_the_precision_is_lowered():
    torch.manual_seed(0)
    layer, rows = nn.Linear(64, 64), torch.randn(4, 64)
    exact = layer(rows)
    with Tf32() as tf32:
        assert torch.equal(layer(rows), exact)  # PyTorch does not by default
        torch.set_float32_matmul_precision("high")
        try:
            coarse = layer(rows)
        finally:
            torch.set_float32_matmul_precision("highest")
    assert tf32.rounded == ["aten::addmm"]
    assert 1e-5 < float((coarse - exact).detach().abs().max()) < 1e-2
