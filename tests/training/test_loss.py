import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.training.losses import WeightedLoss, soft_dice_loss


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
    bce = WeightedLoss(1.0, 0.0)(logits, truth)
    dice = WeightedLoss(0.0, 1.0)(logits, truth)
    both = WeightedLoss(0.5, 3.0)(logits, truth)
    assert both.item() == pytest.approx(0.5 * bce.item() + 3.0 * dice.item(), abs=1e-6)


def test_perfect_prediction_costs_nothing():
    truth = mask([1, 0, 1, 0])
    assert WeightedLoss()(truth * 200 - 100, truth).item() == pytest.approx(0.0, abs=1e-6)


def test_perfect_prediction_of_nothing_costs_nothing():
    truth = mask([0, 0, 0, 0])
    assert WeightedLoss()(truth - 100, truth).item() == pytest.approx(0.0, abs=1e-6)


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
    assert WeightedLoss(1.0, 0.0)(logits, truth).item() == pytest.approx(theirs.item(), abs=1e-5)


@given(order=st.permutations(range(5)))
@settings(max_examples=10, deadline=None)
def test_order_of_the_batch_does_not_matter(order):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 1, 6, 6, generator=generator)
    truth = (torch.rand(5, 1, 6, 6, generator=generator) < 0.3).float()
    loss = WeightedLoss()
    assert loss(logits[order], truth[order]).item() == pytest.approx(loss(logits, truth).item())


def test_float32_under_autocast():
    # In bfloat16 the sum of 65,536 halves would stop growing far below 32,768.
    logits, truth = torch.zeros(1, 1, 256, 256), torch.zeros(1, 1, 256, 256)
    truth[..., :128] = 1
    expected = WeightedLoss()(logits, truth)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = WeightedLoss()(logits.bfloat16(), truth)
    assert found.dtype == torch.float32
    assert found.item() == expected.item()


def test_masks_of_whole_numbers_are_taken():
    logits, truth = logit([0.7, 0.2]), mask([1, 0])
    assert WeightedLoss()(logits, truth.to(torch.uint8)) == WeightedLoss()(logits, truth)


def test_huge_logits_stay_finite():
    logits = torch.tensor([1e4, -1e4]).reshape(1, 1, 1, 2).requires_grad_()
    loss = WeightedLoss()(logits, mask([0, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 1, 4, 4\), found \(2, 4, 4\)"):
        WeightedLoss()(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))
