"""What PyTorch asks of a device: to be registered, a module `torch.pretend`, autocast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import backend_registration

from pretend_gpu.ledger import Ledger

NAME = "pretend"
_SETUP = "_setup_privateuseone_for_python_backend"
_LOWER = ("conv1d", "conv2d", "conv_transpose2d.input", "linear", "matmul", "mm", "bmm", "addmm")
_FULL = (
    "softmax.int",
    "log_softmax.int",
    "layer_norm",
    "group_norm",
    "binary_cross_entropy_with_logits",
    "cumsum",
    "exp",
    "log",
    "pow.Tensor_Scalar",
    "sum",
    "sum.dim_IntList",
)
_KEY = "AutocastPrivateUse1"


class State:
    """Whether the device is in use, and what it counts; one per process, like the device."""

    def __init__(self) -> None:
        self.registered = self.active = False
        self.ledger = Ledger()
        self.most_images: int | None = None
        self.failures = 0
        self.tf32 = False
        self.pinned: dict[int, torch.UntypedStorage] = {}
        self.libraries: list[torch.library.Library] = []


STATE = State()


def is_supported() -> bool:
    """Return whether this PyTorch lets Python be a device."""
    return hasattr(backend_registration, _SETUP)


def register(kernels: Mapping[str, Callable[..., Any]]) -> torch.device:
    """Tell PyTorch of the device, once, and return it.

    Args:
        kernels: operators of its own, by name.
    """
    if not STATE.registered:
        getattr(backend_registration, _SETUP)(NAME, Module())
        own = torch.library.Library("aten", "IMPL", "PrivateUse1")
        for name, kernel in kernels.items():
            own.impl(name, kernel)
        STATE.libraries = [*_autocast_kernels(), own]
        STATE.registered = True
    return torch.device(NAME, 0)


class Stream:
    """A queue; there is only one, whatever is asked for."""

    def __init__(self, device: Any = None, priority: int = 0, **_: Any) -> None:
        self.device, self.priority = torch.device(NAME, 0), priority

    def synchronize(self) -> None:
        """Wait for everything."""
        STATE.ledger.wait("stream")

    def query(self) -> bool:
        """Return whether everything is done: it is."""
        STATE.ledger.finish_reads()
        return True

    def wait_stream(self, stream: Stream) -> None:
        """Order two queues."""

    def wait_event(self, event: Event) -> None:
        """Order the queue behind an event."""

    def record_event(self, event: Event | None = None) -> Event:
        """Return the event, recorded."""
        event = event if event is not None else Event()
        event.record(self)
        return event


class Event:
    """A place in the queue."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, **_: Any) -> None:
        self._reads = 0

    def record(self, stream: Stream | None = None) -> None:
        """Be behind everything that was asked for so far."""
        self._reads = STATE.ledger.reads_begun

    def synchronize(self) -> None:
        """Wait until the device has come here."""
        STATE.ledger.wait("event", self._reads)

    def query(self) -> bool:
        """Return whether the device has come here: it has."""
        STATE.ledger.finish_reads(self._reads)
        return True

    def wait(self, stream: Stream | None = None) -> None:
        """Let a queue wait."""

    def elapsed_time(self, event: Event) -> float:
        """Return milliseconds; nothing takes time."""
        return 0.0


class Module:
    """`torch.pretend`, with what `torch.cuda` has and goldfold or PyTorch uses."""

    Stream, Event = Stream, Event

    def is_available(self) -> bool:
        return STATE.active

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def set_device(self, device: Any) -> None:
        pass

    @contextmanager
    def device(self, device: Any) -> Iterator[None]:
        yield

    def manual_seed(self, seed: int) -> None:
        pass  # random numbers are those of the CPU

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_rng_state(self, device: Any = NAME) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, device: Any = NAME) -> None:
        torch.set_rng_state(state)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def current_stream(self, device: Any = None) -> Stream:
        return Stream()

    def default_stream(self, device: Any = None) -> Stream:
        return Stream()

    @contextmanager
    def stream(self, stream: Stream | None) -> Iterator[None]:
        yield

    def set_stream(self, stream: Stream) -> None:
        pass

    def synchronize(self, device: Any = None) -> None:
        STATE.ledger.wait("synchronize")

    def empty_cache(self) -> None:
        pass

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        return (8 << 30, 8 << 30)

    def memory_allocated(self, device: Any = None) -> int:
        return 0

    def max_memory_allocated(self, device: Any = None) -> int:
        return 0

    def reset_peak_memory_stats(self, device: Any = None) -> None:
        pass


def _autocast_kernels() -> list[torch.library.Library]:
    """Register what CUDA's autocast does to the operators that networks are made of."""
    others = torch.library.Library("_", "IMPL", _KEY)
    others.fallback(torch.library.fallthrough_kernel)
    library = torch.library.Library("aten", "IMPL", _KEY)
    for name in _LOWER:
        library.impl(name, _cast(name, None))
    for name in _FULL:
        library.impl(name, _cast(name, torch.float32))
    return [others, library]


def _cast(name: str, dtype: torch.dtype | None) -> Callable[..., Any]:
    """Return the operator on tensors of a dtype, None for that of autocast."""
    packet, _, overload = name.partition(".")
    operator = getattr(getattr(torch.ops.aten, packet), overload or "default")
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, _KEY))

    def kernel(*args: Any, **kwargs: Any) -> Any:
        wanted = dtype if dtype is not None else torch.get_autocast_dtype(NAME)

        def as_wanted(value: Any) -> Any:
            castable = isinstance(value, torch.Tensor) and value.device.type == NAME
            if castable and value.is_floating_point() and value.dtype is not torch.float64:
                return value.to(wanted)
            return value

        with torch._C._ExcludeDispatchKeyGuard(keys):
            return operator(*map(as_wanted, args), **{k: as_wanted(v) for k, v in kwargs.items()})

    return kernel
