import pytest
import torch

from goldfold.errors import InputError
from goldfold.training import device as device_module
from goldfold.training.device import Device, choose_device


def test_without_cuda_the_processor_is_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device_module, "_cpu_has_bf16", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    device = choose_device()
    assert (device.device.type, device.autocast_dtype) == ("cpu", None)
    assert device.description == "CPU, 1 thread, float32, channels_last"


def test_a_processor_with_native_bf16_uses_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device_module, "_cpu_has_bf16", lambda: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    device = choose_device()
    assert device.autocast_dtype is torch.bfloat16
    assert device.description == "CPU, 2 threads, bf16 autocast, channels_last"


@pytest.mark.parametrize(
    ("capability", "dtype", "words"),
    [
        ((9, 0), torch.bfloat16, "bf16 autocast"),
        ((8, 0), torch.bfloat16, "bf16 autocast"),
        ((7, 5), torch.float16, "fp16 autocast"),  # T4
        ((7, 0), torch.float16, "fp16 autocast"),  # V100
        ((6, 0), None, "float32"),  # P100
    ],
)
def test_a_gpu_uses_the_dtype_of_its_tensor_cores(monkeypatch, capability, dtype, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Some GPU")
    major, minor = capability
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: [f"sm_{major}{minor}"])
    monkeypatch.setattr(device_module, "try_kernels", lambda *_: None)
    device = choose_device()
    assert device.device.type == "cuda"
    assert device.autocast_dtype is dtype
    assert device.description == f"Some GPU, {words}, channels_last"


def test_only_fp16_scales_the_loss():
    cpu = torch.device("cpu")
    assert Device(cpu, None, "").scaler() is None
    assert Device(cpu, torch.bfloat16, "").scaler() is None
    scaler = Device(cpu, torch.float16, "").scaler()
    assert scaler.is_enabled()
    assert scaler.get_scale() == 65536.0


def test_autocast_is_on_only_where_there_is_a_fast_dtype():
    one = torch.ones(2, 2)
    with Device(torch.device("cpu"), torch.bfloat16, "").autocast():
        assert (one @ one).dtype is torch.bfloat16
    with Device(torch.device("cpu"), None, "").autocast():
        assert (one @ one).dtype is torch.float32


@pytest.mark.parametrize(
    ("text", "native"),
    [("flags : fpu avx512_bf16 x", True), ("flags : amx_bf16", True), ("flags : avx512f", False)],
)
def test_bf16_is_read_from_the_flags_of_the_processor(monkeypatch, tmp_path, text, native):
    monkeypatch.delenv("GOLDFOLD_BF16", raising=False)
    flags = tmp_path / "cpuinfo"
    flags.write_text(text)
    monkeypatch.setattr(device_module, "Path", lambda _: flags)
    assert device_module._cpu_has_bf16() is native


@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        ("off", None, "float32"),
        ("auto", torch.bfloat16, "bf16 autocast"),
        ("", torch.bfloat16, "bf16 autocast"),
    ],
)
def test_bf16_can_be_switched_off(monkeypatch, tmp_path, value, dtype, words):
    flags = tmp_path / "cpuinfo"
    flags.write_text("flags : avx512_bf16")
    monkeypatch.setattr(device_module, "Path", lambda _: flags)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("GOLDFOLD_BF16", value)
    device = choose_device()
    assert device.autocast_dtype is dtype
    assert f", {words}, " in device.description
    assert choose_device("bf16").autocast_dtype is torch.bfloat16  # asked for by name


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_an_unknown_value_of_the_bf16_switch_is_an_error(monkeypatch, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("GOLDFOLD_BF16", "no")
    with pytest.raises(InputError, match=r"GOLDFOLD_BF16 is 'no'; expected auto \(.*\) or off \("):
        choose_device(precision)


def test_a_system_without_cpuinfo_has_no_known_bf16(monkeypatch, tmp_path):
    monkeypatch.setattr(device_module, "Path", lambda _: tmp_path / "nothing")
    assert device_module._cpu_has_bf16() is False


def test_a_gpu_without_bf16_says_what_works(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75"])
    monkeypatch.setattr(device_module, "try_kernels", lambda *_: None)
    with pytest.raises(InputError, match=r'Tesla T4 has no bf16; set training.precision = "fp16"'):
        choose_device("bf16")
    assert choose_device("float32").autocast_dtype is None


def test_freed_memory_is_kept_where_the_c_library_can():
    import platform
    import sys

    from goldfold.training.allocator import keep_freed_memory

    if sys.platform.startswith("linux") and platform.libc_ver()[0] == "glibc":
        assert keep_freed_memory()
    else:
        assert keep_freed_memory() in (True, False)
