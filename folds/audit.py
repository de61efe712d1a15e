"""What is wrong with a fold table: leaks first, then faults, then unevenness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

TOLERANCE = 0.10
"""A fold is uneven if it is off its even share by more than this fraction ..."""
TOLERANCE_IMAGES = 2
"""... and by more than this number of images."""
MOST_FOLDS = 50
"""With more folds than this, another column was probably taken for the fold."""
_NO_COMMON_ID = "no-common-id"


@dataclass(frozen=True)
class Finding:
    """One kind of fault, with every case of it."""

    kind: str
    """Short name for machines, e.g. `group-in-several-folds`."""
    message: str
    """What was found and how often, in a sentence."""
    cases: tuple[str, ...]
    """Every case in a few words, the largest or first first."""


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
        return "\n".join(lines)


def audit_folds(
    table: pd.DataFrame,
    *,
    groups: Mapping[str, str] | None = None,
    expected_ids: Iterable[str] | None = None,
    non_empty: Mapping[str, bool] | None = None,
    content: Mapping[str, str] | None = None,
) -> AuditReport:
    """Return everything that is wrong with a fold table, at once.

    A fold counts as uneven if its images, or its non-empty images, differ from an even share by
    more than 10 % and by more than 2. The even share of non-empty images is that of all images in
    the fold times the overall fraction.

    Args:
        table: image_id and fold, one row an image (`read_fold_table`, or `build_folds`). A fold
            of "" is a missing one.
        groups: image_id -> patient; "" = the image is its own group.
        expected_ids: the images that the table should have.
        non_empty: image_id -> whether its mask is non-empty (an area will do).
        content: image_id -> hash of the pixels (`content_hashes`); "" is not compared.
    """
    rows = pd.DataFrame(
        {"image_id": table["image_id"].astype(str), "fold": table["fold"].astype(str)}
    )
    placed = rows[rows["fold"] != ""].drop_duplicates(ignore_index=True)
    leaks = [
        _several_folds(placed, placed["image_id"], "id"),
        _several_folds(placed, _looked_up(placed, groups), "group"),
        _several_folds(placed, _looked_up(placed, content), "content"),
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
    )


_NOUNS = {"id": "ids", "group": "groups", "content": "pictures"}
_MEANING = {
    "id": "the same image would be trained on and validated",
    "group": "the same patient would be trained on and validated",
    "content": "the same pixels would be trained on and validated",
}


def _found(findings: Iterable[Finding | None]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding is not None)


def _looked_up(placed: pd.DataFrame, values: Mapping[str, str] | None) -> pd.Series:
    """Return the value of each image, None where it has none."""
    known = values or {}
    found = [known.get(image_id) or None for image_id in placed["image_id"]]
    return pd.Series(found, index=placed.index, dtype=object)


def _several_folds(placed: pd.DataFrame, keys: pd.Series, what: str) -> Finding | None:
    """Return the keys (ids, groups, hashes) whose images stand in more than one fold."""
    known = placed.assign(key=keys).dropna(subset=["key"])
    spread = known.groupby("key")["fold"].nunique()
    leaking = spread.index[spread > 1]
    if leaking.empty:
        return None
    hit = known[known["key"].isin(leaking)]
    by_key = {str(key): part for key, part in hit.groupby("key", sort=True)}
    largest_first = sorted(by_key, key=lambda key: -len(by_key[key]))
    images = hit["image_id"].nunique()
    return Finding(
        kind=f"{what}-in-several-folds",
        message=f"{_NOUNS[what]} in more than one fold: {len(leaking)} of {len(spread)} "
        f"({images} images); {_MEANING[what]}.",
        cases=tuple(_spread_case(key, by_key[key], what) for key in largest_first),
    )


def _spread_case(key: str, part: pd.DataFrame, what: str) -> str:
    if what == "content":
        ids = zip(part["image_id"], part["fold"], strict=True)
        return ", ".join(f"{image_id} in fold {fold}" for image_id, fold in ids)
    count = Counter(part["fold"])
    folds = sorted(count, key=_natural)
    if what == "id":
        return f"{key} in folds {', '.join(folds)}"
    return f"{key}: " + ", ".join(f"{count[fold]} in fold {fold}" for fold in folds)


def _without_fold(rows: pd.DataFrame) -> Finding | None:
    ids = rows.loc[rows["fold"] == "", "image_id"]
    return _ids_finding("fold-missing", f"rows without a fold: {len(ids)}.", ids)


def _twice(rows: pd.DataFrame) -> Finding | None:
    """Return the ids that have several rows with the same fold; several folds are a leak."""
    ids = rows.loc[rows.duplicated(["image_id", "fold"]), "image_id"].drop_duplicates()
    return _ids_finding("id-twice", f"ids with several rows in one fold: {len(ids)}.", ids)


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
        return [_ids_finding(_NO_COMMON_ID, message, unknown)]
    text = f"images missing from the table: {len(missing)} of {len(expected)}."
    strange = f"ids in the table that are no known images: {len(unknown)} of {len(present)}."
    return [
        _ids_finding("id-missing", text, missing),
        _ids_finding("id-unknown", strange, unknown),
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
    folds = sorted((str(fold) for fold in positive.index[positive == 0]), key=_natural)
    text = f"folds without a non-empty mask, not to be scored: {len(folds)} of {len(positive)}."
    return _ids_finding("fold-without-positives", text, [f"fold {fold}" for fold in folds])


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
    return Finding("many-folds", text, tuple(sorted(folds, key=_natural)))


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
        for fold in sorted(uneven, key=_natural)
    ]
    message = (
        f"folds off their even share of {what} by more than {TOLERANCE:.0%}: "
        f"{len(cases)} of {len(count)}."
    )
    return _ids_finding(f"uneven-{what.replace(' ', '-')}", message, cases)


def _unknown(placed: pd.DataFrame, values: Mapping[str, str] | None, what: str) -> Finding | None:
    """Return the images that could not be compared: they are in no table of groups or hashes."""
    if values is None:
        return None
    ids = [name for name in dict.fromkeys(placed["image_id"]) if name not in values]
    text = f"images without a known {what}, not compared by it: {len(ids)}."
    return _ids_finding(f"{what}-unknown", text, ids)


def _ids_finding(kind: str, message: str, cases: Collection[str]) -> Finding | None:
    return Finding(kind, message, tuple(cases)) if len(cases) else None


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
    return tuple(sorted(counts, key=lambda count: _natural(count.fold)))


def _natural(fold: str) -> tuple[int, int, str]:
    """Sort folds by number, then the others by name."""
    return (0, int(fold), "") if fold.lstrip("-").isdigit() else (1, 0, fold)
