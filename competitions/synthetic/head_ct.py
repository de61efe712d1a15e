"""A CT slice of a synthetic head in Hounsfield units, and its DICOM file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import config, uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset

from goldfold.competitions.pydicom_silence import PYDICOM_SILENCE

FloatImage = NDArray[np.float32]

HEMORRHAGES = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")
_AIR, _SKIN, _BONE, _BRAIN, _FLUID, _BLOOD = -1000, 30, 1100, 36, 8, 68
_INTERCEPT = -1024


@dataclass(frozen=True)
class CtFile:
    """The header, and how the values are stored."""

    sop_instance_uid: str
    patient: str
    bits: int
    """12 unsigned, or 16 signed."""
    wrong_intercept: bool
    """Values are stored 1000 too low and wrap around, with an intercept of 1."""
    two_windows: bool
    """The header has two windows; the first is the one to use."""
    series: str = ""
    """Of the slices of one scan."""
    z_mm: float = 0.0
    """Where the slice lies, from foot to head."""


def draw_slice(kinds: Sequence[str], size: int, rng: np.random.Generator) -> FloatImage:
    """Return a slice with the given hemorrhages, float32 (size, size) in Hounsfield units.

    Args:
        kinds: names from `HEMORRHAGES`.
        size: side in pixels.
        rng: determines everything else.
    """
    rows, columns = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / size - 0.5
    turn, scale = np.deg2rad(rng.uniform(-12, 12)), rng.uniform(0.85, 1.1)
    y = (rows * np.cos(turn) - columns * np.sin(turn) - rng.uniform(-0.04, 0.04)) / scale
    x = (rows * np.sin(turn) + columns * np.cos(turn) - rng.uniform(-0.04, 0.04)) / scale
    reach = np.hypot(x / 0.30, y / 0.37)  # 1 on the outside of the skull
    angle = np.arctan2(y / 0.37, x / 0.30)
    values = np.full((size, size), float(_AIR), np.float32)
    values[reach < 1.07] = _SKIN
    values[reach < 1.0] = _BONE
    brain = reach < 0.91
    values[brain] = _BRAIN
    fissure = brain & (np.abs(x) < 0.004) & (reach > 0.45)
    values[fissure] = _FLUID
    ventricles = np.hypot((np.abs(x) - 0.045) / 0.022, (y + 0.02) / 0.10) < 1
    values[ventricles] = _FLUID
    for kind in kinds:
        values[_hemorrhage(kind, x, y, reach, angle, ventricles, rng) & brain] = _BLOOD
    table = (np.abs(rows - 0.46 + 0.25 * columns**2) < 0.006) & (np.abs(columns) < 0.45)
    values[table & (reach > 1.1)] = 120
    smooth = cv2.GaussianBlur(values, (0, 0), 0.0022 * size + 0.3)
    noise = rng.standard_normal((size, size), dtype=np.float32) * np.float32(rng.uniform(3, 6))
    return np.asarray(smooth + noise, dtype=np.float32)


def _hemorrhage(
    kind: str,
    x: FloatImage,
    y: FloatImage,
    reach: FloatImage,
    angle: FloatImage,
    ventricles: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Return where there is blood, bool (size, size)."""
    middle = rng.uniform(-np.pi, np.pi)
    away = np.abs(np.angle(np.exp(1j * (angle - middle))))
    match kind:
        case "epidural":  # a lens at the skull
            width, thick = rng.uniform(0.35, 0.6), rng.uniform(0.14, 0.26)
            inner = 0.91 - thick * np.clip(1 - (away / width) ** 2, 0, 1)
            return np.asarray((reach > inner) & (away < width))
        case "subdural":  # a long thin crescent
            width, thick = rng.uniform(0.9, 1.5), rng.uniform(0.06, 0.12)
            inner = 0.91 - thick * np.sqrt(np.clip(1 - (away / width) ** 2, 0, 1))
            return np.asarray((reach > inner) & (away < width))
        case "intraparenchymal":  # a clot within the brain
            far, radius = rng.uniform(0.12, 0.24), rng.uniform(0.03, 0.07)
            at_x, at_y = far * np.cos(middle) * 0.9, far * np.sin(middle)
            lobes = 1 + 0.25 * np.sin(3 * angle + middle)
            return np.asarray(np.hypot(x - at_x, y - at_y) < radius * lobes)
        case "intraventricular":
            side = np.sign(np.cos(middle))
            return np.asarray(ventricles & ((x * side > 0) | (y > 0.0)))
        case _:  # subarachnoid: in the furrows at the surface
            furrows = np.abs(np.sin(14 * angle + 6 * np.sin(3 * angle + middle))) < 0.22
            return np.asarray(furrows & (reach > 0.68) & (away < rng.uniform(0.7, 1.3)))


def ct_bytes(values: FloatImage, file: CtFile) -> bytes:
    """Return a DICOM file, the same bytes for the same arguments.

    Args:
        values: (H, W) in Hounsfield units.
        file: the header, and how the values are stored.
    """
    rounded = np.rint(values).astype(np.int64)
    intercept = _INTERCEPT if not file.wrong_intercept else 1
    if file.bits == 16:
        intercept = 0
        stored = np.clip(rounded, -(2**15), 2**15 - 1).astype("<i2")
    elif file.wrong_intercept:
        stored = ((np.clip(rounded, -1000, 3095) + 1000 - 1000) % 4096).astype("<u2")
    else:
        stored = np.clip(rounded - intercept, 0, 4095).astype("<u2")
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = uid.CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.file_meta.ImplementationClassUID = "1.2.4"
    # The organisers' ids are not valid UIDs of the standard.
    for tag, kind, text in (
        (0x00080018, "UI", file.sop_instance_uid),
        (0x00100020, "LO", file.patient),
        (0x0020000E, "UI", file.series),
    ):
        dataset.add(DataElement(tag, kind, text, validation_mode=config.IGNORE))
    dataset.Modality = "CT"
    dataset.ImagePositionPatient = [-125, -125, file.z_mm]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelSpacing = [0.488281, 0.488281]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, file.bits, file.bits - 1
    dataset.PixelRepresentation = int(file.bits == 16)
    dataset.WindowCenter = [30, 600] if file.two_windows else 30
    dataset.WindowWidth = [80, 2800] if file.two_windows else 80
    dataset.RescaleIntercept, dataset.RescaleSlope = intercept, 1
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    buffer = BytesIO()
    with PYDICOM_SILENCE:
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
