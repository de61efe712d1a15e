"""The processes that train one fold together, as torchrun starts them; alone there is one.

Every rank computes its share of each effective batch; gradients are averaged, and counts of
pixels are added exactly. One rank writes.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn

from goldfold.errors import InputError

TIMEOUT = timedelta(hours=6)
"""Ranks wait this long for one that decodes images or validates."""


@dataclass(frozen=True)
class Ranks:
    """One of `world` processes.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
        local_rank: its number on this machine, and that of its GPU.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> Ranks:
        """Return this process's place as torchrun's variables tell it, and join the others.

        NCCL where there are GPUs, gloo otherwise.

        Raises:
            InputError: more processes than GPUs on this machine.
        """
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
        if torch.cuda.is_available():
            if local >= torch.cuda.device_count():
                raise InputError(
                    f"torchrun started process {local} on a machine with "
                    f"{torch.cuda.device_count()} GPUs; set --nproc-per-node to their number."
                )
            torch.cuda.set_device(local)
        if not dist.is_initialized():
            backend = "nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, timeout=TIMEOUT)
        return cls(rank, world, local)

    @property
    def is_writer(self) -> bool:
        """Whether this process writes files and tells of its progress."""
        return self.rank == 0

    @property
    def in_words(self) -> str:
        """What a line about the device ends with."""
        return f", {self.world} processes" if self.world > 1 else ""

    def share(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this rank's part: consecutive, disjoint from the others, together complete."""
        return np.array_split(indices, self.world)[self.rank]

    def refuse_if_idle(self, images: int) -> None:
        """Raise InputError if a batch of so many images leaves a rank without one."""
        if images < self.world:
            raise InputError(
                f"{self.world} processes cannot share batches of {images}: raise batch_size to "
                f"at least {self.world}, or start fewer processes."
            )

    def sum_array(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the sum over all ranks, exact for whole numbers; every rank has the same."""
        if self.world == 1:
            return array
        total = torch.from_numpy(np.ascontiguousarray(array)).to(self._device())
        dist.all_reduce(total)
        summed: NDArray[Any] = total.cpu().numpy()
        return summed

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any rank."""
        return self.any_of(flag)[0]

    def any_of(self, *flags: bool) -> tuple[bool, ...]:
        """Return for each flag whether it is set in any rank; they are exchanged together."""
        if self.world == 1:
            return flags
        sums = self.sum_array(np.array(flags, dtype=np.int64))
        return tuple(bool(count) for count in sums)

    def spread(self, flags: torch.Tensor) -> None:
        """Set flags, 0 or 1 on the device, where they are set in any rank; a GPU is not awaited."""
        if self.world > 1:
            dist.all_reduce(flags, op=dist.ReduceOp.MAX)

    def broadcast_buffers(self, model: nn.Module) -> None:
        """Give all ranks the writer's BatchNorm statistics."""
        if self.world == 1:
            return
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)

    def barrier(self) -> None:
        """Wait for the others."""
        if self.world > 1:
            self.any(False)

    def wrap(self, network: nn.Module, model: nn.Module | None = None) -> nn.Module:
        """Return the network with averaged gradients, itself where it is alone.

        Args:
            network: what is called.
            model: the plain model inside, where the network is a compiled one: an image of
                another size would be compiled for nothing.
        """
        if self.world == 1:
            return network
        on_gpu = torch.cuda.is_available()
        return nn.parallel.DistributedDataParallel(
            network,
            device_ids=[self.local_rank] if on_gpu else None,
            # Rank 0 writes its own statistics, and hands them out at the end of each epoch.
            broadcast_buffers=False,
            find_unused_parameters=has_idle_weights(network if model is None else model),
        )

    def synchronised(self, network: nn.Module, last: bool) -> AbstractContextManager[object]:
        """Return a context in which gradients are averaged only after the last part of a step."""
        if isinstance(network, nn.parallel.DistributedDataParallel) and not last:
            return network.no_sync()
        return nullcontext()

    def close(self) -> None:
        """Leave the others."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def end_process(self) -> None:
        """Leave the others and end this process well, where it is one of several; else nothing.

        The library's threads may outlive its connections, and then abort a process that ends as
        usual after all work is done; so it ends at once, its output written.
        """
        if self.world < 2:
            return
        self.barrier()  # who leaves first takes the connections of the others down
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def _device(self) -> torch.device:
        return (
            torch.device("cuda", self.local_rank)
            if torch.cuda.is_available()
            else (torch.device("cpu"))
        )


def has_idle_weights(model: nn.Module) -> bool:
    """Return whether some weights do not reach the output: an encoder's layer that no decoder sees.

    Looking for them in every step costs time, so it is found out once, on an empty image.
    """
    first = next(weight for weight in model.parameters() if weight.ndim == 4)
    training = model.training
    model.eval()
    output = model(torch.zeros(1, first.shape[1], 64, 64, device=first.device))
    parts = [output] if isinstance(output, torch.Tensor) else list(output)
    torch.stack([part.float().sum() for part in parts]).sum().backward()  # type: ignore[no-untyped-call]
    idle = any(p.grad is None for p in model.parameters() if p.requires_grad)
    model.zero_grad(set_to_none=True)
    model.train(training)
    return idle
