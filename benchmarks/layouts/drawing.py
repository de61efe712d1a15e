"""Noise, shapes and the files they are written into."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Pen:
    """Draws everything of one layout from one seed.

    Attributes:
        random: the generator behind all that is drawn.
    """

    def __init__(self, seed: int) -> None:
        """Begin with a seed."""
        self.random = np.random.default_rng(seed)

    def noise(self, height: int, width: int, channels: int = 1) -> Pixels:
        """Return smooth noise, uint8 (height, width) or (height, width, 3), 16 to 240."""
        shape = (height // 8 + 2, width // 8 + 2, channels)
        coarse = self.random.uniform(30, 180, shape).astype(np.float32)
        grown = np.kron(coarse, np.ones((8, 8, 1), np.float32))[:height, :width]
        noisy = grown + self.random.normal(0, 12, (height, width, channels))
        pixels = noisy.clip(16, 240).astype(np.uint8)
        return pixels[..., 0] if channels == 1 else pixels

    def ellipse(self, height: int, width: int, column: tuple[float, float] = (0.1, 0.9)) -> Mask:
        """Return a filled ellipse whose middle lies between two shares of the width."""
        rows, columns = np.mgrid[:height, :width]
        middle = self.random.uniform(0.3, 0.7) * height
        across = self.random.uniform(column[0] + 0.08, column[1] - 0.08) * width
        tall = self.random.uniform(0.1, 0.22) * height
        wide = min(self.random.uniform(0.05, 0.12) * width, (column[1] - column[0]) * width / 2)
        inside = ((rows - middle) / tall) ** 2 + ((columns - across) / max(wide, 2)) ** 2 <= 1
        return np.asarray(inside, dtype=bool)

    def ellipses(self, height: int, width: int, count: int) -> list[Mask]:
        """Return ellipses that do not touch, side by side."""
        edges = np.linspace(0.02, 0.98, count + 1)
        return [
            self.ellipse(height, width, (float(left) + 0.01, float(right) - 0.01)) & gap
            for left, right in pairwise(edges)
            for gap in [_between(height, width, left, right)]
        ]

    def hexadecimal(self, digits: int) -> str:
        """Return a random identifier of hexadecimal digits."""
        return "".join(self.random.choice(list("0123456789abcdef"), digits))


def _between(height: int, width: int, left: float, right: float) -> Mask:
    columns = np.arange(width)
    inside = (columns > left * width + 1) & (columns < right * width - 1)
    return np.broadcast_to(inside, (height, width))


def shown(pixels: Pixels, masks: Iterable[Mask]) -> Pixels:
    """Return an image in which the shapes can be seen."""
    bright = pixels.astype(np.int16)
    for mask in masks:
        bright[mask] += 50
    return bright.clip(0, 255).astype(np.uint8)


def save(path: Path, pixels: NDArray[np.generic], **options: object) -> None:
    """Write an image file of the kind that its ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def save_mask(path: Path, mask: Mask, level: int = 255) -> None:
    """Write a mask file: 0 outside, one level inside."""
    save(path, mask.astype(np.uint8) * np.uint8(level))


def save_dicom(path: Path, pixels: NDArray[np.generic], **elements: object) -> None:
    """Write a DICOM with further elements by keyword; uint8 or uint16 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    bits = pixels.dtype.itemsize * 8
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    dataset.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)


def run_lengths(mask: Mask, *, down_columns: bool = True) -> str:
    """Return pairs of start, from 1, and length, "" for an empty mask.

    A plain loop-free encoder of its own, so that a fault of goldfold's cannot hide in both.
    """
    flat = mask.ravel(order="F" if down_columns else "C")
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flat.astype(np.int8), [0]))))
    starts, stops = edges[::2], edges[1::2]
    return " ".join(
        f"{start + 1} {stop - start}" for start, stop in zip(starts, stops, strict=True)
    )
