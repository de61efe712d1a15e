"""Calibration: scikit-learn's curves, monotone, from counts as from single pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from goldfold.competitions.histogram import level_histograms
from goldfold.ensemble.blend import merge_maps
from goldfold.ensemble.calibration import class_curves, fit_curve, level_table
from goldfold.ensemble.calibration_curve import MIDDLES, describe_curve, read_curve
from goldfold.ensemble.calibration_error import calibration_measures
from goldfold.ensemble.class_truth import Truth
from goldfold.ensemble.probability_scale import make_scale
from goldfold.errors import InputError

WAYS = ("isotonic", "platt")


def miscalibrated(seed=0, count=4000, slope=0.4, shift=-1.0):
    """Return what a member says of pixels, logits too far apart and shifted, and what is true."""
    rng = np.random.default_rng(seed)
    true_logit = rng.normal(0, 1.5, count)
    said = expit((true_logit - shift) / slope)
    return said, rng.random(count) < expit(true_logit)


@given(st.integers(0, 10_000), st.sampled_from(WAYS))
def test_tables_never_fall(seed, way):
    rng = np.random.default_rng(seed)
    every = rng.integers(0, 50, 256) * (rng.random(256) < 0.3)
    every[rng.integers(256)] += 1
    counts = np.stack([every, rng.binomial(every, rng.random(256))])
    table = np.array(level_table(counts, way))
    assert table.shape == (256,)
    assert (np.diff(table) >= 0).all()
    assert (table > 0).all()
    assert (table < 1).all()


def test_isotonic_on_counts_is_scikit_learns_on_pixels():
    said, true = miscalibrated()
    levels = np.minimum(said * 256, 255).astype(np.uint8)
    counts = level_histograms(levels.reshape(50, 80), true.reshape(50, 80).astype(np.uint8))
    edge = 1 / (len(said) + 2)
    plain = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    plain.fit(MIDDLES[levels], true)
    assert level_table(counts, "isotonic") == pytest.approx(plain.predict(MIDDLES))


def test_platt_on_counts_is_scikit_learns_on_pixels():
    said, true = miscalibrated()
    levels = np.minimum(said * 256, 255).astype(np.uint8)
    counts = level_histograms(levels.reshape(50, 80), true.reshape(50, 80).astype(np.uint8))
    plain = LogisticRegression(C=np.inf, tol=1e-8).fit(logit(MIDDLES[levels])[:, None], true)
    expected = plain.predict_proba(logit(MIDDLES)[:, None])[:, 1]
    assert level_table(counts, "platt") == pytest.approx(expected, abs=2e-3)  # Platt's targets


def test_platt_finds_what_was_planted():
    said, true = miscalibrated(count=200_000)
    curve = fit_curve(said, true.astype(float), np.ones(len(said)), "platt")
    assert curve.slope == pytest.approx(0.4, abs=0.02)
    assert curve.intercept == pytest.approx(-1.0, abs=0.03)


def test_a_member_that_says_the_contrary_says_nothing():
    said, true = miscalibrated()
    ones = np.ones(len(said))
    for way in WAYS:
        curve = fit_curve(said, (~true).astype(float), ones, way)
        assert np.ptp(curve(np.linspace(0, 1, 11))) < 0.2
    assert curve(np.array([0.3])) == pytest.approx((~true).mean(), abs=1e-3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("true", [[0, 0, 0], [1, 1, 1], [0, 0, 1]])
def test_curves_exist_where_nothing_or_everything_is_told_apart(way, true):
    curve = fit_curve(np.array([0.1, 0.2, 0.9]), np.array(true, float), np.ones(3), way)
    found = curve(np.array([0.0, 0.2, 1.0]))
    assert np.isfinite(found).all()
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("way", WAYS)
def test_curves_are_read_as_they_were_written(way):
    said, true = miscalibrated()
    curve = fit_curve(said, true.astype(float), np.ones(len(said)), way)
    assert read_curve(describe_curve(curve)) == curve
    with pytest.raises(InputError, match="unknown calibration 'plat'; there are isotonic, platt"):
        fit_curve(said, true.astype(float), np.ones(len(said)), "plat")


@pytest.mark.parametrize("merge", ["mean", "geometric", "logit"])
def test_calibrated_members_are_merged_at_full_precision(merge):
    rng = np.random.default_rng(1)
    maps = rng.integers(0, 256, (2, 30, 40)).astype(np.uint8)
    tables = [MIDDLES**2, np.sqrt(MIDDLES)]
    scales = [make_scale(merge, calibrated=table) for table in tables]
    found = merge_maps(maps, [1, 1], scales)
    said = [table[levels] for table, levels in zip(tables, maps, strict=True)]
    said = np.clip(said, MIDDLES[0], MIDDLES[-1])
    there, back = {
        "mean": (lambda p: p, lambda v: v),
        "geometric": (np.log, np.exp),
        "logit": (logit, expit),
    }[merge]
    expected = back(there(said).mean(axis=0))
    assert np.abs(found - (expected * 256 - 0.5)).max() <= 1
    with pytest.raises(InputError, match="calibration changes no rank"):
        make_scale("rank", np.ones(256, np.int64), MIDDLES)


@pytest.mark.parametrize("way", WAYS)
def test_calibration_lowers_the_errors_of_probabilities(way):
    said, true = miscalibrated()
    truth = Truth(true[:, None].astype(np.uint8), ("a",), False, "auroc", (1.0,))
    before = calibration_measures(truth, said[:, None])
    (curve,) = class_curves(said[:, None], truth.targets, way)
    after = calibration_measures(truth, curve(said)[:, None])
    assert all(after[name] < before[name] for name in before)
    assert after["expected_calibration_error"] < 0.03 < before["expected_calibration_error"]


def test_calibration_error_by_hand():
    truth = Truth(np.array([[1], [0], [1]], np.uint8), ("a",), False, "auroc", (1.0,))
    found = calibration_measures(truth, np.array([[0.92], [0.98], [1.0]]))
    assert found["expected_calibration_error"] == pytest.approx((0.92 + 0.98 + 1.0 - 2) / 3)
    assert found["brier"] == pytest.approx((0.08**2 + 0.98**2) / 3)
