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
        questions: what the files cannot decide: dotted setting -> question.
        groups: columns that look like groups: name -> value of each training image, "" = unknown.
    """

    competition: dict[str, Any]
    seen: list[str] = field(default_factory=list)
    questions: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)

    def say(self, evidence: str) -> None:
        """Add a line about what the files show, or what was chosen and why."""
        self.seen.append(evidence)

    def ask(self, setting: str, question: str) -> None:
        """Add a question that stops the run until it is answered.

        Only for what the data cannot decide and would make results wrong without a word.

        Args:
            setting: dotted name of the setting that answers it; several questions about one
                setting are joined.
            question: text that names the choices.
        """
        before = self.questions.get(setting)
        self.questions[setting] = question if before is None else f"{before} {question}"
