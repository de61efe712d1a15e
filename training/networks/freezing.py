"""What does not learn: an encoder, or all BatchNorms."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

BatchNorm = nn.modules.batchnorm._BatchNorm


def freeze(model: nn.Module, what: Sequence[str]) -> None:
    """Take parts of a network out of training.

    Args:
        model: with a submodule `encoder` if that is to be frozen.
        what: `encoder`: its weights and BatchNorm statistics; `batchnorm`: statistics, gains and
            biases of all BatchNorms.
    """
    if "encoder" in what:
        model.get_submodule("encoder").requires_grad_(False)
    for layer in _frozen_batchnorms(model, what):
        layer.frozen = True  # type: ignore[assignment]
        if "batchnorm" in what:
            layer.requires_grad_(False)


def set_training_mode(model: nn.Module, frozen: Sequence[str]) -> None:
    """Put the network into training mode, its frozen BatchNorms into that of evaluation."""
    model.train()
    for layer in _frozen_batchnorms(model, frozen):
        layer.eval()


def _frozen_batchnorms(model: nn.Module, what: Sequence[str]) -> list[BatchNorm]:
    if "batchnorm" in what:
        inside = model
    elif "encoder" in what:
        inside = model.get_submodule("encoder")
    else:
        return []
    return [layer for layer in inside.modules() if isinstance(layer, BatchNorm)]
