"""Predict the classes of images, and the tables that hold what was predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from goldfold.errors import InputError, NotFiniteError, list_problems, plural
from goldfold.files import write_json, write_text
from goldfold.inference.merge import Merger
from goldfold.inference.network import Network
from goldfold.inference.predictor import Predictor
from goldfold.inference.retry import finite_or_retried
from goldfold.inference.views import View
from goldfold.progress import SILENT, Progress
from goldfold.training.batch import network_input
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.finite import RETRAIN, finite_images
from goldfold.training.label_validation import label_probability

ID_COLUMN = "image_id"
_REMEDY = "Run `goldfold predict run RUN` again."


@torch.inference_mode()
def label_probabilities(
    predictor: Predictor,
    pixels: NDArray[np.uint8],
    exclusive: bool,
    image_ids: Sequence[str] = (),
) -> NDArray[np.float32]:
    """Return the probabilities of classes, merged over networks and views, (N, C).

    Args:
        predictor: networks that give logits (N, 1, 1, C).
        pixels: cached images, uint8 (N, S, S) or (N, S, S, 3).
        exclusive: exactly one class an image: probabilities sum to one.
        image_ids: N ids, for messages.

    Raises:
        NotFiniteError: logits are NaN or infinite, in float32 too.
    """

    def attempt(networks: Sequence[Network], device: Device) -> tuple[Merger, torch.Tensor]:
        images = network_input(pixels, device.device, channels_last=device.channels_last)
        merger, finite = Merger(predictor.merge), []
        for network in networks:
            flags = []
            for view in predictor.views:
                probability, of_view = see_labels(network, images, view, device, exclusive)
                merger.add(probability)
                flags.append(of_view)
            finite.append(torch.stack(flags).all(dim=0))
        return merger, torch.stack(finite)

    return merged_labels(finite_or_retried(attempt, predictor, image_ids)(), exclusive)


@torch.inference_mode()
def see_labels(
    network: Network, images: torch.Tensor, view: View, device: Device, exclusive: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the probabilities that a network gives in a view, float32 (N, C), and bool (N,).

    The latter tells for which images all logits are finite.

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
    return label_probability(logits, exclusive), finite_images(logits)


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
            part = slice(start, start + batch_size)
            pixels = np.stack([cache.pixels[row] for row in rows[part]])
            found.append(label_probabilities(predictor, pixels, exclusive, image_ids[part]))
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

    Raises:
        NotFiniteError: a probability is NaN or infinite; nothing is written.
    """
    bad = [
        name for name, row in zip(image_ids, probability, strict=True) if not np.isfinite(row).all()
    ]
    if bad:
        raise NotFiniteError(
            list_problems(f"{path} is not written: NaN or infinite probabilities of", bad, RETRAIN)
        )
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
        InputError: it is missing, damaged or of other classes, or holds what is no probability.
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
    values = table[list(classes)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    bad = ~((values >= 0) & (values <= 1))  # NaN is neither
    if bad.any():
        raise InputError(_bad_cells(path, classes, bad, remedy))
    # Nine digits name a float32 exactly, but are no float64 that equals it.
    return table[ID_COLUMN].tolist(), values.astype(np.float32).astype(np.float64)


def _bad_cells(path: Path, classes: Sequence[str], bad: NDArray[np.bool_], remedy: str) -> str:
    """Return the message that names the cells of a table that hold no probability.

    Args:
        path: the .csv file.
        classes: C names.
        bad: (N, C).
        remedy: what to do about it.
    """
    cells = pd.read_csv(path, dtype=str, keep_default_na=False)
    problems = [
        f"line {row + 2}, {cells[ID_COLUMN][row]}: {classes[place]} is "
        f"{cells[classes[place]][row]!r}"
        for row, place in np.argwhere(bad).tolist()
    ]
    rows = plural(int(bad.any(axis=1).sum()), "row has", "rows have")
    title = f"{path}: {rows} values that are not probabilities from 0 to 1:"
    return list_problems(title, problems, remedy)
