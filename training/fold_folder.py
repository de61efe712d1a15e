"""The folder of one stage of a fold's training: how far it has come, and what it is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldfold.errors import InputError, list_problems
from goldfold.files import read_json
from goldfold.training.checkpoint import RESULT
from goldfold.training.state import read_made_from


@dataclass(frozen=True)
class FoldRun:
    """Where a stage of a fold lives and what it is made from (compared when it is resumed).

    Attributes:
        folder: of the stage.
        seed: of the training.
        made_from: everything it depends on, as JSON takes it.
        before: folder of the stage before, whose weights it begins with.
    """

    folder: Path
    seed: int
    made_from: Mapping[str, Any]
    before: Path | None = None

    @property
    def result_path(self) -> Path:
        """The file that stands once the training is finished."""
        return self.folder / RESULT

    @property
    def state_folder(self) -> Path:
        """The folder of what a training needs to resume, with the next stage or more epochs."""
        return self.folder / "state"

    def started(self) -> bool:
        """Return whether there is a state to resume from."""
        return (self.state_folder / "state.json").is_file()

    def finished(self) -> bool:
        """Return whether this very training is finished.

        Raises:
            InputError: the folder holds a training that was made from something else.
        """
        self.refuse_other()
        return self.result_path.is_file() and not self.extending()

    def extending(self) -> bool:
        """Return whether more epochs were asked for and are not all trained."""
        if not self.started():
            return False
        return not read_json(self.state_folder / "state.json").get("finished", False)

    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Return every input that the training in the folder was not made from, if there is one.

        By name (nested tables: dotted), what it was made from, then what it should be made from.
        """
        here = json.loads(json.dumps(dict(self.made_from), default=str))
        for path in (self.state_folder / "state.json", self.result_path):
            there = read_made_from(path)
            if there is not None and there != here:
                return _differences(there, here)
        return {}

    def refuse_other(self) -> None:
        """Raise InputError if the folder holds a training made from something else."""
        if different := self.differences():
            raise InputError(
                list_problems(
                    f"{self.folder} holds a training made from other input:",
                    [
                        f"{key}: it was {old!r}, now {new!r}"
                        for key, (old, new) in different.items()
                    ],
                    "Train it again with --overwrite, set these back, or use another run "
                    "directory.",
                )
            )


def _differences(
    there: Mapping[str, Any], here: Mapping[str, Any], path: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Return the old and new value of everything that differs, nested tables by dotted name."""
    differences: dict[str, tuple[Any, Any]] = {}
    for key in sorted(set(there) | set(here)):
        old, new = there.get(key), here.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            differences |= _differences(old, new, f"{path}{key}.")
        elif old != new:
            differences[f"{path}{key}"] = (old, new)
    return differences
