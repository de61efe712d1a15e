"""What differs between the images of a patient: pose, exposure, noise, markers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
View = Literal["AP", "PA"]


@dataclass(frozen=True)
class Projection:
    """One exposure of a patient."""

    view: View
    breath: float
    """Depth of inspiration, 1 = full."""
    angle: float
    """Rotation in degrees."""
    zoom: float
    """Above 1 the chest fills the image; below 1 it has a black frame."""
    shift: tuple[float, float]
    """Shift right and down, in fractions of the image side."""
    contrast: float
    brightness: float
    gamma: float
    tilt: tuple[float, float]
    """Change of brightness across the width and the height (uneven exposure)."""
    noise: float
    """Standard deviation of the noise, in gray levels."""
    marker: str
    """Letter in an upper corner, as radiographers place it."""
    lines: int
    """Number of tubes and wires over the chest."""
    monochrome1: bool
    """Whether bright pixels are stored as low values."""


def draw_projection(rng: np.random.Generator) -> Projection:
    """Return a random exposure; bedside views (AP) have less breath, poorer quality, more lines."""
    bedside = bool(rng.random() < 0.4)
    framed = bool(rng.random() < 0.06)
    return Projection(
        view="AP" if bedside else "PA",
        breath=float(rng.uniform(0.84, 0.97) if bedside else rng.uniform(0.92, 1.03)),
        angle=float(rng.normal(0, 3.0 if bedside else 1.2)),
        zoom=float(rng.uniform(0.82, 0.92) if framed else rng.uniform(1.0, 1.14)),
        shift=(float(rng.normal(0, 0.015)), float(rng.normal(0.005, 0.015))),
        contrast=float(rng.uniform(0.78, 1.02) if bedside else rng.uniform(0.90, 1.15)),
        brightness=float(rng.normal(0, 0.045)),
        gamma=float(np.exp(rng.normal(0, 0.14))),
        tilt=(float(rng.normal(0, 0.035)), float(rng.normal(0, 0.035))),
        noise=float(rng.uniform(1.5, 5.0)),
        marker=str(rng.choice(["L", "R", ""], p=[0.6, 0.25, 0.15])),
        lines=int(rng.poisson(1.3)) if bedside else int(rng.random() < 0.12),
        monochrome1=bool(rng.random() < 0.04),
    )


def pose(field: FloatImage, projection: Projection, size: int, outside: float) -> FloatImage:
    """Return a square field rotated, zoomed and shifted, (size, size).

    Args:
        field: (R, R) values at the rendering resolution.
        projection: the pose.
        size: side of the result in pixels.
        outside: value of pixels that the field does not reach.
    """
    side = field.shape[0]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), projection.angle, 1.0)
    scale = size / side * projection.zoom
    matrix *= scale
    matrix[:, 2] += (size - 1) / 2 - scale * (side - 1) / 2
    matrix[:, 2] += np.array(projection.shift) * size
    posed: FloatImage = cv2.warpAffine(
        field,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT if projection.zoom < 1 else cv2.BORDER_REPLICATE,
        borderValue=outside,
    )
    return posed


def expose(
    brightness: FloatImage, projection: Projection, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the detector's image (H, W) uint8 of a brightness field of about 0 to 1."""
    size = brightness.shape[0]
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    frame = brightness < 0
    out = brightness * np.float32(projection.contrast)
    out += (projection.brightness + projection.tilt[0] * ramp)[None, :]
    out += (projection.tilt[1] * ramp)[:, None]
    np.clip(out, 0, 1, out=out)
    out = np.asarray(cv2.pow(out, projection.gamma), dtype=np.float32)
    grain = rng.standard_normal(out.shape, dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (3, 3), 0.55)
    out *= 245
    out += grain * np.float32(1.6 * projection.noise)
    out += 6
    out[frame] = 0
    image: NDArray[np.uint8] = np.clip(np.rint(out), 0, 255).astype(np.uint8)
    _stamp(image, projection)
    return image


def _stamp(image: NDArray[np.uint8], projection: Projection) -> None:
    """Write the side marker (and PORTABLE on a bedside view) into the image."""
    size = image.shape[0]
    thickness = max(1, round(size / 300))
    if projection.marker:
        x = 0.91 if projection.marker == "L" else 0.05
        origin = (round(x * size), round(0.08 * size))
        font, scale = cv2.FONT_HERSHEY_SIMPLEX, size / 780
        cv2.putText(image, projection.marker, origin, font, scale, 250, thickness, cv2.LINE_AA)
    if projection.view == "AP" and projection.lines > 1:
        origin = (round(0.70 * size), round(0.045 * size))
        font, scale = cv2.FONT_HERSHEY_SIMPLEX, size / 1700
        cv2.putText(image, "PORTABLE", origin, font, scale, 240, max(1, thickness // 2))
