import pytest
import torch
from torch import nn

from goldfold.errors import InputError
from goldfold.training.device import choose_device
from goldfold.training.memory import is_out_of_memory
from goldfold.training.optimizer import build_optimizer


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        self.decoder = nn.Conv2d(2, 1, 1)

    def forward(self, images):
        return self.decoder(self.encoder(images))


def groups_of(model, **options):
    optimizer = build_optimizer(model, learning_rate=0.01, weight_decay=0.1, **options)
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group["highest"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }


def test_encoder_and_rest_have_rates_of_their_own_and_kernels_alone_decay():
    assert groups_of(Network(), encoder_learning_rate=0.001) == {
        "encoder.0.weight": (0.001, 0.1),
        "encoder.0.bias": (0.001, 0.0),
        "encoder.1.weight": (0.001, 0.0),
        "encoder.1.bias": (0.001, 0.0),
        "decoder.weight": (0.01, 0.1),
        "decoder.bias": (0.01, 0.0),
    }
    assert {rate for rate, _ in groups_of(Network()).values()} == {0.01}


def test_frozen_weights_are_left_out():
    model = Network()
    model.encoder.requires_grad_(False)
    assert set(groups_of(model)) == {"decoder.weight", "decoder.bias"}
    model.decoder.requires_grad_(False)
    with pytest.raises(InputError, match=r"nothing is left to learn: everything is frozen"):
        groups_of(model)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)],
)
def test_each_by_name_agrees_with_torchs_plain_one(name, kind):
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)
    theirs.load_state_dict(ours.state_dict())
    optimizer = build_optimizer(ours, name=name, learning_rate=0.1, weight_decay=0.05, momentum=0.8)
    more = {"momentum": 0.8, "nesterov": True} if name == "sgd" else {}
    plain = kind(theirs.parameters(), lr=0.1, weight_decay=0.05, fused=False, **more)
    for seed in range(4):
        inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
        for model, one in ((ours, optimizer), (theirs, plain)):
            one.zero_grad()
            model(inputs).square().mean().backward()
            one.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_an_unknown_optimizer():
    with pytest.raises(
        InputError, match="unknown optimizer 'lion': choose one of adamw, adam, sgd"
    ):
        build_optimizer(Network(), name="lion", learning_rate=1, weight_decay=0)


# --- precision, compilation, memory --------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16), ("float32", None)]
)
def test_the_precision_that_is_asked_for(precision, dtype):
    device = choose_device(precision, channels_last=False)
    assert device.autocast_dtype is dtype
    assert (device.scaler() is not None) == (precision == "fp16")
    assert "channels_last" not in device.description
    assert "channels_last" in choose_device(precision).description


def test_an_unknown_precision():
    with pytest.raises(InputError, match="unknown precision 'fp8': choose auto, bf16, fp16, float"):
        choose_device("fp8")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (
            RuntimeError("[enforce fail] CPUAllocator: can't allocate memory: you"),
            True,
        ),
        (MemoryError(), True),
        (RuntimeError("expected 3 channels"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_too_little_memory_looks_like(error, expected):
    assert is_out_of_memory(error) is expected
