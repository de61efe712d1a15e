import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from goldfold.competitions.histogram import level_histograms
from goldfold.competitions.metric import image_scores
from goldfold.competitions.pixels import as_levels, as_mask
from goldfold.ensemble import Rule, apply_rule, blend_maps
from goldfold.errors import InputError
from goldfold.training.probability import quantise

FLOATS = hnp.arrays(np.float32, (3, 5), elements=st.floats(0, 1, width=32))


@pytest.mark.parametrize(
    ("given", "levels"),
    [
        ([[0.0, 0.5, 1.0]], [[0, 128, 255]]),
        ([[1 / 256, 0.00390624]], [[1, 0]]),
        (np.array([[0.999]], np.float16), [[255]]),
        (np.array([[7, 255]], np.uint8), [[7, 255]]),
        (torch.tensor([[0.25]], requires_grad=True), [[64]]),
        (torch.tensor([[0.25]], dtype=torch.bfloat16), [[64]]),
        ([[1.0000001, -1e-7]], [[255, 0]]),
        (np.zeros((0, 4)), np.zeros((0, 4)).tolist()),
    ],
)
def test_levels_by_hand(given, levels):
    found = as_levels(given)
    assert found.dtype == np.uint8
    assert found.tolist() == levels


@given(FLOATS)
def test_levels_are_those_of_the_pipeline(probability):
    assert np.array_equal(as_levels(probability), quantise(torch.from_numpy(probability)).numpy())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((1, 2, 3)), r"shape \(H, W\), found \(1, 2, 3\).*for example map\[0, 0\]"),
        (np.zeros((2, 2), bool), "found bool. A mask holds no probabilities"),
        (np.zeros((2, 2), np.int64), r"levels of 0 to 255 need .astype\(numpy.uint8\)"),
        ([[0.5, float("nan")]], "1 of 2 probabilities are NaN or infinite"),
        ([[-3.5, 2.0]], r"found -3.5 to 2. They look like logits: apply the sigmoid"),
        ([[0.0, 254.0]], r"found 0 to 254. They look like 8-bit levels: use .astype"),
    ],
)
def test_what_is_no_map(given, words):
    with pytest.raises(InputError, match=words) as caught:
        as_levels(given, "map 3")
    assert str(caught.value).startswith("map 3: ")


@pytest.mark.parametrize("given", [[[0, 1]], [[False, True]], torch.tensor([[0, 1]])])
def test_masks_by_hand(given):
    assert as_mask(given).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[0.0, 1.0]], "found shape .1, 2. with float64. Threshold probabilities first"),
        ([[0, 255]], "expected 0 and 1, found the values 0, 255. Use mask > 0 if"),
        ([[-1, 1]], "found the values -1, 1"),
        (np.arange(9).reshape(3, 3), "found the values 0, 1, 2, 3, 4 ..."),
        ([0, 1], r"expected shape \(H, W\), found \(2,\)"),
        ([["a"]], "with <U1"),
    ],
)
def test_what_is_no_mask(given, words):
    with pytest.raises(InputError, match=words):
        as_mask(given)


HALF = np.full((2, 2), 0.5, np.float32)
WRONG = {
    "apply_rule": (lambda: apply_rule(HALF, Rule(1, 0, 1)), "found float32: .*ProbabilityRule"),
    "blend_maps": (lambda: blend_maps([HALF], [1]), "8-bit levels .uint8., found float32"),
    "level_histograms": (lambda: level_histograms(HALF), "found float32 .*as_levels"),
    "level_histograms, mask": (
        lambda: level_histograms(HALF.astype(np.uint8), HALF),
        "mask of booleans or whole numbers, found float32",
    ),
    "image_scores": (lambda: image_scores("dice", 0.5, 1, 1), "intersection as whole numbers"),
    "image_scores, true": (lambda: image_scores("dice", 1, 1, [0.5]), "expected true as whole"),
}


@pytest.mark.parametrize("name", WRONG)
def test_public_functions_refuse_floats_where_they_need_whole_numbers(name):
    call, words = WRONG[name]
    with pytest.raises(InputError, match=words):
        call()
