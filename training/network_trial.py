"""A network's passes tried in advance: on no memory at all, or on a few images where that fails."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.image_size import ImageSize
from goldfold.own_code import is_reference
from goldfold.settings import ModelSettings
from goldfold.training.assembly import build_network
from goldfold.training.memory import is_out_of_memory
from goldfold.training.networks.build import CannotBuildError
from goldfold.training.networks.freezing import set_training_mode
from goldfold.training.networks.output import split_output
from goldfold.training.networks.own import check_own_network

_SHOWN = 200  # characters of a library's message


@dataclass(frozen=True)
class Pass:
    """A pass that a network will make.

    Attributes:
        size: height and width of the images in pixels.
        images: how many there are.
        trains: whether gradients are computed and BatchNorm takes the statistics of the images.
        frozen: parts of the network that do not learn, as in a stage's settings.
    """

    size: ImageSize
    images: int = 1
    trains: bool = False
    frozen: tuple[str, ...] = ()


class Trial:
    """Tries passes of one network, built with random weights; nothing is downloaded.

    A pass runs on PyTorch's meta device, which computes shapes alone. What fails there is tried
    again with real images, since some operators do not know that device.
    """

    def __init__(self, model: ModelSettings, classes: int, *, per_image: bool) -> None:
        """Take the network's settings; nothing is built yet.

        Args:
            model: its settings.
            classes: outputs.
            per_image: whether an image has one row of outputs, not one for each pixel.
        """
        self.model, self.classes, self.per_image = model, classes, per_image
        self._described: nn.Module | None = None
        self._real: nn.Module | None = None
        self._known: dict[Pass, str] = {}

    def build(self) -> None:
        """Build the network.

        Raises:
            CannotBuildError: architecture, encoder and options do not fit each other.
            InputError: there are no such ones, or code of the user's own fails.
        """
        if self._described is None:
            with _undisturbed():
                self._described = self._own() if self._is_own else self._without_memory()

    def failure(self, tried: Pass, *, confirm: bool = True) -> str:
        """Return why the network fails in a pass, "" if it does not.

        Args:
            tried: the pass.
            confirm: try with real images what fails on the meta device.

        Raises:
            InputError: as `build`.
        """
        if tried in self._known:
            return self._known[tried]
        failure = self._tried(tried, confirm)
        if confirm or not failure:
            self._known[tried] = failure
        return failure

    def _tried(self, tried: Pass, confirm: bool) -> str:
        self.build()
        assert self._described is not None
        with _undisturbed():
            described = self._failure_of(self._described, tried, "meta")
            if not described or not (confirm or self._is_own):
                return described
            if self._is_own:
                return self._failure_of_own(tried)
            return self._failure_of(self._with_memory(), tried, "cpu", unknown=described)

    def release(self) -> None:
        """Let go of the networks; what was tried stays known."""
        self._described = self._real = None

    @property
    def _is_own(self) -> bool:
        return is_reference(self.model.architecture)

    def _without_memory(self) -> nn.Module:
        """Return a network of the libraries whose tensors only have shapes."""
        try:
            with torch.device("meta"):
                return build_network(self.model, classes=self.classes).to("meta")
        except CannotBuildError:  # perhaps only there
            return build_network(self.model, classes=self.classes).to("meta")

    def _own(self) -> nn.Module:
        """Return a network of the user's own whose tensors only have shapes, if it can be copied.

        It is copied because the function may give the same network again.
        """
        network = self._with_memory()
        try:
            return deepcopy(network).to("meta")
        except Exception:  # its author's code may do anything
            return network

    def _with_memory(self) -> nn.Module:
        if self._real is None:
            self._real = build_network(self.model, classes=self.classes)
        return self._real

    def _failure_of(self, network: nn.Module, tried: Pass, device: str, unknown: str = "") -> str:
        """Return why a pass fails on a device; `unknown` where its memory does not suffice."""
        try:
            return self._pass(network, tried, device)
        except Exception as error:  # the libraries raise anything for sizes that do not fit
            if is_out_of_memory(error):
                return unknown
            text = str(error).strip().partition("\n")[0].rstrip(".")[:_SHOWN]
            return text or type(error).__name__
        finally:
            network.zero_grad(set_to_none=True)

    def _pass(self, network: nn.Module, tried: Pass, device: str) -> str:
        """Let the network see images of zeros; return what is wrong with its output."""
        _set_mode(network, tried)
        height, width = tried.size
        images = torch.zeros(tried.images, self.model.inputs, height, width, device=device)
        with torch.set_grad_enabled(tried.trains):
            mask, presence = split_output(network(images))
            if tried.trains:
                loss = mask.float().sum() + (0.0 if presence is None else presence.sum())
                loss.backward()  # type: ignore[no-untyped-call]
        whole = (tried.images, 1, 1, self.classes)
        expected = whole if self.per_image else (tried.images, self.classes, height, width)
        if tuple(mask.shape) != expected:
            return f"it gives logits {tuple(mask.shape)}, expected {expected}"
        if (presence is not None) != self.model.presence_head:
            return "presence_head does not say whether it gives presence logits"
        return ""

    def _failure_of_own(self, tried: Pass) -> str:
        """Return why a network of the user's own fails, with the file and the line."""
        network = self._with_memory()
        try:
            check_own_network(
                network,
                self.model.architecture,
                channels=self.model.inputs,
                classes=self.classes,
                classifies=self.per_image,
                presence_head=self.model.presence_head,
                size=tried.size,
                images=tried.images,
                mode=lambda: _set_mode(network, tried),
            )
        except InputError as error:
            return str(error).rstrip(".")
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return ""


def _set_mode(network: nn.Module, tried: Pass) -> None:
    if tried.trains:
        set_training_mode(network, tried.frozen)
    else:
        network.eval()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave the random numbers as they are, and what the libraries warn of unsaid."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
