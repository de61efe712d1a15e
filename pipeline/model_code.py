"""Code of the user's own beside an exported model: written, refused unless trusted, checked.

MODEL/code/my_models.py    a module whose object builds a network; its hash is in model.json
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from goldfold.errors import InputError, list_problems
from goldfold.files import write_bytes
from goldfold.own_code import MOST_BYTES, Source, own_references, parse, register, source_of
from goldfold.settings_files import Strict

CODE_FOLDER = "code"


class CodeFile(Strict):
    """A module in the folder of code."""

    module: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def write_code(
    folder: Path, architectures: Iterable[str]
) -> tuple[list[dict[str, str]], list[Path]]:
    """Copy the modules that a model's networks need, and return what model.json says of them.

    Args:
        folder: of the model.
        architectures: of its networks; those that are no references need nothing.

    Returns:
        An entry for each module, as `CodeFile`, and the files.

    Raises:
        InputError: the content of a module is not known, or two of one name differ.
    """
    entries: dict[str, dict[str, str]] = {}
    written = []
    for text in own_references(architectures):
        reference, source = parse(text), source_of(text)
        entry = {"module": reference.module, "sha256": source.sha256}
        if entries.setdefault(reference.module, entry) != entry:
            raise InputError(
                f"the networks were made by different contents of {reference.file}; an export "
                "holds one. Train all of them with the present file."
            )
        path = folder / CODE_FOLDER / reference.file
        if path not in written:
            write_bytes(path, source.content)
            written.append(path)
    return list(entries.values()), written


def refuse_untrusted(owner: Path, named: Mapping[str, str], folder: Path) -> None:
    """Refuse a model or run that names code, which its reader has not said to trust.

    Args:
        owner: the model's folder or the run directory, for the message.
        named: where it is named -> reference.
        folder: where the modules are.

    Raises:
        InputError: it names any.
    """
    lines = [
        f"{where}: {parse(text).text} of {folder / parse(text).file}"
        for where, text in named.items()
    ]
    if lines:
        raise InputError(
            list_problems(
                f"{owner} names Python code that would run on this machine:",
                lines,
                "Read these files. If you trust whoever wrote them, add --trust (in Python: "
                "read_model(folder, trust=True)). Nothing of them has run.",
            )
        )


def register_code(folder: Path, code: Sequence[Mapping[str, Any]], texts: Iterable[str]) -> None:
    """Make the modules of a trusted model known, so that its networks can be built.

    Args:
        folder: of the model.
        code: entries of model.json, as `CodeFile`.
        texts: references of its networks.

    Raises:
        InputError: lists every module that is missing, outside the folder, or changed.
    """
    expected = {entry["module"]: entry["sha256"] for entry in code}
    problems = []
    for text in own_references(texts):
        reference = parse(text)
        path = folder / CODE_FOLDER / reference.file
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            problems.append(f"{path} is missing, or a link out of the folder")
        elif path.stat().st_size > MOST_BYTES:
            problems.append(f"{path} is larger than {MOST_BYTES >> 20} MiB")
        else:
            source = Source(path.resolve(), path.read_bytes())
            if source.sha256 != expected.get(reference.module) or source.digest != reference.digest:
                problems.append(f"{path} is not the file that was exported: its SHA-256 differs")
            else:
                register(source, reference.module)
    if problems:
        title = f"{folder} does not hold the code of its networks:"
        raise InputError(list_problems(title, problems, "Export the run again."))
