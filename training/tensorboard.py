"""TensorBoard files beside history.csv, where the package is installed and asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from goldfold.errors import InputError


class Board(Protocol):
    """Takes rows of the history."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Add an epoch."""

    def close(self) -> None:
        """Finish the file."""


class NoBoard:
    """Writes nothing."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class TensorBoard:
    """Writes every number of a row as a curve over epochs."""

    def __init__(self, folder: Path, done: int) -> None:
        """Open a file in `folder`; curves beyond `done` epochs, of a broken run, are hidden."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=done + 1)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add an epoch."""
        for name, value in row.items():
            if isinstance(value, int | float) and name != "epoch":
                self._writer.add_scalar(name, value, row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def open_board(folder: Path, *, wanted: bool, done: int = 0) -> Board:
    """Return where rows of the history go.

    Args:
        folder: of the training; the files are in `tensorboard` below it.
        wanted: without it nothing is written.
        done: epochs that are finished.

    Raises:
        InputError: it is wanted, and the package is not installed.
    """
    if not wanted:
        return NoBoard()
    try:
        return TensorBoard(folder / "tensorboard", done)
    except ImportError as error:
        raise InputError(
            "training.tensorboard = true needs the package tensorboard: "
            'pip install "goldfold[tensorboard]", or set it to false; history.csv has it all.'
        ) from error
