"""A finished model of one or many networks that predicts single images, with all that was chosen.

It does to a file what a run does to its test images, without the stores: the image is read,
resized, seen by every network under every view, and decided on (`goldfold.tasks.image_decision`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.competitions.reading import PERCENTILES, Reading
from goldfold.competitions.resize import resize_image
from goldfold.competitions.rle import get_dialect
from goldfold.competitions.window import Window
from goldfold.errors import InputError
from goldfold.image_size import ImageSize, size_name
from goldfold.inference.engine import start_engine
from goldfold.inference.predictor import Network, Predictor
from goldfold.inference.tiles import TiledNetwork
from goldfold.inference.views import View, get_views
from goldfold.pipeline.file_sequence import FileSequence
from goldfold.pipeline.model_file import REMEDY
from goldfold.progress import SILENT, Progress
from goldfold.tasks.image_decision import ImageDecision, ImagePrediction
from goldfold.training.batch import network_input
from goldfold.training.checkpoint import Checkpoint, load_model
from goldfold.training.device import Device, choose_device
from goldfold.training.memory import is_out_of_memory

if TYPE_CHECKING:
    import torch

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
        channels: of an image, 1 or 3.
        image_size: height and width at which its networks look.
        networks: of every seed and fold.
        neighbours: places, relative to an image, of those that become channels; () = itself alone.
    """

    name: str
    channels: int
    image_size: ImageSize
    networks: tuple[FoldNetworks, ...]
    neighbours: tuple[int, ...] = ()

    @property
    def inputs(self) -> int:
        """Input channels of its networks: those of an image and its neighbours."""
        return self.channels * max(1, len(self.neighbours))


class ImageModel:
    """Networks and decision, ready to predict image after image.

    Attributes:
        facts: the content of model.json except for members and decision.
        members: what is blended.
        decision: blend and thresholds.
        progress: is warned where an image had to be predicted again in float32.
    """

    def __init__(
        self,
        facts: Mapping[str, Any],
        members: Sequence[ModelMember],
        decision: ImageDecision,
        device: Device | None = None,
    ) -> None:
        """Take the parts; networks are loaded when the first image comes."""
        self.progress: Progress = SILENT
        self.facts, self.members, self.decision = dict(facts), list(members), decision
        self.device = device if device is not None else choose_device()
        self._predictors: dict[tuple[str, int, int], Predictor] = {}

    @property
    def reading(self) -> Reading:
        """How images are read."""
        how = self.facts["reading"]
        windows = tuple(Window(*values) for values in how["windows"])
        stretch = how.get("stretch", False)
        if isinstance(stretch, bool):  # models of earlier versions
            stretch = "image" if stretch else "none"
        limits = tuple(how.get("percentiles", PERCENTILES))
        pages = how.get("pages", "error")
        return Reading(windows, how["repair"], how["crop"], stretch, limits, pages)

    @property
    def views(self) -> list[View]:
        """The views under which its networks look."""
        return get_views(self.facts["inference"]["views"], tuple(self.facts["mirror"]))

    @property
    def sees_neighbours(self) -> bool:
        """Whether a member is shown an image with its neighbours in a sequence."""
        return any(member.neighbours for member in self.members)

    def predict(self, path: Path | str) -> ImagePrediction:
        """Return the prediction for an image file; a model with neighbours sees it alone.

        Raises:
            ImageError: the file cannot be read.
            NotFiniteError: weights are NaN or infinite, or logits are, in float32 too.
        """
        return self.predict_in(self.sequence([path]), 0)

    def predict_sequence(self, paths: Sequence[Path | str]) -> Iterator[ImagePrediction]:
        """Yield the prediction for each image of a sequence, such as the slices of a volume.

        Args:
            paths: files of the images, in order.

        Raises:
            ImageError: a file cannot be read.
            NotFiniteError: weights are NaN or infinite, or logits are, in float32 too.
        """
        sequence = self.sequence(paths)
        for place in range(len(paths)):
            yield self.predict_in(sequence, place)

    def sequence(self, paths: Sequence[Path | str]) -> FileSequence:
        """Return files in order as images that are neighbours, for `predict_in`."""
        offsets = [offset for member in self.members for offset in (*member.neighbours, 0)]
        kinds = len({member.channels for member in self.members})
        kept = kinds * (max(offsets) - min(offsets) + 1)
        return FileSequence([Path(path) for path in paths], self.reading, kept)

    def predict_in(self, sequence: FileSequence, place: int) -> ImagePrediction:
        """Return the prediction for one image of a sequence.

        Args:
            sequence: of `sequence`.
            place: of the image, from 0.

        Raises:
            ImageError: its file, or that of a neighbour, cannot be read.
            NotFiniteError: weights are NaN or infinite, or logits are, in float32 too.
        """
        shown = sequence.image(place, max(member.channels for member in self.members))
        if self.facts.get("mask_size"):
            shown = resize_image(shown, *self.facts["mask_size"])
        size = (shown.shape[0], shown.shape[1])
        pixels = {
            member.name: sequence.network_pixels(
                place, member.channels, member.neighbours, member.image_size
            )
            for member in self.members
        }
        image_id = str(sequence.paths[place])
        seen = {
            member.name: self._see(member, pixels[member.name], image_id, size)
            for member in self.members
        }
        return self.decision.decide(seen, shown)

    def describe(self, prediction: ImagePrediction) -> dict[str, Any]:
        """Return a prediction as JSON values."""
        return self.decision.describe(prediction, get_dialect(self.facts["dialect"]))

    def _see(
        self, member: ModelMember, pixels: NDArray[np.uint8], image_id: str, size: tuple[int, int]
    ) -> list[Any]:
        """Return what each training of a member sees."""
        with _naming(member):
            return [
                self.decision.see(self._predictor(member, training), pixels[None], image_id, size)
                for training in member.networks
            ]

    def _predictor(self, member: ModelMember, training: FoldNetworks) -> Predictor:
        key = (member.name, training.seed, training.fold)
        if key not in self._predictors:
            self._predictors[key] = Predictor(
                [self._network(member, checkpoint) for checkpoint in training.checkpoints],
                self.device,
                self.views,
                self.facts["inference"]["merge"],
                names=[str(checkpoint.path) for checkpoint in training.checkpoints],
                progress=self.progress,
                activation=self.decision.activation,
            )
        return self._predictors[key]

    def _network(self, member: ModelMember, checkpoint: Checkpoint) -> Network:
        how, layout = self.facts["inference"], self.device.channels_last
        model = load_model(checkpoint, self.device.device, channels_last=layout)
        network = start_engine(model, self.device, self._example(member), "torch")
        if how["tile"] is None:
            return network
        return TiledNetwork(network, how["tile"], overlap=how["tile_overlap"], batch_size=8)

    def _example(self, member: ModelMember) -> torch.Tensor:
        """Return an input by which BatchNorms are folded, as they were for the thresholds.

        Which can be folded does not depend on the size; only transformers want theirs.
        """
        height, width = member.image_size
        if not self.decision.whole_image:
            height, width = min(height, _FOLDED_AT), min(width, _FOLDED_AT)
        shape = (1, height, width) if member.inputs == 1 else (1, height, width, member.inputs)
        return network_input(
            np.zeros(shape, np.uint8), self.device.device, channels_last=self.device.channels_last
        )


@contextmanager
def _naming(member: ModelMember) -> Iterator[None]:
    """Turn what a network cannot do into an InputError that names the member.

    Facts that pass one by one may still not go together, such as an image size and the depth of a
    network.
    """
    try:
        yield
    except (RuntimeError, ValueError, AssertionError) as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"the networks of {member.name} cannot look at images of "
            f"{size_name(member.image_size)} px: {error}. {REMEDY}"
        ) from error
