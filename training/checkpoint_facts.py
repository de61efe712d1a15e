"""What stands beside the weights of a checkpoint: how its network is built, and its score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from goldfold.checked_json import check_json, read_checked
from goldfold.network_options import encoder_problems, option_problems
from goldfold.own_code import PATTERN as OWN_PATTERN
from goldfold.settings_files import Strict
from goldfold.settings_training import MOST_INPUTS, SizeSetting

MOST_BYTES = 1 << 20
"""Of the file; real ones have less than a thousandth."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Architecture = Name | Annotated[str, Field(pattern=OWN_PATTERN, max_length=200)]


class CheckpointFacts(Strict):
    """The .json beside a checkpoint."""

    architecture: Architecture
    encoder: str
    channels: Annotated[int, Field(ge=1, le=MOST_INPUTS)]
    options: dict[str, str | int | float | bool | list[int]]
    presence_head: bool = False
    classes: Annotated[int, Field(ge=1, le=10_000)] = 1
    image_size: SizeSetting | None = None
    epoch: Annotated[int, Field(ge=0, le=10_000_000)]
    weights: Name = "raw"
    score: float
    non_empty_score: float = 0.0
    sha256: Digest
    averaged_from: Annotated[list[Digest], Field(max_length=10_000)] = Field([])
    taken: Annotated[list[Name], Field(max_length=10_000)] = Field([])

    @field_validator("encoder")
    @classmethod
    def _plain_encoder(cls, encoder: str) -> str:
        if problems := encoder_problems(encoder):
            raise ValueError(problems[0])
        return encoder

    @field_validator("options")
    @classmethod
    def _known_options(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        before = info.data  # fields that were refused themselves are not in it
        if "architecture" in before and "encoder" in before:
            problems = option_problems(before["architecture"], before["encoder"], options)
            if problems:
                raise ValueError("; ".join(problems))
        return options

    @property
    def network(self) -> dict[str, Any]:
        """The arguments of `build_model`; encoder weights are never among them."""
        return {
            "architecture": self.architecture,
            "encoder": self.encoder,
            "channels": self.channels,
            "presence_head": self.presence_head,
            "classes": self.classes,
            "options": self.options,
        }


def read_facts(path: Path, remedy: str) -> dict[str, Any]:
    """Return the facts beside a checkpoint as they stand in the file.

    Raises:
        InputError: the file is missing, too large, or does not follow the schema.
    """
    facts = read_checked(path, CheckpointFacts, most_bytes=MOST_BYTES, remedy=remedy)
    return facts.model_dump(mode="json", exclude_unset=True)


def check_facts(facts: Mapping[str, Any], source: Path, remedy: str) -> CheckpointFacts:
    """Return facts that were read or made before as their schema.

    Raises:
        InputError: they do not follow it.
    """
    return check_json(json.dumps(facts), CheckpointFacts, source, remedy)
