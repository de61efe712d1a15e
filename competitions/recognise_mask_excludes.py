"""Image files that lie among the images and are none: masks, and companions of images."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from glob import escape
from pathlib import PurePosixPath

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_globs import globs_of, matching
from goldfold.competitions.recognise_mask_names import mask_name, owner_before
from goldfold.competitions.recognise_mask_pairs import look_like_masks
from goldfold.errors import first_few, plural

_MOSTLY = 0.9
"""Share of the images that must have a companion of one kind."""


def exclude_masks(
    draft: CompetitionDraft, found: FoundFiles, pictures: Sequence[object], masks: set[str]
) -> None:
    """Exclude the masks that the globs of the images match, which lie beside the images."""
    images = draft.competition["images"]
    beside = {mask for split in ("train", "test") for glob in images[split]
              for mask in matching(glob, masks)}  # fmt: skip
    if not beside:
        return
    tails: dict[str, list[str]] = defaultdict(list)
    stems = {PurePosixPath(found.name(path)).stem for path in found.images} - {
        *(PurePosixPath(path).stem for path in beside)
    }
    for mask in sorted(beside):
        name = mask_name(mask, stems)
        tails[name.tail if name else PurePosixPath(mask).name].append(mask)
    excluded = []
    for tail, files in tails.items():
        for glob in globs_of(files):
            excluded.append(glob.rpartition("/")[0] + "/" * ("/" in glob) + f"*{escape(tail)}")
    images["exclude"] = sorted(dict.fromkeys(excluded))


def exclude_companions(
    draft: CompetitionDraft, found: FoundFiles, names: Sequence[str], images: Collection[str]
) -> None:
    """Exclude images without a mask that are named after others, such as x_superpixels.png."""
    stems = {PurePosixPath(name).stem for name in names}
    last = {image.rpartition("/")[2] for image in images}
    owned = stems & {*last, *(PurePosixPath(name).stem for name in last)}
    bare = {stem: owner_before(stem, owned) for stem in stems - owned}
    tails = Counter(stem[len(whose) :] for stem, whose in bare.items() if whose)
    settings = draft.competition["images"]
    for tail, count in tails.items():
        if count < _MOSTLY * len(owned) or not any(map(str.isalpha, tail)):
            continue
        every = [found.name(path) for path in found.images if path.stem.endswith(tail)]
        files = [name for glob in [*settings["train"], *settings["test"]]
                 for name in matching(glob, every)]  # fmt: skip
        places = [glob.rpartition("/")[0] for glob in globs_of(files)]
        endings = sorted({PurePosixPath(name).suffix for name in files})
        globs = [
            f"{place}{'/' * bool(place)}*{escape(tail)}{escape(ending)}"
            for place in dict.fromkeys(places)
            for ending in endings
        ]
        settings["exclude"] = sorted({*settings.get("exclude", []), *globs})
        count_of = plural(len(files), "image file", "image files")
        draft.say(f"{count_of} named after others ({', '.join(globs[:2])}) are left out")
        if look_like_masks(found, files):
            draft.ask(
                "competition.labels.masks",
                f"{count_of} named after others ({first_few(files, 2)}) have two levels, as masks "
                "have. Are the masks those files? Then set the pattern with {id}.",
            )
