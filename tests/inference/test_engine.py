"""Engines compute the same function as the network itself."""

import pytest
import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.inference import engine as engine_module
from goldfold.inference.engine import choose_engine, start_engine
from goldfold.inference.fold_batchnorm import fold_batchnorms
from goldfold.training.device import Device
from goldfold.training.networks.build import build_model

CPU = Device(torch.device("cpu"), None, "CPU")


def trained(model: nn.Module) -> nn.Module:
    """Give the BatchNorms statistics and gains that matter."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return model.eval()


@pytest.mark.parametrize(
    ("architecture", "encoder", "presence", "folded"),
    [
        ("Unet", "resnet18", False, 30),
        ("Unet", "resnet18", True, 30),
        ("UnetPlusPlus", "resnet18", False, 30),
        ("FPN", "resnet18", False, 20),
        ("VanillaUnet", "none", False, 18),
    ],
)
def test_folded_networks_agree(
    architecture: str, encoder: str, presence: bool, folded: int
) -> None:
    options = {"depth": 5, "filters": 8} if encoder == "none" else {}
    model = trained(build_model(architecture, encoder, options=options, presence_head=presence))
    images = torch.randn(2, 1, 64, 64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        fast, count = fold_batchnorms(model, images)
        expected, found = model(images), fast(images)
    assert count >= folded
    assert sum(isinstance(one, nn.BatchNorm2d) for one in fast.modules()) < count
    pairs = zip(expected, found, strict=True) if presence else [(expected, found)]
    for one, other in pairs:
        assert torch.allclose(one, other, atol=1e-4 * float(one.abs().max() + 1))
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


class Shared(nn.Module):
    """Use the convolution's result twice: folding would change it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = self.convolution(images)
        return torch.as_tensor(self.norm(seen) - 3 * seen)


def test_a_network_that_folding_would_change_stays_as_it_is() -> None:
    model = trained(Shared())
    same, count = fold_batchnorms(model, torch.randn(1, 1, 16, 16))
    assert same is model
    assert count == 0


def test_openvino_agrees() -> None:
    pytest.importorskip("openvino")
    model = trained(build_model("Unet", "resnet18", presence_head=True))
    images = torch.randn(3, 1, 64, 64)
    with torch.inference_mode():
        expected = model(images)
        network = start_engine(model, CPU, images, "openvino")
        for count in (3, 2):
            for one, other in zip(expected, network(images[:count]), strict=True):
                assert torch.allclose(one[:count], other, atol=1e-3 * float(one.abs().max() + 1))


def test_unknown_engines_are_refused() -> None:
    with pytest.raises(InputError, match="unknown engine 'onnx'; there are torch, compile"):
        start_engine(nn.Identity(), CPU, torch.zeros(1, 1, 8, 8), "onnx")


class Slow(nn.Module):
    """Counts its passes."""

    passes = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        Slow.passes += 1
        return images


def test_few_passes_do_not_repay_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_compile", lambda _: pytest.fail("compiled"))
    said: list[str] = []
    choice = choose_engine(Slow(), CPU, torch.zeros(1, 1, 8, 8), passes=3, say=said.append)
    assert choice.engine == "torch"
    assert "do not repay compiling" in choice.reason
    assert not said


@pytest.mark.parametrize(("factor", "expected"), [(0.5, "compile"), (2.0, "torch")])
def test_many_passes_take_what_was_measured_faster(
    monkeypatch: pytest.MonkeyPatch, factor: float, expected: str
) -> None:
    seconds = iter([1.0, factor])
    monkeypatch.setattr(engine_module, "_compile", lambda model: model)
    monkeypatch.setattr(engine_module, "seconds_a_pass", lambda *_: next(seconds))
    said: list[str] = []
    choice = choose_engine(Slow(), CPU, torch.zeros(1, 1, 8, 8), passes=999, say=said.append)
    assert choice.engine == expected
    assert f"{1 / factor:.2f} times as fast" in choice.reason
    assert "17 minutes ahead" in said[0]


def test_a_failing_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: nn.Module) -> nn.Module:
        raise RuntimeError("no C++ compiler\nmany lines")

    monkeypatch.setattr(engine_module, "_compile", fail)
    monkeypatch.setattr(engine_module, "seconds_a_pass", lambda *_: 1.0)
    choice = choose_engine(Slow(), CPU, torch.zeros(1, 1, 8, 8), passes=999, say=print)
    assert (choice.engine, choice.reason) == ("torch", "torch.compile failed (no C++ compiler)")


def test_a_smaller_last_batch_is_filled_up() -> None:
    shapes: list[tuple[int, ...]] = []

    def network(images: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(images.shape))
        return images * 2

    same = engine_module._SameBatch(network, nn.Identity())
    for count in (4, 4, 3):
        images = torch.rand(count, 1, 8, 8)
        assert torch.equal(same(images), images * 2)
    assert set(shapes) == {(4, 1, 8, 8)}
