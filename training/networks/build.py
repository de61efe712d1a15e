"""The network: any architecture and encoder of segmentation_models_pytorch, or one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from goldfold.errors import InputError, did_you_mean, list_problems
from goldfold.network_options import TIMM_OPTIONS, encoder_problems, option_problems
from goldfold.own_code import is_reference
from goldfold.training.finite import refuse_bad_weights
from goldfold.training.networks.classifier import (
    Classifier,
    PlainCnn,
    require_timm_network,
)
from goldfold.training.networks.double_unet import DoubleUnet
from goldfold.training.networks.own import build_own_network, require_encoder
from goldfold.training.networks.vanilla_unet import VanillaUnet


class CannotBuildError(InputError):
    """The libraries know architecture, encoder and options, but not together."""


OURS = {
    "VanillaUnet": VanillaUnet,
    "DoubleUnet": DoubleUnet,
    "Classifier": Classifier,
    "PlainCnn": PlainCnn,
}
"""Architectures that segmentation_models_pytorch does not have."""

SELF_MADE = ("VanillaUnet", "PlainCnn")
"""Those of them that have no encoder by name."""

PRESENCE_DROPOUT = 0.2
"""Of the presence head, between pooled features and its one output."""


def build_model(
    architecture: str,
    encoder: str,
    *,
    encoder_weights: str = "none",
    channels: int = 1,
    presence_head: bool = False,
    classes: int = 1,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return a network from (N, channels, H, W) images to (N, classes, H, W) logits, channels_last.

    Classifier and PlainCnn give the logits of classes of the whole image, (N, 1, 1, classes).

    With a presence head it returns a pair, the second being (N, 1) logits of "this image has a
    mask": `split_output` takes both apart.

    Args:
        architecture: class of segmentation_models_pytorch, e.g. `Unet`, or VanillaUnet (which
            has no encoder by name), DoubleUnet, Classifier or PlainCnn (which has none either);
            or a bound `module:object` that builds a network, without an encoder by name.
        encoder: encoder name there; `tu-NAME` for any network of timm. Of a Classifier, NAME.
        encoder_weights: `none`, a published set (`imagenet`), or a .safetensors file whose
            names are the encoder's own.
        channels: input channels; published weights of three are summed down to one and repeated
            for more, and so is the first layer of a file.
        classes: outputs.
        presence_head: a classifier on the encoder's last features, the auxiliary head of
            segmentation_models_pytorch (4th place of SIIM-ACR Pneumothorax).
        options: further arguments of the architecture, from `goldfold.network_options`.

    Raises:
        CannotBuildError: architecture, encoder and options do not fit each other, or the weights
            cannot be had.
        InputError: unknown name or option.
    """
    if is_reference(architecture):
        return _own(architecture, encoder_weights, channels, classes, options or {})
    import segmentation_models_pytorch as smp

    known = {name: getattr(smp, name) for name in _architectures(smp)} | OURS
    if architecture not in known:
        raise InputError(_unknown("architecture", architecture, list(known)))
    _check_names(architecture, encoder, encoder_weights, options or {})
    _check_encoder(architecture, encoder)
    _check_signature(known[architecture], architecture, options or {})
    from_file = encoder_weights.endswith(".safetensors")
    published = None if from_file or encoder_weights == "none" else encoder_weights
    arguments: dict[str, Any] = {"in_channels": channels, "classes": classes}
    arguments |= _as_tuples(options or {})
    if architecture not in SELF_MADE:
        arguments |= {"encoder_name": encoder, "encoder_weights": published}
    if presence_head:
        if architecture in OURS:
            raise InputError(
                f"{architecture} has no presence head; set presence_head = false or take an "
                "architecture of segmentation_models_pytorch."
            )
        arguments["aux_params"] = {"classes": 1, "pooling": "avg", "dropout": PRESENCE_DROPOUT}
    try:
        model: nn.Module = known[architecture](**arguments)
    except InputError:
        raise
    except Exception as error:  # the libraries raise anything for arguments that do not fit
        raise CannotBuildError(_cannot_build(architecture, encoder, published, error)) from error
    if from_file:
        load_encoder(model, Path(encoder_weights))
    return model.to(memory_format=torch.channels_last)


def _own(
    reference: str, encoder_weights: str, channels: int, classes: int, options: Mapping[str, Any]
) -> nn.Module:
    """Return a network of the user's own, its encoder's weights from a file if one is named.

    Raises:
        InputError: it cannot be built, or published weights are asked for.
    """
    if encoder_weights != "none" and not encoder_weights.endswith(".safetensors"):
        raise InputError(
            f"encoder_weights = {encoder_weights!r} names published weights, which a network of "
            'your own loads itself: set encoder_weights = "none" or a .safetensors file.'
        )
    model = build_own_network(reference, channels=channels, classes=classes, options=options)
    if encoder_weights != "none":
        require_encoder(model, reference, ["encoder_weights"])
        load_encoder(model, Path(encoder_weights))
    return model.to(memory_format=torch.channels_last)


def load_encoder(model: nn.Module, path: Path) -> None:
    """Load an encoder's weights from a .safetensors file, all names matching.

    A first kernel of three input channels is fitted to those of the encoder: summed for one, as a
    gray image three times then gives the same response, repeated for more.

    Raises:
        InputError: the file is missing or does not fit.
        NotFiniteError: its weights are NaN or infinite.
    """
    encoder = model.get_submodule("encoder")
    if not path.is_file():
        raise InputError(f"encoder weights {path} do not exist; set encoder_weights to a file.")
    try:
        own = encoder.state_dict()
        weights = load_file(path)
        refuse_bad_weights(weights, f"encoder weights {path}", "Take another file.")
        encoder.load_state_dict({k: _fit(t, own.get(k)) for k, t in weights.items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        raise InputError(f"encoder weights {path} do not fit this encoder: {error}") from error


def _fit(kernel: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
    """Return the kernel for as many input channels as the encoder's.

    One channel gets their sum; more than there are get them in turn, scaled so that equal channels
    give about the same response, as segmentation_models_pytorch and timm do.
    """
    if own is None or not kernel.ndim == own.ndim == 4 or own.shape[0] != kernel.shape[0]:
        return kernel
    there, wanted = kernel.shape[1], own.shape[1]
    if wanted == 1:
        return kernel.sum(dim=1, keepdim=True)
    if there != 3 or wanted == there or own.shape[2:] != kernel.shape[2:]:
        return kernel
    return kernel[:, torch.arange(wanted) % there] * (there / wanted)


def _check_names(
    architecture: str, encoder: str, encoder_weights: str, options: Mapping[str, Any]
) -> None:
    """Raise InputError unless names are plain and options are of the vocabulary."""
    problems = encoder_problems(encoder, encoder_weights)
    problems += option_problems(architecture, encoder, options)
    if len(problems) == 1:
        raise InputError(problems[0] if problems[0].endswith("?") else f"{problems[0]}.")
    if problems:
        title = f"{architecture} cannot be built with these settings:"
        raise InputError(list_problems(title, problems))


def _check_encoder(architecture: str, encoder: str) -> None:
    """Raise InputError unless the library that builds the encoder has it."""
    from segmentation_models_pytorch.encoders import get_encoder_names

    if architecture in SELF_MADE:
        return
    if architecture == "Classifier" or encoder.startswith("tu-"):
        require_timm_network(encoder.removeprefix("tu-"))
    elif encoder not in get_encoder_names():
        raise InputError(_unknown("encoder", encoder, get_encoder_names()))


def _check_signature(kind: Any, architecture: str, options: Mapping[str, Any]) -> None:
    """Raise InputError where the installed version lacks an option, which it might swallow."""
    known = [name for name in signature(kind).parameters if name not in ("self", "kwargs")]
    if lacking := [name for name in options if name not in known and name not in TIMM_OPTIONS]:
        raise InputError(
            f"the installed segmentation_models_pytorch has no option {', '.join(lacking)} of "
            f"{architecture}; it has {', '.join(known)}. Update it, or leave the option out."
        )


def _architectures(smp: Any) -> list[str]:
    return [
        name
        for name in dir(smp)
        if isinstance(getattr(smp, name), type) and issubclass(getattr(smp, name), nn.Module)
    ]


def _as_tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}


def _unknown(what: str, given: str, known: list[str]) -> str:
    hint = did_you_mean(given, known) or f" It has {', '.join(known[:12])} ..."
    return f"segmentation_models_pytorch has no {what} {given!r}.{hint}"


def _cannot_build(architecture: str, encoder: str, weights: str | None, error: Exception) -> str:
    remedy = (
        f'If {weights!r} cannot be downloaded here, set encoder_weights = "none" or name a '
        ".safetensors file."
        if weights
        else "Look at [[models]] options, architecture and encoder in goldfold.toml."
    )
    reason = str(error.args[0] if isinstance(error, KeyError) else error).rstrip(".")
    reason = reason or f"the library gives no reason ({type(error).__name__})"
    return f"cannot build {architecture} with encoder {encoder}: {reason}. {remedy}"
