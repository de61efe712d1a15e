"""Out-of-fold bookkeeping: no image is judged by a model that saw its group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from goldfold.errors import InputError, list_problems, plural


def check_out_of_fold(
    stores: Iterable[tuple[str, int, Iterable[str]]],
    fold_of: Mapping[str, int],
    group_of: Mapping[str, str],
) -> None:
    """Accept stores whose images, and all images of their groups, were held out from their models.

    The models of fold f are trained on every image of another fold. So an image may be predicted by
    them out of fold only if it lies in f, and so does every image of its group.

    Args:
        stores: name of a store, fold of its models, ids of the images that it predicts.
        fold_of: image id -> fold, of all labelled images.
        group_of: image id -> group; "" for an image of its own.

    Raises:
        InputError: a model saw an image or its group; every store at fault is named.
    """
    folds_of_group: dict[str, set[int]] = {}
    for image_id, fold in fold_of.items():
        if group := group_of.get(image_id, ""):
            folds_of_group.setdefault(group, set()).add(fold)
    problems = []
    for name, fold, image_ids in stores:
        seen, related = [], []
        for image_id in image_ids:
            if fold_of.get(image_id) != fold:
                seen.append(image_id)
            elif folds_of_group.get(group_of.get(image_id, ""), {fold}) != {fold}:
                related.append(image_id)
        if seen:
            images = plural(len(seen), "image is", "images are")
            problems.append(f"{name}: {images} not held out from its models, such as {min(seen)}")
        if related:
            images = plural(len(related), "image has", "images have")
            problems.append(
                f"{name}: {images} a group that its models were trained on, such as {min(related)} "
                f"({group_of[min(related)]})"
            )
    if problems:
        raise InputError(
            list_problems(
                "predictions are not out of fold:",
                problems,
                "Build the folds by group and train again, or predict again.",
            )
        )
