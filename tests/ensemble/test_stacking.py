"""Stacking: planted weights are found, sampling changes little, and nothing judges itself."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from goldfold.ensemble.blend_trials import try_blends
from goldfold.ensemble.blend_ways import BlendWay, blend_ways, require_several
from goldfold.ensemble.class_blend import (
    ClassBlends,
    assess_class_probabilities,
    cross_fit_probabilities,
)
from goldfold.ensemble.class_truth import Truth
from goldfold.ensemble.fitted_blend import describe_fitted_blend, read_fitted_blend
from goldfold.ensemble.fitted_fields import (
    ClassCalibration,
    LevelCalibration,
    Stacking,
    class_fit_problems,
)
from goldfold.ensemble.mask_choice import MaskChoice, check_choice, describe_choice
from goldfold.ensemble.post_processing import NOTHING
from goldfold.ensemble.probability_scale import make_scale
from goldfold.ensemble.stacking import (
    positive_logistic,
    positive_ridge,
    spaced_sample,
    stack_classes,
    stack_shares,
    stacked_weights,
    whole_shares,
)
from goldfold.ensemble.threshold import Rule
from goldfold.ensemble.weights import FLOOR, PixelWeighing, floor_of, pack
from goldfold.errors import InputError, LeakError


def planted(weights, count=60_000, seed=0):
    """Return logits of members, (P, M), and a truth that follows their weighted sum."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1.5, (count, len(weights)))
    return values, rng.random(count) < expit(values @ np.array(weights) - 1)


def test_logistic_weights_find_what_was_planted():
    values, true = planted([0.9, 0.3, 0.0])
    found = positive_logistic(values, true, np.ones(len(true)))
    assert found == pytest.approx([0.9, 0.3, 0], abs=0.03)
    free = LogisticRegression(C=np.inf, tol=1e-10).fit(values[:, :2], true)
    bounded = positive_logistic(values[:, :2], true, np.ones(len(true)))
    assert bounded == pytest.approx(free.coef_[0], abs=1e-4)
    assert stacked_weights("logistic", values.T, true) == pytest.approx([75, 25, 0], abs=3)


def test_no_weight_is_below_zero():
    values, true = planted([1.0, -0.5])
    assert (LogisticRegression().fit(values, true).coef_[0] < 0).any()
    found = positive_logistic(values, true, np.ones(len(true)))
    alone = LogisticRegression(C=np.inf, tol=1e-10).fit(values[:, :1], true)
    assert found == pytest.approx([alone.coef_[0, 0], 0], abs=1e-4)
    assert (positive_ridge(expit(values), true, np.ones(len(true))) >= 0).all()


def test_ridge_weights_find_what_was_planted():
    rng = np.random.default_rng(0)
    values = rng.random((60_000, 2))
    true = rng.random(60_000) < values @ [0.7, 0.3]
    assert positive_ridge(values, true, np.ones(60_000)) == pytest.approx([0.7, 0.3], abs=0.01)
    assert stacked_weights("ridge", values.T, true) == pytest.approx([70, 30], abs=1)


def test_pixels_that_count_twice_are_two_pixels():
    values, true = planted([0.6, 0.4], count=500)
    twice = np.ones(500)
    twice[::3] = 2
    copied = np.repeat(np.arange(500), twice.astype(int))
    for fit in (positive_logistic, positive_ridge):
        assert fit(values, true, twice) == pytest.approx(
            fit(values[copied], true[copied], np.ones(len(copied))), abs=1e-5
        )


def test_samples_keep_both_kinds_and_their_numbers():
    true = np.zeros(100_000, bool)
    true[500:530] = True
    places, times = spaced_sample(true, most=1000)
    assert (np.diff(places) > 0).all()
    assert true[places].sum() == 30
    assert times[true[places]] == pytest.approx(1)
    assert times.sum() == pytest.approx(100_000)
    values, told = planted([0.8, 0.2])
    few, weight = spaced_sample(told, most=5000)
    assert len(few) == 10_000
    found = positive_logistic(values[few], told[few], weight)
    assert found == pytest.approx([0.8, 0.2], abs=0.06)


def test_where_nothing_can_be_learned_members_weigh_equally():
    values = np.random.default_rng(0).normal(size=(3, 50))
    for way in ("logistic", "ridge"):
        assert stacked_weights(way, values, np.zeros(50, bool)) == [1, 1, 1]
    assert whole_shares(np.zeros(2)) == [1, 1]
    assert sum(whole_shares(np.array([1.0, 1.0, 1.0]))) == 100


# --- masks ---------------------------------------------------------------------------------------

COUNT, SIDE = 24, 16


@pytest.fixture(scope="module")
def maps_and_masks():
    """Return maps of a member that says too little and of one that says nothing, and true masks."""
    rng = np.random.default_rng(3)
    masks = [np.zeros((SIDE, SIDE), np.uint8) for _ in range(COUNT)]
    maps = []
    for place, mask in enumerate(masks):
        if place % 4:
            top, left = rng.integers(0, 8, 2)
            mask[top : top + 7, left : left + 6] = 1
        shy = rng.integers(0, 4, mask.shape) + 4 * mask  # masks lie at levels 4 to 7
        maps.append([shy.astype(np.uint8), rng.integers(0, 120, mask.shape).astype(np.uint8)])
    return maps, masks


SHY = np.where(np.arange(256) < 4, 0.05, 0.9)


def test_low_levels_that_calibration_raises_are_kept(maps_and_masks):
    maps, masks = maps_and_masks
    assert floor_of(make_scale("mean")) == floor_of(make_scale("logit")) == FLOOR
    raised = [make_scale("logit", calibrated=SHY), make_scale("logit")]
    assert floor_of(raised[0]) == 1
    wide = pack(lambda p: maps[p], lambda p: masks[p], COUNT, floors=[1, FLOOR])
    narrow = pack(lambda p: maps[p], lambda p: masks[p], COUNT)
    assert wide.levels.shape[1] > narrow.levels.shape[1]
    plain = wide.above([make_scale("mean")] * 2)
    for name in ("levels", "images", "true", "rest"):
        assert np.array_equal(getattr(plain, name), getattr(narrow, name))
    weights, looked_at = PixelWeighing(wide, raised, "dice").choose("logistic")
    assert weights[0] > 90
    assert looked_at is wide.image_ids


def ways_of(pixels, calibrated_on, ways):
    parts = np.arange(COUNT) % 3

    def scales_of(merge, calibration, part):
        table = SHY if calibration == "isotonic" else None
        return [make_scale(merge, calibrated=table), make_scale(merge)]

    return try_blends(
        pixels, scales_of, parts, "dice", ways=ways, choice="peak", calibrated_on=calibrated_on
    )


def test_calibrated_and_stacked_blends_are_tried_like_others(maps_and_masks):
    maps, masks = maps_and_masks
    pixels = pack(lambda p: maps[p], lambda p: masks[p], COUNT, floors=[1, 1])
    parts = np.arange(COUNT) % 3
    ways = [
        BlendWay("mean"),
        BlendWay("mean", "hill-climb"),
        BlendWay("logit", "logistic"),
        BlendWay("logit", "logistic", "isotonic"),
    ]
    ids = pixels.image_ids
    trials = ways_of(pixels, lambda part: ids[parts != part], ways)
    assert [(one.merge, one.way, one.calibration) for one in trials] == [
        (way.merge, way.weights, way.calibration) for way in ways
    ]
    assert trials[3].honest > trials[0].honest + 0.1
    with pytest.raises(LeakError, match="blend weights were about to judge"):
        ways_of(pixels, lambda part: ids, ways[3:])


# --- classes -------------------------------------------------------------------------------------


def class_truth(count, classes, exclusive, seed=0, metric="neg-log-loss"):
    rng = np.random.default_rng(seed)
    targets = (
        np.eye(classes, dtype=np.uint8)[rng.integers(0, classes, count)]
        if exclusive
        else (rng.random((count, classes)) < 0.4).astype(np.uint8)
    )
    return Truth(targets, tuple("abcdef"[:classes]), exclusive, metric, (1.0,) * classes)


def members_of(truth, strengths, seed=1, exclusive=False):
    rng = np.random.default_rng(seed)
    made = []
    for strength in strengths:
        raw = strength * (truth.targets * 2.0 - 1) + rng.normal(0, 1, truth.targets.shape)
        made.append(
            np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True) if exclusive else expit(raw)
        )
    return made


def test_labels_are_stacked_by_scikit_learns_regression():
    truth = class_truth(400, 2, exclusive=False)
    members = members_of(truth, [0.6, 0.2])
    stack = stack_classes("logistic", members, truth.targets, exclusive=False)
    blend = stack(members, exclusive=False)
    for place in range(2):
        values = np.stack([logit(one[:, place]) for one in members], axis=1)
        plain = LogisticRegression(tol=1e-10).fit(values, truth.targets[:, place])
        assert blend[:, place] == pytest.approx(plain.predict_proba(values)[:, 1], abs=1e-4)
    shares = stack_shares(stack)
    assert shares[0] > shares[1] > 0


@pytest.mark.parametrize("classes", [2, 3])
def test_exclusive_classes_are_stacked_by_one_softmax(classes):
    truth = class_truth(400, classes, exclusive=True)
    members = members_of(truth, [0.6, 0.3], exclusive=True)
    stack = stack_classes("logistic", members, truth.targets, exclusive=True)
    values = logit(np.stack(members, axis=1)).reshape(400, -1)
    plain = LogisticRegression(tol=1e-10, max_iter=10_000).fit(values, truth.targets.argmax(axis=1))
    found = stack(members, exclusive=True)
    assert found == pytest.approx(plain.predict_proba(values), abs=1e-4)


@pytest.mark.parametrize("exclusive", [False, True])
def test_ridge_is_a_weighted_mean_by_class(exclusive):
    truth = class_truth(300, 3, exclusive)
    members = members_of(truth, [0.8, 0.1], exclusive=exclusive)
    stack = stack_classes("ridge", members, truth.targets, exclusive=exclusive)
    assert (stack.coefficients >= 0).all()
    assert (stack.bias == 0).all()
    found = stack(members, exclusive=exclusive)
    assert ((found >= 0) & (found <= 1)).all()
    if exclusive:
        assert found.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_class_that_is_never_seen_weighs_members_equally(exclusive):
    targets = np.zeros((20, 3), np.uint8)
    targets[np.arange(20), np.arange(20) % 2] = 1
    truth = Truth(targets, ("a", "b", "c"), exclusive, "auroc", (1.0,) * 3)
    members = members_of(truth, [1, 1], exclusive=exclusive)
    for way in ("logistic", "ridge"):
        stack = stack_classes(way, members, targets, exclusive=exclusive)
        assert stack.coefficients[2, :, 2].tolist() == [0.5, 0.5]
        assert np.isfinite(stack(members, exclusive=exclusive)).all()


WAYS = [
    {"merge": "logit", "weights": "logistic"},
    {"merge": "mean", "weights": "ridge"},
    {"merge": "mean", "weights": "equal", "calibration": "isotonic"},
    {"merge": "logit", "weights": "logistic", "calibration": "platt"},
]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("exclusive", [False, True])
def test_blends_are_read_as_they_were_written(how, exclusive):
    truth = class_truth(120, 3, exclusive)
    members = members_of(truth, [0.8, 0.1], exclusive=exclusive)
    found = assess_class_probabilities(members, truth, np.arange(120) % 3, **how)
    names, way = ["one", "two"], how.get("calibration", "none")
    described = describe_fitted_blend(found.blend, way, names, truth.classes)
    content = {"merge": how["merge"], "exclusive": exclusive, **described}
    weights = dict(zip(names, found.weights, strict=True))
    again = read_fitted_blend(content, weights, truth.classes)
    assert np.array_equal(again(members), found.blend(members))
    other = read_fitted_blend(content, dict(reversed(weights.items())), truth.classes)
    assert other(members[::-1]) == pytest.approx(found.blend(members))


@pytest.mark.parametrize("how", WAYS)
def test_a_fold_has_no_say_in_its_own_judgement(how):
    truth = class_truth(90, 2, exclusive=False)
    members, parts = members_of(truth, [0.8, 0.1]), np.arange(90) % 3
    here = parts == 1
    before = assess_class_probabilities(members, truth, parts, **how)
    targets = truth.targets.copy()
    targets[here] = 1 - targets[here]
    after = assess_class_probabilities(members, class_like(truth, targets), parts, **how)
    assert np.array_equal(before.probability[here], after.probability[here])
    assert not np.array_equal(before.probability[~here], after.probability[~here])


def class_like(truth, targets):
    return Truth(targets, truth.classes, truth.exclusive, truth.metric, truth.class_weights)


def test_a_regression_on_noise_is_worth_nothing_honestly():
    """Thirty members that guess: on the images of the fit they seem to know, elsewhere they do not.

    A leak would show: fitted on what it judges, the same blend scores far higher.
    """
    truth = class_truth(80, 1, exclusive=False, metric="auroc")
    rng = np.random.default_rng(5)
    members, parts = [rng.random((80, 1)) for _ in range(30)], np.arange(80) % 4
    blends = ClassBlends(members, truth, "logit", "logistic")
    honest = cross_fit_probabilities(truth, parts, blends.chosen_on)
    assert 0.3 < honest.honest < 0.65
    everything = np.ones(80, bool)
    leaked = blends.chosen_on(everything)
    assert roc_auc_score(truth.targets, leaked.probability) > 0.85
    with pytest.raises(LeakError, match="blend weights were about to judge 20 images"):
        cross_fit_probabilities(truth, parts, lambda _: leaked)


def test_calibration_that_saw_what_it_judges_is_refused():
    truth = class_truth(60, 1, exclusive=False)
    members, parts = members_of(truth, [0.5]), np.arange(60) % 3
    leaked = ClassBlends(members, truth, "mean", [1], "isotonic").chosen_on(np.ones(60, bool))
    with pytest.raises(LeakError, match="blend weights were about to judge 20 images"):
        cross_fit_probabilities(truth, parts, lambda _: leaked)


# --- which ways there are ------------------------------------------------------------------------


def test_each_stacking_is_tried_on_its_merge():
    merges, searches = ("mean", "geometric", "logit", "rank"), ("equal", "hill-climb", "simplex")
    ways = blend_ways(2, merges, searches, calibrate_alone=False)
    assert len(ways) == len(set(ways)) == 12 + 2 + 2 * 4
    assert ways[0] == BlendWay("mean")
    assert {(w.merge, w.weights) for w in ways if w.weights in ("logistic", "ridge")} == {
        ("logit", "logistic"), ("mean", "ridge"),
    }  # fmt: skip
    assert blend_ways(1, merges, searches, calibrate_alone=False) == [BlendWay("mean")]
    alone = blend_ways(1, merges, searches, calibrate_alone=True)
    assert [way.calibration for way in alone] == ["none", "isotonic", "platt"]


def test_a_single_member_is_not_stacked():
    for way in ("equal", "hill-climb", [3]):
        require_several(way, ["one"])
    with pytest.raises(
        InputError, match=r'only one\. Add a model .* ensemble.calibration = "platt"'
    ):
        require_several("logistic", ["one"])


# --- model files ---------------------------------------------------------------------------------


RISING = np.linspace(0, 1, 256).tolist()
PLATT = {"slope": 0.5, "intercept": 0.1}


@pytest.mark.parametrize(
    ("schema", "content", "told"),
    [
        (LevelCalibration, {"way": "platt", "members": {"one": RISING[::-1]}}, "falls"),
        (LevelCalibration, {"way": "platt", "members": {"one": RISING[:9]}}, "at least 256"),
        (ClassCalibration, {"way": "platt", "members": {"one": {"a": {"slope": -1}}}}, "slope"),
        (
            ClassCalibration,
            {
                "way": "isotonic",
                "members": {"one": {"a": {"probability": [0.1], "calibrated": [0.1, 0.2]}}},
            },
            "equally many",
        ),
        (Stacking, {"way": "lasso", "classes": {}}, "logistic"),
        (Stacking, {"way": "ridge", "classes": {"a": {"bias": 1e9, "members": {}}}}, "bias"),
    ],
)
def test_model_files_hold_no_other_fits(schema, content, told):
    with pytest.raises(ValidationError, match=told):
        schema.model_validate(content)


def test_fits_of_classes_belong_to_their_members_and_classes():
    curves = ClassCalibration.model_validate({"way": "platt", "members": {"one": {"a": PLATT}}})
    stack = Stacking.model_validate(
        {"way": "ridge", "classes": {"a": {"bias": 0, "members": {"two": {"b": 1}}}}}
    )
    assert class_fit_problems(curves, None, ["one"], ["a"]) == []
    assert class_fit_problems(curves, None, ["two"], ["a"]) == [
        "the calibration of two is not one of each class"
    ]
    assert class_fit_problems(None, stack, ["one"], ["a"]) == [
        "stacking names 'two', not a member", "stacking names 'b', not a class",
    ]  # fmt: skip


def test_a_blended_member_of_masks_has_a_calibration():
    choice = MaskChoice(
        "mean",
        {"one": 1, "unused": 0},
        Rule(100, 3, 90),
        NOTHING,
        calibration={"way": "platt", "members": {"one": RISING}},
    )
    content = describe_choice(choice)
    assert check_choice(content, Path("model.json"), "") == choice
    content["members"][1]["weight"] = 1
    with pytest.raises(InputError, match="member unused lacks its calibration"):
        check_choice(content, Path("model.json"), "")
