"""The pretend GPU itself: what it refuses, counts and leaves behind."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

pretend_gpu = pytest.importorskip("pretend_gpu")
pytestmark = pytest.mark.skipif(
    not pretend_gpu.is_supported(), reason="this PyTorch has no such devices"
)


@pytest.fixture
def gpu():
    with pretend_gpu.pretend_gpu() as device:
        yield device


def test_it_computes_what_the_processor_does(gpu):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
    images = torch.randn(2, 1, 8, 8)
    expected = network(images)
    moved = network.to(gpu.device)
    result = moved(images.to(gpu.device))
    assert result.device == gpu.device
    result.square().mean().backward()
    assert moved[0].weight.grad.device == gpu.device
    torch.testing.assert_close(result.detach().cpu(), expected.detach())


@pytest.mark.parametrize(
    "mixture",
    [
        lambda here, there: here + there,
        F.conv2d,
        lambda here, there: torch.cat([here, there]),
        lambda here, there: torch.stack([here.sum(), there.sum()]),
        lambda here, there: there.add_(here),
        lambda here, there: there.sum().add_(here.sum()),
        lambda here, there: torch.rand(2, device=here.device, generator=torch.Generator()),
    ],
)
def test_mixed_devices_are_refused(gpu, mixture):
    here, there = torch.ones(1, 1, 2, 2, device=gpu.device), torch.ones(1, 1, 2, 2)
    with pytest.raises(RuntimeError, match=r"same device|device type for generator"):
        mixture(here, there)
    assert (here * there.sum()).cpu().sum() == 16  # a number may come from the host


@pytest.mark.parametrize(
    ("reads", "reason"),
    [
        (lambda x: x.sum().item(), "_local_scalar_dense"),
        (lambda x: float(x.sum()), "_local_scalar_dense"),
        (lambda x: bool((x > 0).all()), "_local_scalar_dense"),
        (lambda x: x.tolist(), "copy to the host"),
        (lambda x: x.cpu(), "copy to the host"),
        (lambda x: x.to("cpu", torch.float64), "copy to the host"),
        (lambda x: torch.empty(3).copy_(x), "copy to the host"),
        (lambda x: x.nonzero(), "nonzero"),
        (lambda x: x[x > 0], "boolean index"),
        (lambda x: x.masked_select(x > 0), "masked_select"),
        (lambda x: torch.equal(x, x), "equal"),
        (torch.unique, "_unique2"),
        (lambda x: torch.get_device_module(x.device).synchronize(), "synchronize"),
    ],
)
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
def test_waits_are_counted(gpu, reads, reason, mode):
    with mode():
        values = torch.ones(3, device=gpu.device)
        reads(values)
    assert [wait.reason for wait in gpu.ledger.waits] == [reason]
    assert gpu.ledger.waits[0].place.startswith("tests/test_pretend_gpu.py:")


def test_filling_where_a_mask_is_true_waits_for_nothing(gpu):
    values = torch.ones(3, device=gpu.device)
    values[values > 0] = 5.0
    values[0] = 2.0
    assert not gpu.ledger.waits
    assert values.tolist() == [2, 5, 5]


def test_no_array_without_a_copy(gpu):
    with pytest.raises(TypeError, match="cpu"):
        np.asarray(torch.ones(3, device=gpu.device))


@pytest.mark.parametrize(
    ("send", "blocking"),
    [
        (lambda x, device: x.to(device), True),
        (lambda x, device: x.to(device, non_blocking=True), True),  # not pinned
        (lambda x, device: x.pin_memory().to(device), True),
        (lambda x, device: x.pin_memory().to(device, non_blocking=True), False),
        (lambda x, device: x.pin_memory()[1:].to(device, non_blocking=True), False),
        (lambda x, device: torch.tensor([1.0, 2.0], device=device), True),
        (lambda x, device: torch.as_tensor(np.ones(2), device=device), True),
        (lambda x, device: torch.empty(3, device=device).copy_(x), True),
        (lambda x, device: torch.ones(3, device=device)[torch.tensor([0, 1])], True),
    ],
)
def test_copies_to_the_device_are_counted(gpu, send, blocking):
    result = send(torch.ones(3), gpu.device)
    assert result.device == gpu.device
    assert [copy.blocking for copy in gpu.ledger.copies] == [blocking]


def test_numbers_and_views_are_no_copies_and_no_launches(gpu):
    values = torch.empty(4, 6, device=gpu.device)
    before = gpu.ledger.copy()
    torch.empty(3, device=gpu.device)
    values.view(6, 4).t()[1:].unsqueeze(0).expand(2, 3, 6).detach()
    assert not gpu.ledger.since(before).launches
    torch.full((), 5.0, device=gpu.device)
    values.add_(1).mul_(torch.tensor(2.0))
    after = gpu.ledger.since(before)
    assert (dict(after.launches), after.copies) == ({"full": 1, "add_": 1, "mul_": 1}, [])


def test_operators_of_inference_mode_are_counted_by_their_parts(gpu):
    layer, rows = nn.Linear(3, 2).to(gpu.device), torch.ones(4, 3, device=gpu.device)
    before = gpu.ledger.copy()
    with torch.inference_mode():
        layer(rows)
    assert dict(gpu.ledger.since(before).launches) == {"addmm": 1}


def test_optimizer_and_clipping_take_all_weights_at_once(gpu):
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(5))).to(gpu.device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.ones(2, 3, device=gpu.device)).sum().backward()
    optimizer.step()
    before = gpu.ledger.copy()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    after = gpu.ledger.since(before)
    assert after.launched <= 10 and not after.waits and not after.copies


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_and_a_scaler_that_looks_for_its_scale(gpu, dtype):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1)).to(gpu.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    scaler = torch.amp.GradScaler(gpu.device.type)
    before = model[0].weight.detach().clone()
    with torch.autocast(gpu.device.type, dtype=dtype):
        output = model(torch.ones(2, 1, 5, 5, device=gpu.device))
    assert output.dtype is dtype and model[0].weight.dtype is torch.float32
    scaler.scale(output.float().sum() * float("inf")).backward()
    scaler.unscale_(optimizer)
    waits = len(gpu.ledger.waits)
    scaler.step(optimizer)
    scaler.update()
    assert len(gpu.ledger.waits) == waits  # a fused optimizer learns on the device that it must not
    assert torch.equal(before, model[0].weight)
    assert scaler.get_scale() == 2.0**15


def test_an_asynchronous_read_is_rubbish_until_it_is_waited_for(gpu):
    module = torch.get_device_module(gpu.device)
    events = []
    reads = []
    for number in (1.0, 2.0):
        target = torch.empty(1, pin_memory=True)
        reads.append(target.copy_(torch.full((1,), number, device=gpu.device), non_blocking=True))
        events.append(module.current_stream().record_event())
    assert all(read.isnan() for read in reads) and not gpu.ledger.waits
    events[0].synchronize()
    assert reads[0] == 1 and reads[1].isnan()
    last = torch.full((2,), 7, device=gpu.device).to("cpu", non_blocking=True)
    assert last.is_pinned() and 7 not in last
    module.synchronize()
    assert reads[1] == 2 and last.tolist() == [7, 7]


def test_threads_that_start_meanwhile_see_it(gpu):
    def work(number):
        values = torch.full((2,), number, device=gpu.device)
        return values.device.type, values.tolist()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, range(3))) == [("pretend", [n, n]) for n in range(3)]
    assert len(gpu.ledger.waits) == 3


def test_memory_for_so_many_images(gpu):
    layer, images = nn.Conv2d(1, 1, 1).to(gpu.device), torch.ones(4, 1, 2, 2, device=gpu.device)
    gpu.most_images = 3
    layer(images[:3])
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        layer(images)


def test_tf32_rounds_where_it_is_allowed():
    torch.manual_seed(0)
    layer, images = nn.Conv2d(8, 8, 3), torch.randn(2, 8, 9, 9)
    exact = layer(images).detach()
    with pretend_gpu.pretend_gpu(tf32=True) as device, torch.no_grad():
        here, there = layer.to(device.device), images.to(device.device)
        coarse = here(there).cpu()
        with torch.backends.cudnn.flags(allow_tf32=False):
            assert torch.equal(here(there).cpu(), exact)
    assert 1e-4 < float((coarse - exact).abs().max()) < 1e-2


def test_it_leaves_nothing_behind():
    from goldfold.training import device as device_module
    from goldfold.training import runtime

    chosen, start = device_module.choose_device, threading.Thread.start
    with pretend_gpu.pretend_gpu() as gpu:
        assert device_module.choose_device("fp16").device == gpu.device
        assert runtime.choose_device().is_gpu
        assert torch.ones(2, device=gpu.device).is_pretend
    assert device_module.choose_device is runtime.choose_device is chosen
    assert threading.Thread.start is start
    assert not torch.pretend.is_available()
    assert not torch.ones(2).is_pretend
    assert "pin_memory" not in vars(torch.Tensor)
    parameter = nn.Linear(2, 2).weight
    assert type(parameter) is nn.Parameter
