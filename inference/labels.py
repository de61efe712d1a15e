"""Predict the classes of images, and the tables that hold what was predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from goldfold.errors import InputError
from goldfold.files import write_json, write_text
from goldfold.inference.merge import Merger
from goldfold.inference.predictor import Network, Predictor
from goldfold.inference.views import View
from goldfold.progress import SILENT, Progress
from goldfold.training.batch import network_input
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.label_validation import label_probability

ID_COLUMN = "image_id"
_REMEDY = "Run `goldfold predict run RUN` again."


@torch.inference_mode()
def label_probabilities(
    predictor: Predictor, pixels: NDArray[np.uint8], exclusive: bool
) -> NDArray[np.float32]:
    """Return the probabilities of classes, merged over networks and views, (N, C).

    Args:
        predictor: networks that give logits (N, 1, 1, C).
        pixels: cached images, uint8 (N, S, S) or (N, S, S, 3).
        exclusive: exactly one class an image: probabilities sum to one.
    """
    device = predictor.device
    images = network_input(pixels, device.device, channels_last=device.channels_last)
    merger = Merger(predictor.merge)
    for network in predictor.networks:
        for view in predictor.views:
            merger.add(see_labels(network, images, view, device, exclusive))
    return merged_labels(merger, exclusive)


@torch.inference_mode()
def see_labels(
    network: Network, images: torch.Tensor, view: View, device: Device, exclusive: bool
) -> torch.Tensor:
    """Return the probabilities that a network gives in a view, float32 (N, C).

    A view changes nothing about what an image is of, so nothing is turned back.

    Args:
        network: gives logits (N, 1, 1, C).
        images: network input, float32 (N, channels, H, W).
        view: one of `get_views`.
        device: where both are.
        exclusive: exactly one class an image.
    """
    looked = view.forward(images)
    if device.channels_last:
        looked = looked.contiguous(memory_format=torch.channels_last)
    with device.autocast():
        logits = network(looked)
    return label_probability(logits, exclusive)


def merged_labels(merger: Merger, exclusive: bool) -> NDArray[np.float32]:
    """Return the mean of a merger as probabilities (N, C), which sum to one where exclusive.

    Args:
        merger: of probabilities (N, C).
        exclusive: exactly one class an image.
    """
    merged = merger.result()
    if exclusive:  # only the plain mean keeps the sum
        merged = merged / merged.sum(dim=1, keepdim=True)
    return merged.float().cpu().numpy()


def predict_labels(
    predictor: Predictor,
    cache: ImageCache,
    image_ids: Sequence[str],
    *,
    exclusive: bool,
    batch_size: int = 16,
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Return the probabilities of the classes of images, (N, C).

    Args:
        predictor: the checkpoints of one fold.
        cache: the images at the network's size.
        image_ids: N ids.
        exclusive: exactly one class an image.
        batch_size: images in a forward pass.
        progress: counts images.
    """
    rows = cache.rows(image_ids)
    found = []
    with progress.task("predict", len(rows)) as task:
        for start in range(0, len(rows), batch_size):
            pixels = np.stack([cache.pixels[row] for row in rows[start : start + batch_size]])
            found.append(label_probabilities(predictor, pixels, exclusive))
            task.advance(len(pixels))
    return np.concatenate(found)


def labels_path(maps: Path) -> Path:
    """Return where the classes of a fold's model lie, from where its maps would."""
    return maps.with_suffix(".csv")


def write_labels(
    path: Path,
    image_ids: Sequence[str],
    classes: Sequence[str],
    probability: NDArray[np.float32],
    facts: Mapping[str, Any],
) -> None:
    """Write a table of probabilities, then what it was made from beside it.

    Args:
        path: the .csv file.
        image_ids: N ids.
        classes: C names.
        probability: (N, C), written so that reading gives the same numbers.
        facts: what they were made from.
    """
    path.with_suffix(".json").unlink(missing_ok=True)
    table = pd.DataFrame(probability, columns=list(classes))
    table.insert(0, ID_COLUMN, list(image_ids))
    write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.9g"))
    write_json(path.with_suffix(".json"), {"facts": dict(facts), "images": len(table)})


def read_labels_table(
    path: Path, classes: Sequence[str], remedy: str = _REMEDY
) -> tuple[list[str], NDArray[np.float64]]:
    """Return ids and probabilities (N, C) of a table: the float32 numbers written, as float64.

    Args:
        path: the .csv file.
        classes: C names.
        remedy: what to do about a damaged one.

    Raises:
        InputError: it is missing, damaged or of other classes.
    """
    try:
        table = pd.read_csv(
            path, dtype={ID_COLUMN: str}, keep_default_na=False, float_precision="round_trip"
        )
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}. {remedy}") from error
    if list(table.columns) != [ID_COLUMN, *classes]:
        raise InputError(
            f"{path} has the columns {', '.join(table.columns)}; expected {ID_COLUMN} and the "
            f"classes {', '.join(classes)}. {remedy}"
        )
    try:
        # Nine digits name a float32 exactly, but are no float64 that equals it.
        probability = table[list(classes)].to_numpy(np.float64).astype(np.float32)
    except ValueError as error:
        raise InputError(f"{path}: {error}. {remedy}") from None
    return table[ID_COLUMN].tolist(), probability.astype(np.float64)
