"""Bit-equal repetition on a GPU: what is switched on for it, and what it cannot have."""

from __future__ import annotations

import os
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from goldfold.settings import ModelSettings

CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
"""Environment variable without which cuBLAS may add in another order from run to run."""

_POOLED_TO_SIZES = ("PSPNet", "UPerNet", "PlainCnn")
"""Architectures with average pooling to several pixels, whose gradient adds in any order."""


def be_deterministic(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let PyTorch use algorithms that give the same bits in every run, on the same GPU.

    Call it before the first work on a GPU, as cuBLAS reads the environment once. An operator that
    has no such algorithm still runs, and PyTorch warns of it by name: `unsettled` names those of
    goldfold's own networks and losses beforehand.

    Source: PyTorch documentation, `torch.use_deterministic_algorithms`; cuBLAS documentation,
    "Results Reproducibility".

    Args:
        environment: gets CUBLAS_WORKSPACE_CONFIG, unless it is set.
    """
    environment.setdefault(CUBLAS_VARIABLE, ":4096:8")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)


def unsettled(models: Sequence[ModelSettings], *, classes_per_pixel: bool) -> list[str]:
    """Return what has no deterministic kernel on a GPU, by the names of the settings.

    Args:
        models: that are trained.
        classes_per_pixel: whether the networks learn one class for each pixel.
    """
    named = {
        f"architecture {model.architecture} (average pooling to several pixels)"
        for model in models
        if model.architecture in _POOLED_TO_SIZES
    }
    if classes_per_pixel and any(s.loss.cross_entropy for m in models for s in m.stages):
        named.add("loss.cross_entropy of class maps")
    return sorted(named)
