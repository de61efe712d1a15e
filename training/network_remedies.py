"""What a network would take where it fails: found by trying, on no memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from goldfold.errors import InputError
from goldfold.image_size import ImageSize
from goldfold.network_options import OPTIONS, TIMM_OPTIONS, known_options
from goldfold.settings import ModelSettings
from goldfold.training.network_trial import Pass, Trial

_STEP = 32
_FURTHEST = 12
"""Steps of `_STEP` pixels in which a size is looked for on either side."""
_SHOWN = 3  # architectures that a message names
_USUAL_SIDES = (224, 256, 384, 448, 512)
"""Sides that encoders of a fixed size have."""


def fitting_options(trial: Trial, passes: Sequence[Pass]) -> str:
    """Return the line of a model's settings with which it would make all passes, "" without any.

    Args:
        trial: of the network as it is set.
        passes: all that it will make.
    """
    for options in _candidates(trial.model, passes):
        if _takes(_other(trial, options=options), passes):
            return f"options = {_as_toml(options)}"
    return ""


def fitting_sizes(trial: Trial, failed: Pass) -> str:
    """Return the sizes next to that of a failed pass that would do, in words, "" without any."""
    sides = _sides(failed.size)
    above = [side for side in sides if side > max(failed.size)]
    below = [side for side in reversed(sides) if side < min(failed.size)]

    def fits(side: int) -> bool:
        passes = [Pass((side, side)), replace(failed, size=(side, side), images=2, trains=True)]
        return _takes(trial, passes)

    smaller = next((side for side in below if fits(side)), None)
    larger = next((side for side in above if fits(side)), None)
    if larger is not None and smaller is None:
        following = above[above.index(larger) + 1 :][:3]
        if following and all(fits(side) for side in following):
            return f"{larger} or more pixels a side"
    found = [str(side) for side in (smaller, larger) if side is not None]
    return f"{' or '.join(found)} pixels a side" if found else ""


def fitting_architectures(trial: Trial, passes: Sequence[Pass]) -> list[str]:
    """Return the first few architectures of masks that would make all passes with the encoder.

    Those that need other options of the encoder stand with them.
    """
    if trial.per_image:
        return []
    plain = trial.model.model_copy(update={"options": _of_encoder(trial.model)})
    fit = []
    for name, known in OPTIONS.items():
        if "encoder_depth" not in known or name == trial.model.architecture:
            continue
        other = _other(trial, architecture=name, options=plain.options)
        if _takes(other, passes):
            fit.append(name)
        elif options := fitting_options(other, passes):
            fit.append(f"{name} with {options}")
        if len(fit) == _SHOWN:
            break
    return fit


def takes_two(trial: Trial, failed: Pass) -> bool:
    """Return whether a pass fails because it trains on a single image."""
    if not failed.trains or failed.images > 1:
        return False
    return not trial.failure(replace(failed, images=2), confirm=False)


def _candidates(model: ModelSettings, passes: Sequence[Pass]) -> Iterator[dict[str, Any]]:
    """Yield options to try, those that change least first."""
    known = known_options(model.architecture, model.encoder)
    if "img_size" in known:
        largest = max((tried.size for tried in passes), key=lambda size: size[0] * size[1])
        side = largest[0] if largest[0] == largest[1] else list(largest)
        for change in (
            {"img_size": side},
            {"dynamic_img_size": True},
            {"strict_img_size": False},
            {"img_size": side, "strict_img_size": False},
            {"dynamic_img_size": True, "dynamic_img_pad": True},
        ):
            yield {**model.options, **change}
    for name in model.options:
        yield {key: value for key, value in model.options.items() if key != name}
    if len(model.options) > 1:
        yield {}


def _takes(trial: Trial, passes: Sequence[Pass]) -> bool:
    try:
        return not any(trial.failure(tried, confirm=False) for tried in passes)
    except InputError:  # it cannot be built
        return False


def _other(trial: Trial, **changes: Any) -> Trial:
    model = trial.model.model_copy(update=changes)
    return Trial(model, trial.classes, per_image=trial.per_image)


def _of_encoder(model: ModelSettings) -> dict[str, Any]:
    """Return the options that reach the encoder, whatever the architecture."""
    return {name: value for name, value in model.options.items() if name in TIMM_OPTIONS}


def _sides(size: ImageSize) -> list[int]:
    lowest = max(_STEP, min(size) - _FURTHEST * _STEP)
    near = range(lowest, max(size) + (_FURTHEST + 1) * _STEP, _STEP)
    return sorted({*near, *_USUAL_SIDES})


def _as_toml(options: dict[str, Any]) -> str:
    """Return options as an inline table of TOML.

    >>> _as_toml({"img_size": [64, 96], "dynamic_img_size": True})
    '{ img_size = [64, 96], dynamic_img_size = true }'
    """
    pairs = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
    return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
