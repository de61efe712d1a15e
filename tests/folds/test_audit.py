import json
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldfold.errors import InputError
from goldfold.folds.audit import audit_folds
from goldfold.folds.build import build_fold_table


def table(*rows):
    return pd.DataFrame(rows, columns=["image_id", "fold"])


def kinds(findings):
    return [finding.kind for finding in findings]


CLEAN = table(("a", 0), ("b", 0), ("c", 1), ("d", 1))


def test_a_clean_table():
    report = audit_folds(
        CLEAN,
        groups={"a": "p", "b": "p", "c": "q", "d": ""},
        expected_ids=["a", "b", "c", "d"],
        non_empty={"a": True, "c": True},
        content={"a": "1", "b": "2", "c": "3", "d": "4"},
    )
    assert report.ok
    assert not report.leaking
    assert report.text() == ""
    assert (report.rows, report.images) == (4, 4)
    counts = [(fold.fold, fold.images, fold.groups, fold.non_empty) for fold in report.folds]
    assert counts == [("0", 2, 1, 1), ("1", 2, 2, 1)]


def test_nothing_but_the_table_is_needed():
    report = audit_folds(CLEAN)
    assert report.ok
    assert not report.warnings
    assert report.folds[0].groups is None
    assert report.folds[0].non_empty is None


def test_a_patient_in_two_folds_leaks():
    rows = table(("a", 0), ("b", 1), ("c", 1), ("d", 0), ("e", 1))
    report = audit_folds(rows, groups=dict(zip("abcde", "ppprr", strict=True)))
    assert report.leaking
    assert kinds(report.leaks) == ["group-in-several-folds"]
    assert report.leaks[0].message == (
        "groups in more than one fold: 2 of 2 (5 images); "
        "the same patient would be trained on and validated."
    )
    assert report.leaks[0].cases == (
        "p: 1 in fold 0, 2 in fold 1",
        "r: 1 in fold 0, 1 in fold 1",
    )


def test_images_without_a_group_are_not_one_group():
    assert not audit_folds(CLEAN, groups=dict.fromkeys("abcd", "")).leaking


def test_the_same_pixels_in_two_folds_leak():
    report = audit_folds(CLEAN, content={"a": "x", "b": "y", "c": "x", "d": "z"})
    assert kinds(report.leaks) == ["content-in-several-folds"]
    assert "identical images in more than one fold: 1 of 3 (2 images)" in report.leaks[0].message
    assert report.leaks[0].cases == ("a in fold 0, c in fold 1",)


def test_the_same_pixels_in_one_fold_and_blank_images_do_not_leak():
    report = audit_folds(CLEAN, content={"a": "x", "b": "x", "c": "", "d": ""})
    assert not report.leaking
    assert not audit_folds(CLEAN, content={"a": "", "b": "x", "c": "", "d": "y"}).leaking


def test_an_image_in_two_folds_leaks():
    report = audit_folds(table(("a", 0), ("a", 1), ("b", 1)))
    assert kinds(report.leaks) == ["id-in-several-folds"]
    assert report.leaks[0].cases == ("a in folds 0, 1",)
    assert "id-twice" not in kinds(report.problems)


def test_an_image_twice_in_a_fold_is_a_problem_but_no_leak():
    report = audit_folds(table(("a", 0), ("a", 0), ("b", 1)))
    assert not report.leaking
    assert kinds(report.problems) == ["id-twice"]
    assert report.problems[0].message == "ids with several rows in one fold: 1."
    assert report.problems[0].cases == ("a",)
    assert (report.rows, report.images, report.folds[0].images) == (3, 2, 1)


def test_missing_and_unknown_ids():
    report = audit_folds(CLEAN, expected_ids=["a", "b", "c", "e"])
    assert kinds(report.problems) == ["id-missing", "id-unknown"]
    assert report.problems[0].message == "images missing from the table: 1 of 4."
    assert report.problems[0].cases == ("e",)
    assert report.problems[1].message == "ids in the table without a known image: 1 of 4."
    assert report.problems[1].cases == ("d",)
    assert report.judgeable


def test_a_row_without_a_fold():
    report = audit_folds(table(("a", "0"), ("b", ""), ("c", "1")))
    assert kinds(report.problems) == ["fold-missing"]
    assert report.problems[0].message == "rows without a fold: 1."
    assert [fold.fold for fold in report.folds] == ["0", "1"]


def test_a_single_fold():
    report = audit_folds(table(("a", 0), ("b", 0)))
    assert report.problems[0].message == "cross-validation needs at least 2 folds, found 1."


def test_an_empty_table():
    report = audit_folds(table(), groups={}, expected_ids=["a"], non_empty={}, content={})
    assert kinds(report.problems) == ["id-missing", "too-few-folds"]
    assert report.folds == ()


def test_a_fold_without_masks():
    report = audit_folds(CLEAN, non_empty={"a": True})
    assert "fold-without-positives" in kinds(report.problems)
    assert "folds without a non-empty mask, which cannot be scored: 1 of 2." in report.text()
    assert not audit_folds(CLEAN, non_empty={}).problems


def uneven(first, second):
    rows = [(f"a{i}", 0) for i in range(first)] + [(f"b{i}", 1) for i in range(second)]
    return audit_folds(table(*rows))


@pytest.mark.parametrize(
    ("first", "second", "warned"),
    [(55, 45, False), (56, 44, True), (5, 1, False), (6, 1, True), (50, 50, False)],
)
def test_images_are_uneven_above_a_tenth_and_above_two(first, second, warned):
    assert (kinds(uneven(first, second).warnings) == ["uneven-images"]) == warned


def test_the_warning_of_uneven_images():
    finding = uneven(60, 40).warnings[0]
    assert finding.message == (
        "folds that differ from an even share of images by more than 10%: 2 of 2."
    )
    assert finding.cases[0] == "fold 0: 60 images; an even share is 50.0"


def test_masks_are_uneven():
    rows = table(*[(f"a{i}", 0) for i in range(50)], *[(f"b{i}", 1) for i in range(50)])
    masks = {f"a{i}": 900 for i in range(20)} | {f"b{i}": 1 for i in range(10)}
    report = audit_folds(rows, non_empty=masks)
    assert kinds(report.warnings) == ["uneven-non-empty-images"]
    assert report.warnings[0].cases[0] == "fold 0: 20 non-empty images; an even share is 15.0"


def test_what_could_not_be_compared_is_said():
    report = audit_folds(CLEAN, groups={"a": "p"}, content={"a": "x", "b": "y", "c": "z"})
    assert kinds(report.warnings) == ["group-unknown", "content-unknown"]
    assert report.warnings[0].message == (
        "images without a known group, which were not compared: 3."
    )
    assert report.warnings[1].cases == ("d",)


def test_everything_at_once_and_as_json():
    rows = table(("a", 0), ("a", 1), ("b", 0), ("b", 0), ("c", 1), ("x", ""), ("d", 1))
    report = audit_folds(
        rows,
        groups={"a": "p", "b": "q", "c": "q"},
        expected_ids=["a", "b", "c", "d", "e"],
        non_empty={"b": True},
        content={"b": "1", "c": "1"},
    )
    assert kinds(report.leaks) == [
        "id-in-several-folds",
        "group-in-several-folds",
        "content-in-several-folds",
    ]
    assert kinds(report.problems) == [
        "fold-missing",
        "id-twice",
        "id-missing",
        "id-unknown",
        "fold-without-positives",
    ]
    data = json.loads(json.dumps(report.to_json()))
    assert data["leaking"] is True
    assert data["ok"] is False
    assert data["leaks"][0] == {
        "kind": "id-in-several-folds",
        "message": report.leaks[0].message,
        "cases": ["a in folds 0, 1"],
    }
    assert data["folds"][0]["fold"] == "0"


def test_the_text_shows_some_cases_and_counts_the_rest():
    report = audit_folds(CLEAN, expected_ids=["a", *(f"e{i}" for i in range(9))])
    lines = report.text(limit=2).splitlines()
    assert lines[:4] == [
        "PROBLEM: images missing from the table: 9 of 10.",
        "  e0",
        "  e1",
        "  ... and 7 more",
    ]


def test_folds_are_sorted_as_numbers_and_then_by_name():
    report = audit_folds(table(*[(f"i{f}", f) for f in ["10", "9", "train", "-1"]]))
    assert [fold.fold for fold in report.folds] == ["-1", "9", "10", "train"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_our_own_folds_never_leak_and_a_moved_image_always_does(seed, count):
    rng = np.random.default_rng(seed)
    ids = [f"i{i}" for i in range(120)]
    groups = {name: f"p{i // 3}" for i, name in enumerate(ids)}
    areas = rng.integers(0, 3, 120) * rng.integers(1, 100, 120)
    rows = build_fold_table(ids, list(groups.values()), areas, count=count, seed=seed)
    non_empty = dict(zip(ids, areas > 0, strict=True))
    assert audit_folds(rows, groups=groups, expected_ids=ids, non_empty=non_empty).ok
    rows.loc[int(rng.integers(120)), "fold"] += 1
    assert kinds(audit_folds(rows, groups=groups).leaks) == ["group-in-several-folds"]


def test_a_table_of_real_size_is_quick():
    ids = [f"1.2.276.0.7230010.3.1.4.8323329.{i}" for i in range(12_047)]
    rng = np.random.default_rng(0)
    groups = [f"{g:08d}" for g in rng.integers(0, 6171, len(ids))]
    areas = np.where(rng.random(len(ids)) < 0.22, rng.integers(55, 161_421, len(ids)), 0)
    start = time.perf_counter()
    rows = build_fold_table(ids, groups, areas, count=5)
    of_image = dict(zip(ids, groups, strict=True))
    audit_folds(
        rows, groups=of_image, expected_ids=ids, non_empty=dict(zip(ids, areas, strict=True))
    )
    assert time.perf_counter() - start < 5  # 0.2 s on an idle core


def test_a_table_of_other_images_cannot_be_judged():
    report = audit_folds(CLEAN, expected_ids=["x1", "x2"])
    assert kinds(report.problems) == ["no-common-id"]
    assert report.problems[0].message == (
        "none of the 4 ids in the table belongs to one of the 2 images, whose ids look like x1."
    )
    assert not report.judgeable
    assert report.to_json()["judgeable"] is False


@pytest.mark.parametrize(("count", "asked"), [(50, False), (51, True)])
def test_more_than_50_folds_are_asked_about(count, asked):
    report = audit_folds(table(*[(f"i{n}", n) for n in range(count)]))
    assert (kinds(report.problems) == ["many-folds"]) == asked


def test_numbers_as_ids_and_as_groups_are_compared_and_0_is_a_group():
    rows = pd.DataFrame({"image_id": [0, 1, 2, 3], "fold": [0, 1, 0, 1]})
    groups = {0: 0, 1: np.int64(0), 2: 7.0, 3: float("nan")}
    report = audit_folds(rows, groups=groups)
    assert report.leaks[0].cases == ("0: 1 in fold 0, 1 in fold 1",)
    assert [count.groups for count in report.folds] == [2, 2]


def test_groups_of_other_images_are_no_proof_that_nothing_leaks():
    with pytest.raises(InputError, match=r"the table has 'a', groups has 'x'.*dict\(zip"):
        audit_folds(table(("a", 0), ("b", 1)), groups={"x": "p1"})
