"""Masks of single images, with an exported model or a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.rle import Dialect, encode, get_dialect
from goldfold.errors import InputError
from goldfold.settings_masks import MOST_MASKS
from goldfold.tasks.image_decision import ImageDecision, ImagePrediction

if TYPE_CHECKING:
    import torch

    from goldfold.ensemble.mask_choice import MaskChoice
    from goldfold.inference.predictor import Predictor
    from goldfold.inference.views import View
    from goldfold.tasks.run_view import RunView

MEASURES = ("dice", "iou", "precision", "recall")


@dataclass(frozen=True)
class SeenMasks:
    """One training's prediction: uint8 (H, W) of each mask, and presence if it has one."""

    levels: list[NDArray[np.uint8]]
    presence: float | None


class MaskImages(ImageDecision):
    """Blend, rule and post-processing of one mask, or of a mask of each class."""

    def __init__(self, choices: Mapping[str, MaskChoice]) -> None:
        """Take what was chosen.

        Args:
            choices: by class, in the order of the outputs; "" where an image has one mask.
        """
        self.choices = dict(choices)

    @classmethod
    def read(cls, content: Mapping[str, Any], source: Path, remedy: str) -> MaskImages:
        """Return the decision of a model.json.

        Raises:
            InputError: it does not follow the form.
        """
        from goldfold.ensemble.mask_choice import check_choice

        if "classes" not in content:
            return cls({"": check_choice(content, source, remedy)})
        names, classes = content.get("outputs"), content["classes"]
        if set(content) != {"classes", "outputs"} or not isinstance(classes, dict):
            raise InputError(f"{source}: decision: expected classes and outputs alone. {remedy}")
        if not isinstance(names, list) or sorted(map(str, names)) != sorted(classes):
            raise InputError(f"{source}: decision.outputs: expected the names of classes. {remedy}")
        if not 0 < len(names) <= MOST_MASKS or not all(name.isprintable() for name in names):
            raise InputError(
                f"{source}: decision.outputs: expected 1 to {MOST_MASKS} printable names. {remedy}"
            )
        return cls({name: check_choice(classes[name], source, remedy) for name in names})

    @property
    def several(self) -> bool:
        """Whether each image has a mask of each class."""
        return "" not in self.choices

    @property
    def outputs(self) -> int:
        """One number per mask and pixel."""
        return len(self.choices)

    @property
    def whole_image(self) -> bool:
        """Masks are of pixels."""
        return False

    @property
    def mirrored_outputs(self) -> int:
        """Masks of left and right may trade places."""
        return len(self.choices) if self.several else 0

    @property
    def weights(self) -> Mapping[str, int]:
        """The largest weight of each member."""
        weights: dict[str, int] = {}
        for choice in self.choices.values():
            for name, weight in choice.weights.items():
                weights[name] = max(weights.get(name, 0), weight)
        return weights

    def see(
        self, predictor: Predictor, pixels: NDArray[np.uint8], image_id: str, size: tuple[int, int]
    ) -> SeenMasks:
        """Return 8-bit maps at the size of the image."""
        from goldfold.training.probability import levels_at_size

        seen, presence = predictor.probability(pixels, [image_id])
        return SeenMasks(
            list(levels_at_size(seen, [size])), None if presence is None else float(presence[0])
        )

    def probability(self, output: Any, view: View, height: int, width: int) -> torch.Tensor:
        """Return (N, M, H, W)."""
        import torch

        from goldfold.training.networks.output import split_output

        logits, _ = split_output(output)
        return view.inverse(torch.sigmoid(logits), height, width)

    def decide(
        self, seen: Mapping[str, Sequence[SeenMasks]], pixels: NDArray[np.uint8]
    ) -> ImagePrediction:
        """Return the masks of an image."""
        presences = {
            name: told
            for name, trainings in seen.items()
            if (
                told := [
                    training.presence for training in trainings if training.presence is not None
                ]
            )
        }
        predictions = {}
        for place, (name, choice) in enumerate(self.choices.items()):
            maps = {
                member: [training.levels[place] for training in trainings]
                for member, trainings in seen.items()
            }
            predictions[name] = ImagePrediction(pixels, *choice.decide(maps, presences))
        return ImagePrediction(pixels, masks=predictions) if self.several else predictions[""]

    def content(self) -> dict[str, Any]:
        """Return merge, members, rule and post-processing, of each class if there are several."""
        from goldfold.ensemble.mask_choice import describe_choice

        if not self.several:
            return describe_choice(self.choices[""])
        return {
            "outputs": list(self.choices),
            "classes": {name: describe_choice(choice) for name, choice in self.choices.items()},
        }

    def describe(self, prediction: ImagePrediction, dialect: Dialect) -> dict[str, Any]:
        """Return area, highest probability and encoding of a mask, or of each."""
        if prediction.masks:
            return {
                "masks": {
                    name: self.describe(of_class, dialect)
                    for name, of_class in prediction.masks.items()
                }
            }
        assert prediction.mask is not None
        assert prediction.levels is not None
        height, width = prediction.mask.shape
        return {
            "height": height,
            "width": width,
            "mask_px": int(np.count_nonzero(prediction.mask)),
            "highest_probability": (int(prediction.levels.max()) + 0.5) / 256,
            "presence": None if prediction.presence is None else (prediction.presence + 0.5) / 256,
            "rle": encode(prediction.mask, dialect),
            "dialect": dialect.setting(),
        }

    def lines(self, facts: Mapping[str, Any]) -> list[str]:
        """Return what is said of a mask; of several, an empty line to start with."""
        if "masks" in facts:
            lines = [""]
            for name, of_class in facts["masks"].items():
                first, *others = self.lines(of_class)
                lines += [f"  {name}: {first}", *(f"  {line}" for line in others)]
            return lines
        presence = facts["presence"]
        told = "" if presence is None else f", presence {presence:.3f}"
        area = facts["mask_px"]
        share = area / (facts["height"] * facts["width"])
        what = f"mask of {area:,} px ({share:.1%})" if area else "empty mask"
        lines = [f"{what}, highest probability {facts['highest_probability']:.3f}{told}"]
        return (
            [*lines, f"  {get_dialect(facts['dialect']).name}: {facts['rle']}"] if area else lines
        )

    def panels(self, prediction: ImagePrediction) -> list[NDArray[np.uint8]]:
        """Return image, probability and outline of each mask, one below the other."""
        from goldfold.submissions.overlay import draw_overlay

        panels = []
        for of_class in prediction.masks.values() if prediction.masks else [prediction]:
            assert of_class.levels is not None
            assert of_class.mask is not None
            panels.append(draw_overlay(of_class.pixels, of_class.levels, of_class.mask))
        return panels

    def summary(self) -> str:
        """Return how many masks, of what."""
        return f"a mask of each of {', '.join(self.choices)}" if self.several else "a mask"

    def measure_rows(self, measures: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """Return the rows over all folds."""
        rows = [
            [f"{row.get('class', '')} over {row['over']}".strip(), *(row[n] for n in MEASURES)]
            for row in measures
            if row["fold"] == "all"
        ]
        return [["out of fold", *MEASURES], *rows] if rows else []


def mask_images_of(run: RunView) -> MaskImages:
    """Return the decision of a run."""
    from goldfold.ensemble.mask_choice import read_choice

    names = run.settings.competition.mask_classes or [""]
    return MaskImages({name: read_choice(run.directory.ensemble, name) for name in names})
