"""Models in folders: an exported model read again, or the model of a run.

MODEL/model.json                     what it predicts, how images are read, decision, scores
MODEL/weights/NAME-....safetensors   and .json beside each: a checkpoint and its facts
MODEL/code/MODULE.py                 only where a network is of the user's own: what builds it
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from goldfold.checked_json import check_json, read_bounded
from goldfold.errors import InputError, list_problems
from goldfold.image_size import compact_size, height_and_width
from goldfold.own_code import is_reference
from goldfold.pipeline.exported_model import model_of_run
from goldfold.pipeline.image_model import FoldNetworks, ImageModel, ModelMember
from goldfold.pipeline.model_code import CODE_FOLDER, refuse_untrusted, register_code
from goldfold.pipeline.model_file import (
    FORMAT,
    MOST_BYTES,
    REMEDY,
    ModelFile,
    check_decision,
    check_weight_files,
)
from goldfold.pipeline.open_run import OpenRun
from goldfold.progress import SILENT, Progress
from goldfold.settings import fits_task
from goldfold.settings_own_code import own_objects
from goldfold.tasks.image_decision import ImageDecision
from goldfold.tasks.registry import read_decision
from goldfold.training.checkpoint import Checkpoint
from goldfold.training.checkpoint_facts import read_facts

FACTS_FILE = "model.json"
WEIGHTS_FOLDER = "weights"


def open_model(folder: Path, progress: Progress = SILENT, *, trust: bool = False) -> ImageModel:
    """Return the model of an exported folder or of a run.

    Raises:
        InputError: it is neither, the run is not finished, or it names code that is not trusted.
    """
    if (folder / FACTS_FILE).is_file():
        model = read_model(folder, trust=trust)
        model.progress = progress
        return model
    if not (folder / "goldfold.toml").is_file():
        raise InputError(
            f"{folder} is neither a run directory nor an exported model. `goldfold export RUN -o "
            "MODEL` writes one."
        )
    run = OpenRun.open(folder, progress=progress)
    if not trust:
        refuse_untrusted(folder, own_objects(run.settings), folder)
    model = model_of_run(run)
    model.progress = progress
    return model


def describe_members(
    members: Sequence[ModelMember], names: Mapping[Path, str]
) -> list[dict[str, Any]]:
    """Return the members as JSON values.

    Args:
        members: of a model.
        names: path of a checkpoint -> its name in the folder of weights.
    """
    return [
        {
            "name": member.name,
            "channels": member.channels,
            **({"neighbours": list(member.neighbours)} if member.neighbours else {}),
            "image_size": compact_size(member.image_size),
            "networks": [
                {
                    "seed": training.seed,
                    "fold": training.fold,
                    "weights": [names[checkpoint.path] for checkpoint in training.checkpoints],
                }
                for training in member.networks
            ],
        }
        for member in members
    ]


def read_model(folder: Path | str, *, trust: bool = False) -> ImageModel:
    """Return the model that was exported into a folder.

    Args:
        folder: of the model, which may be a stranger's.
        trust: run the Python code in it, if its networks are built by any.

    Raises:
        InputError: it is no such folder, its files are damaged or of another version, or it needs
            code that is not trusted.
    """
    folder = Path(folder)
    path = folder / FACTS_FILE
    if not path.is_file():
        raise InputError(
            f"{folder} holds no {FACTS_FILE}. `goldfold export RUN -o MODEL` writes such a folder."
        )
    content = read_bounded(path, MOST_BYTES, REMEDY)
    _require_format(path, content)
    checked = check_json(content, ModelFile, path, REMEDY)
    check_weight_files(folder, path, checked)
    facts = checked.model_dump(mode="json", exclude_unset=True)
    decision = read_decision(checked.task, facts.pop("decision"), path, REMEDY)
    check_decision(path, checked, decision)
    members = [_member(folder, member) for member in facts.pop("members")]
    named = _own_networks(members)
    if not trust:
        refuse_untrusted(folder, named, folder / CODE_FOLDER)
    register_code(folder, facts.get("code", []), named.values())
    _require_outputs(path, members, decision, checked.task)
    return ImageModel(facts, members, decision)


def _require_outputs(
    path: Path, members: Sequence[ModelMember], decision: ImageDecision, task: str
) -> None:
    """Raise InputError unless every network takes and gives what the model file says."""
    problems = []
    for member in members:
        expected = (member.inputs, decision.outputs)
        for checkpoint in _checkpoints(member):
            facts = checkpoint.facts
            fits = fits_task(facts["architecture"], decision.whole_image)
            if not fits or (facts["channels"], facts.get("classes", 1)) != expected:
                problems.append(
                    f"{checkpoint.path.with_suffix('.json').name}: {facts['architecture']} with "
                    f"{facts['channels']} channels and {facts.get('classes', 1)} outputs is not a "
                    f"network for {member.inputs} channels, {decision.outputs} outputs, {task}"
                )
    if problems:
        title = f"{path} and the files beside the weights differ:"
        raise InputError(list_problems(title, problems, REMEDY))


def _own_networks(members: Sequence[ModelMember]) -> dict[str, str]:
    """Return the references that build networks, by the file that names each first."""
    named: dict[str, str] = {}
    for checkpoint in (held for member in members for held in _checkpoints(member)):
        architecture = checkpoint.facts["architecture"]
        if is_reference(architecture) and architecture not in named.values():
            named[checkpoint.path.with_suffix(".json").name] = architecture
    return named


def _require_format(path: Path, content: bytes) -> None:
    """Raise InputError if another version of goldfold wrote the model."""
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path} as JSON: {error}. {REMEDY}") from error
    written = facts.get("format") if isinstance(facts, dict) else None
    if written != FORMAT:
        raise InputError(
            f"{path} has format {written!r:.60}; this version of goldfold reads {FORMAT}. "
            "Export the run again."
        )


def _member(folder: Path, content: Mapping[str, Any]) -> ModelMember:
    return ModelMember(
        content["name"],
        content["channels"],
        height_and_width(content["image_size"]),
        tuple(
            FoldNetworks(
                training["seed"],
                training["fold"],
                tuple(_checkpoint(folder / WEIGHTS_FOLDER / name) for name in training["weights"]),
            )
            for training in content["networks"]
        ),
        tuple(content.get("neighbours", ())),
    )


def _checkpoints(member: ModelMember) -> list[Checkpoint]:
    return [held for training in member.networks for held in training.checkpoints]


def _checkpoint(path: Path) -> Checkpoint:
    facts = read_facts(path.with_suffix(".json"), REMEDY)
    return Checkpoint(path, facts["epoch"], facts["score"], facts["sha256"], facts, REMEDY)
