"""The class of each pixel of single images, with an exported model or a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.errors import InputError
from goldfold.tasks.image_decision import ImagePrediction
from goldfold.tasks.mask_images import MaskImages, SeenMasks

if TYPE_CHECKING:
    import torch

    from goldfold.ensemble.class_map_choice import ClassMapChoice
    from goldfold.inference.network import Activation
    from goldfold.inference.views import View
    from goldfold.tasks.run_view import RunView


class SemanticImages(MaskImages):
    """Blend and least areas; the masks of the classes exclude each other."""

    def __init__(self, choice: ClassMapChoice, classes: Sequence[str]) -> None:
        """Take what was chosen.

        Args:
            choice: blend and least areas.
            classes: C names in the order of the outputs, the background first.
        """
        self.choice, self.classes = choice, list(classes)

    @classmethod
    def read(cls, content: Mapping[str, Any], source: Path, remedy: str) -> SemanticImages:
        """Return the decision of a model.json.

        Raises:
            InputError: it does not follow the form.
        """
        from goldfold.ensemble.class_map_choice import check_class_map_choice

        rest = {key: value for key, value in content.items() if key != "classes"}
        choice, classes = check_class_map_choice(rest, source, remedy), content.get("classes")
        if not isinstance(classes, list) or sorted(map(str, classes)) != sorted(choice.least_areas):
            raise InputError(
                f"{source}: decision.classes: expected the names of least_areas. {remedy}"
            )
        return cls(choice, classes)

    @property
    def several(self) -> bool:
        """A mask of each class."""
        return True

    @property
    def outputs(self) -> int:
        """One number per class and pixel."""
        return len(self.classes)

    @property
    def activation(self) -> Activation:
        """Classes exclude each other."""
        return "softmax"

    @property
    def mirrored_outputs(self) -> int:
        """Classes of left and right may trade places."""
        return len(self.classes)

    @property
    def weights(self) -> Mapping[str, int]:
        """Weight of each member."""
        return self.choice.weights

    def probability(self, output: Any, view: View, height: int, width: int) -> torch.Tensor:
        """Return (N, C, H, W)."""
        from goldfold.inference.network import activate
        from goldfold.training.networks.output import split_output

        logits, _ = split_output(output)
        return view.inverse(activate(logits, self.activation), height, width)

    def decide(
        self, seen: Mapping[str, Sequence[SeenMasks]], pixels: NDArray[np.uint8]
    ) -> ImagePrediction:
        """Return the mask of each class but the background, each pixel in one at most."""
        levels = np.stack(
            [
                self.choice.blend(
                    {
                        member: [training.levels[place] for training in trainings]
                        for member, trainings in seen.items()
                    }
                )
                for place in range(len(self.classes))
            ]
        )
        decided = self.choice.decide(levels, self.classes)
        masks = {
            name: ImagePrediction(pixels, levels[number], (decided == number).astype(np.uint8))
            for number, name in enumerate(self.classes)
            if number
        }
        return ImagePrediction(pixels, masks=masks)

    def content(self) -> dict[str, Any]:
        """Return merge, members and least areas, and the classes in their order."""
        from goldfold.ensemble.class_map_choice import describe_class_map_choice

        return {**describe_class_map_choice(self.choice), "classes": self.classes}

    def summary(self) -> str:
        """Return which classes."""
        return f"the class of each pixel, one of {', '.join(self.classes)},"


def class_map_choice_of(run: RunView) -> ClassMapChoice:
    """Return what a run's ensemble.json decides on the classes of pixels.

    Raises:
        InputError: the file is missing, not whole, or decides on other classes.
    """
    from goldfold.ensemble.class_map_choice import read_class_map_choice
    from goldfold.ensemble.decision_fields import require_classes

    source = run.directory.ensemble
    choice = read_class_map_choice(source)
    # The file keeps its tables sorted by name; the order is that of the settings.
    require_classes(source, sorted(choice.least_areas), sorted(run.settings.competition.classes))
    return choice


def semantic_images_of(run: RunView) -> SemanticImages:
    """Return the decision of a run."""
    return SemanticImages(class_map_choice_of(run), run.settings.competition.classes)
