"""What a network may be asked for: plain encoder names, and options from a fixed vocabulary.

Options reach the constructors of segmentation_models_pytorch and timm, some of whose arguments open
files or the network (`checkpoint_path`, `pretrained_cfg`, `cache_dir`). Facts beside weights come
from whoever made them, so only the arguments below pass, and only with values of the right kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from goldfold.errors import did_you_mean
from goldfold.own_code import is_reference

MOST_FEATURES = 2048
"""Channels that a layer of a decoder may have: the widest in use have 1024."""

OUR_ARGUMENTS = ("encoder_name", "encoder_weights", "in_channels", "classes", "aux_params")
"""Arguments of an architecture that follow from other settings than `options`."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PUBLISHED_SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9+_-]{0,99}")  # a dot would end a file's name
_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class Kind:
    """The values that an option may have, in words and as a test."""

    expected: str
    accepts: Callable[[Any], bool]


def _whole(least: int, most: int) -> Kind:
    return Kind(
        f"a whole number from {least} to {most}", lambda v: type(v) is int and least <= v <= most
    )


def _wholes(least: int, most: int, longest: int) -> Kind:
    element = _whole(least, most)
    return Kind(
        f"1 to {longest} whole numbers from {least} to {most}, as in [128, 64]",
        lambda v: (
            isinstance(v, list | tuple)
            and 1 <= len(v) <= longest
            and all(element.accepts(item) for item in v)
        ),
    )


def _one_of(*values: str | int) -> Kind:
    words = ", ".join(json.dumps(value) for value in values)
    return Kind(
        f"one of {words}" if len(values) > 1 else words,
        lambda v: any(type(v) is type(value) and v == value for value in values),
    )


def _any_of(*kinds: Kind) -> Kind:
    return Kind(
        " or ".join(kind.expected for kind in kinds), lambda v: any(k.accepts(v) for k in kinds)
    )


FLAG = Kind("true or false", lambda v: type(v) is bool)
SHARE = Kind("a number from 0 to below 1", lambda v: type(v) in (int, float) and 0 <= v < 1)
_FEATURES = _whole(1, MOST_FEATURES)
_NORM = _any_of(FLAG, _one_of("batchnorm", "layernorm", "instancenorm", "identity", "inplace"))
_INTERPOLATION = _one_of("nearest", "nearest-exact", "bilinear", "bicubic", "area")
_UPSAMPLING = _one_of(1, 2, 4, 8, 16)

_LEVELS = {"encoder_depth": _whole(1, 5)}
_UNET = {**_LEVELS, "decoder_use_norm": _NORM, "decoder_channels": _wholes(1, MOST_FEATURES, 5)}
_UNET_LIKE = {
    **_UNET,
    "decoder_attention_type": _one_of("scse"),
    "decoder_interpolation": _INTERPOLATION,
}
_DEEPLAB = {
    **_LEVELS,
    "encoder_output_stride": _one_of(8, 16),
    "decoder_channels": _FEATURES,
    "decoder_atrous_rates": _wholes(1, 128, 8),
    "decoder_aspp_separable": FLAG,
    "decoder_aspp_dropout": SHARE,
    "upsampling": _UPSAMPLING,
}

OPTIONS: Mapping[str, Mapping[str, Kind]] = {
    "Unet": _UNET_LIKE,
    "UnetPlusPlus": _UNET_LIKE,
    "MAnet": {
        **_UNET,
        "decoder_pab_channels": _FEATURES,
        "decoder_interpolation": _INTERPOLATION,
    },
    "Linknet": {**_LEVELS, "decoder_use_norm": _NORM},
    "FPN": {
        **_LEVELS,
        "decoder_pyramid_channels": _FEATURES,
        "decoder_segmentation_channels": _FEATURES,
        "decoder_merge_policy": _one_of("add", "cat"),
        "decoder_dropout": SHARE,
        "decoder_interpolation": _INTERPOLATION,
        "upsampling": _UPSAMPLING,
    },
    "PSPNet": {
        **_LEVELS,
        "psp_out_channels": _FEATURES,
        "decoder_use_norm": _NORM,
        "psp_dropout": SHARE,
        "upsampling": _UPSAMPLING,
    },
    "DeepLabV3": _DEEPLAB,
    "DeepLabV3Plus": _DEEPLAB,
    "PAN": {
        **_LEVELS,
        "encoder_output_stride": _one_of(16, 32),
        "decoder_channels": _FEATURES,
        "decoder_interpolation": _INTERPOLATION,
        "upsampling": _UPSAMPLING,
    },
    "UPerNet": {
        **_LEVELS,
        "decoder_channels": _FEATURES,
        "decoder_use_norm": _NORM,
        "upsampling": _UPSAMPLING,
    },
    "Segformer": {
        **_LEVELS,
        "decoder_segmentation_channels": _FEATURES,
        "upsampling": _UPSAMPLING,
    },
    "DPT": {
        "encoder_depth": _whole(1, 64),
        "encoder_output_indices": _wholes(-64, 63, 64),
        "decoder_readout": _one_of("ignore", "add", "cat"),
        "decoder_intermediate_channels": _wholes(1, MOST_FEATURES, 64),
        "decoder_fusion_channels": _FEATURES,
    },
    "VanillaUnet": {"filters": _whole(1, 128), "depth": _whole(1, 6)},
    "DoubleUnet": {},
    "PlainCnn": {"filters": _whole(1, 128), "dropout": SHARE, "dense_dropout": SHARE},
    "Classifier": {"dropout": SHARE},
}
"""Options by architecture. The final activation is none of them: networks give logits."""

_SIDE = _whole(32, 4096)
TIMM_OPTIONS: Mapping[str, Kind] = {
    "attn_drop_rate": SHARE,
    "drop_path_rate": SHARE,
    "drop_rate": SHARE,
    "dynamic_img_pad": FLAG,
    "dynamic_img_size": FLAG,
    "global_pool": _one_of("avg", "max", "avgmax", "token", "map"),
    "img_size": _any_of(_SIDE, _wholes(32, 4096, 2)),
    "patch_drop_rate": SHARE,
    "pos_drop_rate": SHARE,
    "proj_drop_rate": SHARE,
    "strict_img_size": FLAG,
    "window_size": _whole(1, 64),
}
"""Options of timm's networks: of a Classifier, and of an encoder `tu-NAME`."""


def known_options(architecture: str, encoder: str) -> dict[str, Kind]:
    """Return the options that an architecture takes with an encoder."""
    own = dict(OPTIONS.get(architecture, {}))
    of_timm = architecture == "Classifier" or encoder.startswith("tu-")
    return own | dict(TIMM_OPTIONS) if of_timm else own


def option_problems(architecture: str, encoder: str, options: Mapping[str, Any]) -> list[str]:
    """Return one line for each option that may not be set, or not to this value.

    A network of the user's own takes what its function takes, which shows when it is built.

    >>> option_problems("VanillaUnet", "none", {"filters": 8, "depth": 60})
    ['option depth of VanillaUnet: expected a whole number from 1 to 6, found 60']
    """
    if is_reference(architecture):
        return [
            f"options must not set {argument}"
            for argument in options
            if argument in ("channels", "classes")
        ]
    known = known_options(architecture, encoder)
    problems = []
    for name, value in options.items():
        if name in OUR_ARGUMENTS:
            problems.append(
                f"options must not set {name}: goldfold does (encoder, encoder_weights, channels "
                "and presence_head of the model)"
            )
        elif name not in known:
            hint = did_you_mean(name, known)
            problems.append(
                f"{architecture} has no option {_shown(name)}; it has "
                f"{', '.join(known) or 'none'}{'.' + hint if hint else ''}"
            )
        elif not known[name].accepts(value):
            problems.append(
                f"option {name} of {architecture}: expected {known[name].expected}, found "
                f"{_shown(json.dumps(value, default=str))}"
            )
    return problems


def encoder_problems(encoder: str, encoder_weights: str = "none") -> list[str]:
    """Return why an encoder or its weights cannot be named so, nothing where they can.

    Args:
        encoder: of the network; names of folders and of a model hub would be fetched by timm.
        encoder_weights: `none`, the name of a published set, or a .safetensors file.

    >>> encoder_problems("tu-convnext_tiny.in12k", "weights/own.safetensors")
    []
    """
    problems = []
    if not _PLAIN_NAME.fullmatch(encoder):
        problems.append(
            f"encoder {_shown(repr(encoder))} is not a plain name: expected letters, digits, '.', "
            "'_' and '-', as in resnet34 or tu-convnext_tiny. Folders and model hubs are not read; "
            "encoder_weights may name a .safetensors file"
        )
    if not encoder_weights.endswith(".safetensors") and not _PUBLISHED_SET.fullmatch(
        encoder_weights
    ):
        problems.append(
            f'encoder_weights {_shown(repr(encoder_weights))}: expected "none", a published set '
            'such as "imagenet", or a .safetensors file'
        )
    return problems


def _shown(text: str) -> str:
    """Return text for a message: shortened, and escaped where a terminal could not show it."""
    safe = text if text.isprintable() else ascii(text)
    return safe if len(safe) <= _SHOWN else safe[:_SHOWN] + "..."
