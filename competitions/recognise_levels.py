"""What the images of an unknown competition need to be read: a stretch, a window, a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldfold.competitions.competition_draft import CompetitionDraft
from goldfold.competitions.data_folder import find_images
from goldfold.competitions.image import UndecidedImageError, read_header, read_levels
from goldfold.competitions.level_loss import FEW, levels_kept
from goldfold.competitions.reading import PLAIN
from goldfold.errors import ImageError, plural

_SHARE = 0.05


@dataclass(frozen=True)
class LevelsGuess:
    """How the images of a folder are to be read.

    Attributes:
        settings: for [competition.images]; empty where nothing is needed.
        evidence: what was seen, one line each.
        questions: dotted setting -> question, where the files do not tell.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    evidence: list[str] = field(default_factory=list)
    questions: dict[str, str] = field(default_factory=dict)


def add_levels(draft: CompetitionDraft, data: Path) -> None:
    """Add to a draft how its training images are to be read, unless that was chosen.

    Args:
        draft: whose globs name the images.
        data: the folder.
    """
    images = draft.competition["images"]
    guess = guess_levels(find_images(data, images["train"]), data)
    if not {"stretch", "windows"} & images.keys():
        images |= guess.settings
        for line in guess.evidence:
            draft.say(line)
    for setting, question in guess.questions.items():
        name = setting.rpartition(".")[2]
        if name not in images:
            draft.ask(setting, question)
            if name == "pages":
                images[name] = "first"


def guess_levels(paths: Sequence[Path], data: Path, *, most: int = 24) -> LevelsGuess:
    """Return how images are to be read, judged by some of them.

    Files that cannot be read are left to `check`.

    Args:
        paths: the images.
        data: folder relative to which messages name the files.
        most: how many are looked at, spread over all.
    """
    guess = LevelsGuess()
    sample = paths[:: -(-len(paths) // most)] if paths else []
    looked, several = 0, 0
    lost: list[str] = []
    undecided: list[str] = []
    for path in sample:
        try:
            several += read_header(path, data).pictures > 1
            levels = read_levels(path, data)
        except UndecidedImageError as error:
            undecided.append(str(error))
            continue
        except ImageError:
            continue
        looked += 1
        kept = levels_kept(path, levels, PLAIN, data)
        if kept.lost:
            lost.append(f"{kept.seen} of {kept.stored:,} levels")
    if several:
        guess.questions["competition.images.pages"] = (
            f"{several} of {len(sample)} images looked at have several pages or frames. Is the "
            'first of each the image (images.pages = "first")? Otherwise write one file per page.'
        )
    elif undecided:
        guess.questions["competition.images.windows"] = (
            f"{len(undecided)} of {len(sample)} images looked at cannot be read as they are: "
            f"{undecided[0]}"
        )
    if lost and len(lost) > _SHARE * looked:
        guess.settings["stretch"] = "percentile"
        images = plural(len(lost), "image", "images")
        guess.evidence.append(
            f"{images} of {looked} looked at would keep fewer than {FEW} levels ({lost[0]}), so "
            'images.stretch = "percentile"; where the same level means the same in every image, '
            "set images.windows instead"
        )
    return guess
