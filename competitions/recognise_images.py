"""The images of a draft: training and test images as globs, by the folders that they lie in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_globs import globs_of
from goldfold.errors import plural


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
    train = [path for path in pictures if split[path] != "test"]
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
    if any(path.suffix.lower() in (".dcm", ".dicom") for path in train):
        images["metadata"] = "dicom"
    draft.say(
        f"{plural(len(train), 'training image', 'training images')}: {', '.join(images['train'])}"
    )
    if test:
        draft.say(f"{plural(len(test), 'test image', 'test images')}: {', '.join(images['test'])}")
    else:
        draft.say("no folder is named after test images, so there are none")
    return train, test
