"""What goldfold.toml says of models and of the stages they are trained in."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from goldfold.errors import plural
from goldfold.image_size import height_and_width, size_name
from goldfold.network_options import OPTIONS, encoder_problems, option_problems
from goldfold.own_code import NameOrOwnObject, OwnObject
from goldfold.settings_augmentation import AugmentationSetting
from goldfold.settings_files import Strict
from goldfold.settings_loss import Loss
from goldfold.vocabulary import (
    FrozenPart,
    OptimizerName,
    Precision,
    RateScheduleName,
    SamplingSchedule,
    StartWeights,
)

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=32, le=4096, multiple_of=32)]
MOST_NEIGHBOURS = 16
"""Images in a network's input."""
MOST_INPUTS = 3 * MOST_NEIGHBOURS
"""Input channels of a network."""


def _check_size(value: object) -> object:
    """Return a side, or two; the ValueError is one message in place of one for each form."""
    pair = isinstance(value, list | tuple) and len(value) == 2
    sides = value if pair and isinstance(value, list | tuple) else [value]
    if not all(type(side) is int and 32 <= side <= 4096 and side % 32 == 0 for side in sides):
        raise ValueError("expected a multiple of 32 from 32 to 4096, or [height, width] of such")
    return tuple(sides) if pair else value


SizeSetting = Annotated[Size | tuple[Size, Size], BeforeValidator(_check_size)]


class Sampling(Strict):
    """Fraction of images with a non-empty mask in an epoch."""

    schedule: SamplingSchedule | OwnObject = "natural"
    """How the fraction goes over the epochs; `natural` takes every image once. A function of your
    own, `module:object`, gives it epoch by epoch (docs/extending.md)."""
    start: Fraction | Literal["natural"] = 0.5
    """Fraction in the first epoch (and in all, if constant)."""
    end: Fraction | Literal["natural"] = "natural"
    """Fraction in the last epoch."""
    steps: list[tuple[Annotated[int, Field(ge=1)], Fraction]] = Field([])
    """For `steps`: [first epoch, fraction] pairs, e.g. [[1, 0.8], [5, 0.6], [9, 0.4]]."""
    replacement: bool = False
    """Draw every image anew; without it each empty image is seen before one comes again."""
    weight_by: str = "none"
    """What makes an image more likely: `none`, `area`, or a column of images.csv."""
    weight_power: float = 0.5
    """Weight = area to this power (negative: small ones more), or 1 / class count to it."""

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        epochs = [epoch for epoch, _ in self.steps]
        if (self.schedule == "steps") != bool(self.steps):
            raise ValueError('steps belong to schedule = "steps", and that needs them')
        if epochs and (epochs[0] != 1 or epochs != sorted(set(epochs))):
            raise ValueError(f"steps must begin with epoch 1 and rise, found epochs {epochs}")
        if self.weight_by != "none" and not self.replacement:
            raise ValueError(
                "weight_by needs replacement = true: without it an epoch shows every non-empty "
                "image once, whatever its weight"
            )
        return self


class RateSchedule(Strict):
    """The learning rate over a stage, after its warm-up."""

    name: RateScheduleName = "cosine"
    """`cosine` falls once to `floor`; `warm-restarts` falls again and again."""
    floor: Fraction = 0.0
    """Smallest rate, as a fraction of the highest."""
    period: Annotated[float, Field(gt=0)] = 10.0
    """warm-restarts: epochs of the first fall."""
    growth: Annotated[float, Field(ge=1)] = 1.0
    """warm-restarts: how much longer each next fall is."""
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """one-cycle: share of the stage in which the rate rises from a 25th of the highest."""
    power: Annotated[float, Field(gt=0)] = 0.9
    """polynomial: rate = highest x (1 - done) to this power."""
    patience: Annotated[int, Field(ge=1)] = 2
    """plateau: validations without a better score before the rate is cut."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """plateau: what it is multiplied by."""


class PseudoLabelled(Strict):
    """Unlabelled images with labels of `goldfold train pseudo-label`, mixed into every epoch."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "pseudo-labels"
    """Name under which they were written, in the run directory's pseudo-labels/."""
    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of an epoch's images that have them."""


class StageSettings(Strict):
    """One stage of training."""

    epochs: Annotated[int, Field(ge=1)] = 12
    """Epochs; their length follows from the sampling schedule."""
    image_size: SizeSetting = 512
    """Height and width in pixels to which images are resized for training: one number for both, or
    [height, width]."""
    crop_size: SizeSetting | None = None
    """Train on random cuts of this size out of the image, given in the same way; validate on whole
    images."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Images in a forward pass, over all GPUs."""
    accumulation: Annotated[int, Field(ge=1)] = 1
    """Forward passes in an optimizer step."""
    optimizer: OptimizerName = "adamw"
    """AdamW, Adam, or stochastic gradient descent with momentum."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of sgd (Nesterov)."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Highest learning rate."""
    encoder_learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Highest learning rate of the encoder; that of the rest unless given."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each block of the encoder learns at this multiple of the rate of the one behind it."""
    schedule: RateSchedule = RateSchedule()
    """How the learning rate changes."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Weight decay, decoupled for AdamW; kernels only."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Epochs in which the learning rate rises linearly from zero."""
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    frozen: list[FrozenPart] = Field([])
    """What does not learn: the encoder's weights, the statistics and gains of all BatchNorms."""
    sampling: Sampling = Sampling()
    """Non-empty fraction over the epochs."""
    loss: Loss = Loss()
    """What is minimised."""
    augmentation: AugmentationSetting = "light"
    """A level by its name, or a table of numbers on top of one: { base = "light", rotation = 15,
    blur = 0.1, cutout = 0.2, vertical_flip = 0.5 }."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Classification: mix images in pairs, by a share drawn from Beta(this, this); 0 = off."""
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    """Classification: paste rectangles of other images, their area drawn likewise; 0 = off."""
    pseudo_labels: PseudoLabelled | None = None
    """Unlabelled images beside the labelled ones."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay per step of an exponential moving average of the weights, e.g. 0.998."""
    swa_from: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Average the weights at the ends of the epochs after this share of the stage, e.g. 0.75."""
    start: StartWeights = "best"
    """Weights of the previous stage that this one starts with; the first stage has none."""
    early_stopping: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many validations without a better score."""
    keep_checkpoints: Annotated[int, Field(ge=1)] = 3
    """Best checkpoints kept, by the validation metric."""
    validate_every: Annotated[int, Field(ge=1)] = 1
    """Validate after every so many epochs, and always after the last."""
    validate_from: Annotated[int, Field(ge=1)] = 1
    """First epoch that is validated."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.crop_size is not None:
            crop, whole = height_and_width(self.crop_size), height_and_width(self.image_size)
            if crop[0] > whole[0] or crop[1] > whole[1]:
                raise ValueError(
                    f"crop_size {size_name(crop)} is larger than image_size {size_name(whole)}"
                )
        return self


class ModelSettings(Strict):
    """One model: network, input, seeds and stages of training."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "unet-resnet34"
    """Name of its folder below models/ and predictions/."""
    architecture: NameOrOwnObject = "Unet"
    """Class of segmentation_models_pytorch, or VanillaUnet or DoubleUnet; for classification
    Classifier (a network of timm) or PlainCnn. A function of your own that builds a network is
    `module:object` (docs/extending.md); it gets `options`, and no encoder."""
    encoder: str = "resnet34"
    """Encoder by its name in segmentation_models_pytorch (`tu-NAME` for any of timm); of a
    Classifier by its name in timm."""
    encoder_weights: str = "none"
    """`none`, a published set such as `imagenet`, or a .safetensors file of the encoder."""
    channels: Literal[1, 3] = 1
    """Channels of an image: 1 = gray, 3 = gray three times or colour."""
    neighbours: list[Annotated[int, Field(ge=-100, le=100)]] = Field([], max_length=MOST_NEIGHBOURS)
    """Show the network each image with its neighbours in the sequence (competition.images.sequence)
    as channels, in this order: [-1, 0, 1] = the one before, itself, the one behind. Beyond an end
    of the sequence the last image is repeated. The network has `channels` for each of them."""
    presence_head: bool = False
    """A branch on the encoder that says how likely the image has a mask at all."""
    options: dict[str, str | int | float | bool | list[int]] = Field({})
    """Further arguments of the architecture, from a fixed vocabulary, e.g.
    decoder_attention_type = "scse"; a wrong one is answered with those that there are."""
    seeds: list[Seed] = Field([0], min_length=1)
    """One training of every fold a seed."""
    stages: list[StageSettings] = Field([StageSettings()], min_length=1)
    """Stages of training, in order."""

    @property
    def inputs(self) -> int:
        """Input channels of the network: those of an image and its neighbours."""
        return self.channels * max(1, len(self.neighbours))

    @property
    def own_channels(self) -> slice:
        """Which of the network's input channels are those of the image itself."""
        first = self.neighbours.index(0) * self.channels if self.neighbours else 0
        return slice(first, first + self.channels)

    @field_validator("neighbours")
    @classmethod
    def _has_itself(cls, neighbours: list[int]) -> list[int]:
        if neighbours and 0 not in neighbours:
            raise ValueError(f"neighbours must contain 0, the image itself, found {neighbours}")
        return neighbours

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds must be different, found {seeds}")
        return seeds

    @model_validator(mode="after")
    def _network_is_known(self) -> Self:
        problems = encoder_problems(self.encoder, self.encoder_weights)
        if self.architecture in OPTIONS:  # a misspelled one is named when it is built
            problems += option_problems(self.architecture, self.encoder, self.options)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        for number, stage in enumerate(self.stages, 1):
            if stage.loss.presence > 0 and not self.presence_head:
                raise ValueError(
                    f"stage {number} weighs the presence head's loss, but the model has none: "
                    "set presence_head = true"
                )
            before = self.stages[number - 2] if number > 1 else None
            averaged = before is not None and (before.ema or before.swa_from is not None)
            if before is not None and stage.start == "averaged" and not averaged:
                raise ValueError(
                    f"stage {number} starts from averaged weights, but stage {number - 1} makes "
                    "none: set its ema or swa_from"
                )
        if self.presence_head and not any(stage.loss.presence > 0 for stage in self.stages):
            stages = plural(len(self.stages), "stage", "stages")
            raise ValueError(
                f"the presence head would never learn: set loss.presence in one of {stages}"
            )
        return self


class TrainingSettings(Strict):
    """How the machine trains, whatever the model."""

    precision: Literal["auto", Precision] = "auto"
    """Of matrix work; `auto` takes what is fast on the device. With `float32`, PyTorch may
    still use TF32 in convolutions, on NVIDIA's GPUs from Ampere on; with `float32-strict` never."""
    deterministic: bool = False
    """Give the same bits in every run on the same machine, in prediction, too: on a GPU by slower
    algorithms, on a CPU by as many threads throughout, whoever else computes."""
    channels_last: bool = True
    """Images in memory as the fast kernels like them."""
    compile: Literal["auto"] | bool = "auto"
    """Compile the network with torch.compile; `auto` measures on a GPU whether that pays."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of storing them: less memory, about a third slower."""
    augment_on: Literal["auto", "cpu", "device"] = "auto"
    """Where images are augmented; `auto` takes a GPU where it can."""
    stop_after_skipped: Annotated[int, Field(ge=1)] = 10
    """Steps in a row whose loss is not finite before the training stops."""
    tensorboard: bool = False
    """Write TensorBoard files beside history.csv (needs the extra `tensorboard`)."""
