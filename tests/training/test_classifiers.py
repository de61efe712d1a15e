"""Networks, losses and mixing of images with classes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from goldfold.errors import InputError
from goldfold.training.class_validation import class_probability
from goldfold.training.losses import WeightedLoss
from goldfold.training.mixing import Mixing
from goldfold.training.networks import build_model
from goldfold.training.optimizer import build_optimizer, encoder_blocks


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("architecture", "encoder", "options"),
    [
        ("Classifier", "resnet18", {}),
        ("Classifier", "test_vit", {"img_size": 64}),
        ("Classifier", "mobilenetv3_small_050", {"dropout": 0.3}),
        ("PlainCnn", "none", {"filters": 4}),
    ],
)
def test_logits_are_a_row_of_pixels(architecture, encoder, options, channels):
    model = build_model(architecture, encoder, channels=channels, classes=5, options=options)
    images = torch.rand(2, channels, 64, 64)
    assert model.eval()(images).shape == (2, 1, 1, 5)
    assert isinstance(model.encoder, nn.Module)


def test_names_that_do_not_exist():
    with pytest.raises(InputError, match="timm has no network 'resnet81'"):
        build_model("Classifier", "resnet81", classes=2)
    with pytest.raises(InputError, match="PlainCnn has no option width"):
        build_model("PlainCnn", "none", classes=2, options={"width": 3})
    with pytest.raises(InputError, match="has no presence head"):
        build_model("Classifier", "resnet18", classes=2, presence_head=True)


def test_probabilities():
    logits = torch.tensor([[[[0.0, 2.0, -1.0]]]])
    assert class_probability(logits, exclusive=True).sum().item() == pytest.approx(1)
    assert class_probability(logits, exclusive=False)[0].tolist() == pytest.approx(
        torch.sigmoid(logits.flatten()).tolist()
    )


def pair():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((6, 1, 1, 4), generator=generator)
    targets = F.one_hot(torch.arange(6) % 4, 4).float()[:, None, None, :]
    return logits, targets


def test_losses_of_classes_are_pytorchs():
    logits, targets = pair()
    flat, index = logits.flatten(1), targets.flatten(1).argmax(dim=1)
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0])
    assert WeightedLoss(cross_entropy=1)(logits, targets) == F.cross_entropy(flat, index)
    smooth = WeightedLoss(cross_entropy=2, smoothing=0.1)(logits, targets)
    expected = 2 * F.cross_entropy(flat, index, label_smoothing=0.1)
    assert smooth.item() == pytest.approx(expected.item())
    found = WeightedLoss(bce=1, class_weights=weights.tolist())(logits, targets)
    single = F.binary_cross_entropy_with_logits(flat, targets.flatten(1), reduction="none")
    expected = (single.mean(dim=0) * weights).sum() / weights.sum()
    assert found.item() == pytest.approx(expected.item())
    found = WeightedLoss(cross_entropy=1, class_weights=weights.tolist())(logits, targets)
    soft = F.cross_entropy(flat, targets.flatten(1), weight=weights)
    assert found.item() == pytest.approx(soft.item())
    focal = WeightedLoss(focal=1, focal_gamma=0.0, class_weights=[1.0] * 4)(logits, targets)
    assert focal.item() == pytest.approx(single.mean().item(), rel=1e-5)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0), (0, 1.0), (0.4, 1.0)])
def test_mixing_mixes_images_and_targets_alike(mixup, cutmix):
    images = torch.arange(8.0)[:, None, None, None].expand(8, 2, 32, 32).clone()
    targets = torch.eye(8)[:, None, None, :]
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, soft = Mixing(mixup, cutmix)(images, targets)
        assert soft.flatten(1).sum(dim=1).tolist() == pytest.approx([1.0] * 8)
        # Each image's mean is the mean of the numbers that its targets name.
        expected = soft.flatten(1) @ torch.arange(8.0)
        assert mixed.mean(dim=(1, 2, 3)).tolist() == pytest.approx(expected.tolist(), abs=1e-4)
        torch.manual_seed(seed)
        again, _ = Mixing(mixup, cutmix)(images, targets)
        assert torch.equal(mixed, again)
        seen.add("pasted" if set(mixed.unique().tolist()) <= set(range(8)) else "blended")
    assert seen == {name for name, on in (("blended", mixup), ("pasted", cutmix)) if on}
    assert images[3].unique().tolist() == [3]  # the batch itself is left alone


def test_earlier_blocks_learn_more_slowly():
    model = build_model("Classifier", "resnet18", channels=1, classes=2)
    blocks = encoder_blocks(model.encoder)
    together = [id(p) for block in blocks for p in block]
    assert sorted(together) == sorted(id(p) for p in model.encoder.parameters())
    assert id(model.encoder.conv1.weight) == id(blocks[0][0])
    optimizer = build_optimizer(
        model, learning_rate=1e-2, encoder_learning_rate=1e-3, layer_decay=0.5, weight_decay=0.1
    )
    rates = {id(p): g["highest"] for g in optimizer.param_groups for p in g["params"]}
    assert rates[id(model.head[1].weight)] == 1e-2
    last = len(blocks) - 1
    for place, block in enumerate(blocks):
        assert rates[id(block[0])] == pytest.approx(1e-3 * 0.5 ** (last - place))
    same = build_optimizer(model, learning_rate=1e-2, weight_decay=0.1)
    assert {g["highest"] for g in same.param_groups} == {1e-2}
    assert len(same.param_groups) == 4
    assert np.isclose(min(rates.values()), 1e-3 * 0.5**last)
