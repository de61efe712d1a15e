"""Compiled networks share one graph, and say so where none runs."""

import shutil

import pytest
import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.inference import compiled as module
from goldfold.inference.compiled import CompiledEngine
from goldfold.inference.engine import start_engine
from goldfold.training import compiled_graphs
from goldfold.training.compiled_graphs import GraphRuns
from goldfold.training.device import Device

CPU = Device(torch.device("cpu"), None, "CPU, float32")
HALF = Device(torch.device("cpu"), torch.bfloat16, "CPU, bf16")
NETWORKS = 10  # PyTorch compiles a function 8 times and then runs it eagerly


class Tiny(nn.Module):
    """A convolution with BatchNorm, and one more."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.last(self.norm(self.first(images)).relu()))


class Large(Tiny):
    """The same with more channels: a graph of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, 1, 1)


@pytest.fixture
def graphs(monkeypatch):
    """Return what counts graphs; they run as traced, since translating them takes long."""
    torch._dynamo.reset()
    counted = GraphRuns("eager")
    monkeypatch.setattr(compiled_graphs, "GRAPHS", counted)
    yield counted
    torch._dynamo.reset()


def run(network, device, images):
    with torch.inference_mode(), device.autocast():
        return network(images)


@pytest.mark.parametrize("device", [CPU, HALF], ids=["float32", "bf16"])
def test_networks_of_one_kind_share_a_graph(graphs, device):
    images = torch.randn(3, 1, 16, 16)
    models = [Tiny(seed).eval() for seed in range(NETWORKS)]
    warned = []
    networks = [start_engine(m, device, images, "compile", warn=warned.append) for m in models]
    for _ in range(2):  # checkpoints predict in turns, batch by batch
        for model, network in zip(models, networks, strict=True):
            expected, found = run(model, device, images), run(network, device, images)
            torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)
    assert (graphs.made, graphs.ran) == (1, 2 * NETWORKS)
    outputs = torch.stack([run(network, device, images) for network in networks])
    assert len(outputs.flatten(1).unique(dim=0)) == NETWORKS
    assert not warned


def test_each_kind_and_shape_has_its_graph(graphs):
    """Twelve graphs of one function are more than PyTorch makes by itself."""
    shapes = [16, 24, 32, 40, 48, 56]
    for model in (Tiny().eval(), Large().eval()):
        network = start_engine(model, CPU, torch.randn(1, 1, 16, 16), "compile")
        for side in shapes:
            run(network, CPU, torch.randn(1, 1, side, side))
    assert (graphs.made, graphs.ran) == (12, 12)


def test_a_pass_without_a_graph_is_told_once(graphs, monkeypatch):
    monkeypatch.setattr(compiled_graphs, "_MOST_GRAPHS", 1)
    warned = []
    network = CompiledEngine(Tiny().eval(), CPU, torch.randn(1, 1, 16, 16), warned.append)
    for side in (16, 24, 24):
        run(network, CPU, torch.randn(1, 1, side, side))
    assert (graphs.ran, network.eager) == (1, 2)
    assert len(warned) == 1
    assert "a network ran without a compiled graph" in warned[0]


def test_a_compiler_that_fails_is_an_input_error(graphs):
    graphs.backend = "no such backend"
    network = CompiledEngine(Tiny().eval(), CPU, torch.randn(1, 1, 16, 16))
    with pytest.raises(
        InputError, match=r'torch.compile failed \(.*Set inference.engine = "torch"'
    ):
        run(network, CPU, torch.randn(1, 1, 16, 16))


def test_too_little_memory_is_no_failure_of_the_compiler(graphs):
    class Large(Tiny):
        def forward(self, images):
            raise torch.OutOfMemoryError("CUDA out of memory")

    network = CompiledEngine(Large().eval(), CPU, torch.randn(1, 1, 16, 16))
    with pytest.raises(Exception, match="out of memory") as error:
        run(network, CPU, torch.randn(1, 1, 16, 16))
    assert not isinstance(error.value, InputError)


class InFloat32(Tiny):
    """Switches autocast off for a part."""

    def forward(self, images):
        with torch.autocast("cpu", enabled=False):
            return super().forward(images)


def test_weights_are_cast_once_where_that_changes_nothing():
    images = torch.randn(1, 1, 16, 16)
    model = Tiny().eval()
    cast = module._with_cast_weights(model, HALF, images)
    assert (cast.first.weight.dtype, model.first.weight.dtype) == (torch.bfloat16, torch.float32)
    assert cast.norm.weight.dtype == torch.float32
    assert torch.equal(run(cast, HALF, images), run(model, HALF, images))
    own = InFloat32().eval()
    assert module._with_cast_weights(own, HALF, images) is own
    assert module._with_cast_weights(model, CPU, images) is model


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_a_graph_of_inductor_gives_the_same(monkeypatch):
    torch._dynamo.reset()
    counted = GraphRuns()
    monkeypatch.setattr(compiled_graphs, "GRAPHS", counted)
    images = torch.randn(2, 1, 16, 16)
    for seed in range(2):
        model = Tiny(seed).eval()
        network = start_engine(model, CPU, images, "compile")
        torch.testing.assert_close(run(network, CPU, images), run(model, CPU, images))
    assert (counted.made, counted.ran) == (1, 2)
    torch._dynamo.reset()
