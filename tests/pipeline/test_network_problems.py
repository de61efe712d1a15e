"""Networks that do not take the sizes or batches of their settings, and what would fit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.pipeline import network_problems as module
from goldfold.pipeline.network_passes import least_images, prediction_passes, smallest_part
from goldfold.pipeline.network_problems import network_problems, refuse_misfits
from goldfold.settings import InferenceSettings, ModelSettings
from goldfold.training.stage_plan import split_batches
from goldfold.training.step import _split

TEST_RESNET = "models.0.encoder=tu-test_resnet"
PICKY_ENCODER = "models.0.encoder=tu-swin_tiny_patch4_window7_224"
OWN = """
from torch import nn

class Strict(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Conv2d(1, classes, 1)

    def forward(self, images):
        if images.shape[-1] < 64:
            raise KeyError("too small")
        return self.layer(images)

def build(*, channels, classes):
    return Strict(classes)
"""


def problems_of(run):
    problems, notices = network_problems(run)
    assert notices == []
    return problems


def test_a_network_that_fits_is_tried_once_and_nothing_is_downloaded(tabled, monkeypatch):
    run = tabled("models.0.encoder_weights=imagenet")
    state = torch.get_rng_state()
    assert problems_of(run) == []
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(module, "_problem", None)
    assert problems_of(run) == []


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        (
            [PICKY_ENCODER],
            [
                "model tiny: Unet with encoder tu-swin_tiny_patch4_window7_224 fails on images of "
                "64 px (image_size)",
                "What fits: options = { img_size = 64 }; or 224 pixels a side.",
            ],
        ),
        (
            ["models.0.architecture=PAN", "models.0.stages.0.image_size=128", "inference.tile=64"],
            ["fails on images of 64 px (inference.tile)", "128 or more pixels"],
        ),
        (
            [
                "models.0.architecture=PAN",
                "models.0.stages.0.image_size=128",
                "inference.views=['none', 'scale-0.5']",
            ],
            ["fails on images of 64 px (view scale-0.5 of image_size)"],
        ),
        (
            ["models.0.architecture=DeepLabV3Plus", "models.0.encoder=vgg11_bn"],
            ["cannot build", "What fits: architecture Unet or UnetPlusPlus or MAnet with this"],
        ),
        (
            ["models.0.architecture=FPN", TEST_RESNET, "models.0.options={upsampling=8}"],
            ["it gives logits (1, 1, 128, 128), expected (1, 1, 64, 64)", "options = {}"],
        ),
        (
            [TEST_RESNET, "models.0.options={decoder_channels=[8, 8]}"],
            ["cannot build Unet with encoder tu-test_resnet", "What fits: options = {}."],
        ),
        (["models.0.encoder=resnet81"], ["no encoder 'resnet81'. Did you mean"]),
    ],
)
def test_the_message_names_the_setting_and_what_fits(tabled, assignments, expected):
    run = tabled(*assignments)
    (problem,) = problems_of(run)
    for words in expected:
        assert words in problem


def test_what_does_not_fit_is_refused(tabled):
    run = tabled("models.0.encoder=resnet81")
    with pytest.raises(InputError, match="networks do not fit their images"):
        refuse_misfits(run, run.settings.models, trains=True)


@pytest.mark.parametrize(
    ("batch_size", "expected"),
    [
        (
            1,
            [
                "cannot train on a single image of 64 px",
                'What fits: batch_size = 2 or frozen = ["batchnorm"].',
            ],
        ),
        (2, []),
        (8, []),
    ],
)
def test_batchnorm_over_one_image_depends_on_the_batches_that_there_will_be(
    tabled, batch_size, expected
):
    run = tabled(
        "models.0.architecture=DeepLabV3Plus",
        TEST_RESNET,
        f"models.0.stages.0.batch_size={batch_size}",
    )
    problems = problems_of(run)
    assert len(problems) == bool(expected)
    for words in expected:
        assert words in problems[0]
    assert least_images(run, run.settings.models[0], run.settings.models[0].stages[0]) == min(
        batch_size, 2
    )


def test_frozen_batchnorms_take_one_image(tabled):
    run = tabled(
        "models.0.architecture=DeepLabV3Plus",
        TEST_RESNET,
        "models.0.stages.0.batch_size=1",
        "models.0.stages.0.frozen=['batchnorm']",
    )
    assert problems_of(run) == []


def test_a_network_of_the_users_own_is_named_with_its_line(tabled, tmp_path):
    (tmp_path / "my_net.py").write_text(OWN)
    own = "models.0.architecture=my_net:build"
    assert problems_of(tabled(own)) == []
    (problem,) = problems_of(tabled(own, "inference.tile=32"))
    assert "32 px (inference.tile)" in problem
    assert "my_net.py, line 11" in problem
    assert "too small" in problem


def test_predictions_are_tried_without_training(tabled):
    run = tabled(
        "models.0.architecture=DeepLabV3Plus", TEST_RESNET, "models.0.stages.0.batch_size=1"
    )
    refuse_misfits(run, run.settings.models, trains=False)


def test_every_view_and_tile_is_a_pass():
    model = ModelSettings.model_validate({"stages": [{"image_size": [96, 192]}]})
    inference = InferenceSettings.model_validate({"views": ["none", "rot90", "scale-0.5"]})
    sizes = {tried.size for tried in prediction_passes(model, inference)}
    assert sizes == {(96, 192), (192, 96), (64, 96)}
    tiled = inference.model_copy(update={"tile": 64})
    assert {tried.size for tried in prediction_passes(model, tiled)} == {(64, 64)}


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 9))
def test_the_smallest_pass_is_that_of_the_training_loop(images, batch_size, accumulation):
    batches = split_batches(torch.arange(images).numpy(), batch_size * accumulation)
    parts = [
        part.stop - part.start for batch in batches for part in _split(len(batch), accumulation)
    ]
    assert smallest_part(images, batch_size, accumulation) == min(parts)
