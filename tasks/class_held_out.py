"""Predicted classes of held-out images, and comparisons of ways to predict them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from goldfold.tasks.class_ensemble import plain, truth_of
from goldfold.tasks.prediction_rows import Rows
from goldfold.tasks.results import Judgement
from goldfold.tasks.row_views import see_row_sets

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.class_blend import JudgedClasses
    from goldfold.ensemble.class_truth import Truth
    from goldfold.inference.predictor import Predictor
    from goldfold.tasks.results import SetsOfViews
    from goldfold.tasks.run_view import RunView
    from goldfold.training.cache import ImageCache

    FloatArray = NDArray[np.float64]


def mean_by_image(
    ids: Sequence[Sequence[str]], tables: Sequence[FloatArray]
) -> tuple[list[str], FloatArray]:
    """Return ids, sorted, and what is said of each, averaged where several jobs say it.

    Seeds of a model predict the same images; a score of the whole set wants each image once.

    Args:
        ids: of each job, n ids.
        tables: of each job, (ways, n, C).

    Returns:
        N ids, and (ways, N, C).
    """
    import numpy as np

    names, place = np.unique(
        np.concatenate([list(fold_ids) for fold_ids in ids]), return_inverse=True
    )
    by_image = np.concatenate(tables, axis=1).swapaxes(0, 1)
    total = np.zeros((len(names), *by_image.shape[1:]))
    np.add.at(total, place, by_image)
    return names.tolist(), (total / np.bincount(place)[:, None, None]).swapaxes(0, 1)


class ClassJudgement:
    """Judges ways to predict the classes of training images, out of fold."""

    def __init__(self, run: RunView, image_ids: Sequence[str]) -> None:
        """Take the images, or rows of the submission, that all ways predict."""
        self.settings = run.settings.ensemble
        rows = Rows(run)
        self.truth: Truth = truth_of(run, rows.images, image_ids)
        self.parts = rows.fold_view.parts(image_ids, self.settings.seed)
        self.groups = rows.fold_view.group_numbers(image_ids)

    def judge(self, probability: FloatArray) -> JudgedClasses:
        """Return probabilities (N, C) with thresholds that were chosen on the other folds."""
        from goldfold.ensemble.class_blend import ClassBlend, cross_fit_probabilities

        return cross_fit_probabilities(self.truth, self.parts, lambda _: ClassBlend(probability))

    def gains(self, base: JudgedClasses, others: Sequence[JudgedClasses]) -> list[dict[str, Any]]:
        """Return what each of several ways gains over a first one, as JSON values."""
        from dataclasses import asdict

        from goldfold.ensemble.class_gain import class_gains

        gains = class_gains(
            self.truth,
            base,
            others,
            self.groups,
            samples=self.settings.bootstrap_samples,
            seed=self.settings.seed,
        )
        return [{key: plain(value) for key, value in asdict(gain).items()} for gain in gains]


def see_classes(
    run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
) -> FloatArray:
    """Return the probabilities of the held-out images' classes, (N, C)."""
    from goldfold.inference.class_prediction import predict_classes

    return predict_classes(
        predictor,
        cache,
        list(held_out["image_id"]),
        exclusive=run.settings.competition.exclusive,
        batch_size=run.settings.inference.batch_size,
        progress=run.progress,
    ).astype("float64")


def see_class_sets(
    run: RunView,
    predictor: Predictor,
    cache: ImageCache,
    held_out: pd.DataFrame,
    compared: SetsOfViews,
) -> tuple[FloatArray, FloatArray]:
    """Return probabilities under each set of views, (sets, N, C), and seconds (V,)."""
    exclusive = run.settings.competition.exclusive
    return see_row_sets(run, predictor, cache, held_out, compared, sums_to_one=exclusive)


def judge_classes(
    run: RunView, ways: Sequence[Sequence[Any]], held_out: Sequence[pd.DataFrame], base: int
) -> Judgement:
    """Return the cross-fitted scores of ways to predict the same classes, as `Task.judge`.

    AUROC and F1 belong to the whole set, so each image is scored once: seeds are averaged.
    """
    import numpy as np

    ids = [list(table["image_id"]) for table in held_out]
    image_ids, seen = mean_by_image(ids, [np.stack(of_job) for of_job in zip(*ways, strict=True)])
    row_names, of_rows = Rows(run).join(image_ids, list(seen), "out-of-fold")
    judgement = ClassJudgement(run, row_names)
    judged = [judgement.judge(probability) for probability in of_rows]
    gains = judgement.gains(judged[base], judged)
    return Judgement([way.honest for way in judged], gains, len(row_names))


def class_score(run: RunView, held_out: pd.DataFrame) -> Callable[[Any, NDArray[np.bool_]], float]:
    """Return what scores probabilities of held-out images at their best thresholds."""
    import numpy as np

    from goldfold.ensemble.class_blend import best_thresholds

    rows, ids = Rows(run), np.array(held_out["image_id"], dtype=object)

    def score(probability: Any, chosen: NDArray[np.bool_]) -> float:
        names, (of_rows,) = rows.join(list(ids[chosen]), [probability[chosen]], "out-of-fold")
        own = truth_of(run, rows.images, names)
        return own.score(of_rows, best_thresholds(own, of_rows))

    return score
