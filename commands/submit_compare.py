"""`goldfold submit compare`: where two submissions differ, of masks or of classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.submissions.compare import Comparison
    from goldfold.submissions.label_compare import LabelComparison


def compare_files(
    first: Path, second: Path, competition: str | None
) -> Comparison | LabelComparison:
    """Return where two submissions differ.

    Raises:
        InputError: a file is malformed, or it is not clear which competition they are for.
    """
    from goldfold.commands.submission_form import find_form, label_layout
    from goldfold.competitions.rle import get_dialect
    from goldfold.submissions.compare import compare_submissions
    from goldfold.submissions.label_compare import compare_labels
    from goldfold.submissions.mask_file import MaskReader

    form, shapes = find_form(first, competition)
    if form.is_classification:
        return compare_labels(
            first,
            second,
            layout=label_layout(form),
            classes=form.classes,
            exclusive=form.exclusive,
            metric=form.metric,
        )
    told = form.submission
    reader = MaskReader(
        told.id_column,
        told.rle_column,
        form.images.shape,
        shapes,
        told.objects,
        told.class_column,
        told.class_separator,
    )
    return compare_submissions(first, second, reader, get_dialect(told.dialect))


def show_comparison(
    found: Comparison | LabelComparison, first: Path, second: Path, images: int
) -> None:
    """Print where two submissions differ, with up to so many images to look at."""
    from goldfold.commands import show
    from goldfold.submissions.compare import Comparison

    for file, ids in ((first, found.only_first), (second, found.only_second)):
        if ids:
            some = ", ".join(ids[:3])
            show.out(f"only in {file}: {len(ids):,} images, such as {some}")
    if isinstance(found, Comparison):
        _show_masks(found, first, second, images)
    else:
        _show_labels(found, images)


def _show_masks(found: Comparison, first: Path, second: Path, images: int) -> None:
    from goldfold.commands import show

    shared = len(found.images)
    show.out(
        f"agreement on {shared:,} images: mean Dice {found.dice:.4f}, {found.identical:,} identical"
    )
    table = found.table()
    rows = [
        [f"{first}: empty", table["both_empty"], table["only_first_empty"]],
        [f"{first}: not empty", table["only_second_empty"], table["neither_empty"]],
    ]
    show.out(show.table(["", f"{second}: empty", "not empty"], rows))
    differing = [one for one in found.images if one.dice < 1][:images]
    if differing:
        lines = [
            [one.image_id, f"{one.dice:.4f}", one.first_px, one.second_px] for one in differing
        ]
        show.out(show.table(["look at", "Dice", "px", "px of the other"], lines))


def _show_labels(found: LabelComparison, images: int) -> None:
    from goldfold.commands import show

    cut = "" if found.labels_from == "the files" else ", cut at one half"
    show.out(
        f"agreement on {len(found.images):,} images: {found.agreement:.4f} ({found.agreement_by}); "
        f"{found.same_labels:.1%} with equal labels{cut}, {found.identical:,} identical"
    )
    rows = [
        [
            one.name,
            f"{one.difference:.4f}",
            "n/a" if one.rank_correlation is None else f"{one.rank_correlation:.4f}",
            one.named_first,
            one.named_second,
            one.named_both,
        ]
        for one in found.classes
    ]
    headers = ["class", "mean difference", "rank correlation", "named", "by the other", "by both"]
    show.out(show.table(headers, rows))
    differing = [one for one in found.images if one.difference or not one.same_label][:images]
    if differing:
        lines = [
            [one.image_id, f"{one.difference:.4f}", one.most_different, f"{one.first:.4f}",
             f"{one.second:.4f}", "" if one.same_label else "other label"]
            for one in differing
        ]  # fmt: skip
        headers = ["look at", "mean difference", "most in", "probability", "of the other", ""]
        show.out(show.table(headers, lines))
