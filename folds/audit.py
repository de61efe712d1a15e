"""The audit of a fold table: leaks first, then faults, then uneven folds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from goldfold.errors import InputError
from goldfold.folds.audit_columns import ColumnCount, count_columns
from goldfold.folds.finding import Finding, ids_finding, natural, several_folds
from goldfold.folds.group_keys import label_text

TOLERANCE = 0.10
"""A fold is uneven if it differs from an even share by more than this fraction ..."""
TOLERANCE_IMAGES = 2
"""... and by more than this number of images."""
MOST_FOLDS = 50
"""More folds than this probably mean that the wrong column was read as the fold."""
_NO_COMMON_ID = "no-common-id"


@dataclass(frozen=True)
class FoldCount:
    """What is in one fold."""

    fold: str
    images: int
    groups: int | None
    """None if no groups were given."""
    non_empty: int | None
    """None if it is not known which masks are non-empty."""


@dataclass(frozen=True)
class AuditReport:
    """Everything an audit found."""

    leaks: tuple[Finding, ...]
    """Training data shows up in validation, so scores with this table are too high."""
    problems: tuple[Finding, ...]
    """The table does not match the images."""
    warnings: tuple[Finding, ...]
    """Uneven folds, and what could not be compared."""
    rows: int
    images: int
    folds: tuple[FoldCount, ...]
    columns: tuple[ColumnCount, ...] = ()
    """Columns that look like groups, whether or not each value stays in one fold."""

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
        """Return whether the table contains any of the expected images."""
        return all(problem.kind != _NO_COMMON_ID for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values for `json.dumps`."""
        states = {"leaking": self.leaking, "ok": self.ok, "judgeable": self.judgeable}
        return {**states, **asdict(self)}

    def text(self, limit: int = 5) -> str:
        """Return the findings as text, with up to `limit` cases of each."""
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
    groups: Mapping[Any, Any] | None = None,
    expected_ids: Iterable[str] | None = None,
    non_empty: Mapping[str, bool] | None = None,
    content: Mapping[str, str] | None = None,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    declined: Collection[str] = (),
    sites: Collection[str] = (),
) -> AuditReport:
    """Return everything that is wrong with a fold table.

    A fold is uneven if its number of images, or of non-empty images, differs from an even share by
    more than 10 % and by more than 2. The even share of non-empty images is the number of images in
    the fold times the overall fraction of non-empty images.

    Args:
        table: image_id and fold, one row per image (from `read_fold_table` or
            `build_fold_table`). A fold of "" is missing.
        groups: image_id -> patient; an image without one, or with "" or NaN, is its own group.
        expected_ids: ids of the images that the table should contain.
        non_empty: image_id -> whether its mask is non-empty (its area works, too).
        content: image_id -> hash of the pixels (`content_hashes`); "" is not compared.
        columns: name of each further column that looks like a group -> image_id -> value; "" is
            not compared.
        declined: names of the columns whose images are independent; they are counted but are not
            reported as leaks.
        sites: names of the columns with places where images were taken; as `declined`.

    Raises:
        InputError: without expected_ids, no image of the table is in `groups`, so that nothing
                could be compared.

    >>> table = pd.DataFrame({"image_id": ["a", "b"], "fold": [0, 1]})
    >>> print(audit_folds(table, groups={"a": 7, "b": 7}).leaks[0].cases[0])
    7: 1 in fold 0, 1 in fold 1
    """
    rows = pd.DataFrame(
        {"image_id": table["image_id"].astype(str), "fold": table["fold"].astype(str)}
    )
    named = rows[rows["image_id"] != ""]
    placed = named[named["fold"] != ""].drop_duplicates(ignore_index=True)
    if expected_ids is None:
        _require_common_ids(placed, groups)
    leaks = [
        several_folds(placed, placed["image_id"], "id"),
        several_folds(placed, _looked_up(placed, groups), "group"),
        several_folds(placed, _looked_up(placed, content), "content"),
        *(
            several_folds(placed, _looked_up(placed, values), "column", name)
            for name, values in (columns or {}).items()
            if name not in declined and name not in sites
        ),
    ]
    problems = [
        _without_id(rows),
        _without_fold(rows),
        _twice(named),
        *_unexpected(named, expected_ids),
        _without_positives(placed, non_empty),
        _single_fold(placed),
        _many_folds(placed),
    ]
    warnings = [
        _uneven_images(placed),
        _uneven_non_empty(placed, non_empty),
        _not_compared(placed, groups, "group"),
        _not_compared(placed, content, "content"),
    ]
    return AuditReport(
        leaks=_only_findings(leaks),
        problems=_only_findings(problems),
        warnings=_only_findings(warnings),
        rows=len(rows),
        images=named["image_id"].nunique(),
        folds=_fold_counts(placed, groups, non_empty),
        columns=count_columns(placed, columns or {}, declined, sites),
    )


def _only_findings(findings: Iterable[Finding | None]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding is not None)


def _looked_up(placed: pd.DataFrame, values: Mapping[Any, Any] | None) -> pd.Series:
    """Return the value of each image as text, None where it is not known."""
    known = {str(key): value for key, value in (values or {}).items() if not pd.isna(value)}
    texts = [label_text(known.get(image_id, "")) or None for image_id in placed["image_id"]]
    return pd.Series(texts, index=placed.index, dtype=object)


def _require_common_ids(placed: pd.DataFrame, groups: Mapping[Any, Any] | None) -> None:
    """Raise InputError if groups are about other images: the table would look free of leaks."""
    if groups and not placed.empty and not set(placed["image_id"]) & set(map(str, groups)):
        raise InputError(
            f"groups has none of the table's images: the table has {placed['image_id'][0]!r}, "
            f"groups has {str(next(iter(groups)))!r}. Pass image_id -> patient, for example "
            "dict(zip(table.image_id, table.patient_id))."
        )


def _without_id(rows: pd.DataFrame) -> Finding | None:
    # The header is row 1.
    numbers = [f"row {row}" for row, name in enumerate(rows["image_id"], 2) if name == ""]
    return ids_finding("no-id", f"rows without an id: {len(numbers)}.", numbers)


def _without_fold(rows: pd.DataFrame) -> Finding | None:
    ids = rows.loc[rows["fold"] == "", "image_id"]
    return ids_finding("fold-missing", f"rows without a fold: {len(ids)}.", ids)


def _twice(rows: pd.DataFrame) -> Finding | None:
    """Return the ids with several rows in the same fold (rows in several folds are a leak)."""
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
            f"none of the {len(present)} ids in the table belongs to one of the {len(expected)} "
            f"images, whose ids look like {next(iter(expected))}."
        )
        return [ids_finding(_NO_COMMON_ID, message, unknown)]
    text = f"images missing from the table: {len(missing)} of {len(expected)}."
    strange = f"ids in the table without a known image: {len(unknown)} of {len(present)}."
    return [
        ids_finding("id-missing", text, missing),
        ids_finding("id-unknown", strange, unknown),
    ]


def _without_positives(
    placed: pd.DataFrame, non_empty: Mapping[str, bool] | None
) -> Finding | None:
    """Return the folds without a non-empty mask, if any mask is non-empty."""
    if non_empty is None:
        return None
    positive = _positive(placed, non_empty).groupby(placed["fold"]).sum()
    if not positive.sum():
        return None
    folds = sorted((str(fold) for fold in positive.index[positive == 0]), key=natural)
    text = (
        f"folds without a non-empty mask, which cannot be scored: {len(folds)} of {len(positive)}."
    )
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
    text = f"{len(folds)} different folds: is this the fold column? Name it with --fold-column."
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
        f"fold {fold}: {int(count[fold])} {what}; an even share is {share[fold]:.1f}"
        for fold in sorted(uneven, key=natural)
    ]
    message = (
        f"folds that differ from an even share of {what} by more than {TOLERANCE:.0%}: "
        f"{len(cases)} of {len(count)}."
    )
    return ids_finding(f"uneven-{what.replace(' ', '-')}", message, cases)


def _not_compared(
    placed: pd.DataFrame, values: Mapping[str, str] | None, what: str
) -> Finding | None:
    """Return the images that could not be compared because their group or hash is not known."""
    if values is None:
        return None
    ids = [name for name in dict.fromkeys(placed["image_id"]) if name not in values]
    text = f"images without a known {what}, which were not compared: {len(ids)}."
    return ids_finding(f"{what}-unknown", text, ids)


def _positive(placed: pd.DataFrame, non_empty: Mapping[str, bool]) -> pd.Series:
    """Return whether each image has a non-empty mask; images without an entry have none."""
    return placed["image_id"].map(lambda name: bool(non_empty.get(name, False))).astype(bool)


def _fold_counts(
    placed: pd.DataFrame, groups: Mapping[str, str] | None, non_empty: Mapping[str, bool] | None
) -> tuple[FoldCount, ...]:
    # An image without a group is its own group.
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
