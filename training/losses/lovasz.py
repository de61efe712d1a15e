"""The Lovász hinge: a convex surrogate of the intersection over union itself."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

HALF = 0.5
_NO_ERROR = -1e4  # elu(e) + 1 is exactly 0


def symmetric_lovasz_hinge(logits: Tensor, masks: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the mean over images of the Lovász hinge of the mask and of its complement, halved.

    The plain hinge says little of images whose mask is empty; the complement's never is. As in the
    competitions where it did well, errors pass through elu(e) + 1 instead of relu(e), so that
    pixels on the right side of the margin still teach a little.

    Args:
        logits: (N, ...), any range.
        masks: same shape, 0 to 1; a pixel of at least 1/2 belongs to the mask, as the hinge
            knows no soft labels.
        known: (N, ...), False at pixels that are left out; None = all count.

    Source: Berman et al. 2018, The Lovász-Softmax loss; elu + 1 and the symmetric form: 4th place
    and others of TGS Salt Identification (2018).
    """
    flat, labels = logits.flatten(1), (masks.flatten(1) >= HALF).to(logits.dtype)
    counted = None if known is None else known.flatten(1)
    inside = lovasz_hinge(flat, labels, counted)
    return (inside + lovasz_hinge(-flat, 1 - labels, counted)) / 2


def lovasz_hinge(logits: Tensor, labels: Tensor, known: Tensor | None = None) -> Tensor:
    """Return the mean over images of the Lovász extension of the Jaccard loss at the errors.

    Args:
        logits: (N, P).
        labels: (N, P), 0 or 1.
        known: (N, P), False at pixels that are left out; None = all count.
    """
    errors = 1 - logits * (2 * labels - 1)
    if known is not None:  # pixels without an error come last and change no other's weight
        errors, labels = errors.masked_fill(~known, _NO_ERROR), labels * known
    ordered, order = torch.sort(errors, dim=1, descending=True)
    weights = jaccard_steps(labels.gather(1, order))
    return (weights * (F.elu(ordered) + 1)).sum(dim=1).mean()


def jaccard_steps(labels: Tensor) -> Tensor:
    """Return how much the Jaccard loss grows with each further wrong pixel, (N, P).

    Args:
        labels: (N, P), 0 or 1, in the order in which pixels become wrong.
    """
    positives = labels.sum(dim=1, keepdim=True)
    intersection = positives - labels.cumsum(dim=1)
    union = positives + (1 - labels).cumsum(dim=1)
    loss = 1 - intersection / union
    return torch.cat((loss[:, :1], loss[:, 1:] - loss[:, :-1]), dim=1)
