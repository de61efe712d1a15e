"""What is known about the competition in a folder of unknown files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class CompetitionDraft:
    """A draft of the [competition] table.

    Attributes:
        competition: the content of the table.
        seen: what the files show, one line each.
        questions: what the files do not show, one line each.
        groups: columns that look like groups: name -> value of each training image, "" = unknown.
    """

    competition: dict[str, Any]
    seen: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
