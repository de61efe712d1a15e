"""What the decisions on whole images have in common: networks give one row of numbers per image."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.tasks.image_decision import ImageDecision

if TYPE_CHECKING:
    import torch

    from goldfold.inference.predictor import Predictor
    from goldfold.inference.views import View


class RowImages(ImageDecision):
    """A decision on rows of numbers."""

    @property
    @abstractmethod
    def sums_to_one(self) -> bool:
        """Whether a row holds probabilities of exclusive classes."""

    @property
    def whole_image(self) -> bool:
        """A row is of the whole image."""
        return True

    @property
    def mirrored_outputs(self) -> int:
        """A mirror image has the same row."""
        return 0

    def see(
        self, predictor: Predictor, pixels: NDArray[np.uint8], image_id: str, size: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return the output of the networks, (1, C) from 0 to 1."""
        from goldfold.inference.class_prediction import class_probabilities

        return class_probabilities(predictor, pixels, self.sums_to_one, [image_id])

    def probability(self, output: Any, view: View, height: int, width: int) -> torch.Tensor:
        """Return (N, C)."""
        from goldfold.training.class_validation import class_probability

        return class_probability(output, self.sums_to_one)
