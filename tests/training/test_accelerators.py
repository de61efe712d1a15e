"""GPUs that are not here: what is chosen, refused or left for the CPU, and what is said."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from goldfold.errors import InputError
from goldfold.training import accelerators, first_kernel
from goldfold.training import device as device_module
from goldfold.training.accelerators import Accelerator, amd_dtypes, nvidia_dtypes, why_no_gpu
from goldfold.training.device import choose_device
from goldfold.training.first_kernel import meaning_of, try_kernels

BF16, FP16 = torch.bfloat16, torch.float16
CARD = Accelerator(
    "cuda", "CUDA 13.2", "CUDA_VISIBLE_DEVICES", lambda: True, lambda: 1, lambda index: "H100",
    lambda index: [BF16, FP16], lambda index: BF16,
)  # fmt: skip
INTEL = replace(CARD, type="xpu", build="XPU", name=lambda index: "Arc", is_required=False)
APPLE = replace(
    CARD, type="mps", build="MPS", variable="", name=lambda index: "Apple GPU, MPS",
    best=lambda index: None, is_required=False,
)  # fmt: skip


@pytest.fixture
def gpu(monkeypatch):
    """Return a function that lets a kind of GPU be there, whose first kernel may raise."""

    def pretend(kind, error=None):
        def tried(place, dtype):
            if error is not None:
                raise error

        monkeypatch.setattr(device_module, "usable_accelerator", lambda: kind)
        monkeypatch.setattr(device_module, "try_kernels", tried)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))

    return pretend


ERRORS = [
    ("CUDA error: no kernel image is available for execution on the device", "has no kernels"),
    ("HIP error: invalid device function", "has no kernels"),
    ("The NVIDIA driver on your system is too old (found version 11040).", "Update the driver"),
    ("CUDA driver version is insufficient for CUDA runtime version", "Update the driver"),
    ("CUDA out of memory. Tried to allocate 2.00 MiB.", "taken by other processes"),
    ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling", "taken by other processes"),
    ("CUDA error: all CUDA-capable devices are busy or unavailable", "MIG"),
    ("No CUDA-capable device is detected", "nvidia-smi -L"),
    ("Error 802: system not yet initialized", "fabricmanager"),
    ("CUDA error: uncorrectable ECC error encountered", "has failed"),
    ("something new\nwith a second line", "something new"),
]


@pytest.mark.parametrize(("text", "words"), ERRORS)
def test_a_gpu_that_cannot_compute_is_refused_by_name_with_a_way_out(gpu, text, words):
    gpu(CARD, RuntimeError(text))
    with pytest.raises(InputError) as caught:
        choose_device()
    told = str(caught.value)
    for part in ("GPU 0 (H100)", torch.__version__, "CUDA 13.2", words, "--devices cpu"):
        assert part in told
    assert "second line" not in told


def test_every_meaning_can_be_told():
    for patterns, _ in first_kernel._MEANINGS:
        for pattern in patterns:
            assert pattern == pattern.lower()  # it is looked for in lower case
            assert pattern in meaning_of(RuntimeError(pattern), APPLE)


def test_the_gpu_that_a_process_is_to_use_is_the_one_that_is_tried(gpu, monkeypatch):
    tried, set_to = [], []
    gpu(CARD)
    monkeypatch.setattr(device_module, "try_kernels", lambda *words: tried.append(words))
    monkeypatch.setattr(torch.cuda, "set_device", set_to.append)
    device = choose_device(local_rank=2)
    assert device.device == torch.device("cuda", 2)
    assert tried == [(torch.device("cuda", 2), BF16)]
    assert set_to == [torch.device("cuda", 2)]


def test_the_cpu_can_be_asked_for(gpu):
    gpu(CARD, AssertionError("never tried"))
    device = choose_device(use_gpu=False)
    assert (device.device.type, device.note) == ("cpu", "")


@pytest.mark.parametrize("kind", [INTEL, APPLE])
def test_where_a_gpu_gives_way_to_the_cpu_the_reason_is_said(gpu, kind):
    gpu(kind, NotImplementedError("aten::conv is not implemented"))
    device = choose_device("float32")
    assert device.device.type == "cpu"
    assert device.note.startswith("computing on the CPU: GPU 0 (")
    assert "aten::conv is not implemented" in device.note


@pytest.mark.parametrize(
    ("kind", "precision", "dtype", "words"),
    [
        (APPLE, "auto", None, "Apple GPU, MPS, float32, channels_last"),
        (APPLE, "fp16", FP16, "Apple GPU, MPS, fp16 autocast, channels_last"),
        (INTEL, "auto", BF16, "Arc, bf16 autocast, channels_last"),
        (CARD, "float32", None, "H100, float32 (TF32 in convolutions), channels_last"),
        (CARD, "float32-strict", None, "H100, float32, channels_last"),
    ],
)
def test_each_kind_has_its_precision_and_says_so(gpu, monkeypatch, kind, precision, dtype, words):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    gpu(kind)
    device = choose_device(precision)
    assert device.device.type == kind.type
    assert (device.autocast_dtype, device.description, device.note) == (dtype, words, "")
    assert torch.backends.cudnn.allow_tf32 is (precision != "float32-strict")


def test_a_version_of_amd_is_no_compute_capability():
    for name in ("gfx90a:sramecc+:xnack-", "gfx942", "gfx1100", "gfx1201"):
        assert amd_dtypes(name)[0] is BF16
    for name in ("gfx906:sramecc-", "gfx908", "gfx1030"):
        assert amd_dtypes(name) == [FP16]
    assert nvidia_dtypes((9, 0))[0] is BF16
    assert nvidia_dtypes((7, 5)) == [FP16]


def test_an_amd_gpu_without_bf16_takes_fp16(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "AMD Radeon Pro VII")
    properties = SimpleNamespace(gcnArchName="gfx906:sramecc+:xnack-")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: properties)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
    monkeypatch.setattr(device_module, "try_kernels", lambda *_: None)
    assert choose_device().autocast_dtype is FP16
    with pytest.raises(InputError, match=r"ROCm 6\.4 has no bf16"):
        choose_device("bf16")
    assert "TF32" not in choose_device("float32").description


def test_the_first_kernel_computes_on_this_processor(monkeypatch):
    place = torch.device("cpu")
    for dtype in (None, BF16):
        try_kernels(place, dtype)
    try_kernels.cache_clear()
    monkeypatch.setattr(
        first_kernel.F, "conv2d", lambda images, kernel, padding: images * kernel[0, 0, 0, 0]
    )
    with pytest.raises(RuntimeError, match=r"sums to 128\.0, expected 548"):
        try_kernels(place, None)
    try_kernels.cache_clear()


NVIDIA_FILES = {"/proc/driver/nvidia/gpus"}


@pytest.mark.parametrize(
    ("cuda", "files", "visible", "words"),
    [
        (None, NVIDIA_FILES, None, "built without CUDA"),
        ("13.2", NVIDIA_FILES, None, "cannot use it: driver on your system is too old"),
        ("13.2", NVIDIA_FILES, "0", "cannot use it: driver on your system is too old"),
        ("13.2", {"/dev/kfd"}, None, "built without ROCm"),
        ("13.2", NVIDIA_FILES, "", ""),  # hidden on purpose
        ("13.2", NVIDIA_FILES, "-1", ""),
        ("13.2", set(), None, ""),
    ],
)
def test_a_gpu_that_is_there_but_not_used_is_told(monkeypatch, cuda, files, visible, words):
    def fail():
        raise RuntimeError("driver on your system is too old\nand so on")

    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "init", fail)
    told = why_no_gpu(visible, files.__contains__)
    assert (words in told) if words else not told
    assert "and so on" not in told


def test_the_reason_reaches_the_device(monkeypatch):
    monkeypatch.setattr(device_module, "usable_accelerator", lambda: None)
    monkeypatch.setattr(device_module, "why_no_gpu", lambda visible: "no driver")
    assert choose_device().note == "computing on the CPU: no driver"


def test_the_first_usable_kind_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    kind = accelerators.usable_accelerator()
    assert (kind.type, kind.count(), kind.best(0)) == ("mps", 1, None)
