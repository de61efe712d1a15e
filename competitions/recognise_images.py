"""The images of a draft: training and test images as globs, by the folders that they lie in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from glob import escape
from pathlib import Path

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.image_kind import ending_of
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_globs import globs_of, matching
from goldfold.competitions.table_ids import match_columns
from goldfold.errors import plural

_MOST_LISTED = 50
"""Test images that are listed one by one where no glob tells them from training images."""


def add_images(
    draft: CompetitionDraft,
    found: FoundFiles,
    pictures: Sequence[Path],
    others: Collection[str] = (),
    *,
    validation: bool = True,
) -> tuple[list[Path], list[Path]]:
    """Add globs of the images to a draft; return its training and its test images.

    Args:
        draft: receives globs and evidence.
        found: the files of the folder.
        pictures: images that are no masks.
        others: further image files, which the globs should not match.
        validation: whether images in folders such as `val` are training images.
    """
    split = {path: found.split(path) for path in pictures}
    test = [path for path in pictures if split[path] == "test"]
    train = [path for path in pictures if found.is_train(path)]
    left = [path for path in train if split[path] == "val"]
    if left and len(left) < len(train):
        if validation:
            draft.ask(
                "competition.images.train",
                f"{plural(len(left), 'image lies', 'images lie')} in folders of validation images, "
                f"such as {found.name(left[0])}. They are taken as training images, and folds are "
                "split anew. Is that right?",
            )
        else:
            train = [path for path in train if split[path] != "val"]
    if not train:
        train, test = test, []
    of_train, of_test = ({found.name(path) for path in part} for part in (train, test))
    every = {found.name(path) for path in pictures} | {*others}
    images = draft.competition["images"]
    images["train"] = globs_of(of_train, every - of_train)
    images["test"] = globs_of(of_test, every - of_test)
    _tell_tests_apart(draft, of_train, of_test)
    if any(ending_of(path) in ("", ".dcm", ".dicom", ".ima") for path in train):
        images["metadata"] = "dicom"
    draft.say(
        f"{plural(len(train), 'training image', 'training images')}: {', '.join(images['train'])}"
    )
    if test:
        draft.say(f"{plural(len(test), 'test image', 'test images')}: {', '.join(images['test'])}")
    elif "unused" in split.values():
        count = sum(word == "unused" for word in split.values())
        draft.say(f"{plural(count, 'image', 'images')} in folders of test images not used")
    else:
        draft.say("no folder is named after test images, so there are none")
    return train, test


def _tell_tests_apart(
    draft: CompetitionDraft, of_train: Collection[str], of_test: Collection[str]
) -> None:
    """List the test images where no glob tells them from training images."""
    images = draft.competition["images"]
    if not any(matching(glob, of_train) for glob in images["test"]):
        return
    if len(of_test) <= _MOST_LISTED:
        images["test"] = [escape(name) for name in sorted(of_test)]
        return
    images["test"] = []
    draft.ask(
        "competition.images.test",
        f"{len(of_test):,} test images lie among the training images, and no glob tells them "
        "apart. Move them to a folder of their own and set its glob.",
    )


def add_tests_of_samples(
    found: FoundFiles, pictures: Sequence[Path], labelled: Collection[Path]
) -> None:
    """Take images without a label as test images if a sample submission names them.

    Args:
        found: receives them.
        pictures: images that are no masks.
        labelled: those that have a label.
    """
    known = frozenset(labelled)
    bare = [path for path in pictures if path not in known]
    if found.test is not None or any(found.split(path) == "test" for path in pictures):
        return
    for sample in found.samples:
        match = next(iter(match_columns(sample.rows.iloc[:, :1], bare, found.data)), None)
        if match is None or match.folders or match.ignores:
            continue
        named = {*sample.rows.iloc[:, 0].str.strip()}
        if match.joined:
            named = {name.rpartition(match.separator)[0] for name in named}
        found.sampled = frozenset(
            path for path in bare if image_id_of(found.data, path, match.pattern) in named
        )
        return
