"""The time in which the pretend GPU is there, and goldfold chooses it."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.optim import optimizer as torch_optimizer
from torch.utils import _foreach_utils

from goldfold.training import device as device_module
from goldfold.training.device import Device
from pretend_gpu.backend import STATE, is_supported, register
from pretend_gpu.ledger import Ledger
from pretend_gpu.tensor import OperatorMode, PretendTensor, is_pinned, kernels, pinned

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "float32": None, "auto": None}


class PretendGpu:
    """The device while it is in use.

    Attributes:
        device: as PyTorch names it.
        ledger: what was counted.
    """

    def __init__(self, device: torch.device, ledger: Ledger) -> None:
        self.device, self.ledger = device, ledger

    @property
    def most_images(self) -> int | None:
        """Images that memory holds, None for any number."""
        return STATE.most_images

    @most_images.setter
    def most_images(self, count: int | None) -> None:
        STATE.most_images = count

    def fail(self, times: int = 1) -> None:
        """Let the next convolutions find too little memory."""
        STATE.failures = times

    def choose(self, precision: str = "auto", channels_last: bool = True, **_: Any) -> Device:
        """Return what goldfold computes on, in float32 unless fp16 or bf16 are asked for."""
        plain = Device(torch.device("cpu"), None, "pretend GPU", channels_last)
        return replace(plain, device=self.device, autocast_dtype=_DTYPES[precision])


def register_if_supported() -> None:
    """Tell PyTorch of the device; it has to know of it before the process's first backward pass."""
    if is_supported():
        register(kernels())


@contextmanager
def pretend_gpu(*, most_images: int | None = None, tf32: bool = False) -> Iterator[PretendGpu]:
    """Put the device into the process, for this thread and those that start meanwhile.

    Args:
        most_images: that memory holds.
        tf32: whether convolutions and products round as on Ampere, where PyTorch allows it.

    Raises:
        RuntimeError: it is in use already.
    """
    if STATE.active:
        raise RuntimeError("the pretend GPU is in use already")
    gpu = PretendGpu(register(kernels()), Ledger())
    STATE.ledger, STATE.most_images, STATE.tf32 = gpu.ledger, most_images, tf32
    with ExitStack() as stack:
        stack.callback(_forget)
        STATE.active = True
        stack.enter_context(_foreach_takes_its_tensors())
        stack.enter_context(_weights_replaced())
        stack.enter_context(_replaced_everywhere(device_module.choose_device, gpu.choose))
        stack.enter_context(_memory_can_be_pinned())
        stack.enter_context(_threads_see_it())
        stack.enter_context(_seen())
        yield gpu


def _forget() -> None:
    STATE.active, STATE.most_images, STATE.failures, STATE.tf32 = False, None, 0, False
    STATE.ledger.finish_reads()
    STATE.pinned.clear()


@contextmanager
def _seen() -> Iterator[None]:
    """Let this thread see the device."""
    with OperatorMode():
        yield


@contextmanager
def _memory_can_be_pinned() -> Iterator[None]:
    """Answer `pin_memory` and `is_pinned`, which PyTorch would ask CUDA for."""
    tensor: Any = torch.Tensor
    tensor.pin_memory, tensor.is_pinned = pinned, is_pinned
    try:
        yield
    finally:
        del tensor.pin_memory, tensor.is_pinned  # those of the base class are seen again


@contextmanager
def _threads_see_it() -> Iterator[None]:
    """Let threads that start see it; modes belong to a thread."""
    start = threading.Thread.start

    def start_seeing(thread: threading.Thread) -> None:
        run = thread.run

        def run_seeing() -> None:
            with _seen():
                run()

        thread.run = run_seeing  # type: ignore[method-assign]
        start(thread)

    threading.Thread.start = start_seeing  # type: ignore[method-assign]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


@contextmanager
def _foreach_takes_its_tensors() -> Iterator[None]:
    """Let optimizers and clipping take many tensors at once, as on a GPU."""
    lists: list[list[type]] = [
        _foreach_utils._foreach_supported_types,
        torch_optimizer._foreach_supported_types,
    ]
    for supported in lists:
        supported.append(PretendTensor)
    try:
        yield
    finally:
        for supported in lists:
            supported.remove(PretendTensor)


@contextmanager
def _weights_replaced() -> Iterator[None]:
    """Let `Module.to` make new weights: a CPU's cannot become this device's."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


@contextmanager
def _replaced_everywhere(
    original: Callable[..., Any], replacement: Callable[..., Any]
) -> Iterator[None]:
    """Exchange a function under every name that goldfold's modules have for it.

    Modules that are imported meanwhile take the replacement from where it is defined, so the names
    are looked for again at the end.
    """

    @functools.wraps(original)
    def standing_in(*args: Any, **kwargs: Any) -> Any:
        return replacement(*args, **kwargs)

    _exchange(original, standing_in)
    try:
        yield
    finally:
        _exchange(standing_in, original)


def _exchange(old: Callable[..., Any], new: Callable[..., Any]) -> None:
    for module_name, module in list(sys.modules.items()):
        if module_name.split(".")[0] != "goldfold":
            continue
        for name, value in list(vars(module).items()):
            if value is old:
                setattr(module, name, new)
