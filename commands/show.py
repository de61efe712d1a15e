"""What the user sees: results on stdout, progress and warnings on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from goldfold.errors import InputError
from goldfold.progress import Progress
from goldfold.progress_lines import LineProgress, QuietProgress
from goldfold.text_table import Table

PROGRESS_VARIABLE = "GOLDFOLD_PROGRESS"
"""Environment variable that decides how progress is shown: plain, bar or none."""
_NOTEBOOKS = ("JPY_PARENT_PID", "KAGGLE_KERNEL_RUN_TYPE")  # set in Jupyter and on Kaggle


def out(text: str = "") -> None:
    """Print a result."""
    print(text)


def out_json(value: Any) -> None:
    """Print a result for machines: JSON, a number that is none (NaN) as null."""
    print(json.dumps(_plain(value), indent=2, sort_keys=True, default=str, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    value = value.item() if hasattr(value, "item") else value  # a number of NumPy
    return None if isinstance(value, float) and not math.isfinite(value) else value


def error(text: str) -> None:
    """Print an error."""
    print(f"error: {text}", file=sys.stderr)


def lines(content: Iterable[str | Table]) -> None:
    """Print lines and tables, one below the other."""
    for line in content:
        print(line)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a plain table as text."""
    return str(Table(headers, rows))


def terminal_progress() -> Progress:
    """Return a bar on a terminal and plain lines elsewhere, or what GOLDFOLD_PROGRESS says.

    A notebook shows a bar as one line for each of its moves, so it gets plain lines, too.

    Raises:
        InputError: GOLDFOLD_PROGRESS is neither plain, bar nor none.
    """
    wanted = os.environ.get(PROGRESS_VARIABLE) or ("bar" if _can_show_bars() else "plain")
    if wanted not in ("plain", "bar", "none"):
        raise InputError(f"{PROGRESS_VARIABLE} is {wanted!r}; expected plain (lines), bar or none.")
    if wanted == "bar":
        from goldfold.commands.progress_bar import TerminalProgress

        return TerminalProgress()
    return LineProgress() if wanted == "plain" else QuietProgress()


def _can_show_bars() -> bool:
    notebook = any(os.environ.get(name) for name in _NOTEBOOKS)
    dumb = os.environ.get("TERM") in ("dumb", "unknown")
    return sys.stderr.isatty() and not notebook and not dumb
