"""Where images are augmented follows from the setting, the device and the recipe."""

from dataclasses import replace

import pytest
import torch

from goldfold.training.augment_place import where_to_augment
from goldfold.training.augmentation import get_recipe
from goldfold.training.device import Device

CPU = Device(torch.device("cpu"), None, "CPU, float32")
GPU = Device(torch.device("cuda", 0), None, "a GPU")
STRONG = get_recipe("strong")
NOISY = replace(STRONG, noise=0.5)
LACKING = "augmenting on the CPU, as the GPU path has no noise"


@pytest.mark.parametrize(
    ("setting", "device", "recipe", "on_device", "line"),
    [
        ("auto", GPU, STRONG, True, "augmenting on the GPU"),
        ("auto", GPU, NOISY, False, LACKING),
        ("auto", CPU, STRONG, False, ""),
        ("auto", CPU, NOISY, False, ""),
        ("device", GPU, STRONG, True, ""),
        ("device", CPU, STRONG, True, ""),
        ("device", CPU, NOISY, False, LACKING),
        ("cpu", GPU, STRONG, False, ""),
        ("cpu", GPU, NOISY, False, ""),
    ],
)
def test_where_images_are_augmented(setting, device, recipe, on_device, line):
    place = where_to_augment(setting, device, recipe)
    assert (place.on_device, place.line) == (on_device, line)
