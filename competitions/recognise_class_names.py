"""Recognises classes in the names of files: cat.0.jpg, CHNCXR_0001_1.png. Always asks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.recognise_files import FoundFiles
from goldfold.competitions.recognise_ids import ShortIds
from goldfold.competitions.recognise_images import add_images
from goldfold.errors import first_few
from goldfold.files import write_text

TABLE = "labels-of-names.csv"
_MOST_CLASSES = 20
_FEWEST_IMAGES = 3
"""Images of a class, below which a word of names is no class."""
_WORDS = re.compile(r"[_\-. ()]+")


def recognise_class_names(
    found: FoundFiles, masks: Collection[str], made: Path | None
) -> CompetitionDraft | None:
    """Return a draft for classes that files' names begin or end with; None if they do not.

    The labels are written to a table of the run directory.

    Args:
        found: the files of the folder.
        masks: paths of masks, which are no images.
        made: run directory; None = nothing is recognised.
    """
    pictures = [path for path in found.images if found.name(path) not in masks]
    train = [path for path in pictures if found.is_train(path)]
    # Files such as YOLO's say more of an image than its name does.
    outlines = found.others[".txt"] + found.others[".xml"] + len(found.documents)
    if 2 * outlines >= len(train):
        return None
    place = class_words([path.stem for path in train])
    ids = ShortIds.of([found.name(path) for path in pictures])
    if made is None or place is None or ids is None:
        return None
    where, names = place
    draft = CompetitionDraft.empty(found.data.name, "classes in the names of files")
    train, _ = add_images(draft, found, pictures, masks)
    pattern = ids.pattern or None
    draft.competition["images"] |= {"id_pattern": pattern} if pattern else {}
    rows = [(image_id_of(found.data, path, pattern), names[path.stem]) for path in train]
    draft.made_table = draft.label_table = made / TABLE
    made.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows, columns=["image_id", "class"])
    write_text(draft.made_table, table.to_csv(index=False, lineterminator="\n"))
    counts = Counter(name for _, name in rows)
    draft.competition |= {
        "task": "classification", "classes": sorted(counts), "exclusive": True,
        "labels": {
            "kind": "column", "files": [str(draft.made_table)], "id_column": "image_id",
            "class_column": "class",
        },
    }  # fmt: skip
    draft.score = 1.0
    listed = first_few([f"{name} ({count:,})" for name, count in sorted(counts.items())], 10)
    draft.say(f"the names of files {where} {listed}; written to {draft.made_table}")
    draft.ask(
        "competition.labels.class_column",
        f"nothing but the names of files may label them: they {where} {listed}. Are these the "
        "classes? If not, write a table with one row per image.",
    )
    return draft


def class_words(stems: Sequence[str]) -> tuple[str, Mapping[str, str]] | None:
    """Return where names have a word that may be a class, and name -> word; None without one.

    >>> class_words(["cat.0", "cat.1", "cat.2", "dog.0", "dog.1", "dog.2"])[1]["dog.1"]
    'dog'

    Args:
        stems: names of images without endings.
    """
    ways: dict[str, Callable[[list[str]], str]] = {
        "begin with": lambda words: words[0].rstrip("0123456789"),
        "end with": lambda words: words[-1],
    }
    for where, read in ways.items():
        names = {}
        for stem in stems:
            words = [word for word in _WORDS.split(stem) if word]
            names[stem] = read(words) if len(words) > 1 else ""
        counts = Counter(names[stem] for stem in stems)
        flags = {*counts} == {"0", "1"}
        words_only = all(re.fullmatch(r"[^\W\d]{2,}", name) for name in counts)
        few = 2 <= len(counts) <= _MOST_CLASSES and min(counts.values()) >= _FEWEST_IMAGES
        if few and (words_only or flags):
            return where, names
    return None
