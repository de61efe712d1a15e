"""The batches of a stage's epochs, made where the stage augments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.settings import StageSettings
from goldfold.settings_augmentation import recipe_of
from goldfold.training.augment_place import where_to_augment
from goldfold.training.images import TrainingImages
from goldfold.training.loader import Batch, Look, iterate_batches
from goldfold.training.prefetch import copied_ahead, has_streams
from goldfold.training.resident import ResidentImages, keep_on_device
from goldfold.training.runtime import Machine


class EpochBatches:
    """Makes batches: augmented by threads, or by the device, which may have the images already.

    Attributes:
        on_device: whether the device augments; a resumed training keeps what it had.
    """

    def __init__(
        self,
        images: TrainingImages,
        stage: StageSettings,
        seed: int,
        machine: Machine,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Decide where to augment, and say so.

        Args:
            images: that epochs draw from.
            stage: its augmentation and the size of its cuts.
            seed: of the run.
            machine: device, threads and settings.
            say: takes lines for the user.
        """
        self._images, self._machine, self._say = images, machine, say
        self._recipe, self._crop, self._seed = recipe_of(stage.augmentation), stage.crop_size, seed
        place = where_to_augment(machine.settings.augment_on, machine.device, self._recipe)
        self.on_device = place.on_device
        if place.line:
            say(place.line)
        self._resident: ResidentImages | None = None
        self._asked = False

    def of(self, epoch: int, batches: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield batches in order, each made and on its way to the device before it is asked for.

        Args:
            epoch: from 0.
            batches: numbers of the images of each.
        """
        device = self._machine.device.device
        made = iterate_batches(
            self._images,
            batches,
            Look(self._recipe, self._seed, epoch, self._crop, self.on_device),
            workers=self._machine.workers,
            pin=has_streams(device),
            resident=self._kept(),
        )
        return copied_ahead(made, device)

    def release(self) -> bool:
        """Give back the memory that images take on the device; return whether they took any."""
        if self._resident is None or not self._resident.release():
            return False
        self._say("out of memory: images leave the GPU's memory and are copied batch by batch")
        return True

    def _kept(self) -> ResidentImages | None:
        """Return the images that the device has; it is asked once, when training begins."""
        if self.on_device and not self._asked:
            self._asked = True
            self._resident = keep_on_device(self._images, self._machine.device, self._say)
        return self._resident
