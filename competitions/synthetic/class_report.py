"""What is told of a synthetic competition with classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ClassReport:
    """What a synthetic competition with classes holds."""

    folder: Path
    train_images: int
    test_images: int
    patients: int
    quirks: tuple[str, ...] = field(default=())
    """What was planted, one line each."""
