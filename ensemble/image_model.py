"""A finished model of one or many networks that predicts single images, with all that was chosen.

It is what a run's test predictions go through, without the stores: read, resized, seen by every
network in every view, 8-bit maps blended in whole numbers, the rule applied. `export` writes it to
a folder that needs neither the run nor its data:

    MODEL/model.json                 what it predicts, how images are read, blend, rule, scores
    MODEL/weights/NAME-....safetensors   and .json beside each: a checkpoint and its facts
    MODEL/code/MODULE.py             only where a network is of the user's own: what builds it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.checked_json import check_json, read_bounded
from goldfold.competitions.image import Reading, read_image
from goldfold.competitions.label_metric import decide
from goldfold.competitions.window import Window
from goldfold.ensemble.class_map_rule import decide as decide_pixels
from goldfold.ensemble.class_map_rule import most_likely
from goldfold.ensemble.label_merge import merge_labels
from goldfold.ensemble.mask_choice import MaskChoice, read_choice
from goldfold.ensemble.model_checks import (
    naming,
    own_networks,
    require_format,
    require_outputs,
)
from goldfold.ensemble.model_code import CODE_FOLDER, refuse_untrusted, register_code
from goldfold.ensemble.model_file import MOST_BYTES, REMEDY, ModelFile, check_weight_files
from goldfold.ensemble.post_processing import NOTHING
from goldfold.ensemble.threshold import ALL_EMPTY
from goldfold.errors import InputError
from goldfold.extent import Extent, compact, extent_of
from goldfold.inference.engine import start_engine
from goldfold.inference.labels import label_probabilities
from goldfold.inference.network import Activation
from goldfold.inference.predictor import Network, Predictor
from goldfold.inference.tiles import TiledNetwork
from goldfold.inference.views import get_views
from goldfold.progress import SILENT, Progress
from goldfold.training.batch import network_input
from goldfold.training.checkpoint import Checkpoint, load_model
from goldfold.training.checkpoint_facts import read_facts
from goldfold.training.device import Device, choose_device
from goldfold.training.probability import levels_at_size
from goldfold.training.resize import resize_image

FORMAT = 1
FACTS_FILE = "model.json"
WEIGHTS_FOLDER = "weights"
_FOLDED_AT = 64  # px


@dataclass(frozen=True)
class FoldNetworks:
    """The checkpoints of one fold's training; their probabilities are averaged."""

    seed: int
    fold: int
    checkpoints: tuple[Checkpoint, ...]


@dataclass(frozen=True)
class ModelMember:
    """One model of the blend.

    Attributes:
        name: of the model.
        weight: in the blend.
        channels: 1 or 3.
        image_size: height and width at which its networks look.
        networks: of every seed and fold.
        level_counts: where maps are averaged by rank, pixels by level; of classes the quantiles of
            its out-of-fold probabilities, (Q, C).
    """

    name: str
    weight: int
    channels: int
    image_size: Extent
    networks: tuple[FoldNetworks, ...]
    level_counts: Any = None


@dataclass(frozen=True)
class ImagePrediction:
    """What a model says of an image.

    Attributes:
        pixels: the image as it was read, uint8.
        levels: blended 8-bit map (H, W), None where classes are predicted.
        mask: uint8 (H, W) of 0 and 1, likewise.
        presence: 8-bit level, None without such a head.
        probability: (C,), empty where masks are predicted.
        predicted: (C,) bool, likewise.
        masks: by class, where an image has several; `levels` and `mask` are then None.
    """

    pixels: NDArray[np.uint8]
    levels: NDArray[np.uint8] | None = None
    mask: NDArray[np.uint8] | None = None
    presence: int | None = None
    probability: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    predicted: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    masks: Mapping[str, ImagePrediction] = field(default_factory=dict)


class ImageModel:
    """Networks, blend and rule, ready to predict image after image.

    Attributes:
        facts: the content of model.json but for the members.
        members: what is blended.
        progress: is warned where an image had to be predicted again in float32.
    """

    def __init__(
        self, facts: Mapping[str, Any], members: Sequence[ModelMember], device: Device | None = None
    ) -> None:
        """Take the parts; networks are loaded when the first image comes."""
        self.progress: Progress = SILENT
        self.facts, self.members = dict(facts), list(members)
        self.device = device if device is not None else choose_device()
        self._predictors: dict[tuple[str, int, int], Predictor] = {}

    @property
    def classes(self) -> list[str]:
        """Names of the classes of whole images, none where masks are predicted."""
        return list(self.facts["classes"])

    @property
    def reading(self) -> Reading:
        """How images are read."""
        how = self.facts["reading"]
        windows = tuple(Window(*one) for one in how["windows"])
        stretch = how.get("stretch", False)  # models of before have none
        return Reading(windows, how["repair"], how["crop"], stretch)

    @property
    def mask_classes(self) -> list[str]:
        """Names of the masks where an image has several; of pixels' classes all but the first."""
        return [*(str(one["name"]) for one in self.facts.get("masks", [])), *self.pixel_classes[1:]]

    @property
    def pixel_classes(self) -> list[str]:
        """Names of the classes where each pixel has exactly one, the background first."""
        return list(self.facts.get("pixel_classes") or [])

    @property
    def activation(self) -> Activation:
        """What makes probabilities of logits."""
        return "softmax" if self.pixel_classes else "sigmoid"

    @cached_property
    def choices(self) -> dict[str, MaskChoice]:
        """Blend and rule by class; "" where an image has one mask.

        Where each pixel has one class, all have the same blend, and the rule is not looked at.
        """
        if self.pixel_classes:
            weights = {member.name: member.weight for member in self.members}
            blend = MaskChoice(self.facts["merge"], weights, ALL_EMPTY, NOTHING)
            return dict.fromkeys(self.pixel_classes, blend)
        if self.mask_classes:
            return {one["name"]: read_choice(one) for one in self.facts["masks"]}
        weights = {member.name: member.weight for member in self.members}
        counts = {member.name: member.level_counts for member in self.members}
        only = {**self.facts, "weights": weights, "level_counts": counts}
        return {"": read_choice(only)}

    def predict(self, path: Path) -> ImagePrediction:
        """Return what the model says of an image file.

        Raises:
            ImageError: the file cannot be read.
            NotFiniteError: weights are NaN or infinite, or logits are, in float32 too.
        """
        channels = {member.channels for member in self.members}
        images = {one: read_image(path, one, reading=self.reading) for one in channels}
        shown = images[max(channels)]
        how = self._classes if self.classes else self._masks
        return how(images, shown, str(path))

    def _masks(
        self, images: Mapping[int, NDArray[np.uint8]], shown: NDArray[np.uint8], image_id: str
    ) -> ImagePrediction:
        size = (shown.shape[0], shown.shape[1])
        names = list(self.choices)
        maps: dict[str, dict[str, list[NDArray[np.uint8]]]] = {name: {} for name in names}
        presences: dict[str, list[float]] = {}
        for member in self.members:
            pixels = resize_image(images[member.channels], *member.image_size)
            for one in member.networks:
                with naming(member):
                    seen, presence = self._predictor(member, one).probability(
                        pixels[None], [image_id]
                    )
                for name, levels in zip(names, levels_at_size(seen, [size]), strict=True):
                    maps[name].setdefault(member.name, []).append(levels)
                if presence is not None:
                    presences.setdefault(member.name, []).append(float(presence[0]))
        if self.pixel_classes:
            return self._most_likely(shown, maps)
        found = {
            name: ImagePrediction(shown, *choice.decide(maps[name], presences))
            for name, choice in self.choices.items()
        }
        return ImagePrediction(shown, masks=found) if self.mask_classes else found[""]

    def _most_likely(
        self,
        shown: NDArray[np.uint8],
        maps: Mapping[str, Mapping[str, list[NDArray[np.uint8]]]],
    ) -> ImagePrediction:
        """Return the mask of each class but the background, each pixel in one at most."""
        choices = self.choices.items()
        levels = np.stack([choice.decide(maps[name], {})[0] for name, choice in choices])
        decided = decide_pixels(*most_likely(levels), self.facts["least_areas"])
        masks = {
            name: ImagePrediction(shown, levels[number], (decided == number).astype(np.uint8))
            for number, name in enumerate(self.pixel_classes)
            if number
        }
        return ImagePrediction(shown, masks=masks)

    def _classes(
        self, images: Mapping[int, NDArray[np.uint8]], shown: NDArray[np.uint8], image_id: str
    ) -> ImagePrediction:
        exclusive = bool(self.facts["exclusive"])
        found, references = [], []
        for member in self.members:
            pixels = resize_image(images[member.channels], *member.image_size)
            with naming(member):
                per_fold = [
                    label_probabilities(
                        self._predictor(member, one), pixels[None], exclusive, [image_id]
                    )
                    for one in member.networks
                ]
            found.append(np.asarray(np.mean(per_fold, axis=0, dtype=np.float64)))
            references.append(np.array(member.level_counts, np.float64))
        merge = self.facts["merge"]
        probability = merge_labels(
            found,
            [member.weight for member in self.members],
            merge,
            exclusive=exclusive,
            references=references if merge == "rank" else None,
        )
        said = decide(probability, exclusive, self.facts["thresholds"])
        return ImagePrediction(shown, probability=probability[0], predicted=said[0])

    def _predictor(self, member: ModelMember, one: FoldNetworks) -> Predictor:
        key = (member.name, one.seed, one.fold)
        if key not in self._predictors:
            how = self.facts["inference"]
            # Thresholds were chosen on networks with folded BatchNorms. Which can be folded does
            # not depend on the size; only transformers want theirs.
            height, width = member.image_size
            if not self.classes:
                height, width = min(height, _FOLDED_AT), min(width, _FOLDED_AT)
            shape = (1, height, width) if member.channels == 1 else (1, height, width, 3)
            example = network_input(
                np.zeros(shape, np.uint8),
                self.device.device,
                channels_last=self.device.channels_last,
            )
            networks: list[Network] = []
            for checkpoint in one.checkpoints:
                layout = self.device.channels_last
                model = load_model(checkpoint, self.device.device, channels_last=layout)
                network = start_engine(model, self.device, example, "torch")
                if how["tile"] is not None:
                    network = TiledNetwork(
                        network, how["tile"], overlap=how["tile_overlap"], batch_size=8
                    )
                networks.append(network)
            views = get_views(how["views"], tuple(self.facts.get("mirror", ())))
            names = [str(checkpoint.path) for checkpoint in one.checkpoints]
            self._predictors[key] = Predictor(
                networks,
                self.device,
                views,
                how["merge"],
                names=names,
                progress=self.progress,
                activation=self.activation,
            )
        return self._predictors[key]


def describe_members(
    members: Sequence[ModelMember], names: Mapping[Path, str]
) -> list[dict[str, Any]]:
    """Return the members as JSON values.

    Args:
        members: of a model.
        names: path of a checkpoint -> its name in the folder of weights.
    """
    return [
        {
            "name": member.name,
            "weight": member.weight,
            "channels": member.channels,
            "image_size": compact(member.image_size),
            "level_counts": member.level_counts,
            "networks": [
                {
                    "seed": one.seed,
                    "fold": one.fold,
                    "weights": [names[checkpoint.path] for checkpoint in one.checkpoints],
                }
                for one in member.networks
            ],
        }
        for member in members
    ]


def read_model(folder: Path, *, trust: bool = False) -> ImageModel:
    """Return the model that was exported into a folder.

    Args:
        folder: of the model, which may be a stranger's.
        trust: run the Python code in it, if its networks are built by any.

    Raises:
        InputError: it is no such folder, its files are damaged or of another version, or it needs
            code that is not trusted.
    """
    path = folder / FACTS_FILE
    if not path.is_file():
        raise InputError(
            f"{folder} holds no {FACTS_FILE}. `goldfold export RUN -o MODEL` writes such a folder."
        )
    content = read_bounded(path, MOST_BYTES, REMEDY)
    require_format(path, content, FORMAT)
    checked = check_json(content, ModelFile, path, REMEDY)
    check_weight_files(folder, path, checked)
    facts = checked.model_dump(mode="json", exclude_unset=True)
    members = [_member(folder, one) for one in facts["members"]]
    named = own_networks(members)
    if not trust:
        refuse_untrusted(folder, named, folder / CODE_FOLDER)
    register_code(folder, facts.get("code", []), named.values())
    require_outputs(path, members, checked)
    return ImageModel({key: value for key, value in facts.items() if key != "members"}, members)


def _member(folder: Path, content: Mapping[str, Any]) -> ModelMember:
    return ModelMember(
        content["name"],
        content["weight"],
        content["channels"],
        extent_of(content["image_size"]),
        tuple(
            FoldNetworks(
                one["seed"],
                one["fold"],
                tuple(_checkpoint(folder / WEIGHTS_FOLDER / name) for name in one["weights"]),
            )
            for one in content["networks"]
        ),
        content["level_counts"],
    )


def _checkpoint(path: Path) -> Checkpoint:
    facts = read_facts(path.with_suffix(".json"), REMEDY)
    return Checkpoint(path, facts["epoch"], facts["score"], facts["sha256"], facts, REMEDY)
