"""What a finished model makes of one image: the part of a task that lives without a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from goldfold.competitions.rle import Dialect
    from goldfold.inference.network import Activation
    from goldfold.inference.predictor import Predictor
    from goldfold.inference.views import View

SeenImage = Any
"""The output of one training's networks for an image, as `see` returns it and `decide` takes it."""


@dataclass(frozen=True)
class ImagePrediction:
    """What a model predicts for an image.

    Attributes:
        pixels: the image as it was read, uint8.
        levels: blended 8-bit map (H, W), None where classes are predicted.
        mask: uint8 (H, W) of 0 and 1, likewise.
        presence: 8-bit level, None without such a head.
        probability: (C,), empty where masks are predicted.
        predicted: (C,) bool, likewise.
        masks: by class, where an image has several; `levels` and `mask` are then None.
        number: of an image, where grades or numbers are predicted.
        grade: its name, "" where there are no grades.
    """

    pixels: NDArray[np.uint8]
    levels: NDArray[np.uint8] | None = None
    mask: NDArray[np.uint8] | None = None
    presence: int | None = None
    probability: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    predicted: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    masks: Mapping[str, ImagePrediction] = field(default_factory=dict)
    number: float | None = None
    grade: str = ""


class ImageDecision(ABC):
    """Blend and thresholds of a task, applied to the predictions for one image.

    A run makes it of its ensemble.json (`Task.image_decision`), an exported model of its
    model.json (`goldfold.tasks.registry.read_decision`).
    """

    # --- the networks --------------------------------------------------------------------------

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many numbers a network gives for an image, or for each of its pixels."""

    @property
    def activation(self) -> Activation:
        """What makes probabilities of the logits of masks."""
        return "sigmoid"

    @property
    @abstractmethod
    def whole_image(self) -> bool:
        """Whether networks give numbers for the whole image, not for each pixel."""

    @property
    @abstractmethod
    def mirrored_outputs(self) -> int:
        """How many outputs a mirror may rearrange; 0 where it changes none."""

    @property
    @abstractmethod
    def weights(self) -> Mapping[str, int]:
        """Weight of each member; its largest, where each class weighs members differently."""

    @abstractmethod
    def see(
        self, predictor: Predictor, pixels: NDArray[np.uint8], image_id: str, size: tuple[int, int]
    ) -> SeenImage:
        """Return what the networks of one training say of an image.

        Args:
            predictor: the checkpoints of the training.
            pixels: at the size of the networks, uint8 (1, H, W) or (1, H, W, 3).
            image_id: for messages.
            size: height and width of the image as it was read.
        """

    @abstractmethod
    def probability(self, output: Any, view: View, height: int, width: int) -> torch.Tensor:
        """Return probabilities of a network's output under a view, for ONNX: (N, M, H, W), (N, C).

        Args:
            output: what the network returns.
            view: under which it looked.
            height: of its input, in pixels.
            width: likewise.
        """

    # --- the decision --------------------------------------------------------------------------

    @abstractmethod
    def decide(
        self, seen: Mapping[str, Sequence[SeenImage]], pixels: NDArray[np.uint8]
    ) -> ImagePrediction:
        """Return what is predicted of an image.

        Args:
            seen: by member, what each of its trainings sees.
            pixels: the image as it was read.
        """

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """Return the decision as JSON values, in the form that ensemble.json has, too."""

    # --- for people ----------------------------------------------------------------------------

    @abstractmethod
    def describe(self, prediction: ImagePrediction, dialect: Dialect) -> dict[str, Any]:
        """Return a prediction as JSON values.

        Args:
            prediction: of `decide`.
            dialect: in which masks are encoded.
        """

    @abstractmethod
    def lines(self, facts: Mapping[str, Any]) -> list[str]:
        """Return `describe` as text; the first line follows "FILE: "."""

    def panels(self, prediction: ImagePrediction) -> list[NDArray[np.uint8]]:
        """Return pictures of a prediction, blue first, none where there is nothing to draw."""
        return []

    @abstractmethod
    def summary(self) -> str:
        """Return what is predicted of an image, e.g. "a mask", for the model card."""

    @abstractmethod
    def measure_rows(self, measures: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """Return the table of measures of the model card: head, then rows; [] without any."""
