"""Too little memory: how to know it, and what to let go."""

from __future__ import annotations

import gc

import torch

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


def free_memory(device: Device) -> None:
    """Give back what a failed pass held."""
    gc.collect()
    if device.is_gpu:
        torch.get_device_module(device.device).empty_cache()
