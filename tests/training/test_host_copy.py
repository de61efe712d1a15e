"""States on their way from a GPU to the disk, on the pretend GPU."""

import pytest
import torch

from goldfold.training import host_copy
from goldfold.training.host_copy import HostCopy

backend = pytest.importorskip("pretend_gpu.backend")
if backend.is_supported():
    from pretend_gpu.tensor import kernels

    backend.register(kernels())  # before the first backward pass: autograd then makes its queue


def test_a_copy_of_many_tensors_takes_few_pieces_of_pinned_memory(pretend_gpu, monkeypatch):
    """PyTorch rounds each piece up to a power of two and keeps it."""
    monkeypatch.setattr(host_copy, "CHUNK", 4096)
    made, events, empty = [], [], torch.empty

    def counted(*shape, **named):
        if named.get("pin_memory"):
            made.append(shape)
        return empty(*shape, **named)

    class Event(backend.Event):
        def __init__(self, **named):
            super().__init__(**named)
            events.append(named)

    tensors = {
        "kernel": torch.rand(8, 3, 3, 3).to(memory_format=torch.channels_last),
        "large": torch.rand(2000),
        "half": torch.rand(5).half(),
        "flag": torch.tensor(True),
        "count": torch.tensor(7),
        "none": torch.rand(0, 2),
        **{f"small {number}": torch.rand(3) for number in range(20)},
    }
    expected = {name: tensor.clone() for name, tensor in tensors.items()}
    on_device = {name: tensor.to(pretend_gpu.device) for name, tensor in tensors.items()}
    monkeypatch.setattr(backend.Module, "Event", Event)
    monkeypatch.setattr(torch, "empty", counted)
    before = pretend_gpu.ledger.copy()
    copy = HostCopy({**on_device, "on the CPU": torch.ones(2)})
    monkeypatch.undo()
    assert not pretend_gpu.ledger.since(before).waits
    assert len(made) <= 3
    assert sum(size for (size,) in made) < 2 * sum(t.nbytes for t in tensors.values())
    assert events == [{"blocking": True}]  # who waits sleeps
    for tensor in on_device.values():
        tensor.zero_()
    tensors = copy.wait()
    assert torch.equal(tensors.pop("on the CPU"), torch.ones(2))
    assert list(tensors) == list(expected)
    for name, value in expected.items():
        assert torch.equal(tensors[name], value), name
        assert (tensors[name].dtype, tensors[name].is_contiguous()) == (value.dtype, True)
