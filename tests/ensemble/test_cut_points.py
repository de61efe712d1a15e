"""Cut points are the best there are: brute force, scikit-learn, and Nelder-Mead for comparison."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.metrics import accuracy_score, cohen_kappa_score, mean_absolute_error

from goldfold.competitions.number_metric import KAPPA, number_score
from goldfold.ensemble.cut_points import best_cuts, to_grades
from goldfold.vocabulary import GradeMetric, names_of

METRICS = names_of(GradeMetric)
images = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(np.linspace(0.05, 0.95, 10).tolist())),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("metric", METRICS)
@given(pairs=images)
@settings(max_examples=60)
def test_no_cut_points_are_better(metric, pairs):
    truth, place = (np.array(values) for values in zip(*pairs, strict=True))
    limits = [0.0, *np.unique(place), 1.0]
    scores = [
        number_score(metric, truth.astype(float), to_grades(place, np.array(cuts)), grades=4)
        for cuts in combinations_with_replacement(limits, 3)
    ]
    cuts = best_cuts(truth, place, metric, 4)
    assert (np.diff(cuts) >= 0).all()
    found = number_score(metric, truth.astype(float), to_grades(place, cuts), grades=4)
    assert found == pytest.approx(max(scores), abs=1e-12)


def drawn(count, grades, seed, noise=0.15):
    rng = np.random.default_rng(seed)
    truth = rng.choice(grades, count, p=np.arange(grades, 0, -1) / np.arange(1, grades + 1).sum())
    place = np.clip((truth + 0.5) / grades + rng.normal(0, noise, count), 0, 1)
    return truth, place


def by_nelder_mead(truth, place, grades):
    def loss(cuts):
        said = to_grades(place, np.sort(cuts))
        return -number_score(KAPPA, truth.astype(float), said)

    return -minimize(loss, np.arange(1, grades) / grades, method="nelder-mead").fun


@pytest.mark.parametrize("seed", range(6))
def test_never_loses_to_nelder_mead_from_equidistant_cuts(seed):
    truth, place = drawn(300, 5, seed)
    found = to_grades(place, best_cuts(truth, place, KAPPA, 5))
    kappa = cohen_kappa_score(truth, found.astype(int), weights="quadratic")
    assert kappa >= by_nelder_mead(truth, place, 5) - 1e-12


def test_scores_are_those_of_scikit_learn():
    truth, place = drawn(200, 5, 0)
    predicted = to_grades(place, best_cuts(truth, place, KAPPA, 5))
    pair = truth.astype(float), predicted
    assert number_score(KAPPA, *pair) == pytest.approx(
        cohen_kappa_score(truth, predicted.astype(int), weights="quadratic")
    )
    assert number_score("accuracy", *pair) == pytest.approx(accuracy_score(*pair))
    assert number_score("mae", *pair) == pytest.approx(-mean_absolute_error(*pair))


def test_weights_of_images_count_as_copies():
    truth, place = drawn(40, 4, 1)
    predicted = to_grades(place, np.array([0.2, 0.5, 0.8]))
    times = np.random.default_rng(0).integers(0, 3, 40)
    copies = np.repeat(truth, times).astype(float), np.repeat(predicted, times)
    for metric in (*METRICS, "rmse"):
        weighted = number_score(metric, truth.astype(float), predicted, times.astype(float))
        assert weighted == pytest.approx(number_score(metric, *copies))


def test_a_cut_lies_halfway_and_in_the_middle_of_what_is_as_good():
    truth, place = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.4, 0.9])
    assert best_cuts(truth, place, "accuracy", 2) == pytest.approx([0.3])
    # The two images of grade 2 are wrong wherever the cut lies between 0 and 1.
    truth, place = np.array([0, 2, 2, 1]), np.array([0.1, 0.2, 0.6, 0.9])
    cuts = best_cuts(truth, place, "accuracy", 3)
    assert number_score("accuracy", truth.astype(float), to_grades(place, cuts)) == 0.75


def test_all_images_of_one_grade_have_kappa_0():
    truth, place = np.full(5, 2), np.linspace(0, 1, 5)
    predicted = to_grades(place, best_cuts(truth, place, KAPPA, 4))
    assert number_score(KAPPA, truth.astype(float), predicted) == 0


@pytest.mark.parametrize("metric", names_of(GradeMetric))
@pytest.mark.parametrize("grade", range(4))
@pytest.mark.parametrize("places", [[0.1, 0.4, 0.4, 0.9], [0.5, 0.5], [0.3], [0.0, 1.0]])
def test_images_of_one_grade_all_get_it(metric, grade, places):
    place = np.array(places)
    cuts = best_cuts(np.full(len(place), grade), place, metric, 4)
    assert to_grades(place, cuts).tolist() == [grade] * len(place)


def test_ties_stay_together():
    truth, place = np.array([0, 1, 2, 2]), np.array([0.5, 0.5, 0.5, 0.7])
    predicted = to_grades(place, best_cuts(truth, place, KAPPA, 3))
    assert len(set(predicted[:3])) == 1
