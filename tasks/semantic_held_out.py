"""Held-out images with their true class maps: predictions of networks, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from goldfold.competitions.class_maps import IGNORED_NUMBER, paint
from goldfold.competitions.class_metric import class_weight_list
from goldfold.competitions.images_table import mask_columns
from goldfold.competitions.rle import get_dialect
from goldfold.ensemble.class_map_rule import class_scores, most_likely, pixels_of_map
from goldfold.errors import InputError
from goldfold.tasks.results import Judgement
from goldfold.tasks.view_sets import timed_views
from goldfold.training.read_ahead import batches_ahead

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from goldfold.inference.predictor import Network, Predictor
    from goldfold.inference.views import View
    from goldfold.settings import CompetitionSettings
    from goldfold.tasks.results import Lessons, SetsOfViews
    from goldfold.tasks.run_view import RunView
    from goldfold.training.cache import ImageCache
    from goldfold.training.device import Device
    from goldfold.training.fold_run import FoldData
    from goldfold.training.passes import Passes
    from goldfold.training.ranks import Ranks
    from goldfold.training.validation import ValidationScore

    Pixels = NDArray[np.int64]
    ClassMap = NDArray[np.uint8]


class TrueClasses:
    """The true class maps of images of images.csv, painted when they are asked for."""

    def __init__(self, form: CompetitionSettings, images: pd.DataFrame) -> None:
        """Take rows of images.csv, each image once."""
        self._dialect = get_dialect(form.labels.dialect)
        self._numbers = mask_numbers(form)
        sizes = zip(images["height"].tolist(), images["width"].tolist(), strict=True)
        cells = zip(encoded_classes(form, images), sizes, strict=True)
        self._cells = dict(zip(images["image_id"], cells, strict=True))

    def size(self, image_id: str) -> tuple[int, int]:
        """Return height and width of an image."""
        size: tuple[int, int] = self._cells[image_id][1]
        return size

    def read(self, image_id: str) -> ClassMap:
        """Return the class of each pixel, uint8 (H, W), 255 where there is none."""
        masks, size = self._cells[image_id]
        height, width = size
        return paint(masks, self._numbers, height, width, self._dialect)


def mask_numbers(form: CompetitionSettings) -> tuple[int, ...]:
    """Return the class number of each mask in images.csv."""
    known = tuple(range(1, len(form.classes)))
    return (*known, IGNORED_NUMBER) if len(form.labelled_masks) > len(known) else known


def encoded_classes(form: CompetitionSettings, images: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the run-length encodings of each image's classes, and of its ignored pixels."""
    columns = [mask_columns(name)[0] for name in form.labelled_masks]
    return list(zip(*(images[column].tolist() for column in columns), strict=True))


class HeldOutClassMaps:
    """Images that a stage of a fold is validated on.

    Attributes:
        rows: int64 (N,) of the cache.
    """

    def __init__(self, form: CompetitionSettings, cache: ImageCache, images: pd.DataFrame) -> None:
        """Take rows of images.csv."""
        self._ids: list[str] = list(images["image_id"])
        self._true, self._classes = TrueClasses(form, images), len(form.classes)
        self.rows: NDArray[np.int64] = cache.rows(self._ids)

    def score(self, model: nn.Module, cache: ImageCache, **how: Any) -> ValidationScore:
        """Return what a network scores on these images; arguments and errors as of `validate`."""
        return self._score(model, cache, **how)

    def _score(
        self,
        model: nn.Module,
        cache: ImageCache,
        *,
        metric: str,
        batch_size: int,
        device: Device,
        workers: int = 1,
        ranks: Ranks | None = None,
        check: Callable[[], None] = lambda: None,
        retried: Callable[[int], None] = lambda _: None,
        passes: Passes | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> ValidationScore:
        import numpy as np

        from goldfold.training.finite import checked, refuse_unseen
        from goldfold.training.passes import Passes
        from goldfold.training.ranks import Ranks
        from goldfold.training.validation import HALF, ValidationScore

        if not len(self.rows):
            raise InputError("expected images to validate on, found none: the fold is empty.")
        ranks = ranks if ranks is not None else Ranks()
        model.eval()
        mine = ranks.share(np.arange(len(self.rows), dtype=np.int64))
        pixels = np.zeros((len(self.rows), 3, self._classes), np.int64)
        unseen = np.zeros(len(self.rows), np.int64)
        passes = passes if passes is not None else Passes()

        # As many batches on every rank, as all of them have to ask `check` together.
        longest = -(-len(self.rows) // ranks.world)
        for block, shown in batches_ahead(cache, self.rows[mine], batch_size, count=longest):
            if len(shown):
                batch = mine[block.start : block.stop].tolist()
                attempt = partial(_look_softmax, model, shown)
                probability, finite = checked(
                    attempt, len(batch), device, retried=retried, passes=passes, say=say
                )
                unseen[batch] = ~finite
                if finite.all():
                    ids = [self._ids[place] for place in batch]
                    pixels[batch] = count_batch(probability, ids, self._true, workers)
            check()
        refuse_unseen(ranks.sum_array(unseen), [cache.image_ids[row] for row in self.rows])
        pixels = ranks.sum_array(pixels)
        scores = class_scores(metric, pixels)
        seen = scores[pixels[:, 2, 1:].any(axis=1)]
        score = float(scores.mean())
        return ValidationScore(score, HALF, score, float(seen.mean()) if len(seen) else 0.0)


def _look_softmax(
    model: nn.Module, pixels: NDArray[np.uint8], part: slice, device: Device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the probabilities of a part of a batch, and for which images they are finite."""
    from goldfold.inference.network import activate
    from goldfold.training.finite import look

    logits, finite = look(model, pixels[part], device)
    return activate(logits, "softmax"), finite


def level_stacks(
    probability: torch.Tensor, sizes: Sequence[tuple[int, int]]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the 8-bit maps of all classes of each image at its original size, uint8 (C, H, W)."""
    import numpy as np

    from goldfold.training.probability import levels_at_size

    maps = levels_at_size(probability, sizes)
    for _ in sizes:
        yield np.stack([next(maps) for _ in range(probability.shape[1])])


def count_batch(
    probability: torch.Tensor, image_ids: Sequence[str], true: TrueClasses, workers: int = 1
) -> Pixels:
    """Return pixels in both, predicted and true, by class, int64 (N, 3, C).

    Args:
        probability: float32 (N, C, h, w).
        image_ids: N ids.
        true: their classes.
        workers: threads that count.
    """
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    def count(image_id: str, levels: NDArray[np.uint8]) -> Pixels:
        return pixels_of_map(most_likely(levels)[0], true.read(image_id), len(levels))

    stacks = level_stacks(probability, [true.size(image_id) for image_id in image_ids])
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="count") as pool:
        return np.stack(list(pool.map(count, image_ids, stacks)))


def semantic_fold_data(form: CompetitionSettings, lessons: Lessons) -> FoldData:
    """Return images to learn from, and held-out ones with their classes at original size."""
    from goldfold.training.fold_run import FoldData

    inside = lessons.train.loc[list(lessons.inside)]
    held_out = lessons.train.loc[list(lessons.held_out)].reset_index()
    weights = lessons.stage.loss.class_weights
    given = class_weight_list(form.classes, weights) if isinstance(weights, dict) else []
    return FoldData(
        cache=lessons.cache,
        rows=lessons.cache.rows(lessons.inside),
        non_empty=(inside["area_px"] > 0).to_numpy(),
        validation=HeldOutClassMaps(form, lessons.cache, held_out),
        metric=form.metric,
        weights=lessons.weights,
        pseudo=lessons.pseudo,
        class_weights=tuple(given) if weights else None,
        mirror=form.mirror,
    )


def see_class_maps(
    run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
) -> Pixels:
    """Return the pixels of the most likely classes of held-out images, int64 (N, 3, C)."""
    import numpy as np

    true, ids = TrueClasses(run.settings.competition, held_out), list(held_out["image_id"])
    rows, size = cache.rows(ids), run.settings.inference.batch_size
    counts = []

    with run.progress.task("held out", len(rows)) as task:
        for block, pixels in batches_ahead(cache, rows, size):
            part = slice(block.start, block.stop)
            probability, _ = predictor.probability(pixels, ids[part])
            counts.append(count_batch(probability, ids[part], true, run.workers))
            task.advance(len(pixels))
    return np.concatenate(counts)


def see_class_map_sets(
    run: RunView,
    predictor: Predictor,
    cache: ImageCache,
    held_out: pd.DataFrame,
    compared: SetsOfViews,
) -> tuple[Pixels, NDArray[np.float64]]:
    """Return the pixels under each set of views, (sets, N, 3, C), and the seconds of each view."""
    import numpy as np

    from goldfold.inference.merge import Merger
    from goldfold.inference.views import get_views
    from goldfold.training.batch import network_input

    form, device, ids = run.settings.competition, predictor.device, list(held_out["image_id"])
    true, views = TrueClasses(form, held_out), get_views(list(compared.names), form.mirror)
    rows, size = cache.rows(ids), run.settings.inference.batch_size
    counts = np.zeros((len(compared.sets), len(ids), 3, len(form.classes)), np.int64)
    seconds = np.zeros(len(views))

    with run.progress.task(compared.title, len(rows)) as task:
        for block, pixels in batches_ahead(cache, rows, size):
            part = slice(block.start, block.stop)
            inputs = network_input(pixels, device.device, channels_last=device.channels_last)
            seen, took = timed_views(predictor, views, inputs, _look, ids[part])
            seconds += took
            for number, chosen in enumerate(compared.sets):
                merger = Merger(predictor.merge)
                for place in chosen:
                    for probability in seen[place]:
                        merger.add(probability)
                counts[number, part] = count_batch(merger.result(), ids[part], true, run.workers)
            task.advance(len(pixels))
    return counts, seconds


def _look(
    network: Network, inputs: torch.Tensor, view: View, device: Device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the classes' probabilities, and for which images all logits are finite."""
    from goldfold.inference.predictor import see

    sight = see(network, inputs, view, device, "softmax")
    return sight.mask, sight.finite


def judge_class_maps(
    run: RunView, ways: Sequence[Sequence[Any]], held_out: Sequence[pd.DataFrame], base: int
) -> Judgement:
    """Return the scores of ways to predict the same images, as `Task.judge`.

    The most likely class counts, without least areas: nothing is chosen, so that all are honest.
    """
    import numpy as np

    from goldfold.ensemble.honest import group_interval

    settings, metric = run.settings.ensemble, run.settings.competition.metric
    ids = [image_id for table in held_out for image_id in table["image_id"]]
    groups = run.fold_view.group_numbers(ids)
    scores = [class_scores(metric, np.concatenate(list(pixels))) for pixels in ways]
    gains = []
    for score in scores:
        gap = score - scores[base]
        interval = group_interval(
            gap, groups, samples=settings.bootstrap_samples, seed=settings.seed
        )
        gains.append({"mean": float(gap.mean()), "low": interval.low, "high": interval.high})
    return Judgement([float(score.mean()) for score in scores], gains, len(ids))
