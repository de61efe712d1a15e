"""What is predicted of images becomes what is predicted of rows, before anything is chosen."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from goldfold.folds.fold_view import FoldView
from goldfold.settings import Settings
from goldfold.tasks import class_ensemble, class_members
from goldfold.tasks.class_ensemble import assess_classes, judged_classes
from goldfold.tasks.class_held_out import class_score, judge_classes
from goldfold.tasks.class_members import ClassMembers
from goldfold.tasks.grade_ensemble import assess_run
from goldfold.tasks.prediction_rows import Rows, joined

FORM = {
    "task": "classification", "classes": ["no", "yes"], "exclusive": True,
    "metric": "neg-log-loss", "labels": {"kind": "column", "class_column": "c"},
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """Return a function that gives a run of 24 images, 12 sides of 6 patients in 3 folds."""
    number = np.arange(24)
    patient = number // 4
    images = pd.DataFrame(
        {
            "image_id": [f"i{n:02}" for n in number], "split": "train", "labelled": True,
            "classes": np.where((number // 2) % 3 == 0, "yes", "no"),
            "patient": [f"p{n}" for n in patient], "side": np.where(number % 4 < 2, "L", "R"),
        }
    )  # fmt: skip
    tests = images.iloc[:4].assign(split="test", labelled=False, classes="", patient="t")
    tests["image_id"] = [f"t{n}" for n in range(4)]
    folds = pd.DataFrame({"image_id": images["image_id"], "fold": patient % 3,
                          "group": images["patient"]})  # fmt: skip

    def made(**rows):
        competition = FORM | ({"rows": {"columns": ["patient", "side"], **rows}} if rows else {})
        settings = Settings.model_validate(
            {"competition": competition, "ensemble": {"bootstrap_samples": 100},
             "models": [{"architecture": "Classifier", "stages": [{"loss": {"dice": 0}}]}]}
        )  # fmt: skip
        return SimpleNamespace(
            settings=settings, images=pd.concat([images, tests], ignore_index=True), folds=folds,
            fold_view=FoldView(folds), directory=SimpleNamespace(metrics=tmp_path / "metrics.csv"),
        )  # fmt: skip

    return made


def predictions(seed=0, images=24):
    second = np.random.default_rng(seed).random(images)
    return np.column_stack([1 - second, second])


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=20),
    st.sampled_from(["mean", "max", "noisy-or"]),
)
def test_each_row_is_made_of_its_images_alone(rows, how):
    place = np.unique([row for row, _ in rows], return_inverse=True)[1]
    values = np.array([value for _, value in rows])
    by_hand = {
        "mean": np.mean, "max": np.max, "noisy-or": lambda p: 1 - np.prod(1 - p),
    }[how]  # fmt: skip
    expected = [by_hand(values[place == row]) for row in range(place.max() + 1)]
    np.testing.assert_allclose(joined(values[:, None], place, how)[:, 0], expected, atol=1e-12)


@pytest.mark.parametrize("how", ["mean", "max", "noisy-or"])
def test_two_exclusive_classes_still_sum_to_1(run, how):
    rows = Rows(run(aggregate=how))
    names, (table,) = rows.join([f"i{n:02}" for n in range(24)], [predictions()], "out-of-fold")
    assert names[:3] == ["p0_L", "p0_R", "p1_L"]
    np.testing.assert_allclose(table.sum(axis=1), 1)
    if how == "max":
        assert table[0, 1] == predictions()[:2, 1].max()


def test_a_row_lies_in_the_fold_of_its_images_and_has_their_truth(run):
    rows = Rows(run(aggregate="mean"))
    assert rows.fold_view.folds_of(["p0_L", "p1_R", "p5_L"]).tolist() == [0, 1, 2]
    assert rows.fold_view.groups(["p0_L", "p0_R"]) == ["p0", "p0"]
    known = rows.images.set_index("image_id")
    assert known.loc[["p0_L", "p0_R"], "classes"].tolist() == ["yes", "no"]
    assert rows.row_of("t3", "test") == "t_R"
    assert known.loc["t_R", "split"] == "test"


def test_without_groups_of_images_everything_stays_what_it_is(run):
    plain, table = run(), predictions()
    rows = Rows(plain)
    names, (same,) = rows.join(["b", "a"], [table], "test")
    assert names == ["b", "a"]
    assert same is table
    assert rows.images is plain.images
    assert rows.fold_view is plain.fold_view
    assert rows.named() == {}
    assert "rows" not in judged_classes(plain)
    assert judged_classes(run(aggregate="max"))["rows"] != judged_classes(run(truth="any"))["rows"]


def test_the_honest_score_is_that_of_rows(run, monkeypatch):
    members = ClassMembers(["m"], [f"i{n:02}" for n in range(24)], [predictions()])
    monkeypatch.setattr(class_ensemble, "class_members", lambda *_: members)
    grouped = run(aggregate="mean")
    report = assess_classes(grouped, None, {})
    mean = predictions()[:, 1].reshape(12, 2).mean(axis=1)
    truth = (np.arange(12) % 3 == 0).astype(int)
    assert report["honest"]["score"] == pytest.approx(-log_loss(truth, mean))
    assert report["images"] == 12
    assert report["rows"] == ["patient", "side"]
    assert [fold["images"] for fold in report["honest"]["folds"]] == [4, 4, 4]
    assert "rows" not in assess_classes(run(), None, {})


def test_ways_and_averages_are_judged_by_rows(run):
    grouped = run(aggregate="max")
    held_out = grouped.images.iloc[:24]
    highest = predictions()[:, 1].reshape(12, 2).max(axis=1)
    truth = (np.arange(12) % 3 == 0).astype(int)
    judgement = judge_classes(grouped, [[predictions()]], [held_out], 0)
    assert judgement.images == 12
    assert judgement.honest[0] == pytest.approx(-log_loss(truth, highest))
    chosen = np.arange(24) < 16
    score = class_score(grouped, held_out)(predictions(), chosen)
    assert score == pytest.approx(-log_loss(truth[:8], highest[:8]))


def test_numbers_are_joined_on_their_scale(run, monkeypatch):
    grouped = run(aggregate="max")
    competition = {"task": "regression", "number_range": [0, 10], "metric": "mae",
                   "labels": {"kind": "column", "class_column": "n"},
                   "rows": {"columns": ["patient", "side"], "truth": "mean"}}  # fmt: skip
    own = {"architecture": "Classifier", "stages": [{"loss": {"dice": 0, "bce": 0, "mse": 1}}]}
    grouped.settings = Settings.model_validate(
        {"competition": competition, "ensemble": {"bootstrap_samples": 100}, "models": [own]}
    )
    truth = np.arange(28) % 10
    grouped.images = grouped.images.drop(columns="classes").assign(number=[*map(str, truth)])
    said = np.random.default_rng(1).random((24, 1))
    members = ClassMembers(["m"], [f"i{n:02}" for n in range(24)], [said])
    monkeypatch.setattr(class_members, "class_members", lambda *_: members)
    report = assess_run(grouped, None, {})
    errors = 10 * said.reshape(12, 2).mean(axis=1) - truth[:24].reshape(12, 2).mean(axis=1)
    assert -report["honest"]["score"] == pytest.approx(np.abs(errors).mean())
    assert (report["images"], report["rows"]) == (12, ["patient", "side"])
