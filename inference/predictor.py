"""From cached images to probabilities: the mean over checkpoints and views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import torch

from goldfold.errors import InputError
from goldfold.inference.merge import Merger
from goldfold.inference.network import Activation, Network, activate
from goldfold.inference.retry import finite_or_retried
from goldfold.inference.views import View, get_views
from goldfold.progress import SILENT, Progress
from goldfold.training.batch import Pixels, network_input
from goldfold.training.device import Device
from goldfold.training.finite import finite_images
from goldfold.training.networks.output import split_output
from goldfold.training.passes import Passes, join_parts

__all__ = ["Network", "Predictor", "Seen", "Sight", "see"]

Seen = tuple[torch.Tensor, torch.Tensor | None]
T = TypeVar("T")


class Sight(NamedTuple):
    """What a network sees in a view.

    Attributes:
        mask: probability, float32 (N, M, H, W) in 0..1.
        presence: probability of a mask at all, float32 (N,), None without a head.
        finite: whether all logits of an image are finite, bool (N,).
    """

    mask: torch.Tensor
    presence: torch.Tensor | None
    finite: torch.Tensor


@dataclass(frozen=True)
class Predictor:
    """Checkpoints of one fold, how they look at an image, and how what they see is merged.

    Attributes:
        networks: in eval mode on the device.
        device: its autocast holds for the networks alone; means are taken in float32.
        views: test-time augmentation.
        merge: name of the mean over checkpoints and views.
        names: of the networks' checkpoints, for messages.
        progress: is warned where a batch had to be predicted again in float32.
        warned: filled once it was.
        activation: what makes probabilities of the logits of masks.
        passes: how many images pass at once, for the batches to come, too.
    """

    networks: Sequence[Network]
    device: Device
    views: Sequence[View] = field(default_factory=lambda: get_views("none"))
    merge: str = "mean"
    names: Sequence[str] = ()
    progress: Progress = SILENT
    warned: list[bool] = field(default_factory=list, repr=False, compare=False)
    activation: Activation = "sigmoid"
    passes: Passes = field(default_factory=Passes, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a predictor that has nothing to predict with."""
        if not self.networks:
            raise InputError("expected at least one checkpoint to predict with, found none.")
        if not self.views:
            raise InputError("expected at least one view, found none.")
        Merger(self.merge)

    def probability(self, pixels: Pixels, image_ids: Sequence[str] = ()) -> Seen:
        """Return the merged probability, float32 (N, M, S, S), and the presence's, (N,).

        The presence probability is merged over the networks that have a head for it; None where
        none has.

        Args:
            pixels: cached images, uint8 (N, S, S) or (N, S, S, 3).
            image_ids: N ids, for messages.

        Raises:
            NotFiniteError: logits are NaN or infinite, in float32 too.
            GoldfoldError: out of memory with a single image.
        """
        return self.begin(pixels, image_ids)()

    def begin(self, pixels: Pixels, image_ids: Sequence[str] = ()) -> Callable[[], Seen]:
        """Start a batch and return a call that gives its `probability`, waiting for a GPU."""
        return self.begin_then(pixels, image_ids, lambda seen, _: seen)

    @torch.inference_mode()
    def begin_then(
        self,
        pixels: Pixels,
        image_ids: Sequence[str],
        then: Callable[[Seen, slice], T],
        join: Callable[[list[T]], T] = join_parts,
    ) -> Callable[[], T]:
        """Start a batch and return a call that gives what becomes of its `probability`.

        Args:
            pixels: cached images, uint8 (N, S, S) or (N, S, S, 3).
            image_ids: N ids, for messages; () if there are none.
            then: takes the probability of a part of the batch; what it sends to the host is there
                when the call returns.
            join: makes one of what became of the parts.
        """

        def attempt(
            networks: Sequence[Network], device: Device, part: slice
        ) -> tuple[T, torch.Tensor]:
            images = network_input(pixels[part], device.device, channels_last=device.channels_last)
            seen, finite = self._merged(networks, images, device)
            return then(seen, part), finite

        return finite_or_retried(attempt, self, len(pixels), image_ids, join=join)

    def _merged(
        self, networks: Sequence[Network], images: torch.Tensor, device: Device
    ) -> tuple[Seen, torch.Tensor]:
        """Return what networks see over all views, views innermost, and which logits are finite."""
        mask, presence = Merger(self.merge), Merger(self.merge)
        flags: list[torch.Tensor] = []
        for network in networks:
            of_views = []
            for view in self.views:
                sight = see(network, images, view, device, self.activation)
                mask.add(sight.mask)
                if sight.presence is not None:
                    presence.add(sight.presence)
                of_views.append(sight.finite)
            flags.append(torch.stack(of_views).all(dim=0))
        told = presence.result() if len(presence) else None
        merged = mask.result()
        if self.activation == "softmax":  # only the plain mean keeps the sum
            merged = merged / merged.sum(dim=1, keepdim=True)
        finite = torch.stack(flags)
        if device.is_gpu:  # its levels are made without a look at what becomes of NaN
            finite = finite & finite_images(merged, told)
        return (merged, told), finite


@torch.inference_mode()
def see(
    network: Network,
    images: torch.Tensor,
    view: View,
    device: Device,
    activation: Activation = "sigmoid",
) -> Sight:
    """Return the probability that a network gives in a view, laid back onto the images.

    A view changes nothing about whether there is something to see.

    Args:
        network: gives logits.
        images: network input, float32 (N, C, H, W).
        view: one of `get_views`.
        device: where both are.
        activation: what makes probabilities of the logits of masks.
    """
    looked = view.forward(images)
    if device.channels_last:
        looked = looked.contiguous(memory_format=torch.channels_last)
    with device.autocast():
        logits, told = split_output(network(looked))
    probability = activate(logits, activation)
    height, width = images.shape[-2:]
    presence = None if told is None else torch.sigmoid(told.float())
    mask = view.inverse(probability, height, width)
    return Sight(mask, presence, finite_images(logits, told))
