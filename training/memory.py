"""Too little memory: how to know it, whether a smaller pass may help, and what to let go."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import torch

from goldfold.errors import GoldfoldError, plural
from goldfold.training.device import Device

_WORDS = (
    "out of memory",  # CUDA, ROCm, XPU, MPS
    "can't allocate memory",
    "not enough memory",
    "cudnn_status_alloc_failed",
    "host_allocation_failed",  # CUDNN_STATUS_INTERNAL_ERROR_..., as the next
    "device_allocation_failed",
    "cublas_status_alloc_failed",
    "cufft_alloc_failed",
    # A library that finds no room for its workspace reports that it could not start.
    "cudnn_status_not_initialized",
    "cublas_status_not_initialized",
    # The allocator asks NVML for the free memory once an allocation failed.
    "nvml_success == r internal assert failed",
    "cuda_error_out_of_memory",
    "hiperroroutofmemory",
    "out_of_device_memory",  # UR_RESULT_ERROR_..., as the next
    "out_of_host_memory",
    "std::bad_alloc",
)
_LIBRARIES = ("cudnn", "cublas", "miopen", "rocblas", "hipblas", "unable to find an engine")
_SHOWN = 120  # characters of a library's message


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of torch means that memory did not suffice, on a GPU or without."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _WORDS)


def is_library_failure(error: BaseException) -> bool:
    """Return whether cuDNN, cuBLAS or their like failed for another reason than memory.

    Often there was too little memory for a workspace after all, so one smaller try is worthwhile.
    """
    if not isinstance(error, RuntimeError) or is_out_of_memory(error):
        return False
    return any(word in str(error).lower() for word in _LIBRARIES)


@dataclass(frozen=True)
class Failure:
    """Why a pass failed.

    Attributes:
        what: in words.
        is_memory: whether memory did not suffice.
        is_hopeless: whether a smaller pass is of no use.
    """

    what: str
    is_memory: bool
    is_hopeless: bool

    def told(self, size: int, device: Device, way_out: str) -> GoldfoldError:
        """Return the error of a pass that no smaller one can replace.

        Args:
            size: images of the pass.
            device: where it failed.
            way_out: what the user can do, whole sentences.
        """
        images = plural(size, "image", "images")
        return GoldfoldError(
            f"{self.what} on {device.description} with {images} per pass. {way_out}"
        )


class Judge:
    """Tells failures that a smaller pass may mend from others; keep it from pass to pass.

    Too little memory is mended by any smaller pass. A library that fails is tried smaller once.
    """

    def __init__(self) -> None:
        """Begin before anything failed."""
        self._library_failed = False

    def failure(self, error: BaseException, size: int) -> Failure:
        """Return why a pass failed.

        Args:
            error: what the pass raised; raised again if it is of another kind.
            size: images of the pass.
        """
        if is_out_of_memory(error):
            return Failure("out of memory", True, is_hopeless=size == 1)
        if not is_library_failure(error):
            raise error
        again, self._library_failed = self._library_failed, True
        what = str(error).strip().splitlines()[0][:_SHOWN]
        return Failure(what, False, is_hopeless=again or size == 1)


def free_memory(device: Device) -> None:
    """Give back what a failed pass held."""
    gc.collect()
    if device.is_gpu:
        torch.get_device_module(device.device).empty_cache()
