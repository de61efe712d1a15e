"""The same sampling map and tables for a whole batch at once, on a device."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from goldfold.training.augmentation.packed import BLURRED, DISTORTED, PackedDraws

HALF_COVERED = 127.5
"""Coverage from which a pixel belongs to a hard mask: what `augment` rounds to 128."""


def augment_on_device(
    images: torch.Tensor, masks: torch.Tensor | None, draws: PackedDraws
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return images and masks after their changes, both uint8, as `augment` makes them.

    Where the image is smooth the two agree to one gray level: OpenCV rounds the places where it
    samples images of other than one or three channels to a 32nd of a pixel; this does not. The
    number of operators does not depend on that of the images, all is float32, and nothing waits
    for the device. Noise and steps of the user's own are not done here (`Recipe.only_on_cpu`).

    Args:
        images: uint8 (N, H, W) or (N, H, W, C).
        masks: uint8 (N, H, W) or (N, C, H, W), coverage 0 to 255; of images whose draws are not
            soft the result is 0 or 255. Where draws say so, (N, H, W) class numbers, taken from
            the nearest pixel, or None.
        draws: the changes of each image, on the device.
    """
    grid = _grid(draws)
    pixels = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    if masks is None:
        seen, coverage = _sampled(pixels.float(), grid), None
    else:
        channels = masks.unsqueeze(1) if masks.ndim == 3 else masks
        if draws.masks == "classes":
            seen = _sampled(pixels.float(), grid)
            coverage = _sampled(channels.float(), grid, "nearest").to(torch.uint8)
        else:
            # Every channel is sampled at the same places, which are then worked out once.
            together = _sampled(torch.cat((pixels, channels), dim=1).float(), grid)
            seen = together[:, : pixels.shape[1]]
            coverage = _mask_of(together[:, pixels.shape[1] :], draws)
        coverage = coverage[:, 0] if masks.ndim == 3 else coverage
    changed = _with_holes(_blurred(_toned(seen, draws), draws), draws)
    return changed[:, 0] if images.ndim == 3 else changed.permute(0, 2, 3, 1), coverage


def _grid(draws: PackedDraws) -> torch.Tensor:
    """Return (N, H, W, 2) float32: where each pixel looks, -1 and 1 being the first and last."""
    grid = draws["rows"][:, :, None] + draws["columns"][:, None]
    if DISTORTED not in draws:
        return grid
    # (D, H, K) @ (D, K, 2 K) gives x and y beside each other; then (D, 2 H, K) @ (D, K, W).
    beside = draws["term_knots"].flatten(2)
    left = torch.bmm(draws["term_rows"], beside).view(len(beside), -1, beside.shape[1])
    moved = torch.bmm(left, draws["term_columns"]).view(-1, grid.shape[1], 2, grid.shape[2])
    return grid.index_add_(0, draws[DISTORTED], moved.transpose(2, 3))


def _sampled(pixels: torch.Tensor, grid: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """Return float32 (N, C, H, W), mirrored about the middle of the border's pixels."""
    return F.grid_sample(pixels, grid, mode=mode, padding_mode="reflection", align_corners=True)


def _mask_of(coverage: torch.Tensor, draws: PackedDraws) -> torch.Tensor:
    """Return masks uint8 (N, C, H, W): 0 and 255 where they are hard."""
    hard = (coverage >= HALF_COVERED).to(torch.uint8).mul_(255)
    if "soft" not in draws:
        return hard
    soft = draws["soft"].view(-1, 1, 1, 1) > 0
    return torch.where(soft, coverage.round().to(torch.uint8), hard)


def _toned(seen: torch.Tensor, draws: PackedDraws) -> torch.Tensor:
    """Return the images uint8 (N, C, H, W), contiguous, after their lookup tables."""
    rounded = seen.round()
    if "tones" not in draws:
        return rounded.to(torch.uint8)
    toned = draws["tones"].gather(1, rounded.flatten(1).long())
    return toned.view(seen.shape)


def _blurred(images: torch.Tensor, draws: PackedDraws) -> torch.Tensor:
    """Return the images (N, C, H, W), some after a Gaussian blur; borders are mirrored."""
    if BLURRED not in draws:
        return images
    places, kernels = draws[BLURRED], draws["blur_kernels"]
    chosen = images.index_select(0, places)
    # Each channel of each image is a group of its own, so that one call blurs them all.
    of_channels = kernels[:, None].expand(-1, images.shape[1], -1).flatten(0, 1)[:, None]
    radius, groups = kernels.shape[1] // 2, len(of_channels)
    padded = F.pad(chosen.float().flatten(0, 1)[None], (radius,) * 4, mode="reflect")
    # TF32 keeps eleven bits: the rounded gray level would be another one in places.
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        across = F.conv2d(padded, of_channels[:, :, None], groups=groups)
        smooth = F.conv2d(across, of_channels[..., None], groups=groups)
    return images.index_copy_(0, places, smooth.view(chosen.shape).round_().to(torch.uint8))


def _with_holes(images: torch.Tensor, draws: PackedDraws) -> torch.Tensor:
    """Return the images (N, C, H, W) with their rectangles black."""
    if "hole_rows" not in draws:
        return images
    covered = (draws["hole_rows"][:, None, :, None] & draws["hole_columns"][:, None, None]) != 0
    return images.masked_fill_(covered, 0)
