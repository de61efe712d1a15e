"""Ordered grades of whole images, or one continuous number: a competition of either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.settings_numbers import output_of
from goldfold.submissions.layout import Layout
from goldfold.tasks.grade_explanation import explain_number
from goldfold.tasks.grade_images import number_images_of
from goldfold.tasks.grade_words import comparison_lines, ensemble_lines, score_lines
from goldfold.tasks.results import Explanation, Judgement, Lessons, SetsOfViews, Taught
from goldfold.tasks.run_view import MemberSource, RunView
from goldfold.tasks.submission_layout import layout_of
from goldfold.tasks.task import Task
from goldfold.text_table import Line

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.ensemble.number_scale import NumberScale
    from goldfold.image_size import ImageSize, SizeLike
    from goldfold.inference.predict import Forward
    from goldfold.inference.predictor import Predictor
    from goldfold.inference.reader import MapReader
    from goldfold.submissions.table import Sample
    from goldfold.tasks.grade_files import NumberComparison, NumberScores
    from goldfold.tasks.image_decision import ImageDecision
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData
    from goldfold.training.pseudo_labels import PseudoLabels


class Numbers(Task):
    """A competition of grades or of a number; inside, both are places on a scale from 0 to 1."""

    seen_per_image = 1

    @property
    def needs_sample(self) -> bool:  # type: ignore[override]
        """Without a sample submission a plain table is written."""
        return self.form.needs_sample

    @property
    def scale(self) -> NumberScale:
        """The range of the numbers, and the grades."""
        from goldfold.tasks.grade_training import scale_of

        return scale_of(self.form)

    @property
    def records(self) -> list[str]:
        """One row per image."""
        return [""]

    @property
    def row_columns(self) -> list[str]:
        """Names of a network's outputs."""
        output = output_of(self.form)
        if output == "ordinal":
            return [f"at least {name}" for name in self.form.classes[1:]]
        return self.form.classes if output == "classes" else ["number"]

    def describe(self) -> str:
        """Return which grades are predicted, or in which range a number."""
        if self.form.classes:
            return f"the grades {', '.join(self.form.classes)}, in this order"
        return f"a number from {self.scale.low:g} to {self.scale.high:g}"

    def same_as(self, other: Task) -> bool:
        """Accept the same grades or range; the outputs of networks may differ."""
        return isinstance(other, Numbers) and self.scale == other.scale

    # --- training ------------------------------------------------------------------------------

    def label_facts(self, train: pd.DataFrame) -> list[object]:
        """Return the numbers, the scale and the output of the network."""
        from goldfold.tasks.grade_training import numbers_of

        numbers = numbers_of(self.form, train).tolist()
        return [numbers, self.scale.to_json(), output_of(self.form)]

    def cached_masks(self, train: pd.DataFrame) -> None:
        """Return none: the cache holds pixels alone."""
        return

    def non_empty(self, train: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which images have a grade above the lowest; of numbers all count, (N,)."""
        from goldfold.tasks.grade_training import non_empty

        return non_empty(self.form, train)

    def nothing_is_empty(self, train: pd.DataFrame) -> str:
        """Return that no image is empty where numbers are predicted."""
        return "" if self.form.classes else "a number has no empty images"

    def fold_data(self, lessons: Lessons) -> FoldData:
        """Return images to learn from, and held-out ones with their true numbers."""
        from goldfold.tasks.grade_training import number_fold_data

        return number_fold_data(self.form, lessons)

    def target_shape(self, count: int, input_size: ImageSize) -> tuple[int, ...]:
        """Return (N, 1, outputs)."""
        return (count, 1, self.form.outputs)

    # --- prediction ----------------------------------------------------------------------------

    def forward(self, predictor: Predictor, chosen: pd.DataFrame) -> Forward[Any]:
        """Return how rows of network outputs are predicted, float32."""
        from goldfold.inference.class_prediction import class_forward
        from goldfold.tasks.grade_training import sums_to_one

        return class_forward(predictor, list(chosen["image_id"]), sums_to_one(self.form))

    def see(
        self, run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
    ) -> NDArray[np.float64]:
        """Return the places of the held-out images, (N, 1)."""
        from goldfold.tasks.grade_training import see_numbers

        return see_numbers(run, predictor, cache, held_out)

    def see_sets(
        self,
        run: RunView,
        predictor: Predictor,
        cache: ImageCache,
        held_out: pd.DataFrame,
        views: SetsOfViews,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return places under each set of views, (sets, N, 1), and seconds (V,)."""
        from goldfold.tasks.grade_training import see_number_sets

        return see_number_sets(run, predictor, cache, held_out, views)

    def score_of(
        self, run: RunView, held_out: pd.DataFrame
    ) -> Callable[[Any, NDArray[np.bool_]], float]:
        """Return what scores places at their best cut points."""
        from goldfold.tasks.grade_training import number_score_of

        return number_score_of(run, held_out)

    def judge(
        self,
        run: RunView,
        ways: Sequence[Sequence[Any]],
        held_out: Sequence[pd.DataFrame],
        base: int,
    ) -> Judgement:
        """Return cross-fitted scores of ways to predict the same numbers."""
        from goldfold.tasks.grade_ensemble import judge_numbers

        return judge_numbers(run, ways, held_out, base)

    # --- blend and cut points ------------------------------------------------------------------

    def judged_facts(self, run: RunView) -> dict[str, Any]:
        """Return settings, metric, folds and labels."""
        from goldfold.tasks.grade_ensemble import judged_facts

        return judged_facts(run)

    def assess(
        self, run: RunView, source: MemberSource, made_from: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return blend and cut points; metrics.csv is written."""
        from goldfold.tasks.grade_ensemble import assess_run

        return assess_run(run, source, made_from)

    def compare_blends(self, run: RunView, source: MemberSource) -> dict[str, Any]:
        """Return ways to blend."""
        from goldfold.tasks.grade_blends import compare_number_blends

        return compare_number_blends(run, source)

    def ensemble_lines(self, report: Mapping[str, Any]) -> list[Line]:
        """Return scores, measures and cut points."""
        return ensemble_lines(report)

    # --- pseudo-labels -------------------------------------------------------------------------

    def teach(
        self, readers: Mapping[str, Sequence[tuple[MapReader, int]]], image_id: str, *, hard: bool
    ) -> Taught:
        """Return the blended place of an image; hard ones lie on a grade.

        A grade is as certain as its number is near to it; a number as the models agree.
        """
        import numpy as np

        scale = self.scale
        places = np.array([scale.place_of_rows(r.read_row(image_id)[None])[0]
                           for r, _ in readers[""]])  # fmt: skip
        place = np.average(places, weights=[weight for _, weight in readers[""]])
        number = float(scale.number(place))
        if not scale.grades:
            spread = float(np.ptp(places))
            return Taught({"": np.array([place], np.float32)}, 1 - spread, {"number": number})
        grade = min(max(round(number), 0), len(scale.grades) - 1)
        certain = max(0.0, 1 - 2 * abs(number - grade))
        taught = scale.place(np.array([float(grade)])) if hard else np.array([place])
        facts = {"number": number, "grade": scale.grades[grade]}
        return Taught({"": taught.astype(np.float32)}, certain, facts)

    def read_pseudo(self, path: Path, cache: Path, name: str, size: SizeLike) -> PseudoLabels:
        """Return the targets of a network, in units of 1/255; they have no size."""
        import numpy as np

        from goldfold.inference.reader import MapReader
        from goldfold.training.pseudo_labels import TOP, PseudoLabels

        with MapReader(path) as reader:
            ids = list(reader.image_ids)
            place = np.array([reader.read_row(image_id)[0] for image_id in ids], np.float64)
        rows = self.scale.rows_of_place(place, output_of(self.form)) * TOP
        rows = rows.reshape(len(ids), self.form.outputs)
        if output_of(self.form) == "regression":
            return PseudoLabels(ids, rows.astype(np.float32))
        return PseudoLabels(ids, np.rint(rows).astype(np.uint8))

    def pseudo_summary(self, kept: Sequence[Mapping[str, Any]]) -> str:
        """Return how many images have each grade, or the mean number."""
        if self.form.classes:
            counts = Counter(row["grade"] for row in kept)
            return ", ".join(f"{counts[name]:,} of grade {name}" for name in self.form.classes)
        mean = sum(row["number"] for row in kept) / max(1, len(kept))
        return f"{len(kept):,} numbers, {mean:.4g} on average"

    # --- submission ----------------------------------------------------------------------------

    def layout(self) -> Layout:
        """Return the columns of a submission, or of the table that stands for one."""
        from goldfold.tasks.grade_files import NUMBER, PREDICTED

        if self.form.submission.label_column is not None:
            return layout_of(self.form)
        if self.form.classes:
            return Layout(("image_id",), (PREDICTED,), "label", labels=tuple(self.form.classes))
        return Layout(("image_id",), (NUMBER,), "number")

    def cells(
        self, run: RunView, source: MemberSource, sample: Sample, layout: Layout
    ) -> list[tuple[str, Any]]:
        """Return the grade or the number of each row."""
        from goldfold.tasks.grade_files import number_cells

        return number_cells(run, source, sample.image_ids, layout)

    def plain_table(self, run: RunView, source: MemberSource) -> pd.DataFrame:
        """Return numbers, and the predicted grades."""
        from goldfold.tasks.grade_files import plain_number_table

        return plain_number_table(run, source)

    def explain(self, run: RunView, source: MemberSource, row: pd.Series) -> list[Explanation]:
        """Return why an image got its grade or number."""
        return [explain_number(run, source, row)]

    def compare(
        self, first: Path, second: Path, shapes: Mapping[str, tuple[int, int]] | None
    ) -> NumberComparison:
        """Return where two submissions differ."""
        from goldfold.tasks.grade_files import compare_numbers

        how: dict[str, Any] = {"scale": self.scale, "metric": str(self.form.metric)}
        return compare_numbers(first, second, layout=self.layout(), **how)

    def comparison_lines(
        self, comparison: Any, first: Path, second: Path, images: int
    ) -> list[Line]:
        """Return how much two submissions agree."""
        return comparison_lines(comparison, self.scale, images)

    def score(
        self,
        file: Path,
        solution: Path,
        shapes: Mapping[str, tuple[int, int]] | None,
        *,
        only_submitted: bool,
    ) -> NumberScores:
        """Return the score of a submission, overall, Public and Private."""
        from goldfold.tasks.grade_files import score_numbers

        how: dict[str, Any] = {"scale": self.scale, "metric": str(self.form.metric)}
        how |= {"layout": self.layout(), "only_submitted": only_submitted}
        return score_numbers(file, solution, **how)

    def score_lines(self, scores: Any) -> list[Line]:
        """Return a score beside that of the best single prediction."""
        return score_lines(scores)

    # --- export --------------------------------------------------------------------------------

    def image_decision(self, run: RunView, source: MemberSource) -> ImageDecision:
        """Return blend and cut points."""
        return number_images_of(run, source)

    def model_measures(self, chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the measures over all folds."""
        return [chosen["measures"]]
