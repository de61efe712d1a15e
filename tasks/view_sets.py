"""Sets of views that are compared, what each network sees in each view, and how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from goldfold.inference.predictor import Network, Predictor
    from goldfold.inference.views import View
    from goldfold.training.device import Device


def sets_of(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the sets of views that are compared, by what they are called.

    >>> sets_of(["none", "hflip"])
    {'none alone': (0,), 'hflip alone': (1,), 'all 2': (0, 1)}
    """
    places = tuple(range(len(names)))
    sets: dict[str, tuple[int, ...]] = {
        f"{name} alone": (place,) for place, name in enumerate(names)
    }
    if len(names) > 1:
        sets[f"all {len(names)}"] = places
    if len(names) > 2:
        for place, name in enumerate(names):
            sets[f"all but {name}"] = tuple(other for other in places if other != place)
    return sets


def rows_of_sets(
    sets: Mapping[str, Sequence[int]],
    honest: Sequence[float],
    gains: Sequence[dict[str, float]],
    seconds: NDArray[np.float64],
) -> list[dict[str, Any]]:
    """Return what is told of each set of views, as plain values.

    Args:
        sets: of `sets_of`.
        honest: score of each set.
        gains: of each set over the first.
        seconds: (V,) an image, of each view, all checkpoints together.
    """
    return [
        {
            "views": name,
            "honest": score,
            "gain": gain,
            "milliseconds_an_image": float(1000 * seconds[list(places)].sum()),
        }
        for (name, places), score, gain in zip(sets.items(), honest, gains, strict=True)
    ]


def timed_views(
    predictor: Predictor,
    views: Sequence[View],
    inputs: torch.Tensor,
    look: Callable[[Network, torch.Tensor, View, Device], tuple[torch.Tensor, torch.Tensor]],
    image_ids: Sequence[str],
) -> tuple[list[list[torch.Tensor]], NDArray[np.float64]]:
    """Return what every network sees of a batch in every view, views outermost, and seconds.

    Args:
        predictor: its networks look.
        views: V of them.
        inputs: network input, float32 (N, C, H, W).
        look: what a network gives in a view, and for which images its logits are finite.
        image_ids: of the batch, for messages.

    Returns:
        V lists of a tensor a network, and (V,) seconds.

    Raises:
        NotFiniteError: logits are NaN or infinite, in float32 too.
    """
    import time

    import numpy as np
    import torch

    from goldfold.inference.retry import finite_or_retried

    seconds: dict[int, NDArray[np.float64]] = {}

    def attempt(
        networks: Sequence[Network], device: Device, part: slice
    ) -> tuple[list[list[torch.Tensor]], torch.Tensor]:
        seen, finite = [], []
        took = np.zeros(len(views))
        for number, view in enumerate(views):
            begun = time.perf_counter()
            looks = [look(network, inputs[part], view, device) for network in networks]
            seen.append([probability for probability, _ in looks])
            finite.append(torch.stack([flags for _, flags in looks]))
            if device.is_gpu:
                seen[-1][-1].sum().item()  # waits for the GPU
            took[number] = time.perf_counter() - begun
        seconds[part.start] = took
        return seen, torch.stack(finite).all(dim=0)

    result = finite_or_retried(attempt, predictor, len(inputs), image_ids)()
    return result, np.sum(list(seconds.values()), axis=0)
