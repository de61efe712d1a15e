"""What goldfold.toml can say of the ensemble: members, blend, thresholds, post-processing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from goldfold.settings_files import Strict
from goldfold.settings_training import Seed
from goldfold.vocabulary import STACKED_ON, Calibration, MemberMerge, RuleChoice, WeightChoice


class GivenRule(Strict):
    """Thresholds that are not searched for, such as a medal solution's."""

    top: Annotated[float, Field(gt=0, le=1)]
    """Probability of the pixels that count towards min_area."""
    min_area: Annotated[int, Field(ge=0)]
    """Fewer such pixels make the mask empty."""
    bottom: Annotated[float, Field(gt=0, le=1)]
    """Probability of the mask's pixels."""
    at_size: Annotated[int, Field(ge=1)] | None = None
    """Side in pixels of the images that min_area was found on; the original size unless given."""


class EnsembleSettings(Strict):
    """How members are blended and thresholds chosen."""

    members: list[str] | None = None
    """Names of the models of this run to blend; all unless given."""
    runs: list[Path] = Field([])
    """Other run directories whose models are blended too; relative paths start from this one."""
    merge: MemberMerge = "mean"
    """What is averaged over members: probabilities, their logarithms, logits, or ranks."""
    weights: WeightChoice | list[Annotated[int, Field(ge=0)]] = "equal"
    """Whole-numbered weight of each member, or how they are chosen on out-of-fold predictions:
    `logistic` is a logistic regression on members' logits, `ridge` a ridge regression on their
    probabilities."""
    calibration: Calibration = "none"
    """Monotone map that turns what a member says into a probability before members are merged,
    fitted on out-of-fold predictions."""
    rule: RuleChoice = "centre"
    """Thresholds in the centre of the plateau of good ones, or the very best on these images."""
    thresholds: GivenRule | None = None
    """Take these thresholds instead of searching."""
    leave_empty: list[str] = Field([])
    """Several masks per image: classes whose masks are left empty, because they lower the score
    (`ensemble run` says which)."""
    post_processing: Literal["off", "auto"] = "off"
    """Small parts, holes, edges: `auto` keeps the steps whose honest gain is positive."""
    min_area_candidates: Annotated[int, Field(ge=1)] | None = None
    """Upper bound on different min_area values tried; None = all of them (exact)."""
    presence_gate: Literal["auto", "off"] = "auto"
    """Empty masks by the presence head: `auto` where the honest score is better with it."""
    bootstrap_samples: Annotated[int, Field(ge=100)] = 2000
    """Resamplings of groups behind the interval of the honest score."""
    seed: Seed = 0
    """Seed of the bootstrap."""

    @property
    def facts(self) -> dict[str, object]:
        """Settings as JSON values, by which stale results are found."""
        facts = self.model_dump(mode="json")
        if self.calibration == "none":  # so results of versions without the setting stay current
            del facts["calibration"]
        return facts

    @model_validator(mode="after")
    def _merge_fits(self) -> EnsembleSettings:
        needed = STACKED_ON.get(str(self.weights), self.merge)
        if self.merge != needed:
            raise ValueError(
                f'weights = "{self.weights}" is a regression on what merge = "{needed}" averages, '
                f'but merge is "{self.merge}": set merge = "{needed}"'
            )
        if self.merge == "rank" and self.calibration != "none":
            raise ValueError(
                f'calibration = "{self.calibration}" keeps the order of what a member says, and '
                'merge = "rank" looks at nothing else: set merge = "mean" or "logit", or '
                'calibration = "none"'
            )
        return self
