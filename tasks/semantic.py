"""Semantic segmentation: exactly one class per pixel.

The network gives a softmax over the classes. The store of a fold's predictions has one record per
image, the 8-bit maps of all classes one below another, (C H, W): blends, resumed predictions and
memory are those of a single map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.competitions.class_maps import IGNORED_NUMBER
from goldfold.competitions.images_table import mask_sizes
from goldfold.ensemble.class_map_rule import class_scores, most_likely
from goldfold.files import fingerprint
from goldfold.tasks.masks import Masks
from goldfold.tasks.results import (
    ComparedSubmissions,
    Explanation,
    Judgement,
    Lessons,
    ScoredSubmission,
    SetsOfViews,
    Taught,
)
from goldfold.tasks.run_view import MemberSource, RunView
from goldfold.tasks.semantic_answers import ensemble_lines, explain_class_map, semantic_cells
from goldfold.tasks.semantic_blends import compare_semantic_blends
from goldfold.tasks.semantic_ensemble import FORMAT, assess_semantic, unstack
from goldfold.tasks.semantic_held_out import (
    judge_class_maps,
    see_class_map_sets,
    see_class_maps,
    semantic_fold_data,
)
from goldfold.tasks.semantic_images import semantic_images_of
from goldfold.tasks.submission_layout import layout_of
from goldfold.tasks.task import Task
from goldfold.tasks.true_class_maps import encoded_classes, mask_numbers
from goldfold.text_table import Line

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.image_size import ImageSize, SizeLike
    from goldfold.inference.predict import Forward
    from goldfold.inference.predictor import Predictor
    from goldfold.inference.reader import MapReader
    from goldfold.submissions.layout import Layout
    from goldfold.submissions.table import Sample
    from goldfold.tasks.image_decision import ImageDecision
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData
    from goldfold.training.pseudo_labels import PseudoLabels


class Semantic(Task):
    """A competition whose pixels have exactly one class each, the first one the background."""

    @property
    def records(self) -> list[str]:
        """One stack of maps per image."""
        return [""]

    @property
    def seen_per_image(self) -> int:
        """One table of pixels."""
        return 1

    def describe(self) -> str:
        """Return which classes are predicted."""
        return f"the class of each pixel, one of {', '.join(self.form.classes)}"

    def same_as(self, other: Task) -> bool:
        """Accept the same classes in the same order, which is that of the maps."""
        return isinstance(other, Semantic) and self.form.classes == other.form.classes

    # --- training ------------------------------------------------------------------------------

    def label_facts(self, train: pd.DataFrame) -> list[object]:
        """Return the masks of each class and which of them mirrors exchange."""
        return [self.form.classes, self.cached_masks(train), self.form.mirror]

    def cached_masks(self, train: pd.DataFrame) -> list[tuple[str, ...]]:
        """Return the encoded masks of each image but for the background, ignored pixels last."""
        return encoded_classes(self.form, train)

    @property
    def classes_per_pixel(self) -> int:
        """The number of classes."""
        return self.form.outputs

    @property
    def mask_numbers(self) -> tuple[int, ...]:
        """Return the number of each class, and that of ignored pixels."""
        return mask_numbers(self.form)

    def non_empty(self, train: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which images have a pixel that is not background, (N,)."""
        flags: NDArray[np.bool_] = (train["area_px"] > 0).to_numpy()
        return flags

    def nothing_is_empty(self, train: pd.DataFrame) -> str:
        """Return in words that every image has more than background where that is so."""
        return "no training image is background alone" if self.non_empty(train).all() else ""

    def fold_data(self, lessons: Lessons) -> FoldData:
        """Return images to learn from, and held-out ones with their classes at original size."""
        return semantic_fold_data(self.form, lessons)

    def target_shape(self, count: int, input_size: ImageSize) -> tuple[int, ...]:
        """Return (N, H, W)."""
        return (count, *input_size)

    # --- prediction ----------------------------------------------------------------------------

    def forward(self, predictor: Predictor, chosen: pd.DataFrame) -> Forward[Any]:
        """Return how the 8-bit maps of all classes at original size are predicted."""
        import numpy as np

        from goldfold.inference.maps import SeenMaps, maps_of
        from goldfold.inference.predict import Forward

        ids = list(chosen["image_id"])
        sizes = mask_sizes(chosen, self.form.mask_size)

        def stacks(block: range, seen: SeenMaps) -> Iterator[Any]:
            for place in block:
                levels = [next(seen.maps) for _ in self.form.classes]
                yield ids[place], np.concatenate(levels), None

        return Forward(maps_of(predictor, ids, sizes), stacks, predictor.device.pins_memory)

    def see(
        self, run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
    ) -> NDArray[np.int64]:
        """Return pixels in both, predicted and true, by class, (N, 3, C)."""
        return see_class_maps(run, predictor, cache, held_out)

    def see_sets(
        self,
        run: RunView,
        predictor: Predictor,
        cache: ImageCache,
        held_out: pd.DataFrame,
        views: SetsOfViews,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the pixels under each set of views, (sets, N, 3, C), and seconds (V,)."""
        return see_class_map_sets(run, predictor, cache, held_out, views)

    def score_of(
        self, run: RunView, held_out: pd.DataFrame
    ) -> Callable[[Any, NDArray[np.bool_]], float]:
        """Return what scores the most likely classes, without least areas."""
        return lambda pixels, chosen: float(class_scores(self.form.metric, pixels[chosen]).mean())

    def judge(
        self,
        run: RunView,
        ways: Sequence[Sequence[Any]],
        held_out: Sequence[pd.DataFrame],
        base: int,
    ) -> Judgement:
        """Return scores of ways to predict the same images."""
        return judge_class_maps(run, ways, held_out, base)

    # --- blend and least areas -----------------------------------------------------------------

    def judged_facts(self, run: RunView) -> dict[str, Any]:
        """Return settings, metric, classes, folds and masks."""
        return {
            "format": FORMAT,
            "settings": run.settings.ensemble.model_dump(mode="json"),
            "metric": [self.form.metric, self.form.classes],
            "folds": fingerprint(run.folds.to_dict(orient="list")),
            "masks": fingerprint(
                [list(run.images["image_id"]), encoded_classes(self.form, run.images)]
            ),
        }

    def assess(
        self, run: RunView, source: MemberSource, made_from: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return blend and least areas; metrics.csv is written."""
        return assess_semantic(run, source, made_from)

    def compare_blends(self, run: RunView, source: MemberSource) -> dict[str, Any]:
        """Return ways to blend, by the most likely classes of a sample of pixels."""
        return compare_semantic_blends(run, source)

    def ensemble_lines(self, report: Mapping[str, Any]) -> list[Line]:
        """Return scores, measures and least areas."""
        return ensemble_lines(report)

    # --- pseudo-labels -------------------------------------------------------------------------

    def teach(
        self, readers: Mapping[str, Sequence[tuple[MapReader, int]]], image_id: str, *, hard: bool
    ) -> Taught:
        """Return the most likely class of each pixel; unless `hard`, of those below 1/2 none."""
        import numpy as np

        from goldfold.ensemble.blend import blend_maps
        from goldfold.training.pseudo_labels import HALF, TOP

        weighted = readers[""]
        maps = (reader.read(image_id) for reader, _ in weighted)
        stack = blend_maps(maps, [weight for _, weight in weighted])
        levels = unstack(stack, len(self.form.classes))
        class_map, highest = most_likely(levels)[0], levels.max(axis=0)
        if not hard:
            class_map[highest <= HALF] = IGNORED_NUMBER
        painted = (class_map > 0) & (class_map != IGNORED_NUMBER)
        facts = {"area_px": int(np.count_nonzero(painted))}
        return Taught({"": class_map}, float(highest.mean()) / TOP, facts)

    def read_pseudo(self, path: Path, cache: Path, name: str, size: SizeLike) -> PseudoLabels:
        """Return the class maps at the size of a training, resized once and kept."""
        from goldfold.competitions.resize import resize_class_map
        from goldfold.inference.reader import MapReader
        from goldfold.training.pseudo_labels import cached_pseudo_labels

        with MapReader(path) as reader:
            return cached_pseudo_labels(
                cache,
                name,
                size,
                image_ids=reader.image_ids,
                read=[reader.read],
                made_from=fingerprint([fingerprint(reader.facts), self.form.classes]),
                resize=resize_class_map,
            )

    def pseudo_summary(self, kept: Sequence[Mapping[str, Any]]) -> str:
        """Return how many images have more than background."""
        return f"{sum(row['area_px'] > 0 for row in kept):,} with more than background"

    # --- submission ----------------------------------------------------------------------------

    def layout(self) -> Layout:
        """Return the columns of a submission of run-length encodings."""
        return layout_of(self.form)

    def cells(
        self, run: RunView, source: MemberSource, sample: Sample, layout: Layout
    ) -> list[tuple[str, Any]]:
        """Return the encoded mask of each row's class."""
        return semantic_cells(run, source, sample, layout)

    def plain_table(self, run: RunView, source: MemberSource) -> pd.DataFrame:
        """Refuse: encodings have the dialect and the columns of a sample submission."""
        return self._masks.plain_table(run, source)

    def shapes(self, images: pd.DataFrame) -> dict[str, tuple[int, int]] | None:
        """Return height and width of each test image, which encodings must not exceed."""
        return self._masks.shapes(images)

    def explain(self, run: RunView, source: MemberSource, row: pd.Series) -> list[Explanation]:
        """Return why the pixels of an image got their classes."""
        return [explain_class_map(run, source, row)]

    def compare(
        self, first: Path, second: Path, shapes: Mapping[str, tuple[int, int]] | None
    ) -> ComparedSubmissions:
        """Return where two submissions of masks differ."""
        return self._masks.compare(first, second, shapes)

    def comparison_lines(
        self, comparison: Any, first: Path, second: Path, images: int
    ) -> list[Line]:
        """Return how much two submissions of masks agree."""
        return self._masks.comparison_lines(comparison, first, second, images)

    def score(
        self,
        file: Path,
        solution: Path,
        shapes: Mapping[str, tuple[int, int]] | None,
        *,
        only_submitted: bool,
    ) -> ScoredSubmission:
        """Return the mean score of the rows of an image and a class, as with several masks."""
        return self._masks.score(file, solution, shapes, only_submitted=only_submitted)

    def score_lines(self, scores: Any) -> list[Line]:
        """Return the parts of a score beside the all-empty submission's."""
        return self._masks.score_lines(scores)

    @property
    def _masks(self) -> Task:
        """A submission has the form of several masks per image; these answer for it."""
        labels = self.form.labels
        if (
            labels.kind == "masks"
        ):  # the label files have no dialect: a solution is written as submissions
            labels = labels.model_copy(update={"dialect": self.form.submission.dialect})
        return Masks(self.form.model_copy(update={"labels": labels}))

    # --- export --------------------------------------------------------------------------------

    def image_decision(self, run: RunView, source: MemberSource) -> ImageDecision:
        """Return blend and least areas."""
        return semantic_images_of(run)

    def model_measures(self, chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the measures of the classes over all pixels."""
        return [{"fold": "all", "over": "pixels", **row} for row in chosen["measures"]]
