"""The run directory: where everything of a run is, and what each stage was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldfold.errors import InputError, OutputError
from goldfold.files import fingerprint, read_json, write_json


@dataclass(frozen=True)
class RunDirectory:
    """Paths in a run directory.

    goldfold.toml  run.json  images.csv  folds.csv  cache/  models/  predictions/
    ensemble.json  ensemble.png  metrics.csv  submission.csv  submission.json
    stages/ (what each stage was made from)
    """

    root: Path

    @property
    def settings(self) -> Path:
        """Settings as written by the user."""
        return self.root / "goldfold.toml"

    @property
    def facts(self) -> Path:
        """Settings as resolved, versions, fingerprints of the inputs."""
        return self.root / "run.json"

    @property
    def images(self) -> Path:
        """One row per image."""
        return self.root / "images.csv"

    @property
    def folds(self) -> Path:
        """One row per training image."""
        return self.root / "folds.csv"

    @property
    def cache(self) -> Path:
        """Decoded images."""
        return self.root / "cache"

    @property
    def file_hashes(self) -> Path:
        """Hashes of the competition's files, remembered."""
        return self.root / "stages" / "file-hashes.txt"

    @property
    def logs(self) -> Path:
        """What jobs said that were done side by side, one file each."""
        return self.root / "logs"

    @property
    def ensemble(self) -> Path:
        """Members, weights, thresholds and scores."""
        return self.root / "ensemble.json"

    def heat_maps(self, of_class: str = "") -> Path:
        """Score around the rule, of a class where an image has several masks."""
        named = f"-{of_class.replace('/', '-')}" if of_class else ""
        return self.root / f"ensemble{named}.png"

    @property
    def metrics(self) -> Path:
        """Dice, IoU, precision and recall out of fold, by fold."""
        return self.root / "metrics.csv"

    @property
    def submission_facts(self) -> Path:
        """What the submission was made from."""
        return self.root / "submission.json"

    def submission(self, name: str) -> Path:
        """The submission file."""
        return self.root / name

    def fold(self, model: str, seed: int, fold: int) -> Path:
        """Folder of one fold's training, all stages."""
        return self.root / "models" / model / f"seed-{seed}" / f"fold-{fold}"

    def training(self, model: str, seed: int, fold: int, stage: int) -> Path:
        """Folder of one stage, counted from 1, of one fold's training."""
        return self.fold(model, seed, fold) / f"stage-{stage}"

    def predictions(self, model: str, seed: int, fold: int) -> Path:
        """Folder of the predictions that one fold's checkpoints made."""
        return self.root / "predictions" / model / f"seed-{seed}" / f"fold-{fold}"

    def stage(self, name: str) -> StageRecord:
        """What a stage was made from."""
        return StageRecord(self.root / "stages" / f"{name}.json")

    def require(self, path: Path, command: str) -> Path:
        """Return `path` if it exists.

        Raises:
            InputError: it does not; the message names the command that makes it.
        """
        if not path.exists():
            raise InputError(f"{path} does not exist yet. Run `{command}` first.")
        return path


@dataclass(frozen=True)
class StageRecord:
    """The fingerprint of what a stage's results were made from, written once they stand."""

    path: Path

    def is_current(self, made_from: Any) -> bool:
        """Return whether the stage ended with results made from exactly this."""
        if not self.path.is_file():
            return False
        try:
            record = read_json(self.path)
        except InputError:
            return False  # a damaged record vouches for nothing: the stage is made again
        return isinstance(record, dict) and record.get("fingerprint") == fingerprint(made_from)

    def exists(self) -> bool:
        """Return whether the stage ever ended."""
        return self.path.is_file()

    def write(self, made_from: Any) -> None:
        """Record that the stage ended."""
        write_json(self.path, {"fingerprint": fingerprint(made_from), "made_from": made_from})

    def forget(self) -> None:
        """Mark the stage as not done, before its results are changed.

        Raises:
            OutputError: the record cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot remove {self.path}: {error.strerror or error}. Make the run directory "
                "writable, or copy it to a folder you may write to."
            ) from error


def recorded(path: Path, *keys: str) -> Any:
    """Return a value of a JSON file by its keys, None if file or value is missing or damaged."""
    try:
        value = read_json(path)
    except InputError:
        return None
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
