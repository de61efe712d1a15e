"""The synthetic competitions there are, by the preset whose file formats they have."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from goldfold.competitions.synthetic.competition_folder import FACTS_FILE
from goldfold.errors import InputError, did_you_mean
from goldfold.progress import SILENT, Progress
from goldfold.text_table import Line


class Report(Protocol):
    """What was made."""

    def lines(self, size: int) -> list[Line]:
        """Return it as text to print; `size` is the longer side in pixels."""


@dataclass(frozen=True)
class Kind:
    """A kind of synthetic competition.

    Attributes:
        module: of this package.
        maker: its function; it takes folder, train, test, size, seed, quirks and progress.
        side: longer side in pixels unless another is wanted, that of the real images.
        shape: height and width that the preset expects of every image, None if they vary.
        recipe: of the preset, for a first run.
    """

    module: str
    maker: str
    side: int = 1024
    shape: tuple[int, int] | None = None
    recipe: str = "quick"

    def make(self, folder: Path, **how: Any) -> Report:
        """Write the competition and return the report about it."""
        module = import_module(f"goldfold.competitions.synthetic.{self.module}")
        report: Report = getattr(module, self.maker)(folder, **how)
        return report

    def shape_at(self, side: int) -> tuple[int, int] | None:
        """Return height and width of images of another size, None where the preset's fit."""
        if self.shape is None or side == max(self.shape):
            return None
        height, width = (round(length * side / max(self.shape)) for length in self.shape)
        return height, width


KINDS = {
    "siim-acr-pneumothorax": Kind(
        "siim_competition", "synthesize", shape=(1024, 1024), recipe="demo"
    ),
    "montgomery-lungs": Kind("lung_release", "synthesize_training_lungs"),
    "chest-xray-pneumonia": Kind("pneumonia", "synthesize_pneumonia"),
    "rsna-intracranial-hemorrhage": Kind("hemorrhage", "synthesize_hemorrhage"),
    "aptos-2019-blindness": Kind("retinopathy", "synthesize_retinopathy"),
    "severstal-steel": Kind("steel_release", "synthesize_steel", 1600, (256, 1600)),
    "uw-madison": Kind("abdomen_release", "synthesize_abdomen", 360),
    "airbus-ship": Kind("sea_release", "synthesize_ships", 768, (768, 768)),
    "tgs-salt": Kind("salt_release", "synthesize_salt", 101, (101, 101)),
    "cholecseg8k": Kind("endoscopy_release", "synthesize_endoscopy", 854),
}


def kind_like(preset: str) -> Kind:
    """Return the kind of competition that has the files of a preset.

    Raises:
        InputError: there is none.
    """
    if preset not in KINDS:
        hint = did_you_mean(preset, tuple(KINDS))
        raise InputError(f"--like {preset}: there are {', '.join(KINDS)}.{hint}")
    return KINDS[preset]


def make_competition(
    kind: Kind,
    folder: Path,
    *,
    train: int,
    test: int,
    size: int,
    seed: int,
    quirks: bool = False,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> list[Line]:
    """Write a synthetic competition and return text about it to print.

    Nothing is done where the same competition is there already.

    Args:
        kind: which one.
        folder: new, empty, or with the same competition.
        train: training images.
        test: test images, if it has any.
        size: longer side in pixels.
        seed: same seed, same bytes.
        quirks: with the oddities of the real files.
        overwrite: remove another synthetic competition first; never anything else.
        progress: advances once per image.

    Raises:
        InputError: the folder holds something else.
    """
    synthetic = (folder / FACTS_FILE).is_file()
    if overwrite and synthetic:
        shutil.rmtree(folder)
    try:
        report = kind.make(
            folder, train=train, test=test, size=size, seed=seed, quirks=quirks, progress=progress
        )
    except InputError as error:
        hint = " Or add --overwrite to replace it." if synthetic else ""
        raise InputError(f"{error}{hint}") from error
    return report.lines(size)
