"""What is wrong with a fold table: leaks first, then faults, then unevenness."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from goldfold.folds.audit_columns import ColumnCount, count_columns
from goldfold.folds.finding import Finding, ids_finding, natural, several_folds

TOLERANCE = 0.10
"""A fold is uneven if it is off its even share by more than this fraction ..."""
TOLERANCE_IMAGES = 2
"""... and by more than this number of images."""
MOST_FOLDS = 50
"""With more folds than this, another column was probably taken for the fold."""
_NO_COMMON_ID = "no-common-id"


@dataclass(frozen=True)
class FoldCount:
    """What is in one fold."""

    fold: str
    images: int
    groups: int | None
    """None if no groups were given."""
    non_empty: int | None
    """None if it was not said which masks are non-empty."""


@dataclass(frozen=True)
class AuditReport:
    """All that an audit found."""

    leaks: tuple[Finding, ...]
    """What is trained on shows in validation: the score of this table is not honest."""
    problems: tuple[Finding, ...]
    """The table does not fit the images."""
    warnings: tuple[Finding, ...]
    """Unevenness, and what could not be looked at."""
    rows: int
    images: int
    folds: tuple[FoldCount, ...]
    columns: tuple[ColumnCount, ...] = ()
    """Columns that look like groups, whole or not."""

    @property
    def leaking(self) -> bool:
        """Return whether anything leaks from one fold into another."""
        return bool(self.leaks)

    @property
    def ok(self) -> bool:
        """Return whether there are neither leaks nor problems; warnings may remain."""
        return not self.leaks and not self.problems

    @property
    def judgeable(self) -> bool:
        """Return whether the table speaks of the expected images at all."""
        return all(problem.kind != _NO_COMMON_ID for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Return the whole report as plain values for `json.dumps`."""
        states = {"leaking": self.leaking, "ok": self.ok, "judgeable": self.judgeable}
        return {**states, **asdict(self)}

    def text(self, limit: int = 5) -> str:
        """Return the findings as lines, up to `limit` cases of each."""
        lines = []
        for title, findings in (
            ("LEAK", self.leaks),
            ("PROBLEM", self.problems),
            ("warning", self.warnings),
        ):
            for finding in findings:
                lines.append(f"{title}: {finding.message}")
                lines += [f"  {case}" for case in finding.cases[:limit]]
                if len(finding.cases) > limit:
                    lines.append(f"  ... and {len(finding.cases) - limit} more")
        lines += [line for column in self.columns if (line := column.text())]
        return "\n".join(lines)


def audit_folds(
    table: pd.DataFrame,
    *,
    groups: Mapping[str, str] | None = None,
    expected_ids: Iterable[str] | None = None,
    non_empty: Mapping[str, bool] | None = None,
    content: Mapping[str, str] | None = None,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    declined: Collection[str] = (),
) -> AuditReport:
    """Return everything that is wrong with a fold table, at once.

    A fold counts as uneven if its images, or its non-empty images, differ from an even share by
    more than 10 % and by more than 2. The even share of non-empty images is that of all images in
    the fold times the overall fraction.

    Args:
        table: image_id and fold, one row per image (`read_fold_table`, or `build_fold_table`). A
            fold of "" is a missing one.
        groups: image_id -> patient; "" = the image is its own group.
        expected_ids: the images that the table should have.
        non_empty: image_id -> whether its mask is non-empty (an area will do).
        content: image_id -> hash of the pixels (`content_hashes`); "" is not compared.
        columns: further columns that look like groups, by name: image_id -> value; "" is not
            compared.
        declined: names of those whose images are independent: they are counted, and do not leak.
    """
    rows = pd.DataFrame(
        {"image_id": table["image_id"].astype(str), "fold": table["fold"].astype(str)}
    )
    placed = rows[rows["fold"] != ""].drop_duplicates(ignore_index=True)
    leaks = [
        several_folds(placed, placed["image_id"], "id"),
        several_folds(placed, _looked_up(placed, groups), "group"),
        several_folds(placed, _looked_up(placed, content), "content"),
        *(
            several_folds(placed, _looked_up(placed, values), "column", name)
            for name, values in (columns or {}).items()
            if name not in declined
        ),
    ]
    problems = [
        _without_fold(rows),
        _twice(rows),
        *_unexpected(rows, expected_ids),
        _without_positives(placed, non_empty),
        _single_fold(placed),
        _many_folds(placed),
    ]
    warnings = [
        _uneven_images(placed),
        _uneven_non_empty(placed, non_empty),
        _unknown(placed, groups, "group"),
        _unknown(placed, content, "content"),
    ]
    return AuditReport(
        leaks=_found(leaks),
        problems=_found(problems),
        warnings=_found(warnings),
        rows=len(rows),
        images=rows["image_id"].nunique(),
        folds=_fold_counts(placed, groups, non_empty),
        columns=count_columns(placed, columns or {}, declined),
    )


def _found(findings: Iterable[Finding | None]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding is not None)


def _looked_up(placed: pd.DataFrame, values: Mapping[str, str] | None) -> pd.Series:
    """Return the value of each image, None where it has none."""
    known = values or {}
    found = [known.get(image_id) or None for image_id in placed["image_id"]]
    return pd.Series(found, index=placed.index, dtype=object)


def _without_fold(rows: pd.DataFrame) -> Finding | None:
    ids = rows.loc[rows["fold"] == "", "image_id"]
    return ids_finding("fold-missing", f"rows without a fold: {len(ids)}.", ids)


def _twice(rows: pd.DataFrame) -> Finding | None:
    """Return the ids that have several rows with the same fold; several folds are a leak."""
    ids = rows.loc[rows.duplicated(["image_id", "fold"]), "image_id"].drop_duplicates()
    return ids_finding("id-twice", f"ids with several rows in one fold: {len(ids)}.", ids)


def _unexpected(rows: pd.DataFrame, expected_ids: Iterable[str] | None) -> list[Finding | None]:
    if expected_ids is None:
        return []
    expected, present = dict.fromkeys(expected_ids), dict.fromkeys(rows["image_id"])
    missing = [name for name in expected if name not in present]
    unknown = [name for name in present if name not in expected]
    if present and expected and len(unknown) == len(present):
        message = (
            f"none of the {len(present)} ids of the table is one of the {len(expected)} images; "
            f"these have ids such as {next(iter(expected))}."
        )
        return [ids_finding(_NO_COMMON_ID, message, unknown)]
    text = f"images missing from the table: {len(missing)} of {len(expected)}."
    strange = f"ids in the table that are no known images: {len(unknown)} of {len(present)}."
    return [
        ids_finding("id-missing", text, missing),
        ids_finding("id-unknown", strange, unknown),
    ]


def _without_positives(
    placed: pd.DataFrame, non_empty: Mapping[str, bool] | None
) -> Finding | None:
    """Return the folds that have no non-empty mask, if there are non-empty masks at all."""
    if non_empty is None:
        return None
    positive = _positive(placed, non_empty).groupby(placed["fold"]).sum()
    if not positive.sum():
        return None
    folds = sorted((str(fold) for fold in positive.index[positive == 0]), key=natural)
    text = f"folds without a non-empty mask, not to be scored: {len(folds)} of {len(positive)}."
    return ids_finding("fold-without-positives", text, [f"fold {fold}" for fold in folds])


def _single_fold(placed: pd.DataFrame) -> Finding | None:
    folds = placed["fold"].nunique()
    if folds >= 2:
        return None
    text = f"cross-validation needs at least 2 folds, found {folds}."
    return Finding("too-few-folds", text, ())


def _many_folds(placed: pd.DataFrame) -> Finding | None:
    folds = placed["fold"].unique()
    if len(folds) <= MOST_FOLDS:
        return None
    text = f"{len(folds)} different folds: is it the fold column? Name it with --fold-column."
    return Finding("many-folds", text, tuple(sorted(folds, key=natural)))


def _uneven_images(placed: pd.DataFrame) -> Finding | None:
    count = placed["fold"].value_counts()
    share = pd.Series(len(placed) / max(1, len(count)), index=count.index)
    return _uneven("images", count, share)


def _uneven_non_empty(placed: pd.DataFrame, non_empty: Mapping[str, bool] | None) -> Finding | None:
    if non_empty is None or placed.empty:
        return None
    positive = _positive(placed, non_empty)
    by_fold = positive.groupby(placed["fold"])
    return _uneven("non-empty images", by_fold.sum(), by_fold.size() * positive.mean())


def _uneven(what: str, count: pd.Series, share: pd.Series) -> Finding | None:
    off = (count - share).abs()
    uneven = count.index[(off > TOLERANCE * share) & (off > TOLERANCE_IMAGES)]
    cases = [
        f"fold {fold}: {int(count[fold])} {what}, an even share is {share[fold]:.1f}"
        for fold in sorted(uneven, key=natural)
    ]
    message = (
        f"folds off their even share of {what} by more than {TOLERANCE:.0%}: "
        f"{len(cases)} of {len(count)}."
    )
    return ids_finding(f"uneven-{what.replace(' ', '-')}", message, cases)


def _unknown(placed: pd.DataFrame, values: Mapping[str, str] | None, what: str) -> Finding | None:
    """Return the images that could not be compared: they are in no table of groups or hashes."""
    if values is None:
        return None
    ids = [name for name in dict.fromkeys(placed["image_id"]) if name not in values]
    text = f"images without a known {what}, not compared by it: {len(ids)}."
    return ids_finding(f"{what}-unknown", text, ids)


def _positive(placed: pd.DataFrame, non_empty: Mapping[str, bool]) -> pd.Series:
    """Return whether the mask of each image is non-empty; images that are not named have none."""
    return placed["image_id"].map(lambda name: bool(non_empty.get(name, False))).astype(bool)


def _fold_counts(
    placed: pd.DataFrame, groups: Mapping[str, str] | None, non_empty: Mapping[str, bool] | None
) -> tuple[FoldCount, ...]:
    # An image without a group is a group of its own.
    own = _looked_up(placed, groups).fillna(placed["image_id"])
    positive = _positive(placed, non_empty or {})
    counts = []
    for fold, part in placed.groupby("fold"):
        counts.append(
            FoldCount(
                fold=str(fold),
                images=len(part),
                groups=None if groups is None else int(own[part.index].nunique()),
                non_empty=None if non_empty is None else int(positive[part.index].sum()),
            )
        )
    return tuple(sorted(counts, key=lambda count: natural(count.fold)))
