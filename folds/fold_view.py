"""Who is trained on, who is held out, and which images belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goldfold.errors import InputError, LeakError, LeakInputError, first_few, list_problems, plural
from goldfold.files import fingerprint
from goldfold.folds.parts import IntArray, number_groups, parts_of

if TYPE_CHECKING:
    import pandas as pd

REBUILD = "Build the folds by group and train again, or predict again."


class FoldView:
    """The one owner of a fold table: every question of who may see which image is put to it.

    The models of fold K are trained on the images of all other folds and judged on those of fold K.
    Where folds are ordered (by time), they are trained on the folds before K alone: nothing later
    than what they are judged on may be seen, so fold 0 is only ever trained on.
    Whole groups (a patient, a scene) lie in one fold.
    """

    def __init__(self, table: pd.DataFrame, *, ordered: bool = False) -> None:
        """Take a fold table.

        Args:
            table: one row per labelled image: image_id (str), fold (int) and group (str; "" or a
                missing value for an image that is a group of its own).
            ordered: whether models must not see later folds than their own.

        Raises:
            InputError: an image has several rows.
        """
        self.ordered = ordered
        ids = table["image_id"].tolist()
        self._fold_of: dict[str, int] = dict(zip(ids, map(int, table["fold"]), strict=True))
        groups = table["group"].fillna("").astype(str)
        self._group_of: dict[str, str] = dict(zip(ids, groups, strict=True))
        if len(self._fold_of) < len(ids):
            twice = sorted({image_id for image_id in ids if ids.count(image_id) > 1})
            raise InputError(f"images have several rows in the fold table: {first_few(twice)}.")
        self._folds_of_group: dict[str, set[int]] = {}
        for image_id, group in self._group_of.items():
            if group:
                self._folds_of_group.setdefault(group, set()).add(self._fold_of[image_id])

    @property
    def folds(self) -> list[int]:
        """The folds that have images, rising."""
        return sorted(set(self._fold_of.values()))

    def fold(self, number: int) -> Fold:
        """Return one fold."""
        return Fold(self, number)

    def training(self, fold: int) -> list[str]:
        """Return the ids of the images that the models of a fold are trained on, sorted."""
        return sorted(
            image_id for image_id, own in self._fold_of.items() if not self._is_kept(own, fold)
        )

    def held_out(self, fold: int) -> list[str]:
        """Return the ids of the images that a fold holds out, sorted."""
        return sorted(image_id for image_id, own in self._fold_of.items() if own == fold)

    def fingerprint(self, fold: int) -> str:
        """Return what changes when a fold holds out other images, or is trained on others."""
        held_out = self.held_out(fold)
        return fingerprint([held_out, self.training(fold)] if self.ordered else held_out)

    def folds_of(self, image_ids: Sequence[str]) -> IntArray:
        """Return the fold of each image, int64 (N,).

        Raises:
            InputError: an image is not in the fold table.
        """
        self._require_known(image_ids)
        return np.array([self._fold_of[image_id] for image_id in image_ids], np.int64)

    def groups(self, image_ids: Sequence[str]) -> list[str]:
        """Return the group of each image, "" for one that is a group of its own.

        Raises:
            InputError: an image is not in the fold table.
        """
        self._require_known(image_ids)
        return [self._group_of[image_id] for image_id in image_ids]

    def group_numbers(self, image_ids: Sequence[str]) -> IntArray:
        """Return a number from 0 for the group of each image, int64 (N,).

        Raises:
            InputError: an image is not in the fold table.
        """
        return number_groups(self.groups(image_ids))

    def parts(self, image_ids: Sequence[str], seed: int) -> IntArray:
        """Return the part of each image, int64 (N,): a part is judged by what the others chose.

        Parts are the folds. Where all images lie in one, its groups are dealt into five parts.

        Args:
            image_ids: N ids.
            seed: of the dealing.

        Raises:
            InputError: an image is not in the fold table, or a single group cannot be parted.
        """
        return parts_of(self.folds_of(image_ids), self.groups(image_ids), seed)

    def placed_otherwise(self, other: FoldView) -> dict[str, tuple[int | None, int | None]]:
        """Return the images that another view has in another fold, sorted by id, with both folds.

        A fold is None where the image is in one of the tables only.
        """
        ours, theirs = self._fold_of, other._fold_of
        return {
            image_id: (ours.get(image_id), theirs.get(image_id))
            for image_id in sorted(ours.keys() | theirs.keys())
            if ours.get(image_id) != theirs.get(image_id)
        }

    def require_out_of_fold(self, stores: Iterable[tuple[str, int, Iterable[str]]]) -> None:
        """Accept prediction stores whose images, and their whole groups, their models never saw.

        Args:
            stores: name of a store, fold of its models, ids of the images that it predicts.

        Raises:
            LeakInputError: a model saw an image or its group; every store at fault is named.
        """
        problems = []
        for name, fold, image_ids in stores:
            seen, related = self.seen_by_models(fold, image_ids)
            if seen:
                images = plural(len(seen), "image is", "images are")
                problems.append(
                    f"{name}: {images} not held out from its models, such as {min(seen)}"
                )
            if related:
                images = plural(len(related), "image has", "images have")
                problems.append(
                    f"{name}: {images} a group that its models were trained on, such as "
                    f"{min(related)} ({self._group_of[min(related)]})"
                )
        if problems:
            raise LeakInputError(
                list_problems("predictions are not out of fold:", problems, REBUILD)
            )

    def seen_by_models(self, fold: int, image_ids: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return which images the models of a fold may have seen, and of which only the group.

        An image that is not in the fold table counts as seen: nothing says that it was held out.
        """
        seen, related = [], []
        for image_id in image_ids:
            if self._fold_of.get(image_id) != fold:
                seen.append(image_id)
            elif self._folds_of_group.get(self._group_of[image_id], {fold}) != {fold}:
                related.append(image_id)
        return seen, related

    def kept_from_models(self, fold: int, image_ids: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return which images the models of a fold must not see, and which for their group only.

        An image that is not in the fold table counts among the first: nothing says whose it is.
        """
        held_out, related = [], []
        for image_id in image_ids:
            if self._is_kept(self._fold_of.get(image_id, fold), fold):
                held_out.append(image_id)
            elif self.is_held_out_group(fold, self._group_of[image_id]):
                related.append(image_id)
        return held_out, related

    def is_held_out_group(self, fold: int, group: str) -> bool:
        """Return whether a fold keeps images of a group from its models."""
        return any(self._is_kept(own, fold) for own in self._folds_of_group.get(group, ()))

    def _is_kept(self, own: int, fold: int) -> bool:
        """Return whether images of fold `own` are kept from the models of a fold."""
        return own >= fold if self.ordered else own == fold

    def _require_known(self, image_ids: Sequence[str]) -> None:
        unknown = [image_id for image_id in image_ids if image_id not in self._fold_of]
        if unknown:
            raise InputError(
                f"images are in no fold of folds.csv: {first_few(unknown)}. Build the folds again "
                "(`goldfold folds build`), and train on them."
            )


@dataclass(frozen=True)
class Fold:
    """One fold: the images it holds out, those its models are trained on, and its guards.

    The guards are called where images are about to be used, with the ids that really are.
    """

    view: FoldView
    number: int

    @property
    def training(self) -> list[str]:
        """Ids of the images that its models are trained on, sorted."""
        return self.view.training(self.number)

    @property
    def held_out(self) -> list[str]:
        """Ids of the images that it holds out, sorted."""
        return self.view.held_out(self.number)

    @property
    def fingerprint(self) -> str:
        """What changes when it holds out other images."""
        return self.view.fingerprint(self.number)

    def refuse_held_out(self, image_ids: Iterable[str], purpose: str) -> None:
        """Accept images that the fold's models may see.

        Args:
            image_ids: that are about to be used.
            purpose: what for, e.g. "training".

        Raises:
            LeakError: the fold holds one out, or nothing is known of it.
            LeakInputError: the fold holds out another image of its group.
        """
        held_out, related = self.view.kept_from_models(self.number, image_ids)
        whose = "the fold holds out"
        if self.view.ordered:
            whose += ", or that come after those it holds out"
        self._refuse(held_out, related, f"{purpose} was about to use", whose)

    def require_held_out(self, image_ids: Iterable[str], purpose: str) -> None:
        """Accept images that the fold's models have not seen.

        Args:
            image_ids: that are about to be judged.
            purpose: what for, e.g. "validation".

        Raises:
            LeakError: the models were trained on one, or nothing is known of it.
            LeakInputError: the models were trained on another image of its group.
        """
        seen, related = self.view.seen_by_models(self.number, image_ids)
        self._refuse(
            seen, related, f"{purpose} was about to judge", "the fold's models may have seen"
        )

    def refuse_groups(self, image_ids: Sequence[str], groups: Sequence[str], purpose: str) -> None:
        """Accept unlabelled images of which no other image of the group is held out.

        Args:
            image_ids: N ids.
            groups: (N,) group of each.
            purpose: what they are about to be used for.

        Raises:
            LeakInputError: the fold holds out an image of the same group.
        """
        pairs = zip(image_ids, groups, strict=True)
        wrong = [name for name, group in pairs if self.view.is_held_out_group(self.number, group)]
        if wrong:
            raise LeakInputError(
                f"fold {self.number}: {purpose} was about to use "
                f"{plural(len(wrong), 'image', 'images')} whose group the fold holds out: "
                f"{first_few(wrong)}. Write the pseudo-labels again, from a run with the same "
                "folds.csv and folds.group."
            )

    def refuse_models(self, folds: Iterable[int], purpose: str) -> None:
        """Accept models of this fold alone: those of all others have seen what it holds out.

        Args:
            folds: of the models that are about to be used.
            purpose: what for.

        Raises:
            LeakError: there are models of other folds.
        """
        others = sorted(set(folds) - {self.number})
        if others:
            raise LeakError(
                f"fold {self.number}: {purpose} was about to use models of "
                f"{'fold' if len(others) == 1 else 'folds'} {', '.join(map(str, others))}, which "
                f"were trained on the images that fold {self.number} holds out: "
                f"{first_few(self.held_out)}. Use the models of fold {self.number} alone."
            )

    def _refuse(self, wrong: list[str], related: list[str], about_to: str, whose: str) -> None:
        if wrong:
            raise LeakError(
                f"fold {self.number}: {about_to} {plural(len(wrong), 'image', 'images')} that "
                f"{whose}: {first_few(sorted(wrong))}. No score of this fold would be honest, so "
                "nothing was done. Take the images from run.fold(K).training and "
                "run.fold(K).held_out; if you called a command of goldfold, please report this."
            )
        if related:
            raise LeakInputError(
                f"fold {self.number}: {about_to} {plural(len(related), 'image', 'images')} of a "
                f"group that lies in several folds: {first_few(sorted(related))}. {REBUILD}"
            )
