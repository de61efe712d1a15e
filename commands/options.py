"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run directory, as `goldfold init` made it.")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a setting, e.g. models.0.stages.0.epochs=3; may be repeated. "
        "A relative data folder is relative to goldfold.toml.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is already there.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]
StopAfter = Annotated[
    str | None,
    typer.Option(
        "--stop-after",
        metavar="TIME",
        help="Save and stop training in time to end within, e.g., 8h30m; exit code 75.",
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        "--devices",
        metavar="LIST",
        help="Devices to train and predict on, one fold per device: GPU numbers (0,1), cpu, or "
        "cpu,cpu for two folds on one processor. Default: all GPUs.",
    ),
]
