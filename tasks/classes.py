"""Classes of whole images: exactly one of them, or any number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.competitions.class_metric import class_weight_list, decide
from goldfold.competitions.images_table import CLASSES, JOINT, SHARES
from goldfold.ensemble.class_merge import merge_probabilities
from goldfold.submissions.class_compare import compare_classes
from goldfold.submissions.layout import Layout
from goldfold.tasks.class_blends import compare_class_blends
from goldfold.tasks.class_ensemble import assess_classes, judged_classes
from goldfold.tasks.class_explanation import explain_classes
from goldfold.tasks.class_held_out import class_score, judge_classes, see_class_sets, see_classes
from goldfold.tasks.class_images import class_images_of
from goldfold.tasks.class_submission import class_cells, judge_test_classes, plain_class_table
from goldfold.tasks.class_training import class_flags, class_fold_data, class_targets
from goldfold.tasks.class_words import (
    comparison_lines,
    ensemble_lines,
    judgement_lines,
    score_lines,
)
from goldfold.tasks.results import Explanation, Judgement, Lessons, SetsOfViews, Taught
from goldfold.tasks.run_view import MemberSource, RunView
from goldfold.tasks.submission_layout import layout_of
from goldfold.tasks.task import Task
from goldfold.text_table import Line

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.image_size import ImageSize, SizeLike
    from goldfold.inference.predict import Forward
    from goldfold.inference.predictor import Predictor
    from goldfold.inference.reader import MapReader
    from goldfold.submissions.class_compare import ClassComparison
    from goldfold.submissions.class_score import ClassScores
    from goldfold.submissions.table import Sample
    from goldfold.tasks.image_decision import ImageDecision
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData
    from goldfold.training.pseudo_labels import PseudoLabels


class Classes(Task):
    """A competition whose images have classes."""

    @property
    def needs_sample(self) -> bool:  # type: ignore[override]
        """Without a sample submission a plain table of probabilities is written."""
        return self.form.needs_sample

    @property
    def records(self) -> list[str]:
        """One row of probabilities per image."""
        return [""]

    @property
    def row_columns(self) -> list[str]:
        """A probability per class."""
        return self.form.classes

    @property
    def seen_per_image(self) -> int:
        """One row."""
        return 1

    def describe(self) -> str:
        """Return which classes are predicted."""
        many = "one" if self.form.exclusive else "any number"
        return f"the classes {', '.join(self.form.classes)}, {many} per image"

    def same_as(self, other: Task) -> bool:
        """Accept the same classes in the same order."""
        return (
            isinstance(other, Classes)
            and self.form.exclusive == other.form.exclusive
            and self.form.classes == other.form.classes
        )

    # --- training ------------------------------------------------------------------------------

    def label_facts(self, train: pd.DataFrame) -> list[object]:
        """Return the classes of each image."""
        shares = [list(train[SHARES])] if SHARES in train.columns else []
        return [list(train[CLASSES]), self.form.classes, self.form.exclusive, *shares]

    def cached_masks(self, train: pd.DataFrame) -> None:
        """Return none: the cache holds pixels alone."""
        return

    def non_empty(self, train: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which images have a class, (N,); of exclusive ones the first is none found."""
        return class_flags(self.form, class_targets(self.form, train))

    def nothing_is_empty(self, train: pd.DataFrame) -> str:
        """Return nothing: schedules draw by class where they are set."""
        return ""

    def fold_data(self, lessons: Lessons) -> FoldData:
        """Return images to learn from, and held-out ones with their classes."""
        return class_fold_data(self.form, lessons)

    def target_shape(self, count: int, input_size: ImageSize) -> tuple[int, ...]:
        """Return (N, 1, C)."""
        return (count, 1, self.form.outputs)

    # --- prediction ----------------------------------------------------------------------------

    def forward(self, predictor: Predictor, chosen: pd.DataFrame) -> Forward[Any]:
        """Return how rows of probabilities are predicted, float32 (C,)."""
        from goldfold.inference.class_prediction import class_forward

        return class_forward(predictor, list(chosen["image_id"]), self.form.exclusive)

    def see(
        self, run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
    ) -> NDArray[np.float64]:
        """Return the probabilities of the held-out images' classes, (N, C)."""
        return see_classes(run, predictor, cache, held_out)

    def see_sets(
        self,
        run: RunView,
        predictor: Predictor,
        cache: ImageCache,
        held_out: pd.DataFrame,
        views: SetsOfViews,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return probabilities under each set of views, (sets, N, C), and seconds (V,)."""
        return see_class_sets(run, predictor, cache, held_out, views)

    def score_of(
        self, run: RunView, held_out: pd.DataFrame
    ) -> Callable[[Any, NDArray[np.bool_]], float]:
        """Return what scores probabilities at their best thresholds."""
        return class_score(run, held_out)

    def judge(
        self,
        run: RunView,
        ways: Sequence[Sequence[Any]],
        held_out: Sequence[pd.DataFrame],
        base: int,
    ) -> Judgement:
        """Return cross-fitted scores of ways to predict the same classes."""
        return judge_classes(run, ways, held_out, base)

    # --- blend and thresholds ------------------------------------------------------------------

    def judged_facts(self, run: RunView) -> dict[str, Any]:
        """Return settings, metric, folds and classes."""
        return judged_classes(run)

    def assess(
        self, run: RunView, source: MemberSource, made_from: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return blend and thresholds; metrics.csv is written."""
        return assess_classes(run, source, made_from)

    def compare_blends(self, run: RunView, source: MemberSource) -> dict[str, Any]:
        """Return ways to blend."""
        return compare_class_blends(run, source)

    def ensemble_lines(self, report: Mapping[str, Any]) -> list[Line]:
        """Return scores, measures and thresholds."""
        return ensemble_lines(report)

    # --- pseudo-labels -------------------------------------------------------------------------

    def teach(
        self, readers: Mapping[str, Sequence[tuple[MapReader, int]]], image_id: str, *, hard: bool
    ) -> Taught:
        """Return the blended probabilities of an image's classes."""
        import numpy as np

        from goldfold.training.pseudo_labels import label_confidence

        exclusive = self.form.exclusive
        rows = [
            (reader.read_row(image_id)[None].astype(np.float64), weight)
            for reader, weight in readers[""]
        ]
        weights = [weight for _, weight in rows]
        blend = merge_probabilities([row for row, _ in rows], weights, "mean", exclusive=exclusive)
        flags = decide(blend, exclusive)
        named = np.array(self.form.classes)[flags[0]].tolist()
        return Taught(
            {"": (flags if hard else blend)[0].astype(np.float32)},
            float(label_confidence(blend, exclusive=exclusive)[0]),
            {"classes": JOINT.join(named)},
        )

    def read_pseudo(self, path: Path, cache: Path, name: str, size: SizeLike) -> PseudoLabels:
        """Return probabilities in units of 1/255; they have no size."""
        import numpy as np

        from goldfold.inference.reader import MapReader
        from goldfold.training.pseudo_labels import TOP, PseudoLabels

        with MapReader(path) as reader:
            ids = reader.image_ids
            rows = [np.rint(reader.read_row(image_id) * TOP) for image_id in ids]
        shape = (len(ids), len(self.form.classes))
        return PseudoLabels(list(ids), np.array(rows, np.uint8).reshape(shape))

    def pseudo_summary(self, kept: Sequence[Mapping[str, Any]]) -> str:
        """Return how many images have each class."""
        named = Counter(name for row in kept for name in row["classes"].split(JOINT))
        return ", ".join(f"{count:,} {name or 'of no class'}" for name, count in named.items())

    # --- submission ----------------------------------------------------------------------------

    def layout(self) -> Layout:
        """Return the columns of a submission, or of the table that stands for one."""
        if self.needs_sample:
            return layout_of(self.form)
        return Layout(("image_id",), tuple(self.form.classes), "probability")

    def cells(
        self, run: RunView, source: MemberSource, sample: Sample, layout: Layout
    ) -> list[tuple[str, Any]]:
        """Return the probabilities or the class of each row."""
        return class_cells(run, source, sample.image_ids, layout)

    def plain_table(self, run: RunView, source: MemberSource) -> pd.DataFrame:
        """Return probabilities and the predicted classes."""
        return plain_class_table(run, source)

    def judge_test(self, run: RunView, source: MemberSource) -> list[Line]:
        """Return score and measures of the test images where their folders name their classes."""
        judgement = judge_test_classes(run, source)
        return [] if judgement is None else judgement_lines(judgement)

    def explain(self, run: RunView, source: MemberSource, row: pd.Series) -> list[Explanation]:
        """Return why an image got its classes."""
        return [explain_classes(run, source, row)]

    def compare(
        self, first: Path, second: Path, shapes: Mapping[str, tuple[int, int]] | None
    ) -> ClassComparison:
        """Return where two submissions of classes differ."""
        return compare_classes(
            first,
            second,
            layout=self.layout(),
            classes=self.form.classes,
            exclusive=self.form.exclusive,
            metric=self.form.metric,
        )

    def comparison_lines(
        self, comparison: Any, first: Path, second: Path, images: int
    ) -> list[Line]:
        """Return how much two submissions of classes agree."""
        return comparison_lines(comparison, images)

    def score(
        self,
        file: Path,
        solution: Path,
        shapes: Mapping[str, tuple[int, int]] | None,
        *,
        only_submitted: bool,
    ) -> ClassScores:
        """Return the score of a submission of classes, overall, Public and Private."""
        from goldfold.submissions.class_score import score_submitted_classes

        form = self.form
        return score_submitted_classes(
            file,
            solution,
            layout=layout_of(form),
            classes=form.classes,
            exclusive=form.exclusive,
            metric=form.metric,
            class_weights=class_weight_list(form.classes, form.metric_weights),
            only_submitted=only_submitted,
        )

    def score_lines(self, scores: Any) -> list[Line]:
        """Return a score beside that of the classes' frequencies."""
        return score_lines(scores)

    # --- export --------------------------------------------------------------------------------

    def image_decision(self, run: RunView, source: MemberSource) -> ImageDecision:
        """Return blend and thresholds."""
        return class_images_of(run, source)

    def model_measures(self, chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return one row per class."""
        return list(chosen["measures"])
