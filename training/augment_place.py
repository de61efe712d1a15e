"""Where images are augmented: by the CPU's threads or on the device."""

from __future__ import annotations

from dataclasses import dataclass

from goldfold.augmentation_levels import Recipe
from goldfold.training.device import Device


@dataclass(frozen=True)
class AugmentPlace:
    """Whether the device augments, and a line about it for the user, "" for none."""

    on_device: bool
    line: str = ""


def where_to_augment(setting: str, device: Device, recipe: Recipe) -> AugmentPlace:
    """Return where images are augmented; it follows from the arguments, nothing is measured.

    A GPU augments whatever it can: it is many times faster at it than the network is at
    learning, and the threads are left with a few numbers for each image. Apple's only does if
    asked to, as nobody has tried whether it has all operators.

    Args:
        setting: `training.augment_on`: auto, cpu or device.
        device: of the training.
        recipe: of the augmentation.
    """
    tried = device.is_gpu and device.device.type != "mps"
    wanted = tried if setting == "auto" else setting == "device"
    if wanted and (lacking := recipe.only_on_cpu):
        return AugmentPlace(False, f"augmenting on the CPU, as the GPU path has no {lacking}")
    if wanted and setting == "auto":
        return AugmentPlace(True, "augmenting on the GPU")
    return AugmentPlace(wanted)
