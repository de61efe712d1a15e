"""The competition's score of a submission against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.data_report import count_ids
from goldfold.competitions.level_truth import truth_score
from goldfold.competitions.metric import OBJECT_METRICS, scored_by_level, set_scores
from goldfold.competitions.objects import runs_score
from goldfold.competitions.pixel_runs import mask_of_runs, without_repeats
from goldfold.competitions.rle import (
    Dialect,
    Runs,
    area_px,
    intersection_px,
    merge_runs,
)
from goldfold.competitions.scores import Ratios
from goldfold.competitions.scores import Scores as ScoresOfImages
from goldfold.competitions.shapes import TrueShape
from goldfold.errors import InputError
from goldfold.metric_names import metric_name
from goldfold.submissions.mask_file import MaskReader, read_masks, read_objects_of
from goldfold.submissions.table import read_table
from goldfold.submissions.usage import images_to_score, parts_to_score, read_usage


@dataclass(frozen=True)
class PartScore:
    """The score on a part of the images."""

    score: float
    """Mean score of the images."""
    all_empty: float
    """Score of a submission of empty masks on the same images."""
    images: int
    non_empty: int
    """Number of images whose true mask is not empty."""
    predicted_non_empty: int
    """Number of images whose predicted mask is not empty."""


@dataclass(frozen=True)
class Scores:
    """Scores of a submission, overall and on the parts that the solution names."""

    metric: str
    parts: dict[str, PartScore]
    """`overall`, and `public` and `private` if the solution has a Usage column with such rows."""
    warnings: list[str] = field(default_factory=list)

    @property
    def overall(self) -> float:
        """Return the score on all images that are not ignored."""
        return self.parts["overall"].score

    @property
    def public(self) -> float | None:
        """Return the score on the Public images, None if the solution names none."""
        return self.parts["public"].score if "public" in self.parts else None

    @property
    def private(self) -> float | None:
        """Return the score on the Private images, None if the solution names none."""
        return self.parts["private"].score if "private" in self.parts else None

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values."""
        parts = {name: asdict(part) for name, part in self.parts.items()}
        return {"metric": self.metric, **parts, "warnings": self.warnings}


@dataclass(frozen=True)
class _Truth:
    masks: dict[str, list[Runs]]
    """Image id -> its non-empty masks; repeated objects are counted once."""
    repeated: list[str]
    """Ids of the images with repeated objects."""
    usage: dict[str, str]
    """Image id -> public, private or ignored; empty without a Usage column."""


def score_submission(
    file: Path,
    solution: Path,
    *,
    metric: str,
    id_column: str,
    rle_column: str,
    dialect: Dialect,
    shape: tuple[int, int] | None,
    shapes: Mapping[str, tuple[int, int]] | None = None,
    solution_dialect: Dialect | None = None,
    solution_rle_column: str | None = None,
    class_column: str | None = None,
    class_separator: str = "",
    objects: bool = False,
    only_submitted: bool = False,
) -> Scores:
    """Return the competition's score of a submission.

    Masks are compared as runs, without decoding them. Ids of the file that are not in the solution
    are left out with a warning.

    Args:
        file: the submission.
        solution: the truth, one or several rows per image (merged), with or without a column
            `Usage` of Public, Private and Ignored. A label table works, too, if it has the same
            columns and a row for each key.
        metric: a name in `goldfold.competitions.metric.METRICS` or `OBJECT_METRICS`; with a metric
            of objects, each non-empty row of submission and solution is an object.
        id_column: column with the image ids, in both files.
        rle_column: column with the encoded masks, in both files.
        dialect: run-length dialect of the masks.
        shape: height and width of the images, None if they differ or are not known.
        shapes: image id -> height and width, where they differ.
        solution_dialect: run-length dialect of the solution, if it is a different one.
        solution_rle_column: column with the solution's masks, if it has no `rle_column`.
        class_column: column with the class, if there is one row per image and class; each such
            pair counts as one image.
        class_separator: separates image and class in the id column, if they are joined.
        objects: whether an image may have several rows in the submission, which must not overlap.
        only_submitted: score only the images of the file, even if the solution has more.

    Raises:
        InputError: a file cannot be read, lacks a column or has malformed masks; the submission
            lacks images of the solution, repeats an id (unless rows are objects) or has objects
            that overlap; Usage has another value; or the two dialects count pixels in different
            orders. The message names all rows at fault.
    """
    solution_dialect = solution_dialect or dialect
    if solution_dialect.order != dialect.order:
        raise InputError(
            f"the submission's dialect {dialect.name!r} counts pixels by {dialect.order}, the "
            f"solution's {solution_dialect.name!r} by {solution_dialect.order}. Rewrite one of the "
            "files in the order of the other."
        )
    by_object = metric_name(metric) in OBJECT_METRICS
    reader = MaskReader(
        id_column, rle_column, shape, shapes, objects or by_object, class_column, class_separator
    )
    other = solution_rle_column or rle_column
    has_own = read_table(solution).column(rle_column) is not None
    truths = reader if has_own else replace(reader, rle_column=other)
    truth = _read_truth(solution, truths, solution_dialect, by_object)
    if reader.objects:
        predicted = read_objects_of(file, reader, dialect)
    else:
        predicted = {name: [runs] for name, runs in read_masks(file, reader, dialect).items()}
    image_ids, warnings = images_to_score(
        file, solution, list(predicted), list(truth.masks), only_submitted=only_submitted
    )
    repeats = count_ids(
        truth.repeated, "image has", "images have", "repeated objects; each counts once"
    )
    warnings += [f"{solution}: {line}" for line in repeats]
    judged = _Judged(metric, reader, dialect, image_ids)
    return Scores(metric, _score_parts(judged, predicted, truth), warnings)


@dataclass(frozen=True)
class _Judged:
    """What is scored, and by what."""

    metric: str
    reader: MaskReader
    dialect: Dialect
    keys: list[str]
    """Of an image, or of an image and a class."""

    def shape_scores(self, pairs: Sequence[tuple[Runs, Runs]]) -> NDArray[np.float64]:
        """Return the scores of masks by their shape, from predicted and true runs.

        Raises:
            InputError: the size of an image is not known.
        """
        scores = []
        for key, pair in zip(self.keys, pairs, strict=True):
            size = self.reader.size_of(key)
            if size is None:
                raise InputError(
                    f'metric "{self.metric}" needs height and width of {key}: set '
                    "competition.images.shape, or score with a run directory, which knows them."
                )
            predicted, true = (mask_of_runs(runs, *size, self.dialect.order) for runs in pair)
            scores.append(truth_score(TrueShape(true, self.metric), predicted))
        return np.array(scores)

    def classes(self) -> NDArray[np.int64]:
        """Return the number of the class of each key, (N,): 0 where an image has one mask."""
        names = [self.reader.class_of(key) for key in self.keys]
        return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _score_parts(
    judged: _Judged, predicted: Mapping[str, list[Runs]], truth: _Truth
) -> dict[str, PartScore]:
    metric = judged.metric
    masks = [(predicted[key], truth.masks[key]) for key in judged.keys]
    pairs = [(merge_runs(predicted_runs), merge_runs(true)) for predicted_runs, true in masks]
    predicted_px = np.array([area_px(pair[0]) for pair in pairs])
    true_px = np.array([area_px(pair[1]) for pair in pairs])
    scores: ScoresOfImages
    empty: ScoresOfImages
    if (name := metric_name(metric)) in OBJECT_METRICS:
        scores = np.array([runs_score(said, true, name) for said, true in masks])
        empty = np.array([runs_score([], true, name) for _, true in masks])
    elif scored_by_level(metric):
        nothing = merge_runs([])
        scores = judged.shape_scores(pairs)
        empty = judged.shape_scores([(nothing, true) for _, true in pairs])
    else:
        intersection = np.array([intersection_px(*pair) for pair in pairs])
        scores = set_scores(metric, intersection, predicted_px, true_px)
        empty = set_scores(metric, np.zeros_like(true_px), np.zeros_like(true_px), true_px)
    classes = judged.classes()

    def part(chosen: NDArray[np.bool_]) -> PartScore:
        return PartScore(
            score=_of_classes(scores, classes, chosen),
            all_empty=_of_classes(empty, classes, chosen),
            images=int(chosen.sum()),
            non_empty=int((true_px[chosen] > 0).sum()),
            predicted_non_empty=int((predicted_px[chosen] > 0).sum()),
        )

    parts = parts_to_score(judged.keys, truth.usage)
    return {name: part(images) for name, images in parts.items()}


def _of_classes(
    scores: ScoresOfImages, classes: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> float:
    """Return the score of some masks: of all of them, or the mean over classes of their ratios."""
    if not isinstance(scores, Ratios):
        return float(scores[chosen].mean())
    known = np.unique(classes[chosen])
    return float(np.mean([scores[chosen & (classes == number)].mean() for number in known]))


def _read_truth(solution: Path, reader: MaskReader, dialect: Dialect, by_object: bool) -> _Truth:
    table = read_table(solution)
    masks: dict[str, list[Runs]] = {}
    for _, image_id, runs in reader.read(table, dialect):
        masks.setdefault(image_id, []).extend([runs] if len(runs) else [])
    repeated = []
    for image_id, rows in masks.items() if by_object else ():
        if len(unique := without_repeats(rows)) < len(rows):
            masks[image_id] = unique
            repeated.append(image_id)
    return _Truth(masks, repeated, read_usage(table, reader.key_places(table)))
