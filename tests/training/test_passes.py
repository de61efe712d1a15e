"""Batches pass in halves where memory does not suffice."""

import numpy as np
import pytest
import torch

from goldfold.errors import GoldfoldError
from goldfold.training.device import Device
from goldfold.training.memory import is_library_failure, is_out_of_memory
from goldfold.training.passes import Passes, join_parts

CPU = Device(torch.device("cpu"), None, "CPU, float32")

MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp:1016"),
    RuntimeError("MPS backend out of memory (MPS allocated: 18.05 GB)"),
    RuntimeError("XPU out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
    RuntimeError("HIP error: hipErrorOutOfMemory"),
]
LIBRARY = [
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(handle)`"),
    RuntimeError("miopenStatusUnknownError: MIOpen Error"),
]
NEITHER = [
    RuntimeError("expected 3 channels"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    ValueError("out of memory"),
]


@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_what_too_little_memory_looks_like(error):
    assert (is_out_of_memory(error), is_library_failure(error)) == (True, False)


@pytest.mark.parametrize("error", LIBRARY, ids=str)
def test_what_a_failing_library_looks_like(error):
    assert (is_out_of_memory(error), is_library_failure(error)) == (False, True)


@pytest.mark.parametrize("error", NEITHER, ids=str)
def test_other_errors_are_neither(error):
    assert (is_out_of_memory(error), is_library_failure(error)) == (False, False)


class Room:
    """Doubles numbers, as many at once as there is room for."""

    def __init__(self, most, error=MEMORY[0]):
        self.most, self.error, self.sizes = most, error, []
        self.numbers = torch.arange(10)

    def __call__(self, part):
        numbers = self.numbers[part] * 2
        self.sizes.append(len(numbers))
        if len(numbers) > self.most:
            raise self.error
        return numbers


def test_a_batch_that_fits_passes_whole():
    passes, room, said = Passes(), Room(10), []
    assert len(passes.in_halves(10, room, CPU, said.append)) == 1
    assert (room.sizes, said, passes.most) == ([10], [], None)


@pytest.mark.parametrize("error", MEMORY[:6], ids=str)
def test_the_size_is_halved_until_it_fits_and_stays(error):
    passes, room, said = Passes(), Room(3, error), []
    found = join_parts(passes.in_halves(10, room, CPU, said.append))
    assert found.tolist() == list(range(0, 20, 2))
    assert room.sizes == [10, 5, 3, 3, 3, 1]
    assert said == [
        "out of memory on CPU, float32: continuing with 5 images per pass instead of 10",
        "out of memory on CPU, float32: continuing with 3 images per pass instead of 5",
    ]
    room.sizes.clear()
    passes.in_halves(10, room, CPU, said.append)
    assert (room.sizes, len(said)) == ([3, 3, 3, 1], 2)


def test_parts_that_are_done_are_not_repeated():
    """Memory may be lost in the middle of a batch, to another program."""
    room, passes = Room(10), Passes()
    passes.most = 5

    def attempt(part):
        room.most = 2 if part.start else 10
        return room(part)

    found = join_parts(passes.in_halves(10, attempt, CPU))
    assert found.tolist() == list(range(0, 20, 2))
    assert room.sizes == [5, 5, 3, 2, 2, 1]


def test_a_single_image_without_room_is_told():
    with pytest.raises(
        GoldfoldError, match=r"^out of memory on CPU, float32 with 1 image per pass"
    ):
        Passes().in_halves(4, Room(0), CPU)


def test_a_library_that_fails_is_tried_once_smaller():
    helped, said = Room(5, LIBRARY[0]), []
    assert len(Passes().in_halves(10, helped, CPU, said.append)) == 2
    assert said[0].startswith("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED on CPU, float32: contin")
    hopeless = Room(0, LIBRARY[1])
    with pytest.raises(GoldfoldError, match=r"find an engine .* on CPU, float32 with 5 images per"):
        Passes().in_halves(10, hopeless, CPU)
    assert hopeless.sizes == [10, 5]


def test_other_memory_is_given_back_before_a_pass_is_halved():
    room, passes, given = Room(4), Passes(), [True, False]

    def release():
        if given[0]:
            room.most = 8
        return given.pop(0)

    with passes.releasing(release):
        passes.in_halves(8, room, CPU)
        assert (room.sizes, passes.most) == ([8, 8], None)
        passes.in_halves(10, room, CPU)
        assert passes.most == 5
    assert not given
    passes.in_halves(5, Room(3), CPU)  # asks no more
    assert passes.most == 3


@pytest.mark.parametrize("error", NEITHER, ids=str)
def test_other_errors_go_through(error):
    room = Room(0, error)
    with pytest.raises(type(error), match=str(error)):
        Passes().in_halves(10, room, CPU)
    assert room.sizes == [10]


def test_nestings_are_joined_tensor_by_tensor():
    parts = [(torch.full((n, 2), n), None, [torch.ones(n)]) for n in (2, 1)]
    whole, none, (ones,) = join_parts(parts)
    np.testing.assert_array_equal(whole[:, 0], [2, 2, 1])
    assert (none, len(ones)) == (None, 3)
    assert join_parts([torch.zeros(2, 3), torch.zeros(2, 1)], dim=1).shape == (2, 4)
