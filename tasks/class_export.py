"""What an exported model needs of its members beside their networks, to blend classes by rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goldfold.ensemble.image_model import ModelMember
    from goldfold.tasks.run_view import MemberSource

QUANTILES = 1001
"""Of a member's out-of-fold probabilities that are kept to count ranks in."""


def with_quantiles(source: MemberSource, members: list[ModelMember]) -> list[ModelMember]:
    """Return the members with quantiles of their out-of-fold probabilities."""
    from dataclasses import replace

    import numpy as np

    from goldfold.tasks.class_members import class_members

    known = class_members(source, "out-of-fold")
    tables = dict(zip(known.names, known.probability, strict=True))
    shares = np.linspace(0, 1, QUANTILES)
    return [
        replace(member, level_counts=np.quantile(tables[member.name], shares, axis=0).tolist())
        for member in members
    ]
