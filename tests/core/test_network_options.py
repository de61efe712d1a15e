"""The vocabulary of networks: what passes, what does not, and that the libraries know it."""

from inspect import signature

import pytest

from goldfold.errors import SettingsError
from goldfold.network_options import OPTIONS, encoder_problems, option_problems
from goldfold.settings_file import validate_settings


@pytest.mark.parametrize(
    ("architecture", "encoder", "options"),
    [
        ("Unet", "resnet34", {"decoder_channels": [256, 128], "decoder_attention_type": "scse"}),
        ("Unet", "resnet34", {"decoder_use_norm": False}),
        ("Unet", "resnet34", {"decoder_use_norm": "layernorm"}),
        ("Unet", "tu-swin_tiny_patch4_window7_224", {"img_size": 512, "drop_path_rate": 0.1}),
        ("Classifier", "test_vit", {"img_size": [64, 32], "dropout": 0}),
        ("DeepLabV3", "resnet34", {"encoder_output_stride": 16}),
    ],
)
def test_what_passes(architecture, encoder, options):
    assert option_problems(architecture, encoder, options) == []


@pytest.mark.parametrize(
    ("architecture", "encoder", "options", "words"),
    [
        ("Unet", "tu-a", {"checkpoint_path": "x"}, "Unet has no option checkpoint_path; it has"),
        ("Unet", "tu-a", {"pretrained_cfg_overlay": {"file": "x"}}, "no option pretrained_cfg_ov"),
        ("Unet", "tu-a", {"pretrained": True}, "Unet has no option pretrained; it has"),
        ("Unet", "resnet34", {"img_size": 64}, "Unet has no option img_size"),
        ("Unet", "resnet34", {"activation": "sigmoid"}, "Unet has no option activation"),
        ("Unet", "resnet34", {"decoder_channels": [10**9]}, "1 to 5 whole numbers from 1 to 2048"),
        ("Unet", "resnet34", {"decoder_channels": [1] * 6}, "found [1, 1, 1, 1, 1, 1]"),
        ("Unet", "resnet34", {"decoder_channels": [True]}, "found [true]"),
        ("Unet", "resnet34", {"decoder_attention_type": "x"}, 'expected "scse", found "x"'),
        ("Unet", "resnet34", {"decoder_use_norm": 1}, "expected true or false or one of"),
        ("FPN", "resnet34", {"decoder_dropout": 1.0}, "expected a number from 0 to below 1"),
        ("FPN", "resnet34", {"decoder_dropout": float("nan")}, "found NaN"),
        ("DoubleUnet", "vgg11", {"filters": 3}, "DoubleUnet has no option filters; it has none"),
        ("Unet", "resnet34", {"\x1b[2J": 1}, "has no option '\\x1b[2J'"),
        ("Unet", "resnet34", {"classes": 3}, "options must not set classes: goldfold does"),
    ],
)
def test_what_does_not(architecture, encoder, options, words):
    (problem,) = option_problems(architecture, encoder, options)
    assert words in problem


@pytest.mark.parametrize("weights", ["none", "imagenet", "a/b/own.safetensors", "noisy-student"])
def test_encoder_weights_are_a_set_or_safetensors(weights):
    assert encoder_problems("resnet34", weights) == []


def test_every_published_set_may_be_named():
    from segmentation_models_pytorch.encoders import encoders

    names = {name for one in encoders.values() for name in one["pretrained_settings"]}
    assert "imagenet+5k" in names
    assert [name for name in names if encoder_problems("resnet34", name)] == []


@pytest.mark.parametrize("weights", ["a/b.pth", "own.pth", "x:y", "", "../imagenet", "a\nb"])
def test_other_encoder_weights_are_refused(weights):
    (problem,) = encoder_problems("resnet34", weights)
    assert problem.startswith("encoder_weights ")


def test_settings_name_every_problem():
    model = {
        "encoder": "tu-local-dir:x",
        "encoder_weights": "own.pth",
        "options": {"checkpoint_path": "x", "decoder_channels": "wide"},
    }
    with pytest.raises(SettingsError) as caught:
        validate_settings({"models": [model]}, "a.toml")
    for words in (
        "encoder 'tu-local-dir:x' is not a plain name",
        "encoder_weights 'own.pth'",
        "no option checkpoint_path",
        "option decoder_channels of Unet: expected",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize("architecture", OPTIONS)
def test_the_installed_libraries_take_every_option(architecture):
    import segmentation_models_pytorch as smp

    from goldfold.training.networks.build import OURS

    kind = OURS.get(architecture) or getattr(smp, architecture)
    taken = set(signature(kind).parameters)
    assert set(OPTIONS[architecture]) <= taken
