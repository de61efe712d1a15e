"""A GPU that the installed PyTorch has no kernels for is refused before anything runs on it."""

from types import SimpleNamespace

import pytest
import torch

from goldfold.errors import InputError
from goldfold.training import device as device_module
from goldfold.training.device import choose_device
from goldfold.training.gpu_build import has_kernels

PINNED = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ((7, 5), PINNED, True),  # T4
        ((8, 9), PINNED, True),  # L4: code of sm_86 runs on later minor versions
        ((9, 0), PINNED, True),  # H100
        ((12, 1), PINNED, True),
        ((7, 0), PINNED, False),  # V100: older than sm_75
        ((6, 0), PINNED, False),  # P100
        ((11, 0), PINNED, False),  # no code of this major version
        ((11, 0), [*PINNED, "compute_120"], False),  # intermediate code of a later version
        ((13, 0), [*PINNED, "compute_120"], True),
        ((8, 6), ["sm_89"], False),  # an earlier minor version
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a"], False),
        ((9, 0), [], False),
        ((9, 0), ["gfx90a"], False),
    ],
)
def test_kernels_run_on_their_own_and_later_minor_versions(capability, built_for, runs):
    assert has_kernels(capability, built_for) is runs


@pytest.fixture
def gpu(monkeypatch):
    def pretend(name, capability, built_for=PINNED):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: name)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built_for)
        monkeypatch.setattr(device_module, "try_kernels", lambda *_: None)

    return pretend


@pytest.mark.parametrize("precision", ["auto", "float32", "fp16"])
def test_the_message_names_the_gpu_the_build_and_the_way_out(gpu, precision):
    gpu("Tesla P100-PCIE-16GB", (6, 0))
    with pytest.raises(InputError) as caught:
        choose_device(precision)
    assert caught.value.exit_code == 2
    told = str(caught.value)
    for part in (
        "GPU 0 (Tesla P100-PCIE-16GB) cannot be used",
        "needs kernels for sm_60",
        torch.__version__,
        "sm_75, sm_80",
        "CUDA 12.6",
        'CUDA_VISIBLE_DEVICES=""',
    ):
        assert part in told


def test_a_build_without_any_gpu_says_so(gpu):
    gpu("Tesla T4", (7, 5), [])
    with pytest.raises(InputError, match="has them for no GPU"):
        choose_device()


def test_a_build_for_other_makers_is_not_judged_by_nvidia_numbers(gpu, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "6.4")
    gpu("AMD Instinct MI250X", (9, 0), ["gfx90a"])
    properties = SimpleNamespace(gcnArchName="gfx90a:sramecc+:xnack-")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: properties)
    device = choose_device()
    assert device.device.type == "cuda"
    expected = "AMD Instinct MI250X, ROCm 6.4, bf16 autocast, channels_last"
    assert device.description == expected
