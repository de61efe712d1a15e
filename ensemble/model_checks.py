"""What is checked of a model besides the schema of its file: its version, networks and sizes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.ensemble.model_file import REMEDY, ModelFile
from goldfold.errors import InputError, list_problems
from goldfold.extent import extent_name
from goldfold.own_code import is_reference
from goldfold.settings import fits_task
from goldfold.training.memory import is_out_of_memory

if TYPE_CHECKING:
    from goldfold.ensemble.image_model import ModelMember


@contextmanager
def naming(member: ModelMember) -> Iterator[None]:
    """Turn what a network cannot do into an InputError that names the member.

    Facts that pass one by one may still not go together, such as an image size and the depth of a
    network.
    """
    try:
        yield
    except (RuntimeError, ValueError, AssertionError) as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"the networks of {member.name} cannot look at images of "
            f"{extent_name(member.image_size)} px: {error}. {REMEDY}"
        ) from error


def require_outputs(path: Path, members: Sequence[ModelMember], model: ModelFile) -> None:
    """Raise InputError unless every network takes and gives what the model file says."""
    outputs = len(model.classes) or len(model.pixel_classes or model.masks or [None])
    problems = []
    for member in members:
        expected = (member.channels, outputs)
        for checkpoint in (one for part in member.networks for one in part.checkpoints):
            facts = checkpoint.facts
            fits = fits_task(facts["architecture"], bool(model.classes))
            if not fits or (facts["channels"], facts.get("classes", 1)) != expected:
                problems.append(
                    f"{checkpoint.path.with_suffix('.json').name}: {facts['architecture']} with "
                    f"{facts['channels']} channels and {facts.get('classes', 1)} outputs is not a "
                    f"network for {member.channels} channels, {outputs} outputs, {model.task}"
                )
    if problems:
        title = f"{path} and the files beside the weights differ:"
        raise InputError(list_problems(title, problems, REMEDY))


def own_networks(members: Sequence[ModelMember]) -> dict[str, str]:
    """Return the references that build networks, by the file that names each first."""
    named: dict[str, str] = {}
    for checkpoint in (c for member in members for one in member.networks for c in one.checkpoints):
        architecture = checkpoint.facts["architecture"]
        if is_reference(architecture) and architecture not in named.values():
            named[checkpoint.path.with_suffix(".json").name] = architecture
    return named


def require_format(path: Path, content: bytes, expected: int) -> None:
    """Raise InputError if another version of goldfold wrote the model."""
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path} as JSON: {error}. {REMEDY}") from error
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != expected:
        raise InputError(
            f"{path} has format {found!r:.60}; this version of goldfold reads {expected}. Export "
            "the run again."
        )
