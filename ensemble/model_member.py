"""The members of an exported model: their networks, weights in the blend, and what they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldfold.extent import Extent, compact
from goldfold.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class FoldNetworks:
    """The checkpoints of one fold's training; their probabilities are averaged."""

    seed: int
    fold: int
    checkpoints: tuple[Checkpoint, ...]


@dataclass(frozen=True)
class ModelMember:
    """One model of the blend.

    Attributes:
        name: of the model.
        weight: in the blend.
        channels: of an image, 1 or 3.
        image_size: height and width at which its networks look.
        networks: of every seed and fold.
        level_counts: where maps are averaged by rank, pixels by level; of classes the quantiles of
            its out-of-fold probabilities, (Q, C).
        neighbours: places, relative to an image, of those that become channels; () = itself alone.
    """

    name: str
    weight: int
    channels: int
    image_size: Extent
    networks: tuple[FoldNetworks, ...]
    level_counts: Any = None
    neighbours: tuple[int, ...] = ()

    @property
    def inputs(self) -> int:
        """Input channels of its networks: those of an image and its neighbours."""
        return self.channels * max(1, len(self.neighbours))


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
            "weight": member.weight,
            "channels": member.channels,
            **({"neighbours": list(member.neighbours)} if member.neighbours else {}),
            "image_size": compact(member.image_size),
            "level_counts": member.level_counts,
            "networks": [
                {
                    "seed": one.seed,
                    "fold": one.fold,
                    "weights": [names[checkpoint.path] for checkpoint in one.checkpoints],
                }
                for one in member.networks
            ],
        }
        for member in members
    ]
