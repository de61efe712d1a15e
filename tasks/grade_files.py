"""Submissions of grades and numbers: writes, scores, compares and explains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.number_metric import KAPPA, reported_number_score
from goldfold.ensemble.number_scale import NumberScale
from goldfold.ensemble.numbers import NumberTruth
from goldfold.errors import InputError, list_problems
from goldfold.submissions.table import read_table
from goldfold.submissions.usage import images_to_score, parts_to_score, read_usage

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.submissions.layout import Layout
    from goldfold.tasks.run_view import MemberSource, RunView

FloatArray = NDArray[np.float64]
PREDICTED, NUMBER = "predicted", "number"
"""Columns of the table that replaces a submission where there is no sample."""


def number_cells(
    run: RunView, source: MemberSource, keys: Sequence[str], layout: Layout
) -> list[tuple[str, Any]]:
    """Return the grade or the number of each row of the sample.

    Raises:
        InputError: predictions are missing or outdated, or a row has none.
    """
    from goldfold.tasks.grade_ensemble import decide_run

    decided = decide_run(run, source, "test")
    known = dict(zip(decided.members.image_ids, decided.predicted.tolist(), strict=True))
    problems = [f"{key}: no prediction" for key in keys if layout.image_of(key) not in known]
    if problems:
        raise InputError(
            list_problems(
                f"{len(problems)} of {len(keys)} rows of the sample submission cannot be filled:",
                problems,
                f"Are their files in {run.settings.competition.data}? `{run.command('check')}`",
                limit=5,
            )
        )
    return [(key, decided.words(known[layout.image_of(key)])) for key in keys]


def plain_number_table(run: RunView, source: MemberSource) -> pd.DataFrame:
    """Return the number of each test image, and its grade where there are grades."""
    import pandas as pd

    from goldfold.tasks.grade_ensemble import decide_run

    decided = decide_run(run, source, "test")
    table = pd.DataFrame({"image_id": decided.members.image_ids})
    table[NUMBER] = decided.choice.scale.number(decided.place)
    if decided.choice.scale.grades:
        table[PREDICTED] = [decided.words(number) for number in decided.predicted.tolist()]
    return table


def read_number_file(path: Path, layout: Layout, scale: NumberScale) -> dict[str, float]:
    """Return image id -> grade from 0, or number.

    Raises:
        InputError: a column is missing, an image appears twice, or cells are not grades or
            numbers; the message names all of them.
    """
    table = read_table(path)
    keys = [table.require(name) for name in layout.key_columns]
    value = table.require(layout.value_columns[0])
    table.check_widths()
    numbers: dict[str, float] = {}
    problems = []
    for row in table.rows:
        key, cell = row.key(keys), row.cells[value].strip()
        if (fault := layout.fault(cell)) is not None:
            problems.append(f"{path.name} row {row.number}: {fault[1]}")
        elif key in numbers:
            problems.append(f"{path.name} row {row.number}: {key} is already in an earlier row")
        else:
            numbers[key] = float(scale.grades.index(cell)) if scale.grades else float(cell)
    if problems:
        title = f"{path} is malformed:"
        raise InputError(list_problems(title, problems, "Correct the file.", limit=10))
    if not numbers:
        raise InputError(f"{path} has no rows below the header.")
    return numbers


@dataclass(frozen=True)
class NumberPart:
    """The score of a submission on some of the images, and of the best single prediction."""

    score: float
    constant: float
    images: int


@dataclass(frozen=True)
class NumberScores:
    """Scores of a submission, overall and in the parts that the solution names.

    Attributes:
        metric: its name; where it is an error, scores are minus the error.
        parts: `overall`, and `public` and `private` where a Usage column has such rows.
        warnings: about ids of the submission that the solution lacks.
    """

    metric: str
    parts: dict[str, NumberPart]
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values, those of all images first."""
        others = {name: asdict(part) for name, part in self.parts.items() if name != "overall"}
        overall = asdict(self.parts["overall"])
        return {"metric": self.metric, **overall, **others, "warnings": self.warnings}


def score_numbers(
    file: Path,
    solution: Path,
    *,
    layout: Layout,
    scale: NumberScale,
    metric: str,
    only_submitted: bool,
) -> NumberScores:
    """Return the score of a submission; both files have the same layout.

    Raises:
        InputError: a file is malformed, or the submission lacks images.
    """
    submitted, true = (read_number_file(path, layout, scale) for path in (file, solution))
    image_ids, warnings = images_to_score(
        file, solution, list(submitted), list(true), only_submitted=only_submitted
    )
    table = read_table(solution)
    usage = read_usage(table, [table.require(name) for name in layout.key_columns])
    truth = NumberTruth(np.array([true[name] for name in image_ids]), scale, metric, image_ids)
    predicted = np.array([submitted[name] for name in image_ids])
    parts = {}
    for name, here in parts_to_score(image_ids, usage).items():
        own = truth.of(here)
        score = own.reported(predicted[here])
        parts[name] = NumberPart(score, own.constant(), int(here.sum()))
    return NumberScores(metric, parts, warnings)


@dataclass(frozen=True)
class NumberComparison:
    """Where two submissions differ.

    Attributes:
        images: id, and the grades from 0 or numbers of both; most different first.
        agreement: 1 for equal submissions.
        agreement_by: how it is measured: for grades the metric between both files, for numbers the
            rank correlation.
        only_first: ids that only the first file has.
        only_second: ids that only the second file has.
    """

    images: tuple[tuple[str, float, float], ...]
    agreement: float
    agreement_by: str
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def identical(self) -> int:
        """Return how many common images are the same in both."""
        return sum(first == second for _, first, second in self.images)

    @property
    def difference(self) -> float:
        """Return the mean absolute difference."""
        return float(np.mean([abs(first - second) for _, first, second in self.images]))

    def to_json(self, limit: int | None = None) -> dict[str, Any]:
        """Return the comparison as JSON values, with the images that differ."""
        differing = [image for image in self.images if image[1] != image[2]]
        return {
            "agreement": self.agreement,
            "agreement_by": self.agreement_by,
            "mean_difference": self.difference,
            "shared_images": len(self.images),
            "identical": self.identical,
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "differing": [
                {"image_id": image_id, "first": first, "second": second}
                for image_id, first, second in differing[:limit]
            ],
        }


def compare_numbers(
    first: Path, second: Path, *, layout: Layout, scale: NumberScale, metric: str
) -> NumberComparison:
    """Return where two submissions differ.

    Raises:
        InputError: a file is malformed, or they share no image.
    """
    by_first, by_second = (read_number_file(path, layout, scale) for path in (first, second))
    shared = [image_id for image_id in by_first if image_id in by_second]
    if not shared:
        raise InputError(f"{first} and {second} have no image in common. Compare their ids.")
    pairs = [(image_id, by_first[image_id], by_second[image_id]) for image_id in shared]
    agreement, agreement_by = _agreement(
        np.array([pair[1] for pair in pairs]), np.array([pair[2] for pair in pairs]), scale, metric
    )
    return NumberComparison(
        tuple(sorted(pairs, key=lambda pair: (-abs(pair[1] - pair[2]), pair[0]))),
        agreement,
        agreement_by,
        tuple(image_id for image_id in by_first if image_id not in by_second),
        tuple(image_id for image_id in by_second if image_id not in by_first),
    )


def _agreement(
    first: FloatArray, second: FloatArray, scale: NumberScale, metric: str
) -> tuple[float, str]:
    """Return how much two submissions agree as the metric sees it, and how that is measured."""
    import pandas as pd

    if (first == second).all():
        return 1.0, _agreement_name(scale, metric)
    if scale.grades and metric == KAPPA:
        return reported_number_score(KAPPA, first, second), _agreement_name(scale, metric)
    if scale.grades:
        return float((first == second).mean()), _agreement_name(scale, metric)
    correlation = float(pd.Series(first).corr(pd.Series(second), method="spearman"))
    return 0.0 if np.isnan(correlation) else correlation, _agreement_name(scale, metric)


def _agreement_name(scale: NumberScale, metric: str) -> str:

    if not scale.grades:
        return "rank correlation"
    return "quadratic weighted kappa of both" if metric == KAPPA else "equal grades"
