"""Runtime of a training: device, threads, processes, when it stops; no part of the model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from goldfold.settings import TrainingSettings
from goldfold.training.compiled import Compilation
from goldfold.training.device import Device, choose_device
from goldfold.training.passes import Passes
from goldfold.training.ranks import Ranks
from goldfold.training.shared_cores import SharedCores, shares_cores
from goldfold.training.stopping import StopRequest

STATE_SECONDS = 30.0
"""A state is several times the weights: writing it more often would slow short epochs down."""
MID_EPOCH_SECONDS = 300.0
"""Within an epoch a state is written once the last is so old."""


@dataclass(frozen=True)
class Machine:
    """Where a training runs.

    Attributes:
        device: and its precision.
        workers: threads that make batches; they do not change the result.
        settings: of the machine.
        ranks: processes that train one fold together.
        stop: whether to stop.
        state_seconds: least time from one state to the next; 0 writes one after every epoch.
        mid_epoch_seconds: the same within an epoch; 0 writes one after every step.
        passes: how many images a validation lets pass at once, from one to the next.
        cores: the threads that compute on a processor, asked between steps.
        compilation: of the network in training; `choose_compilation` tells.
    """

    device: Device
    workers: int = 1
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    ranks: Ranks = field(default_factory=Ranks)
    stop: StopRequest = field(default_factory=StopRequest)
    state_seconds: float = STATE_SECONDS
    mid_epoch_seconds: float = MID_EPOCH_SECONDS
    passes: Passes = field(default_factory=Passes, repr=False, compare=False)
    cores: SharedCores = field(default_factory=SharedCores, repr=False, compare=False)
    compilation: Compilation = "off"

    def sharing_cores(self, say: Callable[[str], None]) -> AbstractContextManager[None]:
        """Return a context in which a training on a processor makes room for others.

        Args:
            say: takes a line when the number of threads changes.
        """
        fixed = self.settings.deterministic
        if fixed or not shares_cores(self.device.device, self.ranks.world):
            return nullcontext()
        return self.cores.active(say)

    @classmethod
    def choose(
        cls,
        settings: TrainingSettings,
        workers: int,
        stop: StopRequest,
        device: Device | None = None,
    ) -> Machine:
        """Return this machine: its fastest device, and the other processes under torchrun.

        Args:
            settings: of the machine.
            workers: threads that make batches in this process.
            stop: whether to stop.
            device: where; the fastest unless given.

        Raises:
            InputError: the precision that the settings ask for is not to be had.
        """
        ranks = Ranks.from_environment()
        if device is None:
            device = choose_device(
                settings.precision,
                settings.channels_last,
                local_rank=ranks.local_rank,
                deterministic=settings.deterministic,
            )
        return cls(device, workers, settings, ranks, stop)
