"""The report about a synthetic competition with classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ClassReport:
    """The content of a synthetic competition with classes."""

    folder: Path
    train_images: int
    test_images: int
    patients: int
    quirks: tuple[str, ...] = field(default=())
    """The planted quirks, one line each."""
