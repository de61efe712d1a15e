"""The validation score of images with classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from goldfold.competitions.class_metric_score import best_class_score, class_metric_score
from goldfold.errors import InputError
from goldfold.training.batch import Pixels
from goldfold.training.cache import ImageCache
from goldfold.training.device import Device
from goldfold.training.finite import checked, look, refuse_unseen
from goldfold.training.host_copy import to_host
from goldfold.training.passes import Passes
from goldfold.training.ranks import Ranks
from goldfold.training.read_ahead import batches_ahead
from goldfold.training.validation import HALF, ValidationScore


@dataclass(frozen=True)
class LabelledImages:
    """Images of the validation fold and their classes.

    Attributes:
        rows: (N,) of the cache.
        targets: (N, C) uint8, 0 or 1.
        exclusive: exactly one class an image.
        class_weights: (C,) of the logarithmic loss.
    """

    rows: NDArray[np.int64]
    targets: NDArray[np.uint8]
    exclusive: bool
    class_weights: Sequence[float]

    def score(
        self, model: nn.Module, cache: ImageCache, *, workers: int = 1, **how: Any
    ) -> ValidationScore:
        """Return what a network scores on these images, as `validate_classes`; on one thread."""
        return validate_classes(model, cache, self, **how)


def validate_classes(
    model: nn.Module,
    cache: ImageCache,
    images: LabelledImages,
    *,
    metric: str,
    batch_size: int,
    device: Device,
    ranks: Ranks | None = None,
    check: Callable[[], None] = lambda: None,
    retried: Callable[[int], None] = lambda _: None,
    passes: Passes | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> ValidationScore:
    """Return the score of the whole fold; among equal ones the lower logarithmic loss decides.

    It is `best_class_score`: metrics of labels are taken at the thresholds that are best on this
    fold, accuracy and `f1` at one half.

    Args:
        model: logits (N, 1, 1, C); it is left in eval mode.
        cache: the images at the network's size.
        images: which of them, and their classes.
        metric: name of a metric of classes; higher is better.
        batch_size: images in a forward pass.
        device: where the model is.
        ranks: of a distributed training; each predicts its share, and all return the same score.
        check: called after every batch; may raise to break off.
        retried: takes the number of images of a batch that needed float32.
        passes: how many images pass at once; keep it from one validation to the next.
        say: takes a line where memory does not suffice for a whole batch.

    Raises:
        InputError: there are no images, or one class alone, so that the metric has no meaning.
        NotFiniteError: logits of some images are NaN or infinite, in float32 too: on all ranks.
    """
    probability = predict_held_out(
        model,
        cache,
        images.rows,
        images.targets.shape[1],
        exclusive=images.exclusive,
        batch_size=batch_size,
        device=device,
        ranks=ranks,
        check=check,
        retried=retried,
        passes=passes,
        say=say,
    )
    how = {"exclusive": images.exclusive, "class_weights": images.class_weights}
    score = best_class_score(metric, images.targets, probability, **how)  # type: ignore[arg-type]
    if np.isnan(score):
        raise InputError(
            f"{metric} has no meaning on this fold (its score is NaN), as where all images are of "
            "one class. Take fewer folds, or another metric."
        )
    loss = class_metric_score("neg-log-loss", images.targets, probability, **how)  # type: ignore[arg-type]
    return ValidationScore(score, HALF, score, loss)


def predict_held_out(
    model: nn.Module,
    cache: ImageCache,
    rows: NDArray[np.int64],
    outputs: int,
    *,
    exclusive: bool,
    batch_size: int,
    device: Device,
    ranks: Ranks | None = None,
    check: Callable[[], None] = lambda: None,
    retried: Callable[[int], None] = lambda _: None,
    passes: Passes | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> NDArray[np.float64]:
    """Return what a network says of whole images of the held-out fold, (N, C), on all ranks.

    Args:
        model: logits (N, 1, 1, C); it is left in eval mode.
        cache: the images at the network's size.
        rows: (N,) of the cache.
        outputs: C.
        exclusive: they sum to one in each image.
        batch_size: images in a forward pass.
        device: where the model is.
        ranks: of a distributed training; each predicts its share.
        check: called after every batch; may raise to break off.
        retried: takes the number of images of a batch that needed float32.
        passes: how many images pass at once; keep it from one validation to the next.
        say: takes a line where memory does not suffice for a whole batch.

    Raises:
        InputError: there are no images.
        NotFiniteError: logits of some images are NaN or infinite, in float32 too: on all ranks.
    """
    if not len(rows):
        raise InputError("expected images to validate on, found none: the held-out fold is empty.")
    ranks = ranks if ranks is not None else Ranks()
    model.eval()
    mine = ranks.share(np.arange(len(rows), dtype=np.int64))
    probability = np.zeros((len(rows), outputs), dtype=np.float64)
    unseen = np.zeros(len(rows), dtype=np.int64)
    passes = passes if passes is not None else Passes()
    # As many batches on every rank, as all of them have to ask `check` together.
    longest = -(-len(rows) // ranks.world)
    batches = batches_ahead(cache, rows[mine], batch_size, count=longest, pin=device.pins_memory)
    for block, pixels in batches:
        if len(pixels):
            attempt = partial(_look, model, pixels, exclusive)
            seen, finite = checked(
                attempt, len(pixels), device, retried=retried, passes=passes, say=say
            )
            batch = mine[block.start : block.stop]
            probability[batch], unseen[batch] = seen.numpy(), ~finite
        check()
    refuse_unseen(ranks.sum_array(unseen), [cache.image_ids[row] for row in rows])
    return ranks.sum_array(probability)


def _look(
    model: nn.Module, pixels: Pixels, exclusive: bool, part: slice, device: Device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the probabilities (n, C) of a part of a batch, and whose logits are finite."""
    logits, finite = look(model, pixels[part], device)
    return to_host(class_probability(logits, exclusive)), finite


def class_probability(logits: torch.Tensor, exclusive: bool) -> torch.Tensor:
    """Return the probabilities of classes, float32 (N, C).

    Args:
        logits: (N, 1, 1, C), any floating dtype.
        exclusive: they sum to one in each image.
    """
    flat = logits.flatten(1).float()
    return flat.softmax(dim=1) if exclusive else flat.sigmoid()
