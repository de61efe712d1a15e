from copy import deepcopy

import pytest
import torch
from safetensors.torch import save_file

from goldfold.errors import InputError
from goldfold.training.networks import (
    VanillaUnet,
    enable_gradient_checkpointing,
    freeze,
    set_training_mode,
    split_output,
)
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
        ({"options": {"in_channels": 3}}, "options must not set in_channels: goldfold does"),
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


# --- our own networks ----------------------------------------------------------------------------


def test_a_vanilla_unet_has_8_to_128_filters_and_learns_at_full_size():
    model = build_model("VanillaUnet", "none").eval()
    widths = [block[0].out_channels for block in model.encoder]
    assert widths == [8, 16, 32, 64, 128]
    with torch.inference_mode():
        assert model(torch.zeros(2, 1, 48, 64)).shape == (2, 1, 48, 64)
    assert (
        build_model("VanillaUnet", "none", options={"filters": 4}).encoder[0][0].out_channels == 4
    )


@pytest.mark.parametrize("encoder", ["vgg11", "resnet18"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_double_unet_looks_twice(encoder, channels):
    torch.manual_seed(0)
    model = build_model("DoubleUnet", encoder, channels=channels).eval()
    images = torch.rand(1, channels, 64, 96)
    with torch.inference_mode():
        whole = model(images)
        assert whole.shape == (1, 1, 64, 96)
        model.first_head.bias += 5.0  # what the first network marks reaches the second
        assert not torch.equal(model(images), whole)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_double_unet_gives_several_masks(channels):
    model = build_model("DoubleUnet", "tu-test_resnet", channels=channels, classes=3).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, channels, 64, 32)).shape == (1, 3, 64, 32)


def test_every_part_of_a_double_unet_learns():
    model = build_model("DoubleUnet", "resnet18")
    model(torch.rand(2, 1, 64, 64)).sum().backward()
    lacking = [n for n, p in model.named_parameters() if p.grad is None and "encoder.fc" not in n]
    assert lacking == []


def test_the_presence_head_tells_of_each_image():
    model = build_model("Unet", "resnet18", presence_head=True, options=SMALL).eval()
    with torch.inference_mode():
        masks, presence = split_output(model(torch.rand(3, 1, 32, 32)))
    assert masks.shape == (3, 1, 32, 32)
    assert presence.shape == (3,)
    plain = build_model("Unet", "resnet18", options=SMALL).eval()
    with torch.inference_mode():
        assert split_output(plain(torch.rand(3, 1, 32, 32)))[1] is None


def test_our_networks_have_no_presence_head():
    with pytest.raises(InputError, match="VanillaUnet has no presence head; set presence_head"):
        build_model("VanillaUnet", "none", presence_head=True)


# --- freezing ------------------------------------------------------------------------------------


def statistics(model, part=""):
    return {n: b.clone() for n, b in model.named_buffers() if "running" in n and part in n}


@pytest.mark.parametrize("what", [["encoder"], ["batchnorm"], ["encoder", "batchnorm"]])
def test_what_is_frozen_does_not_move(what):
    torch.manual_seed(0)
    model = build_model("Unet", "resnet18", options=SMALL)
    freeze(model, what)
    set_training_mode(model, what)
    before = {n: v.clone() for n, v in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(torch.rand(4, 1, 32, 32)).square().mean().backward()
    optimizer.step()
    moved = {n for n, v in model.state_dict().items() if not torch.equal(v, before[n])}
    assert any(n.startswith("decoder") for n in moved)
    if "encoder" in what:
        assert not any(n.startswith("encoder.") for n in moved)
    if "batchnorm" in what:
        assert not any("running" in n or ".bn" in n for n in moved)
        assert any(n.startswith("encoder.") for n in moved) == ("encoder" not in what)


def test_nothing_frozen_is_plain_training():
    model = build_model("Unet", "resnet18", options=SMALL).eval()
    set_training_mode(model, [])
    assert all(module.training for module in model.modules())


# --- gradient checkpointing ----------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["Unet", "VanillaUnet"])
def test_checkpointed_gradients_and_statistics_are_the_plain_ones(architecture):
    images = torch.rand(4, 1, 32, 32)
    results = []
    for twice in (False, True):
        torch.manual_seed(1)
        options = SMALL if architecture == "Unet" else None
        model = build_model(architecture, "resnet18", options=options).train()
        if twice:
            enable_gradient_checkpointing(model)
        for _ in range(2):
            model.zero_grad()
            model(images).square().mean().backward()
        results.append((dict(model.named_parameters()), statistics(model), model))
    (plain, before, one), (other, after, two) = results
    for name, weight in plain.items():
        if weight.grad is not None:
            torch.testing.assert_close(other[name].grad, weight.grad, rtol=1e-4, atol=1e-6)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value)
    assert list(one.state_dict()) == list(two.state_dict())
    counts = [n for n in one.state_dict() if "num_batches" in n]
    assert all(torch.equal(one.state_dict()[n], two.state_dict()[n]) for n in counts)


def test_checkpointing_stores_less(monkeypatch):
    """Fewer tensors wait for the backward pass."""
    sizes = []
    for twice in (False, True):
        torch.manual_seed(1)
        model = VanillaUnet().train()
        if twice:
            enable_gradient_checkpointing(model)
        stored = [0]

        def count(tensor, stored=stored):
            stored[0] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model(torch.rand(2, 1, 64, 64))
        sizes.append(stored[0])
    assert sizes[1] < 0.5 * sizes[0]


COPIED = [
    ("Unet", "resnet18", {"options": SMALL, "presence_head": True}),
    ("Unet", "tu-lcnet_050", {"options": SMALL}),
    ("DoubleUnet", "tu-lcnet_050", {}),
    ("VanillaUnet", "none", {}),
    ("Classifier", "test_resnet", {}),
    ("PlainCnn", "none", {}),
]


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize(("architecture", "encoder", "more"), COPIED)
def test_a_copy_shares_nothing_with_its_original(architecture, encoder, more, twice):
    """Averages are copies: they must not call a block of the network that is trained."""
    torch.manual_seed(2)
    images = torch.rand(2, 1, 64, 64)
    model = build_model(architecture, encoder, **more).eval()
    freeze(model, ["batchnorm"])
    if twice:
        enable_gradient_checkpointing(model)
    with torch.no_grad():
        expected = split_output(model(images))[0]
    copied = deepcopy(model)
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            if value.is_floating_point():
                value.fill_(torch.nan)
        torch.testing.assert_close(split_output(copied(images))[0], expected)
    set_training_mode(copied, ["batchnorm"])
    split_output(copied(images))[0].sum().backward()
    assert any(weight.grad is not None for weight in copied.parameters())
    assert all(weight.grad is None for weight in model.parameters())
    assert list(copied.state_dict()) == list(model.state_dict())
