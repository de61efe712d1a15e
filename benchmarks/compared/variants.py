"""What comparison.py makes of one finished training: last, best, top-3 mean, EMA and SWA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compared.statistics import best_on_the_other_half, halve
from numpy.typing import NDArray

from goldfold.competitions.histogram import level_histograms
from goldfold.competitions.rle import decode
from goldfold.files import fingerprint, write_bytes
from goldfold.training.batch import network_input
from goldfold.training.cache import ImageCache
from goldfold.training.checkpoint import Checkpoint, list_checkpoints, load_model
from goldfold.training.device import Device
from goldfold.training.networks.output import split_output
from goldfold.training.probability import levels_at_size
from goldfold.training.validation import ValidationImages

IntArray = NDArray[np.int64]

VARIANTS = ("last", "best", "top-3 mean", "EMA", "SWA")


@dataclass(frozen=True)
class HeldOut:
    """The images of a fold: where they are, what is true of them, and their group numbers."""

    cache: ImageCache
    images: ValidationImages
    groups: IntArray
    metric: str


def variant_histograms(
    training: Path, held_out: HeldOut, device: Device, kept: Path
) -> dict[str, IntArray]:
    """Return, for each variant, the histograms of the held-out images, (N, 2, 256).

    `last`, `EMA` and `SWA` are the weights after the last epoch, without any choice. `best` and
    `top-3 mean` (of probabilities) are raw weights, for each half of the fold's groups the ones
    that were best on the other half.

    Args:
        training: folder of the finished training, with all its checkpoints.
        held_out: images that it has not seen.
        device: where to predict.
        kept: .npz file in which the result is kept for the next time.
    """
    checkpoints = list_checkpoints(training)
    made_from = fingerprint(sorted(checkpoint.sha256 for checkpoint in checkpoints))
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as there:
            if str(there["made_from"]) == made_from:
                return {name: there[name] for name in VARIANTS if name in there}
    histograms = _predict_variants(checkpoints, held_out, device)
    content = BytesIO()
    arrays: dict[str, Any] = {"made_from": np.array(made_from), **histograms}
    np.savez_compressed(content, **arrays)
    write_bytes(kept, content.getvalue())
    return histograms


def _predict_variants(
    checkpoints: Sequence[Checkpoint], held_out: HeldOut, device: Device
) -> dict[str, IntArray]:
    of_kind = {
        kind: sorted(
            (checkpoint for checkpoint in checkpoints if _kind(checkpoint) == kind),
            key=lambda checkpoint: checkpoint.epoch,
        )
        for kind in ("raw", "ema", "swa")
    }
    raw = of_kind["raw"]
    each = [_histograms([checkpoint], held_out, device) for checkpoint in raw]
    first = halve(held_out.groups)
    variants = {"last": each[-1]}
    for name, count in (("best", 1), ("top-3 mean", 3)):
        chosen = best_on_the_other_half(each, first, count, held_out.metric)
        halves = [_histograms([raw[place] for place in half], held_out, device) for half in chosen]
        variants[name] = np.where(first[:, None, None], *halves)
    for name, kind in (("EMA", "ema"), ("SWA", "swa")):
        if of_kind[kind]:
            variants[name] = _histograms(of_kind[kind][-1:], held_out, device)
    return variants


def _kind(checkpoint: Checkpoint) -> str:
    return str(checkpoint.facts.get("weights", "raw"))


@torch.inference_mode()
def _histograms(
    checkpoints: Sequence[Checkpoint], held_out: HeldOut, device: Device, batch_size: int = 16
) -> IntArray:
    """Return the histograms (N, 2, 256) of the checkpoints' mean probability, without views."""
    models = [load_model(checkpoint, device.device) for checkpoint in checkpoints]
    images = held_out.images
    histograms = []
    for start in range(0, len(images.rows), batch_size):
        places = range(start, min(start + batch_size, len(images.rows)))
        pixels = np.stack([held_out.cache.pixels[images.rows[place]] for place in places])
        batch = network_input(pixels, device.device)
        total = torch.zeros((), device=device.device)
        for model in models:
            with device.autocast():
                logits, _ = split_output(model(batch))
            total = total + torch.sigmoid(logits.float())
        maps = levels_at_size(total / len(models), [images.sizes[place] for place in places])
        for place, levels in zip(places, maps, strict=True):
            text, (height, width) = images.masks[place], images.sizes[place]
            mask = decode(text, height, width, images.dialect) if text else None
            histograms.append(level_histograms(levels, mask))
    return np.stack(histograms)
