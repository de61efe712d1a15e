"""Compiled networks, and the choice whether to compile: with compilers that are made up."""

import json
import shutil
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from goldfold.settings import StageSettings, TrainingSettings
from goldfold.training import compile_choice, compiled_graphs
from goldfold.training.assembly import build_step
from goldfold.training.compile_choice import Choice, choose_compilation, measure_compilation
from goldfold.training.compiled import MOST_SHAPES, CompiledNetwork
from goldfold.training.device import Device
from goldfold.training.ranks import Ranks
from goldfold.training.runtime import Machine

CPU = Device(torch.device("cpu"), None, "CPU, float32")
GPU = replace(CPU, device=torch.device("cuda"), description="a GPU, bf16 autocast")
SHAPE = (2, 1, 8, 8)
FACTS = {"architecture": "Unet", "channels": 1}
NOW = SimpleNamespace(seconds=0.0)


class Network(nn.Module):
    """Takes `cost` seconds of the made-up clock for each pass."""

    cost = 1.0

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 1, 1)
        )

    def forward(self, images):
        NOW.seconds += self.cost
        return self.layers(images)


def clock():
    return NOW.seconds


def compiler(cost, change=lambda network: network):
    """Return what compiles in 10 s and makes a pass take `cost` seconds, by compilation."""

    def compiled(network, compilation):
        NOW.seconds += 10
        network.cost = cost[compilation] if isinstance(cost, dict) else cost
        return change(network)

    return compiled


def measured(compiled, *, passes=1000, **named):
    torch.manual_seed(0)
    return measure_compilation(
        Network(), CPU, SHAPE, passes=passes, compiled=compiled, clock=clock, **named
    )


# --- the choice ----------------------------------------------------------------------------------


def test_what_is_faster_is_compiled():
    choice = measured(compiler(0.5))
    assert choice == Choice("on", "2.00 times as fast, compiled in 10 s")
    assert choice.in_words == "compile: on (2.00 times as fast, compiled in 10 s)"


def test_a_short_training_is_not_measured():
    choice = measured(lambda *_: pytest.fail("compiled"), passes=300)
    assert choice == Choice("off", "only 300 s of training ahead, not worth compiling", tried=False)


@pytest.mark.parametrize("cost", [1.5, 1.0, 0.97])
def test_what_is_hardly_faster_is_not(cost):
    assert measured(compiler(cost)).compilation == "off"


def test_compiling_has_to_repay_itself():
    def slow(network, compilation):
        NOW.seconds += 400
        network.cost = 0.8
        return network

    assert measured(slow).because == "only 1.25 times as fast, not worth compiling"
    assert measured(slow, passes=3000).compilation == "on"


def test_graphs_are_tried_at_small_sizes_only(monkeypatch):
    costs = {"on": 0.8, "graphs": 0.5}
    assert measured(compiler(costs), graphs=True).compilation == "graphs"
    assert measured(compiler(costs)).compilation == "on"
    monkeypatch.setattr(compile_choice, "GRAPH_PIXELS", 127)
    assert measured(compiler(costs), graphs=True).compilation == "on"


def test_other_gradients_are_not_accepted():
    class Wrong(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images):
            return self.network(images) * 1.1

    choice = measured(compiler(0.5, Wrong))
    assert choice == Choice("off", "its gradients are not those of the plain network")


def test_gradients_that_are_not_finite_are_not_accepted():
    class Broken(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images):
            return self.network(images) * float("nan")

    assert "gradients" in measured(compiler(0.5, Broken)).because


def test_a_failing_compiler_is_one_line():
    def fail(*_):
        raise RuntimeError("no C++ compiler\nmany lines")

    assert measured(fail) == Choice("off", "torch.compile failed: no C++ compiler")


def test_too_little_memory_is_no_reason_to_end(monkeypatch):
    def lacking(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Network, "forward", lacking)
    choice = measured(compiler(0.5))
    assert choice == Choice("off", "could not be tried: out of memory", lasts=False)


@pytest.mark.parametrize("words", ["CUDA out of memory", "CUDNN_STATUS_EXECUTION_FAILED"])
def test_too_little_memory_to_compile_may_be_enough_another_time(words):
    def fail(*_):
        raise RuntimeError(words)

    assert measured(fail) == Choice("off", f"torch.compile failed: {words}", lasts=False)


def test_float32_passes_take_half_of_the_images(monkeypatch):
    seen = set()

    def forward(self, images):
        seen.add((len(images), torch.is_autocast_enabled("cpu")))
        NOW.seconds += self.cost
        return self.layers(images)

    monkeypatch.setattr(Network, "forward", forward)
    half = replace(CPU, autocast_dtype=torch.bfloat16)
    choice = measure_compilation(
        Network(), half, (6, 1, 8, 8), passes=1000, compiled=compiler(0.5), clock=clock
    )
    assert choice.compilation == "on"
    assert seen == {(6, True), (3, True), (3, False)}


def test_network_and_random_numbers_stay_as_they_were():
    network = Network().eval()
    before, state = deepcopy(network.state_dict()), torch.get_rng_state()
    measure_compilation(
        network, CPU, SHAPE, passes=1000, compiled=compiler(0.5), clock=clock, graphs=True
    )
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training
    assert all(p.grad is None for p in network.parameters())


def test_frozen_batchnorms_are_timed_frozen():
    seen = []

    def look(network):
        seen.append([layer.training for layer in network.layers])
        return network

    measured(compiler(0.5, look), frozen=["batchnorm"])
    assert seen == [[True, False, True, True]]


# --- where it is made, and remembered ------------------------------------------------------------


def choose(folder, said, *, device=GPU, world=1, **settings):
    machine = Machine(device, 1, TrainingSettings(**settings), Ranks(0, world))
    stage = StageSettings(epochs=4, image_size=64, batch_size=8)
    return choose_compilation(
        Network(), stage, machine, FACTS, images=100, folder=folder, say=said.append
    )


@pytest.fixture
def measuring(monkeypatch):
    """What is measured where, and the choice that comes of it."""
    calls = []

    def measure(model, device, shape, **named):
        calls.append((shape, named["passes"], named["graphs"]))
        return Choice(
            "on", "1.31 times as fast, compiled in 40 s", tried=calls.tried, lasts=calls.lasts
        )

    calls = type("Calls", (list,), {"tried": True, "lasts": True})()
    monkeypatch.setattr(compile_choice, "measure_compilation", measure)
    monkeypatch.setattr(compile_choice, "prepare_model", lambda model, *_: model)  # there is no GPU
    return calls


def test_a_choice_is_made_once_and_remembered(tmp_path, measuring):
    said = []
    assert [choose(tmp_path, said) for _ in range(2)] == ["on", "on"]
    assert measuring == [((8, 1, 64, 64), 48, True)]
    assert said == ["compile: on (1.31 times as fast, compiled in 40 s)"] * 2
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())["network"] == FACTS
    other = replace(GPU, description="another GPU")
    choose(tmp_path, said, device=other)
    assert len(measuring) == 2


def test_a_training_too_short_to_try_is_not_remembered(tmp_path, measuring):
    measuring.tried, said = False, []
    choose(tmp_path, said)
    assert (list(tmp_path.iterdir()), said) == ([], [])


def test_a_shortage_of_memory_is_told_but_not_remembered(tmp_path, measuring):
    measuring.lasts, said = False, []
    for _ in range(2):
        choose(tmp_path, said)
    assert (list(tmp_path.iterdir()), len(said), len(measuring)) == ([], 2, 2)


def test_what_is_set_is_done(tmp_path, measuring):
    assert choose(tmp_path, [], compile=True) == choose(tmp_path, [], device=CPU, compile=True)
    assert choose(tmp_path, [], compile=True) == "on"
    assert choose(tmp_path, [], compile=False) == "off"
    assert measuring == []


def test_a_processor_does_not_compile_by_itself(tmp_path, measuring):
    said = []
    assert choose(tmp_path, said, device=CPU) == "off"
    assert (measuring, said) == ([], [])


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"world": 2}, "not supported where several processes train one fold"),
        ({"gradient_checkpointing": True}, "not supported with gradient_checkpointing"),
    ],
)
def test_what_it_is_not_tried_with(how, why, tmp_path, measuring):
    said = []
    assert choose(tmp_path, said, **how) == "off"
    assert (measuring, said) == ([], [f"compile: off ({why})"])


# --- the network ---------------------------------------------------------------------------------


@pytest.fixture
def shapes(monkeypatch):
    """Replace the compiler by one that does nothing but remember what it is called with."""
    shapes = []

    def compiled(model, backend, **_):
        def call(images):
            backend.ran += 1
            shapes.append(len(images))
            return model(images)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    return shapes


def batch(images):
    return torch.rand(images, 1, 8, 8)


def test_what_compiles_is_called_compiled(shapes):
    CompiledNetwork(Network(), pytest.fail)(batch(2))
    assert shapes == [2]


def test_the_last_batch_of_an_epoch_is_not_compiled(shapes):
    network = CompiledNetwork(Network(), pytest.fail)
    for images in (4, 4, 3, 4, 4, 3):
        network(batch(images))
    assert shapes == [4, 4, 4, 4]


def test_a_batch_divided_for_good_is_compiled(shapes):
    network = CompiledNetwork(Network(), pytest.fail)
    for images in (4, 2, 2, 2):
        network(batch(images))
    assert shapes == [4, 2, 2]


def test_a_divided_batch_is_not_replayed_as_a_graph(shapes):
    network = CompiledNetwork(Network(), pytest.fail, "graphs")
    for images in (4, 2, 2, 2):
        network(batch(images))
    assert shapes == [4]


def test_shapes_that_are_compiled_have_a_limit(shapes):
    network = CompiledNetwork(Network(), pytest.fail)
    for images in range(2, 2 + 2 * MOST_SHAPES):
        network(batch(images))
        network(batch(images))
    assert len(set(shapes)) == MOST_SHAPES


def test_what_cannot_be_compiled_goes_on_without_in_one_line(monkeypatch):
    def failing(model, **_):
        def call(*_):
            raise RuntimeError("no C++ compiler\nmany more lines")

        return call

    monkeypatch.setattr(torch, "compile", failing)
    said = []
    plain = Network().eval()
    network = CompiledNetwork(plain, said.append)
    images = batch(1)
    assert torch.equal(network(images), plain(images))
    network(images)
    assert said == ["torch.compile failed (no C++ compiler); continuing without it"]


def test_an_error_after_the_first_call_is_an_error(monkeypatch):
    state = []

    def compiled(model, **_):
        def call(images):
            if state:
                raise ValueError("really wrong")
            return model(images)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    network = CompiledNetwork(Network(), state.append)
    network(batch(1))
    state.append(1)
    with pytest.raises(ValueError, match="really wrong"):
        network(batch(1))


@pytest.mark.parametrize("compilation", ["on", "graphs"])
def test_pytorch_knows_the_options(compilation, monkeypatch):
    from torch._inductor import list_options

    asked = []
    monkeypatch.setattr(torch, "compile", lambda model, **named: asked.append(named))
    CompiledNetwork(Network(), pytest.fail, compilation)
    assert set(asked[0]["options"]) <= set(list_options())
    assert asked[0]["options"]["triton.cudagraphs"] == (compilation == "graphs")


@pytest.fixture
def graphs(monkeypatch):
    """Return what counts graphs; they run as traced, since translating them takes long."""
    torch.compiler.reset()
    counted = compiled_graphs.GraphRuns("eager")
    monkeypatch.setattr(compiled_graphs, "GRAPHS", counted)
    yield counted
    torch.compiler.reset()


class Small(nn.Module):
    """Networks of any shape with one `forward`, as those of a library."""

    def __init__(self, channels=1):
        super().__init__()
        self.layer = nn.Conv2d(1, channels, 1)

    def forward(self, images):
        return self.layer(images)


NETWORKS = 11  # more graphs of one function than PyTorch makes by itself


def test_each_architecture_of_a_process_has_its_graph(graphs):
    said = []
    for channels in range(1, NETWORKS + 1):
        network = CompiledNetwork(Small(channels), said.append)
        for _ in range(2):
            network(batch(2)).sum().backward()
    assert (graphs.made, graphs.ran, said) == (NETWORKS, 2 * NETWORKS, [])


def test_folds_share_a_graph(graphs):
    for _ in range(NETWORKS):
        CompiledNetwork(Small(), pytest.fail)(batch(2)).sum().backward()
    assert (graphs.made, graphs.ran) == (1, NETWORKS)


def test_a_training_without_a_graph_is_told_once(graphs, monkeypatch):
    monkeypatch.setattr(compiled_graphs, "_MOST_GRAPHS", 1)
    said = []
    network = CompiledNetwork(Small(), said.append)
    for images in (4, 2, 2, 2):
        network(batch(images))
    assert said == ["torch.compile made no graph of the network; training is no faster with it"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_inductor_takes_the_options(monkeypatch):
    torch.compiler.reset()
    counted = compiled_graphs.GraphRuns()
    monkeypatch.setattr(compiled_graphs, "GRAPHS", counted)
    plain, images = Small(), batch(2)
    CompiledNetwork(deepcopy(plain), pytest.fail)(images).sum().backward()
    network = CompiledNetwork(plain, pytest.fail)
    torch.testing.assert_close(network(images), plain(images))
    assert (counted.made, counted.ran) == (1, 2)
    torch.compiler.reset()


# --- a training ----------------------------------------------------------------------------------


def test_a_training_is_compiled_as_chosen(shapes):
    stage = StageSettings(epochs=1, image_size=32, batch_size=4)
    machine = Machine(CPU, 1, TrainingSettings(), compilation="on")
    assert isinstance(build_step(Network(), stage, machine).network, CompiledNetwork)
    plain = build_step(Network(), stage, replace(machine, compilation="off"))
    assert plain.network is plain.model
