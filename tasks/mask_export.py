"""What an exported model holds of the blend and the rule of masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldfold.ensemble.mask_choice import MaskChoice
    from goldfold.tasks.run_view import RunView


def mask_model_facts(run: RunView, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return rule and post-processing, or those of each class.

    Args:
        run: the run.
        chosen: content of ensemble.json.
    """
    from goldfold.ensemble.mask_choice import describe_choice
    from goldfold.ensemble.post_processing import NOTHING
    from goldfold.ensemble.report import read_rule

    if names := run.settings.competition.mask_classes:
        return {
            "masks": [  # in the order of the network's outputs
                {"name": name, **describe_choice(_choice(run, chosen["classes"][name], name))}
                for name in names
            ],
            "overlap": [
                {"class": name, **row}
                for name in names
                for row in chosen["classes"][name].get("overlap", [])
            ],
        }
    rule, calibration = read_rule(run.directory.ensemble), _calibration(chosen)
    return {
        "merge": chosen["merge"],
        "rule": [rule.top, rule.min_area, rule.bottom, rule.gate],
        "post_processing": chosen.get("post_processing", vars(NOTHING)),
        "overlap": chosen.get("overlap", []),
        **({"calibration": calibration} if calibration else {}),
    }


def _choice(run: RunView, content: Mapping[str, Any], name: str) -> MaskChoice:
    """Return what ensemble.json says of the masks of a class."""
    from goldfold.ensemble.mask_choice import MaskChoice
    from goldfold.ensemble.report import read_post_processing, read_rule

    path, members = run.directory.ensemble, content["members"]
    return MaskChoice(
        content["merge"],
        {member["name"]: member["weight"] for member in members},
        read_rule(path, name),
        read_post_processing(path, name),
        {member["name"]: member["level_counts"] for member in members if "level_counts" in member},
        _calibration(content),
    )


def _calibration(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the calibration of the members of a weight above 0, empty without."""
    from goldfold.ensemble.calibration_curve import read_level_tables

    tables = read_level_tables(content)
    if not tables:
        return {}
    blended = [one["name"] for one in content["members"] if one["weight"]]
    way = content["calibration"]["way"]
    return {"way": way, "members": {name: tables[name] for name in blended}}
