"""What networks for grades and numbers learn from, and what they predict for held-out images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.images_table import CLASSES, NUMBER
from goldfold.ensemble.number_scale import NumberScale
from goldfold.ensemble.numbers import NumberTruth
from goldfold.settings_numbers import output_of
from goldfold.tasks.class_training import loss_weights
from goldfold.tasks.prediction_rows import Rows
from goldfold.tasks.row_views import see_row_sets

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from goldfold.inference.predictor import Predictor
    from goldfold.settings import CompetitionSettings
    from goldfold.tasks.results import Lessons, SetsOfViews
    from goldfold.tasks.run_view import RunView
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData
    from goldfold.training.validation import ValidationScore

FloatArray = NDArray[np.float64]


def scale_of(form: CompetitionSettings) -> NumberScale:
    """Return the scale of a competition's grades or numbers."""
    if form.number_range is not None:
        return NumberScale(*form.number_range)
    return NumberScale.of_grades(tuple(form.classes))


def sums_to_one(form: CompetitionSettings) -> bool:
    """Return whether the outputs of a network are the probabilities of all grades."""
    return output_of(form) == "classes"


def numbers_of(form: CompetitionSettings, images: pd.DataFrame) -> FloatArray:
    """Return the true numbers of images, (N,); grades are counted from 0."""
    if form.number_range is not None:
        return np.asarray(images[NUMBER].astype(float), np.float64)
    place = {name: number for number, name in enumerate(form.classes)}
    return np.array([place[name] for name in images[CLASSES]], np.float64)


def truth_of(
    form: CompetitionSettings, images: pd.DataFrame, image_ids: Sequence[str]
) -> NumberTruth:
    """Return the truth about images of a table."""
    known = images.drop_duplicates("image_id").set_index("image_id").loc[list(image_ids)]
    return NumberTruth(numbers_of(form, known), scale_of(form), str(form.metric), list(image_ids))


@dataclass(frozen=True)
class NumberedImages:
    """Images of the validation fold and their true numbers.

    Attributes:
        rows: (N,) of the cache.
        truth: of the N images.
        outputs: number of a network's outputs.
        exclusive: the outputs sum to one.
    """

    rows: NDArray[np.int64]
    truth: NumberTruth
    outputs: int
    exclusive: bool

    def score(
        self, model: nn.Module, cache: ImageCache, *, workers: int = 1, **how: Any
    ) -> ValidationScore:
        """Return the score at the best cut points; the lower squared error breaks ties.

        The metric is that of the truth; it is computed on one thread.

        Raises:
            InputError: there are no images.
            NotFiniteError: logits of some images are NaN or infinite, in float32 too.
        """
        from goldfold.training.class_validation import predict_held_out
        from goldfold.training.validation import HALF, ValidationScore

        how = {name: value for name, value in how.items() if name != "metric"}
        rows = predict_held_out(
            model, cache, self.rows, self.outputs, exclusive=self.exclusive, **how
        )
        place = self.truth.scale.place_of_rows(rows)
        error = self.truth.scale.number(place) - self.truth.numbers
        score = self.truth.best_score(place[:, None])
        return ValidationScore(score, HALF, score, -float(np.mean(error**2)))


def number_fold_data(form: CompetitionSettings, lessons: Lessons) -> FoldData:
    """Return images to learn from, and held-out ones with their true numbers."""
    from goldfold.training.fold_run import FoldData

    cache, inside = lessons.cache, lessons.train.loc[list(lessons.inside)]
    scale, output = scale_of(form), output_of(form)
    targets = scale.rows_of_place(scale.place(numbers_of(form, inside)), output)
    labels = targets.astype(np.float32) if output == "regression" else targets.astype(np.uint8)
    weights = None
    if output == "classes":
        weights = loss_weights(lessons.stage.loss, form, targets.astype(np.uint8))
    held_out = truth_of(form, lessons.train.reset_index(), list(lessons.held_out))
    return FoldData(
        cache=cache,
        rows=cache.rows(lessons.inside),
        non_empty=non_empty(form, inside),
        validation=NumberedImages(
            cache.rows(lessons.held_out), held_out, form.outputs, sums_to_one(form)
        ),
        metric=str(form.metric),
        weights=lessons.weights,
        pseudo=lessons.pseudo,
        labels=labels,
        class_weights=weights,
    )


def non_empty(form: CompetitionSettings, images: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which images have a grade above the lowest, (N,); for numbers all images count."""
    if form.number_range is not None:
        return np.ones(len(images), bool)
    return numbers_of(form, images) > 0


def see_numbers(
    run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
) -> FloatArray:
    """Return the places of the held-out images' numbers, (N, 1)."""
    from goldfold.inference.class_prediction import predict_classes

    form = run.settings.competition
    rows = predict_classes(
        predictor,
        cache,
        list(held_out["image_id"]),
        exclusive=sums_to_one(form),
        batch_size=run.settings.inference.batch_size,
        progress=run.progress,
    )
    return scale_of(form).place_of_rows(rows)[:, None]


def see_number_sets(
    run: RunView,
    predictor: Predictor,
    cache: ImageCache,
    held_out: pd.DataFrame,
    compared: SetsOfViews,
) -> tuple[FloatArray, FloatArray]:
    """Return places under each set of views, (sets, N, 1), and seconds (V,)."""
    form = run.settings.competition
    scale, exclusive = scale_of(form), sums_to_one(form)
    rows, seconds = see_row_sets(run, predictor, cache, held_out, compared, sums_to_one=exclusive)
    return np.stack([scale.place_of_rows(of_set)[:, None] for of_set in rows]), seconds


def number_score_of(
    run: RunView, held_out: pd.DataFrame
) -> Callable[[Any, NDArray[np.bool_]], float]:
    """Return what scores places of held-out images at their best cut points."""
    rows, ids = Rows(run), np.array(held_out["image_id"], dtype=object)

    def score(place: Any, chosen: NDArray[np.bool_]) -> float:
        names, (of_rows,) = rows.join(list(ids[chosen]), [place[chosen]], "out-of-fold")
        return truth_of(run.settings.competition, rows.images, names).best_score(of_rows)

    return score
