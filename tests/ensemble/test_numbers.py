"""Blends of numbers, their cross-fitted scores, and what rows of networks mean."""

from pathlib import Path

import numpy as np
import pytest

from goldfold.competitions.number_metric import best_constant, number_measures, number_score
from goldfold.ensemble.class_blend import ClassBlend
from goldfold.ensemble.number_choice import (
    NumberChoice,
    check_number_choice,
    describe_number_choice,
)
from goldfold.ensemble.number_scale import NumberScale
from goldfold.ensemble.numbers import (
    NumberTruth,
    assess_numbers,
    cross_fit_numbers,
    number_gains,
)
from goldfold.errors import InputError, LeakError
from goldfold.tasks.grade_images import NumberImages

GRADES = NumberScale.of_grades(("0", "1", "2", "3"))
MONTHS = NumberScale(0.0, 200.0)


@pytest.mark.parametrize("output", ["classes", "ordinal", "regression"])
def test_what_a_network_learns_of_a_grade_is_read_back_as_that_grade(output):
    place = GRADES.place(np.arange(4.0))
    rows = GRADES.rows_of_place(place, output)
    assert rows.shape == (4, {"classes": 4, "ordinal": 3, "regression": 1}[output])
    assert GRADES.number(GRADES.place_of_rows(rows)) == pytest.approx(np.arange(4))


def test_targets_are_one_hot_or_cumulative():
    place = GRADES.place(np.array([2.0]))
    assert GRADES.rows_of_place(place, "classes").tolist() == [[0, 0, 1, 0]]
    assert GRADES.rows_of_place(place, "ordinal").tolist() == [[1, 1, 0]]
    between = GRADES.place(np.array([1.25]))
    assert GRADES.rows_of_place(between, "classes")[0] == pytest.approx([0, 0.75, 0.25, 0])


def test_the_number_of_classes_is_the_expected_grade_and_of_steps_their_sum():
    probability = np.array([[0.1, 0.2, 0.3, 0.4]])
    assert GRADES.number(GRADES.place_of_rows(probability)) == pytest.approx([2.0])
    assert GRADES.number(GRADES.place_of_rows(np.array([[0.9, 0.7, 0.4]]))) == pytest.approx([2.0])
    assert MONTHS.number(MONTHS.place_of_rows(np.array([[0.25]]))) == pytest.approx([50.0])


def made(count=120, seed=0, metric="quadratic-weighted-kappa"):
    rng = np.random.default_rng(seed)
    grades = rng.integers(0, 4, count)
    ids = [f"i{number:03d}" for number in range(count)]
    members = [
        np.clip(GRADES.place(grades.astype(float)) + rng.normal(0, noise, count), 0, 1)[:, None]
        for noise in (0.1, 0.2)
    ]
    return NumberTruth(grades.astype(float), GRADES, metric, ids), members, np.arange(count) % 4


@pytest.mark.parametrize("merge", ["mean", "geometric", "logit", "rank"])
@pytest.mark.parametrize("weights", ["equal", "hill-climb", "simplex", [2, 1]])
def test_every_merge_and_way_to_weigh_is_judged_by_what_the_other_folds_chose(merge, weights):
    truth, members, parts = made()
    assessed = assess_numbers(members, truth, parts, merge=merge, weights=weights)
    assert 0.7 < assessed.judged.honest <= assessed.optimistic + 1e-9
    assert sum(count for count, _ in assessed.judged.folds.values()) == len(parts)
    assert set(assessed.judged.predicted) <= set(range(4))


def test_the_honest_grades_come_from_cuts_of_the_other_folds():
    truth, members, parts = made()
    judged = cross_fit_numbers(truth, parts, lambda _: ClassBlend(members[0]))
    here = parts == 2
    cuts = truth.of(~here).cuts(members[0][~here, 0])
    assert (judged.predicted[here] == truth.decide(members[0][here, 0], cuts)).all()


@pytest.mark.parametrize("fold", range(4))
def test_a_fold_has_no_say_in_its_own_cut_points(fold):
    truth, members, parts = made()
    here = parts == fold
    judged = cross_fit_numbers(truth, parts, lambda _: ClassBlend(members[1]))
    numbers = truth.numbers.copy()
    numbers[here] = 3 - numbers[here]
    other = NumberTruth(numbers, GRADES, truth.metric, truth.image_ids)
    again = cross_fit_numbers(other, parts, lambda _: ClassBlend(members[1]))
    assert (again.predicted[here] == judged.predicted[here]).all()
    assert (again.predicted != judged.predicted).any()


def test_weights_chosen_on_what_they_judge_are_a_leak():
    truth, members, parts = made()
    everything = ClassBlend(members[0], truth.names)
    with pytest.raises(LeakError, match="blend weights were about to judge"):
        cross_fit_numbers(truth, parts, lambda _: everything)


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_numbers_have_no_cuts_and_errors_are_negative(metric):
    rng = np.random.default_rng(1)
    ages = rng.uniform(0, 200, 60)
    truth = NumberTruth(ages, MONTHS, metric)
    place = np.clip(MONTHS.place(ages + rng.normal(0, 10, 60)), 0, 1)
    assessed = assess_numbers(
        [place[:, None]], truth, np.arange(60) % 3, merge="mean", weights="equal"
    )
    assert assessed.cuts.size == 0
    assert assessed.judged.predicted == pytest.approx(MONTHS.number(place))
    assert -15 < assessed.judged.honest < -5
    assert truth.constant() < assessed.judged.honest
    assert assessed.judged.honest == assessed.optimistic  # nothing was chosen


def test_the_best_constant():
    values = np.array([0.0, 0.0, 1.0, 3.0, 3.0, 3.0])
    assert best_constant("quadratic-weighted-kappa", values) == 3
    assert best_constant("mae", values) == 1
    assert best_constant("rmse", values) == pytest.approx(10 / 6)
    same = np.full(6, 3.0)
    assert number_score("quadratic-weighted-kappa", values, same) == 0


def test_a_better_member_gains_and_equal_ones_do_not():
    truth, members, parts = made(count=300)
    good, worse = (
        cross_fit_numbers(truth, parts, lambda _, p=place: ClassBlend(p)) for place in members
    )
    same, lost = number_gains(truth, good, [good, worse], parts * 0 + np.arange(300), samples=200,
                              seed=0)  # fmt: skip
    assert same == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert lost["low"] < lost["mean"] < lost["high"] < 0


def test_measures_name_errors_as_errors():
    measures = number_measures(np.array([0.0, 1, 2, 2]), np.array([0.0, 1, 1, 2]), 3)
    assert measures["mae"] == 0.25
    assert measures["accuracy"] == 0.75
    assert "r2" in number_measures(np.array([0.0, 5.0]), np.array([1.0, 5.0]), 0)


def test_an_unknown_metric_is_named():
    with pytest.raises(InputError, match="unknown metric 'kapa'"):
        number_score("kapa", np.zeros(2), np.zeros(2))


# --- the decision on disk ------------------------------------------------------------------------

CHOICE = NumberChoice("rank", {"one": 2, "two": 0}, GRADES, (0.3, 0.5, 0.7),
                      {"one": np.array([[0.1], [0.9]])})  # fmt: skip


def test_a_choice_survives_its_file():
    again = check_number_choice(describe_number_choice(CHOICE), Path("model.json"), "")
    assert describe_number_choice(again) == describe_number_choice(CHOICE)
    assert again.decide(np.array([0.2, 0.6, 0.9])).tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cuts": [0.6, 0.5, 0.7]}, "expected rising cuts between 4 grades"),
        ({"cuts": [0.5]}, "expected rising cuts between 4 grades"),
        ({"low": 9.0}, "holds no numbers"),
        ({"high": 1e308}, "the range of 4 grades is -0.5 to 3.5"),
        ({"low": -1.0}, "the range of 4 grades is -0.5 to 3.5"),
        ({"grades": ["\x1b", "b", "c", "d"]}, "expected printable names of grades"),
    ],
)
def test_what_a_decision_on_grades_refuses(values, words):
    content = describe_number_choice(CHOICE)
    content["number"] = {**content["number"], **values}
    with pytest.raises(InputError) as caught:
        check_number_choice(content, Path("model.json"), "Export again.")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"outputs": 2},
        {"outputs": True},
        {"exclusive": None},
        {"exclusive": False},  # of four outputs for four grades
        {"outputs": 3},  # steps between grades, which do not exclude each other
        {"outputs": 1},
        {},
    ],
)
def test_outputs_of_networks_fit_the_grades(values):
    content = {**describe_number_choice(CHOICE), "outputs": 4, "exclusive": True}
    assert NumberImages.read(content, Path("model.json"), "").outputs == 4
    changed = {**content, **values} if values else describe_number_choice(CHOICE)
    with pytest.raises(InputError, match=r"decision.*4 grades"):
        NumberImages.read(changed, Path("model.json"), "")
