"""From the draws of a batch to the numbers that a device needs of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.image_size import ImageSize, SizeLike, height_and_width
from goldfold.training.augmentation.changes import Draw
from goldfold.training.augmentation.packed import (
    BLURRED,
    DISTORTED,
    Listed,
    MaskKind,
    PackedDraws,
    joined_bytes,
)
from goldfold.training.augmentation.pixel_changes import blur_kernel, place_of
from goldfold.training.augmentation.warp import Warp, distortion_terms

Arrays = Mapping[str, NDArray[Any]]


def pack_draws(
    draws: Sequence[Draw],
    whole: SizeLike,
    size: SizeLike,
    *,
    masks: MaskKind = "coverage",
    soft: Sequence[bool] = (),
    further: Arrays | None = None,
) -> PackedDraws:
    """Return the draws of a batch in one buffer.

    Places are computed in float64 and relative to the centre, so float32 keeps them to a ten
    thousandth of a pixel.

    Args:
        draws: the changes of each image, at least one.
        whole: size of the images: a side, or (height, width).
        size: of the result: of the cut where draws have corners, else that of the images.
        masks: what is moved with the images.
        soft: of each image, whether its mask is coverage that is not made hard; none is unless
            given.
        further: arrays with a row for each image that travel along, uint8, int64 or float32.
    """
    whole, shape = height_and_width(whole), height_and_width(size)
    corners = np.array([draw.corner or (0, 0) for draw in draws])
    matrices = _matrices([draw.warp for draw in draws], whole)
    columns = _axis(draws, corners[:, 1], shape[1], whole[1], 0)
    rows = _axis(draws, corners[:, 0], shape[0], whole[0], 1)
    arrays: Listed = {
        "columns": ((columns[:, :, None] * matrices[:, None, :, 0]).astype(np.float32), ""),
        "rows": ((rows[:, :, None] * matrices[:, None, :, 1]).astype(np.float32), ""),
        **_terms(draws, corners, matrices, whole, shape),
        **_tones(draws),
        **_blurs(draws, min(shape)),
        **_holes(draws, shape),
        **({"soft": (np.array(soft, np.uint8), "")} if any(soft) else {}),
        **{name: (array, "") for name, array in (further or {}).items()},
    }
    listings = (name for name in (DISTORTED, BLURRED) if name in arrays)
    lists = {name: tuple(arrays[name][0].tolist()) for name in listings}
    buffer, fields = joined_bytes(arrays)
    return PackedDraws(buffer, fields, lists, shape, masks, range(len(draws)))


def _matrices(warps: Sequence[Warp], whole: ImageSize) -> NDArray[np.float64]:
    """Return (N, 2, 2): from fractions of the result to -1..1 in the source.

    They are those of `fractions_to_source`, for a result of the source's size.
    """
    height, width = whole
    turn = np.radians([warp.rotation for warp in warps])
    across = np.where([warp.flip for warp in warps], -1.0, 1.0) * 2 / max(width - 1, 1)
    down = np.where([warp.vertical_flip for warp in warps], -1.0, 1.0) * 2 / max(height - 1, 1)
    cosine, sine = np.cos(turn), np.sin(turn)
    entries = [
        [across * cosine * width, across * sine * height],
        [-down * sine * width, down * cosine * height],
    ]
    scales = np.array([warp.scale for warp in warps])
    matrices: NDArray[np.float64] = np.moveaxis(np.array(entries), -1, 0) / scales[:, None, None]
    return matrices


def _axis(
    draws: Sequence[Draw], first: NDArray[np.int64], length: int, whole: int, number: int
) -> NDArray[np.float64]:
    """Return (N, length) places along x (0) or y (1), as `result_axes` gives them.

    Args:
        draws: of the batch.
        first: (N,) first pixel of each image's cut.
        length: of the cut.
        whole: length of the whole result.
        number: of the axis.
    """
    places: NDArray[np.float64] = (first[:, None] + np.arange(length) + 0.5) / whole
    for image, draw in enumerate(draws):
        if (grid := draw.warp.grid) is not None:
            lines = np.linspace(0, 1, grid.shape[1])
            places[image] += np.interp(places[image], lines, grid[number])
    shifts = np.array([draw.warp.shift[number] for draw in draws])
    places -= 0.5 + shifts[:, None]
    return places


def _terms(
    draws: Sequence[Draw],
    corners: NDArray[np.int64],
    matrices: NDArray[np.float64],
    whole: ImageSize,
    shape: ImageSize,
) -> Listed:
    """Return elastic and optical distortions as products; those of fewer knots are padded."""
    terms = {}
    for place, (draw, (top, left)) in enumerate(zip(draws, corners.tolist(), strict=True)):
        rows, columns = slice(top, top + shape[0]), slice(left, left + shape[1])
        moved, waves = distortion_terms(draw.warp, whole, rows, columns)
        if moved:
            terms[place] = (*moved[0], waves[0])
    if not terms:
        return {}
    most = max(len(x) for _, x, _, _ in terms.values())
    of_rows = np.zeros((len(terms), shape[0], most), np.float32)
    knots = np.zeros((len(terms), most, 2, most), np.float32)
    of_columns = np.zeros((len(terms), most, shape[1]), np.float32)
    for number, (place, (weights, x, y, across)) in enumerate(terms.items()):
        count, matrix = len(x), matrices[place]
        of_rows[number, :, :count], of_columns[number, :count] = weights, across
        for axis in (0, 1):
            knots[number, :count, axis, :count] = matrix[axis, 0] * x + matrix[axis, 1] * y
    return {
        DISTORTED: (np.array(list(terms), np.int64), DISTORTED),
        "term_rows": (of_rows, DISTORTED),
        "term_knots": (knots, DISTORTED),
        "term_columns": (of_columns, DISTORTED),
    }


def _tones(draws: Sequence[Draw]) -> Listed:
    if all(draw.tones is None for draw in draws):
        return {}
    tables = np.tile(np.arange(256, dtype=np.uint8), (len(draws), 1))
    for place, draw in enumerate(draws):
        if draw.tones is not None:
            tables[place] = draw.tones
    return {"tones": (tables, "")}


def _blurs(draws: Sequence[Draw], shortest: int) -> Listed:
    """Return the kernels of the blurred images, each in the middle of the widest one's length."""
    of_image = {
        place: blur_kernel(draw.pixels.blur, shortest)
        for place, draw in enumerate(draws)
        if draw.pixels.blur > 0
    }
    if not of_image:
        return {}
    longest = max(map(len, of_image.values()))
    kernels = np.zeros((len(of_image), longest), np.float32)
    for number, kernel in enumerate(of_image.values()):
        margin = (longest - len(kernel)) // 2
        kernels[number, margin : longest - margin] = kernel
    return {
        BLURRED: (np.array(list(of_image), np.int64), BLURRED),
        "blur_kernels": (kernels, BLURRED),
    }


def _holes(draws: Sequence[Draw], shape: ImageSize) -> Listed:
    most = max(len(draw.pixels.holes) for draw in draws)
    if most == 0:
        return {}
    rows = np.zeros((len(draws), shape[0]), np.uint64)
    columns = np.zeros((len(draws), shape[1]), np.uint64)
    for place, draw in enumerate(draws):
        for number, hole in enumerate(draw.pixels.holes):
            bit = np.uint64(1 << number)
            of_rows, of_columns = place_of(hole, shape)
            rows[place, of_rows] |= bit
            columns[place, of_columns] |= bit
    # One byte has room for eight; signed numbers have all the operators on every device.
    kind = np.uint8 if most <= 8 else np.int64
    return {"hole_rows": (rows.astype(kind), ""), "hole_columns": (columns.astype(kind), "")}
