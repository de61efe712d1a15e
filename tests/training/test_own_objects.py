"""Networks, losses, schedules, steps and metrics of the user's own: what they may return."""

import numpy as np
import pytest
import torch

from goldfold.competitions.class_metric_score import class_metric_score
from goldfold.competitions.metric import image_scores
from goldfold.errors import InputError
from goldfold.own_code import bind
from goldfold.settings import CompetitionSettings
from goldfold.tasks.own_metric_trial import try_own_metric
from goldfold.training.augmentation.own_step import take_step
from goldfold.training.losses import WeightedLoss
from goldfold.training.networks.build import build_model
from goldfold.training.networks.own import check_own_network, require_encoder
from goldfold.training.sampler import EpochPlan, fraction_at


@pytest.fixture
def own(tmp_path):
    """Return a function that binds `f` of a module with this text."""

    def make(text):
        (tmp_path / "mine.py").write_text(text, encoding="utf-8")
        return bind("mine:f", tmp_path)

    return make


# --- loss ----------------------------------------------------------------------------------------

LOGITS = torch.tensor([[[[0.5, -2.0]]]], requires_grad=True)
TARGETS = torch.tensor([[[[1.0, 0.0]]]])


def test_a_loss_is_weighed_beside_the_others(own):
    name = own("def f(logits, targets): return ((logits - targets) ** 2).mean()\n")
    loss = WeightedLoss(bce=2.0, own={name: 3.0})(LOGITS, TARGETS)
    plain = WeightedLoss(bce=2.0)(LOGITS, TARGETS)
    assert loss.item() == pytest.approx(plain.item() + 3 * (0.25 + 4) / 2)
    loss.backward()
    assert WeightedLoss(bce=1.0, own={name: 0.0}).own == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(a, b): return 1.0\n", r"loss: mine:f \(mine\.py\) returned float; expected loss"),
        ("def f(a, b): return (a - b)\n", r"returned Tensor \(1, 1, 1, 2\); expected loss"),
        ("def f(a, b): return b.mean()\n", "a tensor that does not depend on the logits"),
        (
            "def f(a, b): return a @ b.new_zeros(7, 7)\n",
            r"raised RuntimeError in .*mine\.py, line 1",
        ),
    ],
)
def test_wrong_losses(own, text, words):
    with pytest.raises(InputError, match=words):
        WeightedLoss(own={own(text): 1.0})(LOGITS, TARGETS)


# --- network -------------------------------------------------------------------------------------

NETWORK = """
from torch import nn
class Net(nn.Module):
    def __init__(self, channels, classes, side):
        super().__init__()
        self.encoder = nn.Conv2d(channels, classes, 1)
        self.side = side
    def forward(self, x):
        y = self.encoder(x)
        pair = y, y.mean((1, 2, 3))[:, None]
        return {"map": y, "mean": y.mean((2, 3)), "pair": pair}[self.side]
def f(*, channels, classes, side="map"):
    return Net(channels, classes, side)
"""


def check(network, name, **changes):
    facts = {"channels": 3, "classes": 2, "classifies": False, "presence_head": False, "size": 32}
    check_own_network(network, name, **{**facts, **changes})


def test_networks_that_fit(own):
    name = own(NETWORK)
    network = build_model(name, "resnet34", channels=3, classes=2)
    check(network, name)
    assert network(torch.zeros(2, 3, 8, 4)).shape == (2, 2, 8, 4)
    pair = build_model(name, "resnet34", channels=3, classes=2, options={"side": "pair"})
    check(pair, name, presence_head=True)
    mean = build_model(name, "resnet34", channels=3, classes=2, options={"side": "mean"})
    check(mean, name, classifies=True)
    assert mean(torch.zeros(4, 3, 8, 8)).shape == (4, 1, 1, 2)
    require_encoder(network, name, ["encoder_learning_rate"])


def test_networks_that_do_not_fit(own):
    name = own(NETWORK)
    network = build_model(name, "none", channels=3, classes=2)
    with pytest.raises(InputError, match=r"makes \(1, 2, 32, 32\) of an image \(3, 32, 32\), not"):
        check(network, name, classes=1)
    with pytest.raises(InputError, match="no pair of logits and presence logits"):
        check(network, name, presence_head=True)
    with pytest.raises(InputError, match=r"architecture: mine:f raised RuntimeError in .*line 9"):
        check(network, name, channels=1)
    with pytest.raises(
        InputError, match=r"has the arguments \(\*, channels, classes, side='map'\)"
    ):
        build_model(name, "none", options={"sides": 1})
    with pytest.raises(InputError, match="names published weights, which a network of your own"):
        build_model(name, "none", encoder_weights="imagenet")
    bare = own("from torch import nn\ndef f(*, channels, classes): return nn.Conv2d(1, 1, 1)\n")
    with pytest.raises(InputError, match=r"encoder_learning_rate need an encoder, but the network"):
        require_encoder(build_model(bare, "none"), bare, ["encoder_learning_rate"])
    with pytest.raises(InputError, match="returned int; expected build"):
        build_model(own("def f(*, channels, classes): return 3\n"), "none")


# --- sampling ------------------------------------------------------------------------------------


def test_a_schedule_is_asked_epoch_by_epoch(own):
    name = own("def f(epoch, epochs, natural): return (1 + epoch) / epochs if epoch else natural\n")
    found = [fraction_at(name, 0.5, 0.5, epoch, 4, natural=0.25) for epoch in range(4)]
    assert found == [0.25, 0.5, 0.75, 1.0]
    plan = EpochPlan([True] * 3 + [False] * 9, name, epochs=4)
    assert [plan.counts(epoch) for epoch in range(4)] == [(3, 9), (3, 3), (3, 1), (3, 0)]


@pytest.mark.parametrize("value", ["0", "1.5", "'half'", "None", "float('nan')", "True"])
def test_wrong_fractions(own, value):
    name = own(f"def f(epoch, epochs, natural): return {value}\n")
    with pytest.raises(InputError, match=r"sampling\.schedule: mine:f .* for epoch 1 of 2; expect"):
        fraction_at(name, 0.5, 0.5, 1, 2, natural=0.5)


# --- augmentation --------------------------------------------------------------------------------

IMAGE, MASK = np.full((4, 6), 9, np.uint8), np.ones((4, 6), np.uint8)
RANDOM = np.random.default_rng(0)


def test_a_step_gets_copies(own):
    name = own("def f(image, mask, random):\n    image[:] = 1\n    return image, mask[::-1]\n")
    image, _ = take_step(name, IMAGE, MASK, RANDOM)
    assert (image == 1).all()
    assert (IMAGE == 9).all()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("image", "returned ndarray, no pair"),
        ("(image / 2, mask)", r"returned float64 \(4, 6\) for the image, which came as uint8 \(4"),
        ("(image, mask[:2])", r"uint8 \(2, 6\) for the mask, which came as uint8 \(4, 6\)"),
        ("(image, mask * 255)", "a mask with values above 1, which came as 0 and 1"),
        ("(None, mask)", "returned NoneType for the image"),
    ],
)
def test_wrong_steps(own, value, words):
    name = own(f"def f(image, mask, random): return {value}\n")
    with pytest.raises(InputError, match=rf"augmentation\.steps: .*{words}"):
        take_step(name, IMAGE, MASK, RANDOM)


# --- metric --------------------------------------------------------------------------------------


def test_a_metric_of_masks_sees_whole_counts_of_one_shape(own):
    name = own(
        "def f(a, b, c):\n    assert a.shape == b.shape == c.shape == (2, 3)\n    return a / 9\n"
    )
    found = image_scores(name, np.arange(6).reshape(2, 3), [[1], [2]], 3)
    np.testing.assert_allclose(found, np.arange(6).reshape(2, 3) / 9)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a - 2", "returned 2 for intersection 4, predicted 5, true 6; expected score"),
        ("a / 0", "returned"),
        ("0.5", r"an array of shape \(\) for counts of shape \(1,\)"),
        ("'x'", r"competition\.metric: mine:f raised ValueError"),
    ],
)
def test_wrong_metrics_of_masks(own, value, words):
    name = own(f"import numpy as np\nnp.seterr(all='ignore')\ndef f(a, b, c): return {value}\n")
    with pytest.raises(InputError, match=words):
        image_scores(name, [4], [5], [6])


@pytest.mark.parametrize("value", ["p", "None", "float('inf')", "'x'"])
def test_wrong_metrics_of_classes(own, value):
    name = own(f"def f(t, p): return {value}\n")
    with pytest.raises(InputError, match=r"expected score\(targets, probability\) to return one n"):
        class_metric_score(name, np.ones((2, 2), np.uint8), np.ones((2, 2)), exclusive=False)


TRIED = """
def masks(true, predicted): return float((true == predicted).mean())
def counts(intersection, predicted, true): return (predicted == true) * 1.0
def labels(targets, labels): return float((targets == labels).mean())
def graded(targets, probability): return -float(abs(targets - probability).mean())
def numbers(truth, predicted): return -float(abs(truth - predicted).mean())
def both(one, other): return one.sum() / other.sum()
"""
GRADED = {
    "task": "grades",
    "classes": ["0", "1", "2"],
    "labels": {"kind": "column", "class_column": "c"},
}
AGES = {
    "task": "regression",
    "number_range": [0, 9],
    "labels": {"kind": "column", "class_column": "c"},
}
LABELLED = {"task": "classification", "classes": ["a", "b"], "labels": {"kind": "wide"}}
SEMANTIC = {
    "task": "semantic-segmentation", "classes": ["none", "a"],
    "labels": {"kind": "levels", "masks": [["{id}.png"]], "levels": {"none": [0], "a": [1]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("task", "name", "words"),
    [
        ({}, "masks", None),
        ({}, "counts", None),
        ({}, "both", "mine:both.* returned inf for 8 true and 0 predicted"),
        ({}, "numbers", "returned -0.125 for 8 true and 0 predicted pixels"),
        (SEMANTIC, "counts", None),
        (SEMANTIC, "masks", r"is a function of pixel counts: score\(intersection"),
        (LABELLED, "labels", None),
        (LABELLED, "graded", None),
        (LABELLED, "counts", "expected score"),
        (GRADED, "numbers", None),
        (AGES, "numbers", None),
        (AGES, "counts", r"has the arguments \(intersection, predicted, true\)"),
    ],
)  # fmt: skip
def test_a_metric_is_tried_before_anything_is_trained(tmp_path, task, name, words):
    (tmp_path / "mine.py").write_text(TRIED, encoding="utf-8")
    form = CompetitionSettings(**task, metric=bind(f"mine:{name}", tmp_path))
    if words is None:
        try_own_metric(form)
    else:
        with pytest.raises(InputError, match=words):
            try_own_metric(form)
