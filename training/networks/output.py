"""What a network returns: the logits of the mask, and of presence if it has such a head."""

from __future__ import annotations

from typing import Any

import torch


def split_output(output: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the mask's logits (N, 1, H, W) and the presence logits (N,), None without a head.

    Args:
        output: a tensor, or a pair of mask logits and presence logits (N, 1).
    """
    if isinstance(output, torch.Tensor):
        return output, None
    mask, presence = output
    return mask, presence.flatten()
