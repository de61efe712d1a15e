"""Bit-equal repetition on a GPU: what is switched on for it, and what it cannot have."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping, Sequence

import torch

from goldfold.settings import CLASSIFIERS, ModelSettings

CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
"""Environment variable without which cuBLAS may add in another order from run to run."""

_POOLED_TO_SIZES = ("PSPNet", "UPerNet", "PlainCnn")
"""Architectures with average pooling to several pixels, whose gradient adds in any order."""


_undo: list[Callable[[], None]] = []
"""What ends determinism; empty where it was not switched on here."""


def be_deterministic(
    deterministic: bool, environment: MutableMapping[str, str] = os.environ
) -> None:
    """Let PyTorch use algorithms that give the same bits in every run, on the same GPU.

    Call it before the first work on a GPU, as cuBLAS reads the environment once. An operator that
    has no such algorithm still runs, and PyTorch warns of it by name:
    `without_deterministic_kernels` names those of goldfold's own networks and losses beforehand.

    Source: PyTorch documentation, `torch.use_deterministic_algorithms`; cuBLAS documentation,
    "Results Reproducibility".

    Args:
        deterministic: False gives back what the process had before this switched anything on.
        environment: gets CUBLAS_WORKSPACE_CONFIG, unless it is set.
    """
    if not deterministic:
        if _undo:
            _undo.pop()()
        return
    if not _undo:
        _undo.append(_as_it_is(environment))
    environment.setdefault(CUBLAS_VARIABLE, ":4096:8")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)


def _as_it_is(environment: MutableMapping[str, str]) -> Callable[[], None]:
    """Return what puts PyTorch's switches back as they are now."""
    cudnn = torch.backends.cudnn
    fixed, searches = cudnn.deterministic, cudnn.benchmark
    strict = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    is_set = CUBLAS_VARIABLE in environment

    def put_back() -> None:
        cudnn.deterministic, cudnn.benchmark = fixed, searches
        torch.use_deterministic_algorithms(strict, warn_only=warns)
        if not is_set:
            environment.pop(CUBLAS_VARIABLE, None)

    return put_back


def without_deterministic_kernels(models: Sequence[ModelSettings]) -> list[str]:
    """Return what has no deterministic kernel on a GPU, by the names of the settings."""
    named = {
        f"architecture {model.architecture} (average pooling to several pixels)"
        for model in models
        if model.architecture in _POOLED_TO_SIZES
    }
    by_pixel = [model for model in models if model.architecture not in CLASSIFIERS]
    if any(stage.loss.cross_entropy for model in by_pixel for stage in model.stages):
        named.add("loss.cross_entropy of class maps")
    return sorted(named)
