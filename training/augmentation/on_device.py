"""The same sampling map, sampled by the GPU: for when it would wait for the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from goldfold.image_size import ImageSize, SizeLike, height_and_width
from goldfold.training.augmentation.changes import Draw
from goldfold.training.augmentation.pixel_changes import blur_kernel, place_of
from goldfold.training.augmentation.warp import Warp, fractions_to_source, result_axes

COVERED = 127
"""Coverage above which a pixel belongs to a hard mask."""


def augment_on_device(
    images: torch.Tensor,
    masks: torch.Tensor,
    draws: Sequence[Draw],
    size: SizeLike,
    *,
    classes: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and masks after their changes, both uint8, as `augment` makes them.

    OpenCV rounds the places where it samples to a 32nd of a pixel; this does not. Where the image
    is smooth the two agree to about one gray level, at an edge to a 32nd of its height. Noise and
    steps of the user's own are not done here (`Recipe.only_on_cpu`).

    Args:
        images: uint8 (N, H, W) or (N, H, W, C).
        masks: uint8 (N, H, W) or (N, C, H, W), coverage 0 to 255; those of 0 and 255 alone stay
            so; with `classes` (N, H, W) class numbers, taken from the nearest pixel.
        draws: the changes of each image.
        size: of the result, or of the cut where a draw has a corner: a side, or (height, width).
        classes: whether masks hold the class of each pixel.
    """
    whole, cut = height_and_width(images.shape[1:3]), height_and_width(size)
    grid = torch.stack([_grid(draw, whole, cut, images.device) for draw in draws])
    pixels = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    sampled = _sample(pixels, grid)
    channels = masks.unsqueeze(1) if masks.ndim == 3 else masks
    coverage = _sample(channels, grid, "nearest" if classes else "bilinear")
    hard = ((channels == 0) | (channels == 255)).flatten(1).all(dim=1)[:, None, None, None]
    binary = (coverage > COVERED).to(torch.uint8) * 255
    toned = _pixels_changed(_toned(sampled, draws), draws)
    result = toned[:, 0] if images.ndim == 3 else toned.permute(0, 2, 3, 1)
    seen = coverage if classes else torch.where(hard, binary, coverage)
    return result, seen[:, 0] if masks.ndim == 3 else seen


def _sample(pixels: torch.Tensor, grid: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """Return uint8 (N, C, H, W), mirrored about the middle of the border's pixels."""
    sampled = F.grid_sample(
        pixels.float(), grid, mode=mode, padding_mode="reflection", align_corners=True
    )
    return sampled.round_().clamp_(0, 255).to(torch.uint8)


def _grid(draw: Draw, whole: ImageSize, cut: ImageSize, device: torch.device) -> torch.Tensor:
    """Return (H, W, 2) float32: where each pixel looks, -1 and 1 being the first and last."""
    top, left = draw.corner or (0, 0)
    shape = cut if draw.corner is not None else whole
    rows, columns = slice(top, top + shape[0]), slice(left, left + shape[1])
    across, down = (torch.from_numpy(a).to(device) for a in result_axes(draw.warp, whole))
    ahead = torch.stack((across[columns][None, :].expand(shape), down[rows][:, None].expand(shape)))
    moved = _displacements(draw.warp, whole, rows, columns, device)
    if moved is not None:
        ahead = ahead + moved
    matrix = torch.from_numpy(fractions_to_source(draw.warp, whole, whole))
    places = torch.einsum("ij,jhw->hwi", matrix.to(device), ahead)
    lengths = torch.tensor([max(whole[1] - 1, 1), max(whole[0] - 1, 1)], device=device)
    return (places * (2 / lengths)).float()


def _displacements(
    warp: Warp, whole: ImageSize, rows: slice, columns: slice, device: torch.device
) -> torch.Tensor | None:
    """Return (2, H, W) displacements of an elastic or optical distortion, None without."""
    if warp.elastic is not None:
        knots = torch.from_numpy(np.asarray(warp.elastic)).to(device).unsqueeze(0)
        # Both libraries' bicubic kernels have a = -0.75 and half-pixel centres.
        smooth = F.interpolate(knots, size=whole, mode="bicubic", align_corners=False)
        return smooth[0, :, rows, columns]
    if warp.optical == 0.0:
        return None
    down, across = ((torch.arange(n, device=device) + 0.5) / n - 0.5 for n in whole)
    x, y = across[columns][None, :], down[rows][:, None]
    pull = 4 * warp.optical * (x * x + y * y)
    return torch.stack((pull * x, pull * y))


def _toned(images: torch.Tensor, draws: Sequence[Draw]) -> torch.Tensor:
    """Return the images (N, C, H, W) after their lookup tables."""
    if all(draw.tones is None for draw in draws):
        return images
    plain = np.arange(256, dtype=np.uint8)
    tables = np.stack([plain if draw.tones is None else draw.tones for draw in draws])
    table = torch.from_numpy(tables).to(images.device)
    flat = images.flatten(1).long()
    return table.gather(1, flat).view_as(images)


def _pixels_changed(images: torch.Tensor, draws: Sequence[Draw]) -> torch.Tensor:
    """Return the images (N, C, H, W) blurred and with their rectangles black."""
    shape = (images.shape[2], images.shape[3])
    for number, draw in enumerate(draws):
        if draw.pixels.blur > 0:
            images[number] = _blurred(images[number], draw.pixels.blur)
        for hole in draw.pixels.holes:
            rows, columns = place_of(hole, shape)
            images[number, :, rows, columns] = 0
    return images


def _blurred(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return one image, uint8 (C, H, W), after a Gaussian blur; borders are mirrored."""
    kernel = torch.from_numpy(blur_kernel(sigma, min(image.shape[1:]))).to(image.device)
    radius = len(kernel) // 2
    padded = F.pad(image.float().unsqueeze(1), (radius,) * 4, mode="reflect")
    across = F.conv2d(padded, kernel.view(1, 1, 1, -1))
    smooth = F.conv2d(across, kernel.view(1, 1, -1, 1))
    return smooth.squeeze(1).round_().clamp_(0, 255).to(torch.uint8)
