"""Folds of several labels beside brute force, and the laws of the splitter."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.folds.build import build_fold_table
from goldfold.folds.labels import label_balance, split_labels
from goldfold.folds.spread import largest_deviation, spread_groups


def loads(counts, fold, folds):
    return np.stack([counts[np.asarray(fold) == number].sum(axis=0) for number in range(folds)])


def badness(counts, fold, folds):
    """Return the counts lacking in folds that could have them, and the squared deviations."""
    load, total = loads(counts, fold, folds), counts.sum(axis=0)
    could = (counts > 0).sum(axis=0) >= folds
    shares = (folds * load - total) / np.maximum(total, 1)
    return int(((load == 0) & could).sum()), float((shares**2).sum())


COUNTS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)),
    min_size=3,
    max_size=7,
)


@settings(max_examples=30, deadline=None)
@given(COUNTS, st.integers(2, 3))
def test_small_splits_are_close_to_the_best_of_all(counts, folds):
    counts = np.array(counts, np.int64)
    ours = badness(counts, spread_groups(counts, folds), folds)
    every = product(range(folds), repeat=len(counts))
    best = min(badness(counts, fold, folds) for fold in every)
    assert ours[0] == best[0]
    assert ours[1] <= 2 * best[1] + 1e-9


def test_a_fold_that_lacks_a_label_gets_one_whatever_it_costs():
    # Two labels in two groups each; both of the first label's groups have nearly all images.
    counts = np.array([[500, 1, 0], [500, 1, 0], [3, 0, 1], [3, 0, 1], *[[40, 0, 0]] * 9])
    fold = spread_groups(counts, 2)
    assert fold[0] != fold[1]
    assert fold[2] != fold[3]


def drawn(patients, seed, labels=6):
    """Return ids, patients with a long tail of images, and labels that a patient's images share."""
    rng = np.random.default_rng(seed)
    size = np.minimum(1 + rng.lognormal(1, 1.2, patients).astype(int), 80)
    patient = np.repeat(np.arange(patients), size)
    score = rng.normal(size=(patients, labels))[patient] + rng.normal(size=(len(patient), labels))
    has = score > np.linspace(0, 2.6, labels) * 2**0.5
    ids = [f"i{place:05}" for place in range(len(patient))]
    return ids, [f"p{own}" for own in patient], {f"l{n}": has[:, n] for n in range(labels)}


def build(ids, groups, labels, count=5, seed=0):
    return build_fold_table(ids, groups, [0] * len(ids), count=count, seed=seed, labels=labels)


@pytest.mark.parametrize("count", [3, 5, 10])
def test_every_label_of_100_images_is_within_3_percent_or_what_whole_groups_allow(count):
    ids, groups, labels = drawn(900, seed=1)
    table = build(ids, groups, labels, count)
    assert (table.groupby("group")["fold"].nunique() == 1).all()
    balance = label_balance(table["fold"], split_labels(list(table["stratum"])))
    assert balance["images"].min() < 100 < balance["images"].max()
    for row in balance[balance["images"] >= 100].to_dict("records"):
        has = np.array(labels.get(row["label"], np.ones(len(ids))), bool)
        largest = Counter(np.array(groups)[has]).most_common(1)[0][1]
        share = row["images"] / count
        least = max(np.ceil(share), largest) / share - 1
        assert row["deviation"] <= max(0.03, least + 1e-9)
    assert (balance[map(str, range(count))].to_numpy() > 0).all()


@settings(max_examples=6, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(2, 6), st.integers(0, 9))
def test_rows_in_another_order_get_the_same_folds(random, count, seed):
    ids, groups, labels = drawn(40, seed)
    rows = list(range(len(ids)))
    random.shuffle(rows)
    shuffled = {name: has[rows] for name, has in labels.items()}
    again = build([ids[i] for i in rows], [groups[i] for i in rows], shuffled, count, seed)
    assert again.equals(build(ids, groups, labels, count, seed))


def test_the_split_is_the_same_for_ever_and_the_seed_decides():
    """Folds of published runs must not change: if this fails, the splitter is another one."""
    ids, groups = [f"i{n:03}" for n in range(90)], [f"p{n // 3}" for n in range(90)]
    labels = {name: np.arange(90) % step == 0 for name, step in {"a": 2, "b": 5, "c": 7}.items()}
    folds = "".join(map(str, build(ids, groups, labels)["fold"][::3]))
    assert folds == "313413104324404302011224013220"
    assert folds != "".join(map(str, build(ids, groups, labels, seed=1)["fold"][::3]))


def test_areas_of_each_class_are_spread():
    rng = np.random.default_rng(0)
    ids = [f"i{n:03}" for n in range(400)]
    areas = {name: rng.integers(1, 900, 400) * (rng.random(400) < 0.6) for name in "ab"}
    table = build(ids, [""] * 400, areas)
    for area in areas.values():
        has = area > 0
        medians = [np.median(area[has & (table["fold"] == fold)]) for fold in range(5)]
        assert np.ptp(medians) < 0.2 * np.median(area[has])
        assert np.ptp(np.bincount(table["fold"][has])) <= 1


def test_a_class_of_100_images_is_spread_although_20_others_are_more_frequent():
    classes = [f"c{n:02}" for n in range(30) for _ in range(130 - n)]
    ids = [f"i{n:04}" for n in range(len(classes))]
    groups = [f"p{n // 2}" for n in range(len(classes))]
    table = build_fold_table(ids, groups, [0] * len(ids), count=5, classes=classes)
    counts = table.groupby(["stratum", "fold"]).size().unstack()
    assert len(counts) == 30
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 2


def test_labels_that_do_not_fit_the_images_are_all_named():
    with pytest.raises(InputError) as caught:
        build(["a", "b", "c"], [""] * 3, {"x": [True], "y": ["q"] * 3, "z": [-1, 0, 2]}, 2)
    words = str(caught.value)
    assert "label 'x': 3 images, but values of shape (1,)" in words
    assert "label 'y': expected bool or areas in pixels" in words
    assert "label 'z': expected whole areas of 0 or more" in words


def test_deviation_by_hand():
    counts = np.array([[1, 0, 0], [1, 3, 0], [1, 0, 0], [1, 1, 0]])
    assert largest_deviation(counts, np.array([0, 0, 1, 1]), 2).tolist() == [0.0, 0.5, 0.0]


def test_a_class_that_every_fold_could_have_is_in_every_fold():
    # As strata, 80 images against 40 + 40 are worth more than one rare class of 20.
    sizes = {"p": ["d", *"a" * 39], "q": ["d", *"a" * 39], "r": ["a"] * 80}
    sizes |= {f"{name}{n}": [name] for name in "bcefghijklmnoqstuv" for n in range(4)}
    groups = [group for group, own in sizes.items() for _ in own]
    classes = [name for own in sizes.values() for name in own]
    ids = [f"i{n:03}" for n in range(len(groups))]
    table = build_fold_table(ids, groups, [0] * len(ids), count=2, classes=classes)
    assert sorted(table.loc[table["stratum"] == "d", "fold"]) == [0, 1]
