"""The time of a training, measured in a process of its own that can be given up.

A network may be too large for the memory or too slow to wait for, and `init` must end all the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.errors import GoldfoldError
from goldfold.own_code import is_reference
from goldfold.pipeline.expected_time import ExpectedTime, expected_time
from goldfold.settings_file import validate_settings

if TYPE_CHECKING:
    from goldfold.settings import Settings

COMMAND = (sys.executable, "-P", "-m", "goldfold.pipeline.time_process")
BETTER_ESTIMATE = "run `goldfold train plan` for a better estimate"
MOST_SECONDS = 30.0
"""How long is waited; importing PyTorch takes most of it on a busy machine."""
MEMORY_SHARE = 0.5
"""Most of the free memory that a measurement may take on a processor."""


def measured_apart(
    settings: Settings, images: int, seconds: float | None = None
) -> ExpectedTime | None:
    """Return what the training of one fold takes here; None where that cannot be measured.

    Args:
        settings: whose networks are all of goldfold's own making.
        images: of the training set.
        seconds: after which it is given up; `MOST_SECONDS` unless given.
    """
    limit = MOST_SECONDS if seconds is None else seconds
    question = json.dumps({"settings": settings.model_dump(mode="json"), "images": images})
    with suppress(subprocess.SubprocessError, OSError, ValueError, TypeError):
        done = subprocess.run(
            COMMAND, input=question, capture_output=True, text=True, timeout=limit, check=True
        )
        return ExpectedTime(**json.loads(done.stdout))
    return None


def expected_line(settings: Settings, images: int) -> str:
    """Return about how long training takes here, or how that is found out.

    Args:
        settings: of the new run.
        images: of the training set.
    """
    own = any(is_reference(model.architecture) for model in settings.models)
    own = own or any(stage.loss.own for model in settings.models for stage in model.stages)
    expected = None if own or not images else measured_apart(settings, images)
    return BETTER_ESTIMATE if expected is None else f"{expected.in_words}; {BETTER_ESTIMATE}"


def limit_memory() -> None:
    """Let this process fail before the system has to end another one for lack of memory."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        most = int(free * 1024 * MEMORY_SHARE)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main() -> None:
    """Answer the question on stdin, or end with exit code 1."""
    question = json.load(sys.stdin)
    import torch

    if not torch.cuda.is_available():  # CUDA reserves more than it uses
        limit_memory()
    try:
        settings = validate_settings(question["settings"], "settings")
        answer = asdict(expected_time(settings, question["images"]))
    except (GoldfoldError, RuntimeError, AssertionError, ValueError, MemoryError):
        # A network or precision that is not to be had here, other sizes, or too little memory.
        sys.exit(1)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
