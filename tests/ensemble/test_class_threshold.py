"""Thresholds of classes: what is decided on is what they were chosen on, through the files."""

import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from goldfold.competitions.class_metric import decide
from goldfold.competitions.class_threshold import best_threshold
from goldfold.ensemble.class_blend import assess_class_probabilities, best_thresholds
from goldfold.ensemble.class_merge import MERGES, merge_probabilities
from goldfold.ensemble.class_truth import Truth
from goldfold.files import read_json, write_json
from goldfold.inference.row_table import read_rows
from goldfold.inference.store import MapWriter
from goldfold.submissions.class_score import score_submitted_classes
from goldfold.submissions.layout import Layout

F32 = np.float32
TINY = float(np.nextafter(F32(0), F32(1)))  # the smallest denormal number
NOISE = 1e-12
"""Relative error of a blend that another machine computes, far above what float64 can differ by."""


@st.composite
def columns(draw, count):
    """Draw float32 probabilities (N,): random ones, 0, 1, denormals and neighbours of each."""
    anchors = draw(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=3))
    anchors += draw(st.sampled_from([[], [0.0, 1.0], [0.5], [TINY, 1e-40], [1 - 2**-24]]))
    values = []
    for _ in range(count):
        value = F32(draw(st.sampled_from(anchors)))
        toward = F32(draw(st.sampled_from([0, 1])))
        for _ in range(draw(st.integers(0, 3))):
            value = np.nextafter(value, toward)
        values.append(value)
    return np.array(values, F32)


@st.composite
def questions(draw, metrics=("f1", "accuracy"), members=3):
    """Draw the truth of N images and M tables (N, C) of float32."""
    count, kind = draw(st.integers(2, 12)), draw(st.sampled_from(["binary", "several", "three"]))
    exclusive = kind != "several"
    classes = 3 if kind == "three" else 2
    tables = []
    for _ in range(draw(st.integers(1, members))):
        own = [draw(columns(count)) for _ in range(classes)]
        if kind == "binary":
            own[0] = F32(1) - own[1]  # as softmax rounds it: the sum need not be 1
        table = np.column_stack(own)
        if kind == "three":
            total = np.maximum(table.sum(axis=1, keepdims=True), F32(1e-6))
            table = np.where(total > 1e-6, table / total, F32(1 / 3)).astype(F32)
        tables.append(table)
    picks = st.lists(st.integers(0, 2**classes - 1), min_size=count, max_size=count)
    drawn = np.array(draw(picks))
    if exclusive:
        targets = np.eye(classes, dtype=np.uint8)[drawn % classes]
    else:
        targets = (drawn[:, None] >> np.arange(classes) & 1).astype(np.uint8)
    metric = draw(st.sampled_from(metrics))
    truth = Truth(targets, tuple("abc"[:classes]), exclusive, metric, (1.0,) * classes)
    return truth, tables


def through_files(folder, truth, tables):
    """Return the tables as they are read again."""
    ids = [f"i{row}" for row in range(len(truth.targets))]
    read = []
    for number, table in enumerate(tables):
        path = Path(folder) / f"{number}.maps"
        path.unlink(missing_ok=True)
        with MapWriter(path, {"classes": list(truth.classes)}) as writer:
            for image_id, row in zip(ids, table, strict=True):
                writer.append(image_id, row)
            writer.finish()
        read.append(read_rows(path).loc[ids].to_numpy())
    return read


def scored(truth, flags):
    """Return the score of labels by scikit-learn."""
    if truth.metric == "accuracy":
        right = (truth.targets > 0) == flags
        return float((right.all(axis=1) if truth.exclusive else right.mean(axis=1)).mean())
    places = [1] if truth.exclusive and flags.shape[1] == 2 else range(flags.shape[1])
    return np.mean([f1_score(truth.targets[:, c], flags[:, c], zero_division=0) for c in places])


def score_as_submitted(folder, truth, flags):
    """Return the score of a submission that names a class of each image."""
    ids = [f"i{row}" for row in range(len(flags))]
    files = []
    for name, named in (("said", flags), ("true", truth.targets > 0)):
        rows = zip(ids, named.argmax(axis=1), strict=True)
        files.append(Path(folder) / f"{name}.csv")
        cells = "".join(f"{one},{truth.classes[place]}\n" for one, place in rows)
        files[-1].write_text(f"id,label\n{cells}")
    return score_submitted_classes(
        *files, layout=Layout(("id",), ("label",), "label", labels=truth.classes),
        classes=truth.classes, exclusive=True, metric=truth.metric,
        class_weights=truth.class_weights,
    ).score  # fmt: skip


@settings(max_examples=25)  # each writes stores and tables
@given(questions(), st.sampled_from(MERGES))
def test_the_reported_score_is_that_of_the_labels_that_are_submitted(question, merge):
    truth, tables = question
    parts = np.arange(len(truth.targets)) % 2
    with tempfile.TemporaryDirectory() as folder:
        members = through_files(folder, truth, tables)
        found = assess_class_probabilities(
            members, truth, parts, merge=merge, weights=[1] * len(members)
        )
        chosen = Path(folder) / "ensemble.json"
        write_json(chosen, {"thresholds": found.thresholds, "weights": found.weights})
        kept = read_json(chosen)
        again = through_files(folder, truth, tables)
        blend = merge_probabilities(again, kept["weights"], merge, exclusive=truth.exclusive)
        flags = decide(blend, truth.exclusive, kept["thresholds"])
        assert truth.score(flags.astype(float)) == found.optimistic
        assert scored(truth, flags) == pytest.approx(found.optimistic, abs=1e-12)
        assert scored(truth, found.predicted) == pytest.approx(found.honest, abs=1e-12)
        if truth.exclusive:
            assert score_as_submitted(folder, truth, flags) == found.optimistic


@settings(max_examples=25)  # each writes stores and tables
@given(questions(members=1))
def test_thresholds_hold_for_the_table_as_anyone_reads_it(question):
    truth, tables = question
    with tempfile.TemporaryDirectory() as folder:
        members = through_files(folder, truth, tables)
        found = assess_class_probabilities(members, truth, np.arange(len(tables[0])) % 2,
                              merge="mean", weights=[1])  # fmt: skip
        text = json.loads(json.dumps(found.thresholds))
        path = Path(folder) / "0.csv"  # as `goldfold predict table` writes it
        read_rows(path.with_suffix(".maps")).to_csv(path, float_format="%.9g")
        raw = pd.read_csv(path).set_index("image_id").loc[[f"i{n}" for n in range(len(tables[0]))]]
        for table in (raw.to_numpy(), raw.to_numpy(F32), tables[0]):
            flags = decide(table, truth.exclusive, text)
            assert truth.score(flags.astype(float)) == found.optimistic
        if not (truth.exclusive and len(truth.classes) == 3):  # compared in float32 by hand
            above = tables[0] >= np.array(text, F32)
            flags = np.column_stack([~above[:, 1], above[:, 1]]) if truth.exclusive else above
            assert truth.score(flags.astype(float)) == found.optimistic


@given(questions(), st.sampled_from(MERGES), st.integers(0, 1000))
def test_a_blend_that_another_machine_rounds_gets_the_same_labels(question, merge, seed):
    truth, tables = question
    if truth.exclusive and len(truth.classes) == 3:
        return  # the most likely class counts: no threshold
    blend = merge_probabilities(tables, [1] * len(tables), merge, exclusive=truth.exclusive)
    limits = best_thresholds(truth, blend)
    error = np.random.default_rng(seed).uniform(-NOISE, NOISE, blend.shape)
    noisy = np.clip(blend * (1 + error), 0, 1)
    assert (decide(noisy, truth.exclusive, limits) == decide(blend, truth.exclusive, limits)).all()


@given(st.data(), st.sampled_from(["f1", "accuracy"]))
def test_no_threshold_between_values_told_apart_is_better(data, metric):
    count = data.draw(st.integers(1, 12))
    probability = data.draw(columns(count)).astype(float)
    flags = st.lists(st.booleans(), min_size=count, max_size=count)
    truth = np.array(data.draw(flags), bool)
    score = accuracy_score if metric == "accuracy" else f1_score
    more = {"zero_division": 0} if metric == "f1" else {}
    values = np.unique(probability)
    apart = [
        (low + high) / 2
        for low, high in itertools.pairwise(values)
        if high - low > 2 * np.spacing(F32(high))
    ]
    tried = [score(truth, probability >= limit, **more) for limit in [0, *apart, 2]]
    found = score(truth, probability >= best_threshold(truth, probability, metric), **more)
    assert found == pytest.approx(max(tried))


@pytest.mark.parametrize(
    ("probability", "truth", "limit"),
    [
        ([0.2, 0.6, 0.8], [0, 1, 1], 0.4),  # halfway
        ([0.3, 0.4], [1, 1], 0.15),  # all: halfway to 0
        ([0.7, 0.8], [1, 1], 0.5),  # all, one half parts them from what lies below
        ([0.5, 0.5], [1, 1], 0.25),  # one half itself might be missed by a rounding
        ([0.0, 0.0], [1, 1], 0.0),  # nothing lies below
        ([0.3, 0.4], [0, 0], 1.0),  # none
        ([1.0, 1.0], [0, 0], 1 + 1e-6),  # none, though all are certain
        ([0.0, TINY, 1e-40], [0, 0, 1], (TINY + 1e-40) / 2),
    ],
)  # fmt: skip
def test_thresholds_by_hand(probability, truth, limit):
    found = best_threshold(np.array(truth, bool), np.array(probability), "accuracy")
    assert found == pytest.approx(limit, rel=1e-12, abs=0)


def test_neighbours_of_one_float32_step_are_not_told_apart():
    low = F32(0.47879168)
    near, far = np.nextafter(low, F32(1)), F32(low + 4 * np.spacing(low))
    truth = np.array([False, True])
    assert best_threshold(truth, np.array([low, near], float), "accuracy") in (
        pytest.approx(low / 2), 1.0,
    )  # fmt: skip
    limit = best_threshold(truth, np.array([low, far], float), "accuracy")
    assert low < F32(limit) < far


def test_float32_and_float64_have_the_same_thresholds_and_labels():
    rng = np.random.default_rng(0)
    own = (0.5 + rng.integers(0, 40, (30, 2)) * 2.0**-24).astype(F32)
    truth = Truth((rng.random((30, 2)) < 0.5).astype(np.uint8), ("a", "b"), False, "f1", (1.0, 1.0))
    limits = best_thresholds(truth, own.astype(float))
    assert best_thresholds(truth, own) == limits
    assert (decide(own, False, limits) == decide(own.astype(float), False, limits)).all()
    blends = [merge_probabilities([one, one[::-1]], [1, 2], "mean", exclusive=False)
              for one in (own, own.astype(float))]  # fmt: skip
    assert (blends[0] == blends[1]).all()
