"""The devices that a run may use: as users name them, and as processes are tied to them.

A device is `cpu`, or the number of a GPU among those that this process sees.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

from goldfold.errors import InputError, plural
from goldfold.workers import cores

if TYPE_CHECKING:
    from goldfold.training.accelerators import Accelerator
    from goldfold.training.device import Device

CPU = "cpu"
THREADS = "OMP_NUM_THREADS"
"""Environment variable that says how many threads a process computes with on the CPU."""

_MOST_DIGITS = 6

SHARES_OUT = os.name == "posix"
"""Whether several devices can work at once: a worker is stopped by a signal, and saves."""

Devices = str | int | Sequence[str | int] | None
"""As Python code gives them: "0,1", [0, 1], ["cpu", "cpu"]; None for all GPUs."""


def parse_devices(given: Devices, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the devices that a user names; () for all GPUs, or the CPU without any.

    `cpu` may come several times: so many trainings then share the processor.

    Args:
        given: such as `0,1`, `cpu` or `cpu,cpu`.
        environment: of this process.

    Raises:
        InputError: there is no such device, one GPU is named twice, torchrun started this, or the
            system is Windows and several devices are named.

    >>> parse_devices("0, 1"), parse_devices([1]), parse_devices("cpu,cpu")
    (('0', '1'), ('1',), ('cpu', 'cpu'))
    """
    if given is None:
        return ()
    names = _names(given)
    if not names or not all(name == CPU or _is_number(name) for name in names):
        raise InputError(
            "expected devices such as 0,1 (numbers of GPUs), cpu, or cpu,cpu, found "
            f"{shorten(repr(given), 80)}."
        )
    names = [name if name == CPU else str(int(name)) for name in names]
    twice = [name for name in names if name != CPU and names.count(name) > 1]
    if twice:
        raise InputError(
            f"devices name GPU {twice[0]} twice: two trainings on one GPU would share its memory "
            "and slow each other."
        )
    if "WORLD_SIZE" in environment:
        raise InputError(
            "torchrun chooses the devices itself, with one process for each: leave --devices out."
        )
    if len(names) > 1 and not SHARES_OUT:
        raise InputError(
            f"several devices at once need Linux or macOS: name one, such as --devices {names[0]}."
        )
    return tuple(names)


def _names(given: object) -> list[str]:
    """Return what each device is called; [] for what names none."""
    if isinstance(given, str):
        return [part.strip().lower() for part in given.split(",")]
    parts = [given] if isinstance(given, int) else given
    if not isinstance(parts, list | tuple) or any(type(part) not in (str, int) for part in parts):
        return []
    return [str(part).strip().lower() for part in parts]


def _is_number(name: str) -> bool:
    """Return whether a name may be that of a GPU; no machine has a million."""
    return name.isdecimal() and len(name) <= _MOST_DIGITS


def present_devices(named: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the devices that are named, or all GPUs that this process sees; [] for none.

    Under torchrun there are none to share out. On Windows it is the first GPU.

    Raises:
        InputError: there is no such GPU.
    """
    from goldfold.training.accelerators import usable_accelerator

    if "WORLD_SIZE" in environment:
        return []
    if all(name == CPU for name in named) and named:
        return list(named)
    kind = usable_accelerator()
    known = [] if kind is None else [str(n) for n in range(len(tokens_of(kind, environment)))]
    absent = [name for name in named if name != CPU and name not in known]
    if absent:
        raise InputError(
            f"there is no GPU {absent[0]}: this process sees "
            f"{plural(len(known), 'GPU', 'GPUs')}{', from 0 on' if known else ''}. Choose others, "
            "or leave --devices out."
        )
    return list(named) or (known if SHARES_OUT else known[:1])


def tokens_of(kind: Accelerator, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return by which names a process chooses each GPU that this one sees.

    These are numbers, or what the environment variable has: numbers of the machine, UUIDs, or
    instances of MIG. CUDA shows a process one such instance alone, so all that are named count.
    """
    given = environment.get(kind.variable)
    if given is None and kind.variable == "HIP_VISIBLE_DEVICES":
        given = environment.get("CUDA_VISIBLE_DEVICES")  # which AMD's library reads as well
    names = [name.strip() for name in (given or "").split(",") if name.strip()]
    if not names:
        return [str(number) for number in range(kind.count())]
    if all(name.startswith("MIG-") for name in names):
        return names
    return names[: kind.count()]


def environment_of(
    name: str, processes: int, kind: Accelerator | None, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the environment of a process that sees one device alone, and shares the cores.

    Args:
        name: of the device.
        processes: side by side, this one among them.
        kind: of the GPUs, None without any.
        environment: of this process; the number of threads is kept where it is set.
    """
    changed = dict(environment)
    changed.setdefault(THREADS, str(max(1, cores() // processes)))
    if name == CPU or kind is None or not kind.variable:
        return changed
    if kind.variable == "HIP_VISIBLE_DEVICES":
        changed.pop("CUDA_VISIBLE_DEVICES", None)
    changed[kind.variable] = tokens_of(kind, environment)[int(name)]
    return changed


def device_label(name: str, slot: int, names: Sequence[str]) -> str:
    """Return what lines call a device; several shares of the processor are numbered from 1.

    >>> [device_label(name, slot, ["0", "cpu"]) for slot, name in enumerate(["0", "cpu"])]
    ['GPU 0', 'CPU']
    """
    if name != CPU:
        return f"GPU {name}"
    return f"CPU {slot + 1}" if names.count(CPU) > 1 else "CPU"


def device_of(
    precision: str, channels_last: bool, *, deterministic: bool, named: Sequence[str] = ()
) -> Device:
    """Return the first of the devices that are named, or the best one of this machine.

    Raises:
        InputError: there is no such device, or it has no such precision.
    """
    from goldfold.training.device import choose_device

    first = next(iter(present_devices(named) if named else ()), None)
    return choose_device(
        precision,
        channels_last,
        local_rank=0 if first in (None, CPU) else int(first or 0),
        use_gpu=first != CPU,
        deterministic=deterministic,
    )
