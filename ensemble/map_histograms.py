"""From probability maps and true masks to the histograms that rules are searched on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.histogram import JUDGED, LEVELS, UNJUDGED, level_histograms
from goldfold.competitions.metric import GIVEN_SCORES, METRICS, OBJECT_METRICS, ONE
from goldfold.competitions.pixels import as_levels, as_mask
from goldfold.competitions.rle import DialectLike, decode, is_empty
from goldfold.errors import InputError, did_you_mean
from goldfold.metric_names import metric_name

MaskMetric = Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]
"""True mask and predicted mask, uint8 (H, W) of 0 and 1 -> score of the image."""

_NOTHING = object()


@dataclass(frozen=True)
class MapHistograms:
    """What is known of N out-of-fold maps and their true masks.

    Attributes:
        histograms: int64 (N, 2, 256), or (N, 3, 256) with the scores of a metric of one's own.
        metric: name under which the searches know the metric.
        low: score that is 0 in the third row.
        span: score difference that is 1 there; negative where lower scores are better.
    """

    histograms: NDArray[np.int64]
    metric: str
    low: float = 0.0
    span: float = 1.0

    def score(self, scaled: Any) -> Any:
        """Return scores, or a mean of them, in the units of the metric."""
        return self.low + self.span * scaled


def map_histograms(
    probabilities: Any,
    masks: Iterable[Any],
    metric: str | MaskMetric,
    *,
    dialect: DialectLike | None = None,
    greater_is_better: bool = True,
) -> MapHistograms:
    """Return the histograms of maps, taken one at a time.

    A metric of one's own is computed at 32 levels, every eighth, and for the empty mask.

    Args:
        probabilities: N maps (H, W), floats from 0 to 1 or uint8 levels: an array (N, H, W), any
            iterable, or a function of the image's number from 0.
        masks: N true masks: arrays (H, W) of 0 and 1, run-length encodings, or None for empty.
        metric: a name in `METRICS`, or a function of the true and the predicted mask.
        dialect: of run-length encodings.
        greater_is_better: of one's own metric.

    Raises:
        InputError: there are no images, numbers or shapes differ, a map or mask is malformed, a
            score is not finite, or there is no such metric.
    """
    _check_metric(metric)
    rows, scores = [], []
    for place, (given, mask) in enumerate(_pairs(probabilities, masks)):
        levels = as_levels(given, f"map {place}")
        truth = _true_mask(mask, levels.shape, dialect, f"mask {place}")
        rows.append(level_histograms(levels, truth))
        if callable(metric):
            scores.append(_scores_by_level(levels, truth, metric, place))
    if not rows:
        raise InputError("expected at least one map with its mask, found none.")
    histograms = np.stack(rows)
    if isinstance(metric, str):
        return MapHistograms(histograms, metric)
    return _with_scores(histograms, np.array(scores), greater_is_better)


def _check_metric(metric: str | MaskMetric) -> None:
    if callable(metric) or metric_name(metric) in METRICS:
        return
    if metric_name(metric) in OBJECT_METRICS:
        raise InputError(
            f"{metric!r} compares objects, and a mask does not tell which of its touching pixels "
            "are objects of their own. Use goldfold.ensemble.search_rule on histograms that "
            "goldfold.competitions.level_histograms makes with `objects`."
        )
    known = ", ".join(METRICS)
    raise InputError(
        f"unknown metric {metric!r}; there are {known}, or pass a function of the true and the "
        f"predicted mask.{did_you_mean(str(metric), METRICS)}"
    )


def _pairs(probabilities: Any, masks: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each map with its mask; numbers that differ are an error."""
    for what, given in (("probabilities", probabilities), ("masks", masks)):
        if isinstance(given, str | bytes | Mapping) or hasattr(given, "columns"):
            raise InputError(
                f"expected {what} as an array or a sequence with one item per image, found a "
                f"{type(given).__name__}. Pass its values in the order of the images."
            )
    if callable(probabilities):
        yield from ((probabilities(place), mask) for place, mask in enumerate(masks))
        return
    for place, pair in enumerate(zip_longest(probabilities, masks, fillvalue=_NOTHING)):
        if pair[0] is _NOTHING or pair[1] is _NOTHING:
            fewer, more = ("maps", "masks") if pair[0] is _NOTHING else ("masks", "maps")
            raise InputError(
                f"expected one mask for each map, found {place} {fewer} but more {more}."
            )
        yield pair


def _true_mask(
    given: Any, shape: tuple[int, ...], dialect: DialectLike | None, name: str
) -> NDArray[Any]:
    """Return a true mask of the map's shape."""
    cell = given is None or isinstance(given, str | float) or type(given).__name__ == "NAType"
    if cell and is_empty(given):
        return np.zeros(shape, np.uint8)
    if cell:
        if dialect is None:
            raise InputError(
                f"{name} is text: say in which run-length dialect, for example "
                'dialect="kaggle" (goldfold.rle.DIALECTS lists them).'
            )
        return decode(given, shape[0], shape[1], dialect, name=name)
    mask = as_mask(given, name)
    if mask.shape != shape:
        raise InputError(
            f"{name} has shape {mask.shape}, its map {shape}. Resize the map to the original size."
        )
    return mask


def _scores_by_level(
    levels: NDArray[np.uint8], truth: NDArray[Any], metric: MaskMetric, place: int
) -> list[float]:
    """Return the score of the pixels above each level of `JUDGED`; the last one has none."""
    true, pixels = truth.astype(np.uint8), -1
    scores: list[float] = []
    for level in JUDGED:
        mask = (levels > level).view(np.uint8)
        if (count := int(np.count_nonzero(mask))) != pixels:
            pixels, score = count, float(metric(true, mask))
            if not np.isfinite(score):
                raise InputError(
                    f"the metric is {score} for image {place} ({int(true.sum())} true and {count} "
                    "predicted pixels). Let it return a finite score for empty masks, too."
                )
        scores.append(score)
    return scores


def _with_scores(
    histograms: NDArray[np.int64], scores: NDArray[np.float64], greater_is_better: bool
) -> MapHistograms:
    """Return histograms with a third row: scores scaled to 0..1, higher is better."""
    low, high = float(scores.min()), float(scores.max())
    span = high - low if high > low else 1.0
    if not greater_is_better:
        low, span = high, -span
    row = np.full((len(scores), 1, LEVELS), UNJUDGED, np.int64)
    row[:, 0, list(JUDGED)] = np.rint((scores - low) / span * ONE).astype(np.int64)
    return MapHistograms(np.concatenate([histograms, row], axis=1), GIVEN_SCORES, low, span)
