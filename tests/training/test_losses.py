import itertools

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.training.losses import (
    WeightedLoss,
    focal_loss,
    soft_dice_loss,
    symmetric_lovasz_hinge,
    tversky_loss,
)
from goldfold.training.losses.lovasz import lovasz_hinge


def both() -> WeightedLoss:
    return WeightedLoss(bce=1.0, dice=1.0)


def logit(probability: list[float]) -> torch.Tensor:
    return torch.logit(torch.tensor(probability, dtype=torch.float32)).reshape(1, 1, 1, -1)


def mask(values: list[int]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("probability", "truth", "expected"),
    [
        # 1 - (2 sum(pm) + 1) / (sum(p) + sum(m) + 1)
        ([0.5, 0.5], [1, 0], 1 - 2.0 / 3.0),
        ([0.25, 0.75], [1, 1], 1 - 3.0 / 4.0),
        ([0.5, 0.5], [0, 0], 1 - 1.0 / 2.0),
        ([0.9, 0.1], [1, 0], 1 - 2.8 / 3.0),
    ],
)
def test_dice_by_hand(probability, truth, expected):
    loss = WeightedLoss(bce=0.0, dice=1.0)(logit(probability), mask(truth))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_bce_by_hand():
    loss = WeightedLoss(bce=1.0, dice=0.0)(logit([0.9, 0.2]), mask([1, 0]))
    assert loss.item() == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2, abs=1e-6)


def test_weights_multiply_their_parts():
    logits, truth = logit([0.7, 0.2, 0.6]), mask([1, 0, 0])
    bce = WeightedLoss(bce=1.0)(logits, truth)
    dice = WeightedLoss(dice=1.0)(logits, truth)
    both = WeightedLoss(bce=0.5, dice=3.0)(logits, truth)
    assert both.item() == pytest.approx(0.5 * bce.item() + 3.0 * dice.item(), abs=1e-6)


def test_perfect_prediction_costs_nothing():
    truth = mask([1, 0, 1, 0])
    assert both()(truth * 200 - 100, truth).item() == pytest.approx(0.0, abs=1e-6)


def test_perfect_prediction_of_nothing_costs_nothing():
    truth = mask([0, 0, 0, 0])
    assert both()(truth - 100, truth).item() == pytest.approx(0.0, abs=1e-6)


def test_each_pixel_predicted_on_an_empty_batch_costs_more():
    truth = torch.zeros(2, 1, 4, 4)
    losses = []
    for pixels in range(6):
        logits = torch.full((2, 1, 4, 4), -50.0)
        logits.view(-1)[:pixels] = 50.0
        losses.append(soft_dice_loss(logits, truth).item())
    assert losses[0] == 0.0
    assert losses == sorted(set(losses))


def test_empty_batch_pushes_every_logit_down():
    logits = torch.zeros(2, 1, 8, 8, requires_grad=True)
    soft_dice_loss(logits, torch.zeros(2, 1, 8, 8)).backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all()


@given(seed=st.integers(0, 10_000), positive=st.floats(0.01, 1.0))
@settings(max_examples=40, deadline=None)
def test_agrees_with_segmentation_models_pytorch(seed, positive):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(3, 1, 9, 7, generator=generator)
    truth = (torch.rand(3, 1, 9, 7, generator=generator) < positive).float()
    truth[0, 0, 0, 0] = 1.0  # smp returns 0 for an empty batch; ours differs there on purpose
    theirs = smp.losses.DiceLoss("binary", smooth=0.0)(logits, truth)
    ours = soft_dice_loss(logits, truth, smooth_px=0.0)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    theirs = smp.losses.SoftBCEWithLogitsLoss()(logits, truth)
    assert WeightedLoss(bce=1.0)(logits, truth).item() == pytest.approx(theirs.item(), abs=1e-5)


@given(order=st.permutations(range(5)))
@settings(max_examples=10, deadline=None)
def test_order_of_the_batch_does_not_matter(order):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 1, 6, 6, generator=generator)
    truth = (torch.rand(5, 1, 6, 6, generator=generator) < 0.3).float()
    loss = both()
    assert loss(logits[order], truth[order]).item() == pytest.approx(loss(logits, truth).item())


def test_float32_under_autocast():
    # In bfloat16 the sum of 65,536 halves would stop growing far below 32,768.
    logits, truth = torch.zeros(1, 1, 256, 256), torch.zeros(1, 1, 256, 256)
    truth[..., :128] = 1
    expected = both()(logits, truth)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = both()(logits.bfloat16(), truth)
    assert found.dtype == torch.float32
    assert found.item() == expected.item()


def test_masks_of_whole_numbers_are_taken():
    logits, truth = logit([0.7, 0.2]), mask([1, 0])
    assert both()(logits, truth.to(torch.uint8)) == WeightedLoss(bce=1.0, dice=1.0)(logits, truth)


def test_huge_logits_stay_finite():
    logits = torch.tensor([1e4, -1e4]).reshape(1, 1, 1, 2).requires_grad_()
    loss = both()(logits, mask([0, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 1, 4, 4\), found \(2, 4, 4\)"):
        both()(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))


# --- Dice per image ------------------------------------------------------------------------------


def test_dice_over_images_is_the_mean_of_each_image_alone():
    generator = torch.Generator().manual_seed(2)
    logits = 3 * torch.randn(4, 1, 6, 5, generator=generator)
    truth = (torch.rand(4, 1, 6, 5, generator=generator) < 0.4).float()
    truth[1] = 0
    alone = [soft_dice_loss(logits[i : i + 1], truth[i : i + 1]).item() for i in range(4)]
    assert soft_dice_loss(logits, truth, over="image").item() == pytest.approx(np.mean(alone))
    assert soft_dice_loss(logits, truth).item() != pytest.approx(np.mean(alone), abs=1e-3)


@pytest.mark.parametrize("over", ["batch", "image"])
def test_an_empty_batch_predicted_positive_is_punished_unlike_in_the_common_library(over):
    logits, truth = torch.full((2, 1, 8, 8), 9.0), torch.zeros(2, 1, 8, 8)
    assert smp.losses.DiceLoss("binary")(logits, truth).item() == 0.0
    assert soft_dice_loss(logits, truth, over=over).item() > 0.98
    assert tversky_loss(logits, truth, alpha=0.3, beta=0.7).item() > 0.95


# --- focal ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probability", "truth", "gamma", "expected"),
    [
        (0.9, 1, 2.0, 0.01 * -np.log(0.9)),
        (0.9, 0, 2.0, 0.81 * -np.log(0.1)),
        (0.5, 1, 1.0, 0.5 * -np.log(0.5)),
        (0.3, 1, 0.0, -np.log(0.3)),
    ],
)
def test_focal_by_hand(probability, truth, gamma, expected):
    found = focal_loss(logit([probability]), mask([truth]), gamma)
    assert found.item() == pytest.approx(expected, rel=1e-4)


@given(st.integers(0, 10_000), st.sampled_from([1.0, 2.0, 3.5]))
@settings(max_examples=20, deadline=None)
def test_focal_agrees_with_segmentation_models_pytorch(seed, gamma):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 1, 5, 6, generator=generator)
    truth = (torch.rand(2, 1, 5, 6, generator=generator) < 0.3).float()
    theirs = smp.losses.FocalLoss("binary", gamma=gamma)(logits, truth)
    assert focal_loss(logits, truth, gamma).item() == pytest.approx(theirs.item(), rel=1e-4)


def test_focal_of_soft_labels_vanishes_where_they_are_met():
    assert focal_loss(logit([0.3, 0.8]), torch.tensor([0.3, 0.8]).reshape(1, 1, 1, 2)) < 1e-9


# --- Tversky -------------------------------------------------------------------------------------


def test_tversky_by_hand():
    # TP 0.8, FP 0.4, FN 0.2: 1 - (0.8 + 1) / (0.8 + 0.3 * 0.4 + 0.7 * 0.2 + 1)
    found = tversky_loss(logit([0.8, 0.4]), mask([1, 0]), alpha=0.3, beta=0.7)
    assert found.item() == pytest.approx(1 - 1.8 / 2.06, abs=1e-6)


def test_tversky_of_halves_is_dice():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(3, 1, 6, 6, generator=generator)
    truth = (torch.rand(3, 1, 6, 6, generator=generator) < 0.3).float()
    ours = tversky_loss(logits, truth, alpha=0.5, beta=0.5, smooth_px=0.5)
    assert ours.item() == pytest.approx(soft_dice_loss(logits, truth).item(), abs=1e-6)
    theirs = smp.losses.TverskyLoss("binary", alpha=0.3, beta=0.7)(logits, truth)
    plain = tversky_loss(logits, truth, alpha=0.3, beta=0.7, smooth_px=0.0)
    assert plain.item() == pytest.approx(theirs.item(), abs=1e-5)


# --- Lovasz --------------------------------------------------------------------------------------


def jaccard_loss(wrong, labels):
    """Return 1 - IoU of a prediction that errs at the pixels `wrong`, by counting."""
    predicted = labels ^ wrong
    union = (predicted | labels).sum()
    return 1 - (predicted & labels).sum() / union if union else 0.0


def lovasz_by_definition(errors, labels):
    """Return the Lovasz extension at `errors`: sum of e_i (J(first i wrong) - J(first i-1))."""
    order = np.argsort(-errors, kind="stable")
    wrong, before, total = np.zeros(len(labels), bool), 0.0, 0.0
    for place in order:
        wrong[place] = True
        after = jaccard_loss(wrong, labels)
        total += errors[place] * (after - before)
        before = after
    return total


@given(st.integers(0, 10_000), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_lovasz_agrees_with_its_definition(seed, pixels):
    random = np.random.default_rng(seed)
    labels = random.random(pixels) < 0.5
    logits = random.normal(0, 2, pixels)
    errors = 1 - logits * (2 * labels - 1.0)
    positive = np.where(errors > 0, errors + 1, np.exp(errors))  # elu + 1
    expected = lovasz_by_definition(positive, labels)
    found = lovasz_hinge(
        torch.tensor(logits).reshape(1, -1),
        torch.tensor(labels, dtype=torch.float64).reshape(1, -1),
    )
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_lovasz_of_images_is_the_mean_of_each_alone():
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(3, 1, 4, 4, generator=generator)
    truth = (torch.rand(3, 1, 4, 4, generator=generator) < 0.4).float()
    alone = [symmetric_lovasz_hinge(logits[i : i + 1], truth[i : i + 1]).item() for i in range(3)]
    assert symmetric_lovasz_hinge(logits, truth).item() == pytest.approx(np.mean(alone), abs=1e-6)


def test_lovasz_is_symmetric_and_minds_empty_masks():
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(2, 1, 4, 4, generator=generator)
    truth = (torch.rand(2, 1, 4, 4, generator=generator) < 0.4).float()
    one, other = symmetric_lovasz_hinge(logits, truth), symmetric_lovasz_hinge(-logits, 1 - truth)
    assert one.item() == pytest.approx(other.item(), abs=1e-6)
    empty = torch.zeros(1, 1, 4, 4)
    bad, good = torch.full((1, 1, 4, 4), 3.0), torch.full((1, 1, 4, 4), -3.0)
    assert symmetric_lovasz_hinge(bad, empty) > 2
    assert symmetric_lovasz_hinge(good, empty) < 0.2


def test_soft_labels_of_lovasz_are_taken_at_one_half():
    logits = torch.randn(1, 1, 2, 3)
    soft = torch.tensor([0.1, 0.5, 0.9, 0.49, 0.7, 0.0]).reshape(1, 1, 2, 3)
    hard = (soft >= 0.5).float()
    assert symmetric_lovasz_hinge(logits, soft) == symmetric_lovasz_hinge(logits, hard)


# --- all of them ---------------------------------------------------------------------------------

PARTS = ["bce", "dice", "focal", "lovasz", "tversky"]


@pytest.mark.parametrize("name", PARTS)
def test_gradients_are_those_of_finite_differences(name):
    torch.manual_seed(7)
    logits = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    truth = (torch.rand(2, 1, 3, 3) < 0.4).double()
    functions = {
        "bce": lambda x: torch.nn.functional.binary_cross_entropy_with_logits(x, truth),
        "dice": lambda x: soft_dice_loss(x, truth, over="image"),
        "focal": lambda x: focal_loss(x, truth, 2.0),
        "lovasz": lambda x: symmetric_lovasz_hinge(x, truth),
        "tversky": lambda x: tversky_loss(x, truth, alpha=0.3, beta=0.7),
    }
    assert torch.autograd.gradcheck(functions[name], (logits,), eps=1e-6, atol=1e-4)


@pytest.mark.parametrize("name", PARTS)
def test_every_part_learns_the_mask_and_nothing_on_an_empty_one(name):
    truth = torch.zeros(2, 1, 6, 6)
    truth[0, :, 1:4, 1:4] = 1
    logits = torch.zeros(2, 1, 6, 6, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        WeightedLoss(**{name: 1.0})(logits, truth).backward()
        optimizer.step()
    assert ((logits > 0).float() == truth).all()


def test_the_sum_is_weighted():
    generator = torch.Generator().manual_seed(8)
    logits = torch.randn(2, 1, 5, 5, generator=generator)
    truth = (torch.rand(2, 1, 5, 5, generator=generator) < 0.4).float()
    weights = dict(zip(PARTS, (1.0, 0.5, 2.0, 0.25, 3.0), strict=True))
    alone = sum(w * WeightedLoss(**{n: 1.0})(logits, truth).item() for n, w in weights.items())
    assert WeightedLoss(**weights)(logits, truth).item() == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "dtype"), itertools.product(PARTS, [torch.float16, torch.bfloat16])
)
def test_every_part_is_computed_in_float32(name, dtype):
    logits = torch.randn(1, 1, 64, 64).to(dtype)
    truth = (torch.rand(1, 1, 64, 64) < 0.5).float()
    expected = WeightedLoss(**{name: 1.0})(logits.float(), truth)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = WeightedLoss(**{name: 1.0})(logits, truth)
    assert found.dtype == torch.float32
    assert found.item() == expected.item()


def test_presence_is_that_of_a_pixel_of_at_least_one_half():
    logits, truth = torch.zeros(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    truth[0, 0, 0, 0], truth[1, 0, 0, 0] = 0.5, 0.49
    told = torch.tensor([2.0, 2.0, -1.0])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        told, torch.tensor([1.0, 0.0, 0.0])
    )
    loss = WeightedLoss(bce=1.0, presence=0.1)
    plain = WeightedLoss(bce=1.0)(logits, truth)
    assert loss(logits, truth, told).item() == pytest.approx((plain + 0.1 * expected).item())
    assert loss(logits, truth).item() == plain.item()
