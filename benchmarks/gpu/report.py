"""What a part of gpu_check.py reports: one line per value, judged against a limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

OK, FAIL, NOTE, NOT_RUN = "ok", "FAIL", "note", "not run"


@dataclass(frozen=True)
class Line:
    """One value of a part, the limit it is judged by, and the verdict."""

    name: str
    value: str
    limit: str
    verdict: str

    def __str__(self) -> str:
        value = " ".join(self.value.split())
        return f"PART {self.name} | {value} | {self.limit} | {self.verdict}"


@dataclass(frozen=True)
class Place:
    """Where a part finds its data, how large it may be, and whether there is a GPU.

    Attributes:
        folder: scratch folder shared by all parts.
        bundle: folder with the TGS competition and encoder weights, None without.
        small: sizes for a GPU of 16 GB.
        cuda: whether PyTorch sees a GPU.
        rehearsal: without a GPU, run what needs one on the CPU all the same, in tiny sizes: it
            shows that the code of the parts works, and nothing else.
    """

    folder: Path
    bundle: Path | None
    small: bool
    cuda: bool
    rehearsal: bool = False

    @property
    def runs(self) -> bool:
        """Whether parts that need a GPU run."""
        return self.cuda or self.rehearsal

    @property
    def size(self) -> int:
        """Height and width of the network's images in the large speed part."""
        if not self.cuda:
            return 64
        return 256 if self.small else 512

    @property
    def batch(self) -> int:
        """Images per step in the large speed part."""
        if not self.cuda:
            return 4
        return 8 if self.small else 32

    @property
    def small_size(self) -> int:
        """Height and width where quality counts, not speed."""
        return 128 if self.cuda else 64

    @property
    def source_px(self) -> int:
        """Height and width of the phantoms' files."""
        return 1024 if self.cuda else 128


@dataclass
class Report:
    """The lines of a part, written to JSON after each so that a killed part still tells its own.

    Attributes:
        path: of the JSON file.
        judges: whether limits count; those of speed mean nothing where a CPU stands in for a GPU.
        lines: so far.
    """

    path: Path
    judges: bool = True
    lines: list[Line] = field(default_factory=list)

    def judge(self, name: str, value: str, limit: str, ok: bool) -> None:
        """Add a value with its verdict."""
        verdict = OK if ok else FAIL
        self._add(Line(name, value, limit, verdict if self.judges else NOTE))

    def fail(self, name: str, value: str) -> None:
        """Add an exception."""
        self._add(Line(name, value, "no exception", FAIL))

    def note(self, name: str, value: str) -> None:
        """Add a value that has no limit."""
        self._add(Line(name, value, "-", NOTE))

    def not_run(self, name: str, reason: str) -> None:
        """Say why a value is missing."""
        self._add(Line(name, reason, "-", NOT_RUN))

    def _add(self, line: Line) -> None:
        self.lines.append(line)
        self.path.write_text(
            json.dumps([asdict(each) for each in self.lines], indent=1), encoding="utf-8"
        )


Part = Callable[[Place, Report], None]


def read_lines(path: Path) -> list[Line]:
    """Return the lines that a part has written so far."""
    return (
        [Line(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
        if path.is_file()
        else []
    )
