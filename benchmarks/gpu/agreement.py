"""Whether the GPU computes what the CPU computes."""

from __future__ import annotations

import numpy as np
import torch
from gpu.report import Place, Report
from gpu.setting import trained_unet

from goldfold.augmentation_levels import get_recipe
from goldfold.inference.fold_batchnorm import fold_batchnorms
from goldfold.training.augmentation.changes import draw
from goldfold.training.augmentation.on_device import augment_on_device
from goldfold.training.augmentation.packing import pack_draws
from goldfold.training.batch import network_input
from goldfold.training.device import Device, choose_device
from goldfold.training.loader import Batch
from goldfold.training.losses.weighted import WeightedLoss
from goldfold.training.probability import levels_at_size
from goldfold.training.step import Step

FEW = 0.001  # share of pixels that may differ by more than one gray level


def check_device(place: Place, report: Report) -> None:
    """Choose the device and run one convolution in its precision."""
    device = choose_device()
    report.note("device", device.description)
    report.note("torch", f"{torch.__version__}, cuDNN {torch.backends.cudnn.version()}")
    if not place.cuda:
        report.not_run("kernels", "no GPU")
        return
    major, minor = torch.cuda.get_device_capability()
    built = torch.cuda.get_arch_list()
    report.judge(
        "kernels",
        f"sm_{major}{minor} in {' '.join(built)}",
        "has kernels",
        any(name.split("_")[1].startswith(str(major)) for name in built),
    )
    with device.autocast():
        made = torch.nn.Conv2d(3, 8, 3).to(device.device)(torch.zeros(1, 3, 16, 16).cuda())
    report.judge(
        "convolution",
        str(made.dtype),
        str(device.autocast_dtype),
        made.dtype is (device.autocast_dtype or torch.float32),
    )


def check_agreement(place: Place, report: Report) -> None:
    """Compare augmentation, 8-bit maps, folded BatchNorms and one step with the CPU's."""
    if not place.cuda:
        report.not_run("agreement", "no GPU to compare with the CPU")
        return
    _augmentation(report)
    _levels(report)
    _folding(place, report)
    _one_step(report)


def _apart(first: torch.Tensor, other: torch.Tensor) -> float:
    """Return the share of values that differ by more than one level."""
    return float(((first.cpu().int() - other.cpu().int()).abs() > 1).float().mean())


def _augmentation(report: Report) -> None:
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.integers(0, 256, (32, 1, 32, 32)).astype(np.float32))
    images = torch.nn.functional.interpolate(coarse, 256, mode="bicubic").clamp(0, 255)
    pixels = images[:, 0].to(torch.uint8)
    masks = (pixels > 160).to(torch.uint8) * 255
    recipe = get_recipe("siim-1st-place")
    draws = [draw(recipe, 0, 0, index, size=256) for index in range(len(pixels))]
    packed = pack_draws(draws, 256, 256)
    on_cpu = augment_on_device(pixels, masks, packed)
    on_gpu = augment_on_device(pixels.cuda(), masks.cuda(), packed.changed(torch.Tensor.cuda))
    for name, first, other in zip(("images", "masks"), on_cpu, on_gpu, strict=True):
        apart = _apart(first, other)
        report.judge(f"augmentation, {name}", f"{apart:.4%} differ", f"<= {FEW:.1%}", apart <= FEW)


def _levels(report: Report) -> None:
    torch.manual_seed(0)
    probability = torch.sigmoid(torch.randn(4, 1, 128, 128).mul(3))
    sizes = [(300, 260), (300, 260), (128, 128), (64, 80)]
    pairs = zip(
        levels_at_size(probability, sizes), levels_at_size(probability.cuda(), sizes), strict=True
    )
    apart = max(_apart(torch.from_numpy(first), torch.from_numpy(other)) for first, other in pairs)
    report.judge("8-bit maps", f"{apart:.4%} differ", f"<= {FEW:.1%}", apart <= FEW)


def _folding(place: Place, report: Report) -> None:
    model = trained_unet(place).cuda().to(memory_format=torch.channels_last)
    device = torch.device("cuda")
    images = network_input(np.full((2, 128, 128), 90, np.uint8), device)
    images = images + torch.randn_like(images)
    report.note("TF32 in convolutions", str(torch.backends.cudnn.allow_tf32))
    _, count = fold_batchnorms(model, images)
    report.judge("folded BatchNorms", str(count), "> 0", count > 0)


def _one_step(report: Report) -> None:
    """Take one float32 step from the same weights on both, with TF32 off."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    random = np.random.default_rng(1)
    batch = Batch(
        random.integers(0, 256, (4, 64, 64)).astype(np.uint8),
        (random.random((4, 64, 64)) > 0.7).astype(np.uint8) * np.uint8(255),
        np.arange(4),
    )
    losses, norms = [], []
    for name in ("cpu", "cuda"):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 16, 3, padding=1),
            torch.nn.BatchNorm2d(16),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 1, 3, padding=1),
        )
        device = Device(torch.device(name), None, name)
        model.to(device.device)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
        for group in optimizer.param_groups:
            group["highest"] = 1e-3
        step = Step(model, WeightedLoss(bce=1, dice=1), optimizer, device, gradient_clip=1e9)
        result = step.take(batch, 1.0)
        losses.append(result.loss_sum)
        norms.append(result.gradient_norm)
    torch.backends.cudnn.allow_tf32 = allowed
    for name, (cpu, gpu) in (("loss", losses), ("gradient norm", norms)):
        apart = abs(gpu - cpu) / abs(cpu)
        report.judge(f"step, {name}", f"{apart:.1e} apart", "<= 1e-4", apart <= 1e-4)
