import pytest
import torch
from safetensors.torch import save_file

from goldfold.errors import InputError
from goldfold.training.networks.build import build_model, load_encoder

SMALL = {"decoder_channels": [16, 8, 8, 8, 8]}


def test_one_channel_in_one_logit_out_in_channels_last():
    model = build_model("Unet", "resnet18", options=SMALL).eval()
    kernel = model.encoder.conv1.weight
    assert kernel.shape[1] == 1
    assert model.encoder.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert model(torch.zeros(2, 1, 32, 64)).shape == (2, 1, 32, 64)


def test_three_channels_another_architecture_and_any_network_of_timm():
    model = build_model("FPN", "tu-lcnet_050", channels=3).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 1, 32, 32)


def test_the_seed_makes_the_weights():
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(build_model("Unet", "tu-lcnet_050", options=SMALL).state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Unett", "resnet18"), r"no architecture 'Unett'\. Did you mean 'Unet'\?"),
        (("unet", "resnet18"), r"no architecture 'unet'\. Did you mean 'Unet'\?"),
        (("Qqqqq", "resnet18"), r"no architecture 'Qqqqq'\. It has DPT, "),
        (("Unet", "resnet81"), r"no encoder 'resnet81'\. Did you mean 'resnet18'\?"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(arguments, words):
    with pytest.raises(InputError, match=words):
        build_model(*arguments)


def test_an_unknown_option_is_refused_with_the_nearest():
    with pytest.raises(
        InputError, match=r"has no option decoder_chanels; it has .*Did you mean 'deco"
    ):
        build_model("Unet", "resnet18", options={"decoder_chanels": [1]})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"options": {"decoder_channels": [16, 8]}},
            r"cannot build Unet .*decoder_channels.*options",
        ),
        ({"options": {"in_channels": 3}}, r"multiple values for keyword argument 'in_channels'"),
        ({"encoder_weights": "imagnet"}, r"imagnet.*encoder_weights = \"none\""),
    ],
)
def test_what_the_library_refuses_is_an_input_error(arguments, words):
    with pytest.raises(InputError, match=words) as caught:
        build_model("Unet", "resnet18", **arguments)
    assert ".." not in str(caught.value)


def test_a_download_that_fails_says_what_to_do(monkeypatch):
    import segmentation_models_pytorch as smp

    class Offline(smp.Unet):
        def __init__(self, **_):
            raise OSError("no route to host")

    monkeypatch.setattr(smp, "Unet", Offline)
    with pytest.raises(InputError, match=r"no route to host\. If 'imagenet' cannot be downloaded"):
        build_model("Unet", "resnet18", encoder_weights="imagenet", options={})


def test_encoder_weights_from_a_file(tmp_path):
    torch.manual_seed(0)
    source = build_model("Unet", "tu-lcnet_050", options=SMALL)
    file = tmp_path / "encoder.safetensors"
    save_file({k: v.contiguous() for k, v in source.encoder.state_dict().items()}, file)
    torch.manual_seed(1)
    model = build_model("Unet", "tu-lcnet_050", encoder_weights=str(file), options=SMALL)
    for key, value in source.encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[key], value)


def test_a_three_channel_encoder_sees_a_gray_image_as_it_saw_it_three_times(tmp_path):
    torch.manual_seed(0)
    colour = build_model("Unet", "tu-lcnet_050", channels=3, options=SMALL).eval()
    file = tmp_path / "encoder.safetensors"
    save_file({k: v.contiguous() for k, v in colour.encoder.state_dict().items()}, file)
    gray = build_model("Unet", "tu-lcnet_050", encoder_weights=str(file), options=SMALL).eval()
    image = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        features = zip(
            gray.encoder(image)[1:], colour.encoder(image.expand(1, 3, 32, 32))[1:], strict=True
        )
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in features)


def test_encoder_weights_that_are_missing_or_do_not_fit(tmp_path):
    model = build_model("Unet", "tu-lcnet_050", options=SMALL)
    with pytest.raises(InputError, match=r"no\.safetensors do not exist; set encoder_weights"):
        load_encoder(model, tmp_path / "no.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("not tensors")
    with pytest.raises(InputError, match=r"text\.safetensors do not fit this encoder"):
        load_encoder(model, text)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(InputError, match="do not fit this encoder"):
        load_encoder(model, other)
