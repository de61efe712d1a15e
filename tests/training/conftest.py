"""A tiny image cache and a tiny network, for the tests of the loop and what surrounds it."""

import cv2
import numpy as np
import pytest
import torch

from goldfold.competitions.rle import encode, get_dialect
from goldfold.training.cache import build_cache
from goldfold.training.device import Device

SIIM = get_dialect("siim")
COUNT, HEIGHT, WIDTH = 14, 40, 56

torch.set_num_threads(1)


def draw_masks():
    """Return (14, 40, 56) masks: a bright square in every image but each third."""
    masks = np.zeros((COUNT, HEIGHT, WIDTH), np.uint8)
    for row in range(COUNT):
        if row % 3:
            masks[row, 5 + row : 20 + row, 10 + row : 30 + row] = 1
    return masks


@pytest.fixture(scope="session")
def masks():
    return draw_masks()


@pytest.fixture(scope="session")
def mask_texts(masks):
    return [encode(mask, SIIM) if mask.any() else "" for mask in masks]


@pytest.fixture(scope="session")
def cache(tmp_path_factory, masks, mask_texts):
    folder = tmp_path_factory.mktemp("tiny")
    random = np.random.default_rng(0)
    paths = [folder / f"i{row:02d}.png" for row in range(COUNT)]
    for path, mask in zip(paths, masks, strict=True):
        image = random.integers(0, 90, mask.shape) + 120 * mask
        cv2.imwrite(str(path), image.astype(np.uint8))
    return build_cache(
        folder / "cache",
        image_ids=[path.stem for path in paths],
        paths=paths,
        sizes=[(HEIGHT, WIDTH)] * COUNT,
        masks=mask_texts,
        dialect=SIIM,
        size=32,
    )


@pytest.fixture(scope="session")
def cpu():
    return Device(torch.device("cpu"), None, "CPU, float32")
