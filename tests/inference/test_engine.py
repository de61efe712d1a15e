"""Engines compute the same function as the network itself."""

import pytest
import torch
from tf32 import Tf32
from torch import nn

from goldfold.errors import InputError
from goldfold.inference import engine as engine_module
from goldfold.inference.engine import Started, choose_engine, start_engine
from goldfold.inference.fold_batchnorm import count_batchnorms, fold_batchnorms
from goldfold.training.device import Device
from goldfold.training.networks.build import build_model
from goldfold.training.tf32 import full_float32

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
    monkeypatch.setattr(engine_module, "_compile", lambda *_: pytest.fail("compiled"))
    said: list[str] = []
    choice = choose_engine(Slow(), CPU, torch.zeros(1, 1, 8, 8), passes=3, say=said.append)
    assert choice.engine == "torch"
    assert "not worth compiling" in choice.reason
    assert not said


class Compiled:
    """Stands in for a compiled network."""

    eager = 0

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if self.error is not None:
            raise self.error
        return images


def choose(
    monkeypatch: pytest.MonkeyPatch, compiled: Compiled, *seconds: float
) -> tuple[engine_module.Choice, list[str]]:
    """Choose an engine for 999 passes that take so many seconds each, and keep what is said."""
    times, said = iter(seconds), list[str]()
    monkeypatch.setattr(engine_module, "_compile", lambda *_: compiled)
    monkeypatch.setattr(engine_module, "_seconds", lambda *_: next(times))
    return choose_engine(Slow(), CPU, torch.zeros(2, 1, 8, 8), passes=999, say=said.append), said


@pytest.mark.parametrize(("factor", "expected"), [(0.5, "compile"), (2.0, "torch")])
def test_many_passes_take_what_was_measured_faster(
    monkeypatch: pytest.MonkeyPatch, factor: float, expected: str
) -> None:
    choice, said = choose(monkeypatch, Compiled(), 1.0, factor)
    assert choice.engine == expected
    assert f"{1 / factor:.2f} times as fast" in choice.reason
    assert "17 minutes ahead" in said[0]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("no C++ compiler\nmany lines"), "torch.compile failed (no C++ compiler)"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
            "torch.compile failed (CUDA out of memory. Tried to allocate)",
        ),
        (InputError("torch.compile failed (no g++). Set this."), "torch.compile failed (no g++)"),
    ],
)
def test_a_failing_compiler_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    choice, _ = choose(monkeypatch, Compiled(error), 1.0)
    assert (choice.engine, choice.reason) == ("torch", reason)


def test_a_network_without_graphs_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = Compiled()
    compiled.eager = 1
    choice, _ = choose(monkeypatch, compiled, 1.0, 0.1)
    assert (choice.engine, choice.reason) == (
        "torch",
        "torch.compile made no graph of this network",
    )


def test_pytorch_is_timed_in_halves_where_memory_does_not_suffice() -> None:
    sizes: list[int] = []

    def network(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return images

    engine_module.seconds_a_pass(network, CPU, torch.zeros(4, 1, 8, 8), repeats=1)
    assert sizes == [4, 2, 2, 2, 2]


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


def test_without_memory_for_the_filled_batch_the_rest_passes_alone() -> None:
    sizes: list[int] = []
    most = 4

    def network(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        if len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return images * 2

    same = engine_module._SameBatch(network, nn.Identity())
    same(torch.rand(4, 1, 8, 8))
    most = 3
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(same(images), images * 2)
    with pytest.raises(torch.OutOfMemoryError):
        same(torch.rand(4, 1, 8, 8))
    same(torch.rand(2, 1, 8, 8))
    assert sizes == [4, 4, 2, 4, 2]


# --- BatchNorms and TF32 -------------------------------------------------------------------------


@pytest.fixture
def unet() -> nn.Module:
    options = {"depth": 3, "filters": 8}
    return trained(build_model("VanillaUnet", "none", options=options))


def test_tf32_does_not_keep_batchnorms_from_being_folded(unet: nn.Module) -> None:
    images = torch.randn(2, 1, 32, 32)
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    with Tf32() as tf32, torch.inference_mode():
        _, count = fold_batchnorms(unet, images)
        inside = list(tf32.rounded)
        unet(images)
    assert count == count_batchnorms(unet) > 0
    assert not inside
    assert tf32.rounded  # so the switch is where it was, and the test could have failed
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before


def test_tf32_is_put_back_after_an_error() -> None:
    def fail() -> None:
        with full_float32():
            raise KeyError

    for allowed in (True, False):
        with torch.backends.cudnn.flags(allow_tf32=allowed):
            with pytest.raises(KeyError):
                fail()
            assert torch.backends.cudnn.allow_tf32 is allowed


class OldSwitch:
    """A switch of PyTorch before 2.9."""

    allow_tf32 = True


def test_older_versions_of_pytorch_have_other_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn = OldSwitch()
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    with full_float32():
        assert not cudnn.allow_tf32
    assert cudnn.allow_tf32


def test_networks_may_read_the_switches_of_cudnn_while_tf32_is_off() -> None:
    cudnn, precision = torch.backends.cudnn, torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with full_float32():
            assert not cudnn.allow_tf32
            assert not torch.backends.cuda.matmul.allow_tf32
            with cudnn.flags(deterministic=True, allow_tf32=False):
                assert not cudnn.allow_tf32
            assert torch.get_float32_matmul_precision() == "highest"
        assert cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(precision)


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="PyTorch before 2.9")
def test_switches_that_contradict_each_other_are_put_back() -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    cudnn.conv.fp32_precision, matmul.fp32_precision = "ieee", "tf32"
    try:
        with full_float32():
            assert (cudnn.rnn.fp32_precision, matmul.fp32_precision) == ("ieee", "ieee")
        switches = (cudnn.conv, cudnn.rnn, matmul)
        assert [each.fp32_precision for each in switches] == ["ieee", "tf32", "tf32"]
    finally:
        cudnn.conv.fp32_precision, matmul.fp32_precision = "tf32", "ieee"


class Melanoma(nn.Module):
    """One logit an image, far from 0 and nearly the same for all."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)
        self.last = nn.Linear(8, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = self.norm(self.convolution(images)).mean((2, 3))
        return torch.as_tensor(self.last(1e-4 * seen) - 7)[:, None, None]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_network_with_one_output_is_folded(count: int) -> None:
    model = trained(Melanoma())
    images = torch.randn(count, 1, 16, 16)
    folded, norms = fold_batchnorms(model, images)
    assert norms == 1
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), model(images))


def test_what_was_folded_is_said(unet: nn.Module) -> None:
    started = Started()
    start_engine(unet, CPU, torch.randn(1, 1, 32, 32), "torch", started=started)
    norms = count_batchnorms(unet)
    assert started.words == f"{norms} of {norms} BatchNorms folded"
    start_engine(trained(Shared()), CPU, torch.randn(1, 1, 16, 16), "torch", started=started)
    assert started.words == f"{norms} of {norms + 1} BatchNorms folded"
    kept = Started()
    start_engine(trained(Shared()), CPU, torch.randn(1, 1, 16, 16), "torch", started=kept)
    assert kept.words == "none of 1 BatchNorms could be folded"
