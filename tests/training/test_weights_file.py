"""A file of weights is compared with the network by its header, before a tensor is read."""

import pytest
import torch
from safetensors.torch import save_file

from goldfold.errors import InputError
from goldfold.training import weights_file
from goldfold.training.weights_file import read_weights, require_plausible_size

SHAPES = {"a.weight": (2, 3), "a.bias": (2,)}


@pytest.fixture
def path(tmp_path):
    save_file({"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_weights_that_fit_are_returned(path):
    weights = read_weights(path, SHAPES, "Train again.")
    assert {name: tuple(value.shape) for name, value in weights.items()} == SHAPES
    assert weights["a.weight"].sum() == 6
    assert read_weights(path, None, "").keys() == SHAPES.keys()  # shapes are not known


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({**SHAPES, "a.bias": (3,)}, r"a\.bias: \[2\] in the file, \[3\] in the network"),
        ({"a.weight": (2, 3)}, r"a\.bias: \[2\] in the file, none in the network"),
        ({**SHAPES, "b": (1,)}, r"b: missing in the file, \[1\] in the network"),
    ],
)
def test_other_tensors_are_named_and_nothing_is_read(path, monkeypatch, shapes, words):
    monkeypatch.setattr(weights_file, "load_file", lambda _: pytest.fail("tensors were read"))
    with pytest.raises(InputError, match=words) as caught:
        read_weights(path, shapes, "Train again.")
    assert str(caught.value).endswith("Train again.")


def test_a_damaged_file_is_an_input_error(path):
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match=r"cannot read the weights .*w\.safetensors"):
        read_weights(path, None, "Train again.")
    with pytest.raises(InputError, match="cannot read the weights"):
        read_weights(path, SHAPES, "Train again.")


def test_a_file_larger_than_its_network_is_not_opened(path, monkeypatch):
    require_plausible_size(path, SHAPES, "Train again.")
    monkeypatch.setattr(weights_file, "_HEADER_BYTES", 10)
    with pytest.raises(InputError, match="but its network needs at most 74"):
        require_plausible_size(path, SHAPES, "Train again.")
    with pytest.raises(InputError, match="is missing, or not a regular file"):
        require_plausible_size(path.parent, SHAPES, "Train again.")
