"""Devices as users name them, and what ties a process to one of them."""

from types import SimpleNamespace

import pytest

from goldfold.errors import InputError
from goldfold.pipeline import devices
from goldfold.pipeline.devices import (
    device_label,
    device_of,
    environment_of,
    parse_devices,
    present_devices,
    tokens_of,
)


def gpus(count, variable="CUDA_VISIBLE_DEVICES"):
    return SimpleNamespace(variable=variable, count=lambda: count)


@pytest.fixture
def machine(monkeypatch):
    """Return a function that lets PyTorch see so many GPUs."""

    def with_gpus(count):
        kind = gpus(count) if count else None
        monkeypatch.setattr("goldfold.training.accelerators.usable_accelerator", lambda: kind)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return with_gpus


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, ()),
        ("0,1", ("0", "1")),
        (" 1 , CPU ", ("1", "cpu")),
        ([0, "1"], ("0", "1")),
        ("cpu,cpu", ("cpu", "cpu")),
        ("00", ("0",)),
        (1, ("1",)),
    ],
)
def test_devices_are_numbers_of_gpus_or_the_processor(given, names):
    assert parse_devices(given, {}) == names


@pytest.mark.parametrize(
    "given",
    ["", "gpu", "0;1", "-1", "0,", [], "cuda:0", "9" * 5000, -1, 1.5, True, b"cpu",
     {"cpu": 1}, ["cpu,cpu"], [None], object()],
)  # fmt: skip
def test_anything_else_is_refused_with_examples(given):
    with pytest.raises(
        InputError, match=r"such as 0,1 \(numbers of GPUs\), cpu, or cpu,cpu, found"
    ):
        parse_devices(given, {})


def test_one_gpu_cannot_be_named_twice():
    with pytest.raises(InputError, match="GPU 1 twice"):
        parse_devices("1,0,01", {})


def test_under_torchrun_devices_are_not_ours_to_choose(machine):
    machine(4)
    torchrun = {"WORLD_SIZE": "2"}
    with pytest.raises(InputError, match="torchrun chooses the devices itself"):
        parse_devices("0,1", torchrun)
    assert parse_devices(None, torchrun) == ()
    assert present_devices((), torchrun) == []


@pytest.mark.parametrize(
    ("count", "named", "expected"),
    [
        (0, (), []),
        (1, (), ["0"]),
        (3, (), ["0", "1", "2"]),  # all of them, unless some are named
        (3, ("2", "0"), ["2", "0"]),
        (3, ("cpu",), ["cpu"]),
        (0, ("cpu", "cpu"), ["cpu", "cpu"]),
        (1, ("0", "cpu"), ["0", "cpu"]),
    ],
)
def test_all_gpus_are_used_unless_some_are_named(machine, count, named, expected):
    machine(count)
    assert present_devices(named, {}) == expected


@pytest.mark.parametrize(("count", "words"), [(0, "sees 0 GPUs."), (2, "sees 2 GPUs, from 0 on.")])
def test_a_gpu_that_is_not_there_is_refused(machine, count, words):
    machine(count)
    with pytest.raises(InputError, match=f"there is no GPU 5: this process {words}"):
        present_devices(("5",), {})


@pytest.mark.parametrize(
    ("visible", "count", "tokens"),
    [
        (None, 2, ["0", "1"]),
        ("2,3", 2, ["2", "3"]),
        ("GPU-8932f937,GPU-3fa1", 2, ["GPU-8932f937", "GPU-3fa1"]),
        ("1,-1,0", 1, ["1"]),  # CUDA sees none behind a number that is none
        ("MIG-a,MIG-b", 1, ["MIG-a", "MIG-b"]),  # it sees one; each process gets its own
    ],
)
def test_a_process_is_given_the_name_that_cuda_knows(visible, count, tokens):
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert tokens_of(gpus(count), environment) == tokens
    last = environment_of(str(len(tokens) - 1), 2, gpus(count), environment)
    assert last["CUDA_VISIBLE_DEVICES"] == tokens[-1]


def test_amd_has_a_variable_of_its_own():
    amd = gpus(2, "HIP_VISIBLE_DEVICES")
    changed = environment_of("1", 2, amd, {"CUDA_VISIBLE_DEVICES": "4,6"})
    assert changed["HIP_VISIBLE_DEVICES"] == "6"
    assert "CUDA_VISIBLE_DEVICES" not in changed  # it would be applied a second time
    changed = environment_of("0", 2, amd, {"HIP_VISIBLE_DEVICES": "3,5"})
    assert changed["HIP_VISIBLE_DEVICES"] == "3"


def test_the_cores_are_shared_unless_the_user_has_chosen(monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 12)
    assert environment_of("cpu", 5, None, {})["OMP_NUM_THREADS"] == "2"
    assert environment_of("cpu", 99, None, {})["OMP_NUM_THREADS"] == "1"
    chosen = {"OMP_NUM_THREADS": "7", "HOME": "/h"}
    assert environment_of("cpu", 5, None, chosen) == chosen


def test_shares_of_the_processor_are_numbered():
    names = ["0", "cpu", "cpu"]
    labels = [device_label(name, slot, names) for slot, name in enumerate(names)]
    assert labels == ["GPU 0", "CPU 2", "CPU 3"]
    assert device_label("cpu", 0, ["cpu"]) == "CPU"


@pytest.mark.parametrize(
    ("named", "use_gpu", "number"),
    [((), True, 0), (("cpu",), False, 0), (("2", "0"), True, 2), (("cpu", "1"), False, 0)],
)
def test_one_process_takes_the_first_device(machine, monkeypatch, named, use_gpu, number):
    machine(3)
    asked = []
    monkeypatch.setattr(
        "goldfold.training.device.choose_device", lambda *words, **how: asked.append((words, how))
    )
    device_of("fp16", False, deterministic=True, named=named)
    how = {"local_rank": number, "use_gpu": use_gpu, "deterministic": True}
    assert asked == [(("fp16", False), how)]


def test_windows_computes_on_one_device(machine, monkeypatch):
    monkeypatch.setattr(devices, "SHARES_OUT", False)
    machine(2)
    assert present_devices((), {}) == ["0"]
    assert present_devices(parse_devices("1", {}), {}) == ["1"]
    with pytest.raises(InputError, match=r"need Linux or macOS: name one, such as --devices 1\."):
        parse_devices("1,0", {})
