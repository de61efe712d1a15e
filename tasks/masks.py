"""Masks: one per image, or one per image and class, which may overlap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold.competitions.images_table import mask_sizes
from goldfold.competitions.metric import scored_by_level
from goldfold.competitions.rle import get_dialect
from goldfold.errors import InputError
from goldfold.files import fingerprint
from goldfold.submissions.compare import compare_submissions
from goldfold.submissions.mask_file import MaskReader
from goldfold.tasks.mask_blends import compare_mask_blends
from goldfold.tasks.mask_ensemble import assess_masks, judged_masks
from goldfold.tasks.mask_explanation import explain_mask
from goldfold.tasks.mask_held_out import (
    encoded_masks,
    ignored_masks,
    judge_masks,
    see_mask_sets,
    see_masks,
)
from goldfold.tasks.mask_images import mask_images_of
from goldfold.tasks.mask_submission import mask_cells
from goldfold.tasks.mask_training import mask_fold_data
from goldfold.tasks.mask_words import comparison_lines, ensemble_lines, score_lines
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
    from goldfold.settings_dialect import DialectSetting
    from goldfold.submissions.compare import Comparison
    from goldfold.submissions.layout import Layout
    from goldfold.submissions.score import Scores
    from goldfold.submissions.table import Sample
    from goldfold.tasks.image_decision import ImageDecision
    from goldfold.training.cache import ImageCache
    from goldfold.training.fold_run import FoldData
    from goldfold.training.pseudo_labels import PseudoLabels


class Masks(Task):
    """A competition whose images have a mask, or a mask of each class."""

    @property
    def records(self) -> list[str]:
        """Names of the masks of an image, "" for the only one."""
        return self.form.mask_classes or [""]

    @property
    def seen_per_image(self) -> int:
        """Masks of an image."""
        return self.form.outputs

    def describe(self) -> str:
        """Return whose masks are predicted."""
        names = ", ".join(self.form.classes)
        return f"masks of {names}" if names else "one mask per image"

    def same_as(self, other: Task) -> bool:
        """Accept the same masks in any order: they are read by the names of their classes."""
        return isinstance(other, Masks) and sorted(self.form.classes) == sorted(other.form.classes)

    # --- training ------------------------------------------------------------------------------

    def label_facts(self, train: pd.DataFrame) -> list[object]:
        """Return the masks of each class and which of them mirrors exchange."""
        ignored = ignored_masks(self.form, train)
        facts: list[object] = [] if ignored is None else [ignored]
        if not self.form.mask_classes:
            return facts
        return [self.form.classes, encoded_masks(self.form, train), self.form.mirror, *facts]

    def cached_masks(self, train: pd.DataFrame) -> list[tuple[str, ...]]:
        """Return each image's encoded masks as outputs are ordered, ignored pixels last."""
        masks, ignored = encoded_masks(self.form, train), ignored_masks(self.form, train)
        if ignored is None:
            return masks
        return [(*of_image, left_out) for of_image, left_out in zip(masks, ignored, strict=True)]

    def non_empty(self, train: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which images have a mask with pixels, (N,)."""
        flags: NDArray[np.bool_] = (train["area_px"] > 0).to_numpy()
        return flags

    def masks_present(self, train: pd.DataFrame) -> dict[str, bool]:
        """Return by image id whether there is a mask."""
        return dict(zip(train["image_id"], train["area_px"] > 0, strict=True))

    def nothing_is_empty(self, train: pd.DataFrame) -> str:
        """Return "no training mask is empty" where that is so."""
        return "no training mask is empty" if self.non_empty(train).all() else ""

    def fold_data(self, lessons: Lessons) -> FoldData:
        """Return images to learn from, and held-out ones with their masks at original size."""
        return mask_fold_data(self.form, lessons)

    def target_shape(self, count: int, input_size: ImageSize) -> tuple[int, ...]:
        """Return (N, C, H, W)."""
        return (count, self.form.outputs, *input_size)

    # --- prediction ----------------------------------------------------------------------------

    def forward(self, predictor: Predictor, chosen: pd.DataFrame) -> Forward[Any]:
        """Return how 8-bit maps at original size are predicted."""
        from goldfold.inference.predict import map_forward

        sizes = mask_sizes(chosen, self.form.mask_size)
        return map_forward(predictor, list(chosen["image_id"]), sizes, self.records)

    def see(
        self, run: RunView, predictor: Predictor, cache: ImageCache, held_out: pd.DataFrame
    ) -> NDArray[np.int64]:
        """Return histograms of the held-out images' masks, (N C, 2 or 3, 256)."""
        return see_masks(run, predictor, cache, held_out)

    def see_sets(
        self,
        run: RunView,
        predictor: Predictor,
        cache: ImageCache,
        held_out: pd.DataFrame,
        views: SetsOfViews,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return histograms under each set of views, (sets, N C, 2 or 3, 256), and seconds (V,)."""
        return see_mask_sets(run, predictor, cache, held_out, views)

    def score_of(
        self, run: RunView, held_out: pd.DataFrame
    ) -> Callable[[Any, NDArray[np.bool_]], float]:
        """Return what scores histograms at their best thresholds."""
        from goldfold.ensemble.soup import mask_score

        return mask_score(self.form.metric)

    def judge(
        self,
        run: RunView,
        ways: Sequence[Sequence[Any]],
        held_out: Sequence[pd.DataFrame],
        base: int,
    ) -> Judgement:
        """Return cross-fitted scores of ways to predict the same masks."""
        return judge_masks(run, ways, held_out, base)

    # --- blend and thresholds ------------------------------------------------------------------

    def judged_facts(self, run: RunView) -> dict[str, Any]:
        """Return settings, metric, folds and masks."""
        return {
            "settings": run.settings.ensemble.facts,
            "metric": self.form.metric,
            "folds": fingerprint(run.folds.to_dict(orient="list")),
            "masks": fingerprint([list(run.images["image_id"]), *judged_masks(run)]),
        }

    def assess(
        self, run: RunView, source: MemberSource, made_from: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return blend and rule of each mask; metrics.csv and heat maps are written."""
        return assess_masks(run, source, made_from)

    def compare_blends(self, run: RunView, source: MemberSource) -> dict[str, Any]:
        """Return ways to blend, class by class where an image has several masks."""
        if scored_by_level(self.form.metric):
            raise InputError(
                "`ensemble blend` compares blends on some pixels of each image, which do not tell "
                f'what competition.metric = "{self.form.metric}" compares. '
                "Set ensemble.merge or ensemble.weights, and compare the honest scores of "
                f"`{run.command('ensemble run')}`."
            )
        reports = {name: compare_mask_blends(run, source, name) for name in self.records}
        return {"classes": reports} if self.form.mask_classes else reports[""]

    def ensemble_lines(self, report: Mapping[str, Any]) -> list[Line]:
        """Return scores and rules."""
        return ensemble_lines(report)

    # --- pseudo-labels -------------------------------------------------------------------------

    def teach(
        self, readers: Mapping[str, Sequence[tuple[MapReader, int]]], image_id: str, *, hard: bool
    ) -> Taught:
        """Return the blended maps; the least certain mask of an image counts."""
        import numpy as np

        from goldfold.ensemble.blend import blend_maps
        from goldfold.training.pseudo_labels import HALF, confidence, label_of

        maps = {
            name: blend_maps(
                (reader.read(image_id) for reader, _ in weighted),
                [weight for _, weight in weighted],
            )
            for name, weighted in readers.items()
        }
        area = int(np.logical_or.reduce([levels > HALF for levels in maps.values()]).sum())
        return Taught(
            {name: label_of(levels, hard=hard) for name, levels in maps.items()},
            min(confidence(levels) for levels in maps.values()),
            {"area_px": area},
        )

    def read_pseudo(self, path: Path, cache: Path, name: str, size: SizeLike) -> PseudoLabels:
        """Return the maps at the size of a training, resized once and kept."""
        from goldfold.inference.reader import MapReader
        from goldfold.training.pseudo_labels import cached_pseudo_labels

        with ExitStack() as stack:
            readers = [stack.enter_context(MapReader(path, record)) for record in self.records]
            return cached_pseudo_labels(
                cache,
                name,
                size,
                image_ids=readers[0].image_ids,
                read=[reader.read for reader in readers],
                made_from=fingerprint([fingerprint(readers[0].facts), *self.records]),
            )

    def pseudo_summary(self, kept: Sequence[Mapping[str, Any]]) -> str:
        """Return how many images have a mask."""
        return f"{sum(row['area_px'] > 0 for row in kept):,} with a mask"

    # --- submission ----------------------------------------------------------------------------

    def layout(self) -> Layout:
        """Return the columns of a submission of run-length encodings."""
        return layout_of(self.form)

    def cells(
        self, run: RunView, source: MemberSource, sample: Sample, layout: Layout
    ) -> list[tuple[str, Any]]:
        """Return the encoded mask or objects of each row."""
        return mask_cells(run, source, sample, layout)

    def plain_table(self, run: RunView, source: MemberSource) -> pd.DataFrame:
        """Refuse: encodings have the dialect and the columns of a sample submission."""
        raise InputError(
            "masks are written like a sample submission: set competition.submission.sample to its "
            "file name."
        )

    def shapes(self, images: pd.DataFrame) -> dict[str, tuple[int, int]]:
        """Return height and width of each image's masks, which encodings must not exceed."""
        sizes = mask_sizes(images, self.form.mask_size)
        return dict(zip(images["image_id"], sizes, strict=True))

    def explain(self, run: RunView, source: MemberSource, row: pd.Series) -> list[Explanation]:
        """Return why an image got its mask, or each of its masks in the order of the classes."""
        return [explain_mask(run, source, row, name) for name in self.records]

    def compare(
        self, first: Path, second: Path, shapes: Mapping[str, tuple[int, int]] | None
    ) -> Comparison:
        """Return where two submissions of masks differ."""
        dialect = get_dialect(self.form.submission.dialect)
        return compare_submissions(first, second, self._reader(shapes), dialect)

    def comparison_lines(
        self, comparison: Any, first: Path, second: Path, images: int
    ) -> list[Line]:
        """Return how much two submissions of masks agree."""
        return comparison_lines(comparison, first, second, images)

    def score(
        self,
        file: Path,
        solution: Path,
        shapes: Mapping[str, tuple[int, int]] | None,
        *,
        only_submitted: bool,
    ) -> Scores:
        """Return the score of a submission of masks, overall, Public and Private."""
        from goldfold.submissions.score import score_submission

        form = self.form
        return score_submission(
            file,
            solution,
            metric=form.metric,
            id_column=form.submission.id_column,
            rle_column=form.submission.rle_column,
            dialect=get_dialect(form.submission.dialect),
            solution_dialect=get_dialect(self._solution_dialect()),
            shape=form.mask_size or form.images.shape,
            shapes=shapes,
            solution_rle_column=form.labels.rle_column,
            class_column=form.submission.class_column,
            class_separator=form.submission.class_separator,
            objects=form.submission.objects,
            only_submitted=only_submitted,
        )

    def _solution_dialect(self) -> DialectSetting:
        """Return the dialect of a solution; masks in files have none, so it is the submission's."""
        form = self.form
        return form.labels.dialect if form.labels.kind == "rle" else form.submission.dialect

    def score_lines(self, scores: Any) -> list[Line]:
        """Return the parts of a score beside the all-empty submission's."""
        return score_lines(scores)

    def _reader(self, shapes: Mapping[str, tuple[int, int]] | None) -> MaskReader:

        form = self.form.submission
        return MaskReader(
            form.id_column,
            form.rle_column,
            self.form.mask_size or self.form.images.shape,
            shapes,
            form.objects,
            form.class_column,
            form.class_separator,
        )

    # --- export --------------------------------------------------------------------------------

    def image_decision(self, run: RunView, source: MemberSource) -> ImageDecision:
        """Return blend and rule, or those of each class."""
        return mask_images_of(run)

    def model_measures(self, chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the overlap of the masks, of each class if there are several."""
        if not self.form.mask_classes:
            return list(chosen.get("overlap", []))
        return [
            {"class": name, **row}
            for name in self.form.mask_classes
            for row in chosen["classes"][name].get("overlap", [])
        ]
