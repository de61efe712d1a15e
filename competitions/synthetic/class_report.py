"""The report about a synthetic competition with classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from goldfold.text_table import Line


@dataclass(frozen=True)
class ClassReport:
    """The content of a synthetic competition with classes."""

    folder: Path
    train_images: int
    test_images: int
    patients: int
    quirks: tuple[str, ...] = field(default=())
    """The planted quirks, one line each."""

    def lines(self, size: int) -> list[Line]:
        """Return it as text to print."""
        return [
            f"{self.folder}: {self.train_images:,} training and {self.test_images:,} test images "
            f"of {self.patients:,} patients",
            *(f"planted: {planted}" for planted in self.quirks),
        ]
