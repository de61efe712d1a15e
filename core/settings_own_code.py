"""Which settings name code of the user's own."""

from __future__ import annotations

from goldfold.own_code import is_reference
from goldfold.settings import Settings, StageSettings


def own_objects(settings: Settings) -> dict[str, str]:
    """Return every `module:object` of the settings, by the name of its setting.

    >>> own_objects(Settings())
    {}
    """
    named = {"competition.metric": settings.competition.metric}
    for place, model in enumerate(settings.models):
        named[f"models.{place}.architecture"] = model.architecture
        for number, stage in enumerate(model.stages):
            named |= _of_stage(f"models.{place}.stages.{number}", stage)
    return {name: value for name, value in named.items() if is_reference(value)}


def _of_stage(path: str, stage: StageSettings) -> dict[str, str]:
    """Return the values of a stage's settings that may be references."""
    named = {f"{path}.sampling.schedule": stage.sampling.schedule}
    named |= {f"{path}.loss.{place}": loss for place, loss in enumerate(stage.loss.own)}
    if not isinstance(stage.augmentation, str):
        steps = enumerate(stage.augmentation.steps or [])
        named |= {f"{path}.augmentation.steps.{place}": step for place, step in steps}
    return named
