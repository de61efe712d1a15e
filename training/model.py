"""The network: any architecture and encoder of segmentation_models_pytorch, by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import nn

from goldfold.errors import InputError


def build_model(
    architecture: str,
    encoder: str,
    *,
    encoder_weights: str = "none",
    channels: int = 1,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return a network from (N, channels, H, W) images to (N, 1, H, W) logits, channels_last.

    Args:
        architecture: class of segmentation_models_pytorch, e.g. `Unet`.
        encoder: encoder name there; `tu-NAME` for any network of timm.
        encoder_weights: `none`, a published set (`imagenet`), or a .safetensors file whose
            names are the encoder's own.
        channels: input channels; weights of three channels are summed down to one.
        options: further arguments of the architecture.

    Raises:
        InputError: unknown name or option, or weights that cannot be had.
    """
    import segmentation_models_pytorch as smp

    known = {name: getattr(smp, name) for name in _architectures(smp)}
    if architecture not in known:
        raise InputError(_unknown("architecture", architecture, list(known)))
    if not encoder.startswith("tu-") and encoder not in smp.encoders.get_encoder_names():
        raise InputError(_unknown("encoder", encoder, smp.encoders.get_encoder_names()))
    _check_options(known[architecture], architecture, encoder, options or {})
    from_file = encoder_weights.endswith(".safetensors")
    published = None if from_file or encoder_weights == "none" else encoder_weights
    try:
        model: nn.Module = known[architecture](
            encoder_name=encoder,
            encoder_weights=published,
            in_channels=channels,
            classes=1,
            **_as_tuples(options or {}),
        )
    except (TypeError, ValueError, KeyError, OSError, RuntimeError) as error:
        raise InputError(_cannot_build(architecture, encoder, published, error)) from error
    if from_file:
        load_encoder(model, Path(encoder_weights))
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def load_encoder(model: nn.Module, path: Path) -> None:
    """Load an encoder's weights from a .safetensors file, all names matching.

    Raises:
        InputError: the file is missing or does not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    encoder = model.encoder
    if not path.is_file():
        raise InputError(f"encoder weights {path} do not exist; set encoder_weights to a file.")
    try:
        encoder.load_state_dict(load_file(path))  # type: ignore[operator,union-attr]
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"encoder weights {path} do not fit this encoder: {error}") from error


def _check_options(kind: Any, architecture: str, encoder: str, options: Mapping[str, Any]) -> None:
    """Refuse options that smp would swallow; timm encoders may take arguments of their own."""
    known = [name for name in signature(kind).parameters if name not in ("self", "kwargs")]
    unknown = [name for name in options if name not in known]
    if unknown and not encoder.startswith("tu-"):
        raise InputError(
            f"{architecture} has no option {', '.join(unknown)}; it has {', '.join(known)}."
        )


def _architectures(smp: Any) -> list[str]:
    return [
        name
        for name in dir(smp)
        if isinstance(getattr(smp, name), type) and issubclass(getattr(smp, name), nn.Module)
    ]


def _as_tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}


def _unknown(what: str, found: str, known: list[str]) -> str:
    near = difflib.get_close_matches(found, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known[:12])} ..."
    return f"segmentation_models_pytorch has no {what} {found!r}: {hint}"


def _cannot_build(architecture: str, encoder: str, weights: str | None, error: Exception) -> str:
    remedy = (
        f'If {weights!r} cannot be downloaded here, set encoder_weights = "none" or name a '
        ".safetensors file."
        if weights
        else "Look at [[models]] options, architecture and encoder in goldfold.toml."
    )
    return f"cannot build {architecture} with encoder {encoder}: {error}. {remedy}"
