"""Who is trained on and who is held out, and the errors of those who ask for the wrong images."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.errors import GoldfoldError, InputError, LeakError, LeakInputError
from goldfold.files import fingerprint
from goldfold.folds.build import build_fold_table
from goldfold.folds.fold_view import FoldView
from goldfold.folds.parts import parts_of, refuse_judging

FOLDS = {"a1": 0, "a2": 0, "b1": 1, "c1": 1, "d1": 0}
GROUPS = {"a1": "a", "a2": "a", "b1": "b", "c1": "", "d1": ""}


def view_of(folds=FOLDS, groups=GROUPS):
    rows = [(name, fold, groups[name]) for name, fold in folds.items()]
    return FoldView(pd.DataFrame(rows, columns=["image_id", "fold", "group"]))


SPLIT = view_of(groups=GROUPS | {"c1": "a"})  # folds.csv puts group a into both folds


@st.composite
def tables(draw):
    """Return a fold table as goldfold builds them, and its number of folds."""
    count = draw(st.integers(2, 4))
    sizes = draw(st.lists(st.integers(1, 4), min_size=3 * count, max_size=20))
    groups = [f"p{number}" for number, size in enumerate(sizes) for _ in range(size)]
    ids = draw(st.permutations([f"i{place:03}" for place in range(len(groups))]))
    return build_fold_table(ids, groups, np.arange(len(ids)), count=count, seed=0), count


@given(tables())
def test_training_and_held_out_images_part_all_images_and_no_group(table_and_count):
    table, count = table_and_count
    view = FoldView(table)
    everything = sorted(table["image_id"])
    assert view.folds == list(range(count))
    assert sorted(i for fold in view.folds for i in view.held_out(fold)) == everything
    for fold in map(view.fold, view.folds):
        assert sorted(fold.training + fold.held_out) == everything
        assert fold.training == sorted(fold.training)
        assert not set(view.groups(fold.training)) & set(view.groups(fold.held_out))
        fold.refuse_held_out(fold.training, "training")
        fold.require_held_out(fold.held_out, "validation")
        view.require_out_of_fold([("store", fold.number, fold.held_out)])


@given(tables(), st.data())
def test_one_wrong_image_is_enough(table_and_count, data):
    view = FoldView(table_and_count[0])
    fold = view.fold(data.draw(st.sampled_from(view.folds)))
    leaked = data.draw(st.sampled_from(fold.held_out))
    place = data.draw(st.integers(0, len(fold.training)))
    learned = [*fold.training[:place], leaked, *fold.training[place:]]
    with pytest.raises(LeakError, match=f"training was about to use 1 image .*: {leaked}"):
        fold.refuse_held_out(learned, "training")
    seen = data.draw(st.sampled_from(fold.training))
    with pytest.raises(LeakError, match=f"validation was about to judge 1 image .*: {seen}"):
        fold.require_held_out([*fold.held_out, seen], "validation")


@given(tables(), st.integers(0, 9))
def test_parts_are_the_folds_or_whole_groups_of_the_only_one(table_and_count, seed):
    view = FoldView(table_and_count[0])
    ids = [i for fold in view.folds for i in view.held_out(fold)]
    assert view.parts(ids, seed).tolist() == view.folds_of(ids).tolist()
    only = view.held_out(0)
    if len(set(view.groups(only))) < 2:
        with pytest.raises(InputError, match="at least two groups"):
            view.parts(only, seed)
        return
    parts = view.parts(only, seed)
    assert parts.tolist() == parts_of([0] * len(only), view.groups(only), seed).tolist()
    by_group = pd.DataFrame({"group": view.group_numbers(only), "part": parts}).groupby("group")
    assert (by_group["part"].nunique() == 1).all()


def test_fingerprints_are_those_of_the_sorted_ids():
    """Trainings and pseudo-labels on disk keep them; other bytes would make them all outdated."""
    assert view_of().fingerprint(0) == fingerprint(["a1", "a2", "d1"]) == "eab3c20252859fad"
    assert view_of().fold(1).fingerprint == fingerprint(["b1", "c1"])


def test_the_order_of_the_rows_changes_nothing():
    other = view_of(dict(reversed(FOLDS.items())))
    assert other.training(1) == view_of().training(1) == ["a1", "a2", "d1"]
    assert other.placed_otherwise(view_of()) == {}


def test_images_that_lie_elsewhere_are_named_with_both_folds():
    other = view_of({"a1": 1, "a2": 0, "b1": 1, "c1": 1})
    assert view_of().placed_otherwise(other) == {"a1": (0, 1), "d1": (0, None)}


def test_an_image_in_several_rows_is_refused():
    table = pd.DataFrame({"image_id": ["x", "y", "x"], "fold": [0, 1, 1], "group": ["", "", ""]})
    with pytest.raises(InputError, match="several rows in the fold table: x"):
        FoldView(table)


def test_images_nobody_knows_are_in_no_fold():
    with pytest.raises(InputError, match=r"in no fold of folds\.csv: x"):
        view_of().folds_of(["a1", "x"])
    with pytest.raises(InputError, match="in no fold"):
        view_of().groups(["x"])


# --- guards --------------------------------------------------------------------------------------


def test_a_leak_is_a_failure_and_one_in_the_users_files_bad_input():
    assert (LeakError.exit_code, LeakInputError.exit_code) == (1, 2)
    assert issubclass(LeakInputError, (LeakError, InputError))
    assert issubclass(LeakError, GoldfoldError)


def test_the_message_says_fold_purpose_images_and_what_to_do():
    with pytest.raises(LeakError) as caught:
        view_of().fold(0).refuse_held_out(["b1", "d1", "a1"], "training")
    message = str(caught.value)
    assert message.startswith("fold 0: training was about to use 2 images that the fold holds out")
    assert "a1, d1" in message
    assert "run.fold(K).training" in message
    assert not isinstance(caught.value, InputError)


def test_images_that_nobody_knows_are_neither_learned_nor_judged():
    fold = view_of().fold(0)
    with pytest.raises(LeakError):
        fold.refuse_held_out(["x"], "training")
    with pytest.raises(LeakError):
        fold.require_held_out(["x"], "validation")


def test_a_group_in_several_folds_is_the_fault_of_the_folds():
    with pytest.raises(LeakInputError, match=r"1 image of a group that lies in several folds: c1"):
        SPLIT.fold(0).refuse_held_out(["b1", "c1"], "training")
    with pytest.raises(LeakInputError, match=r"2 images of a group .*: a1, a2"):
        SPLIT.fold(0).require_held_out(["a1", "a2", "d1"], "validation")


def test_images_without_a_group_are_their_own():
    view_of().require_out_of_fold([("zero", 0, ["d1"]), ("one", 1, ["c1"])])
    view_of().fold(0).refuse_groups(["t"], [""], "training on pseudo-labels")


def test_unlabelled_images_of_a_held_out_group_are_refused():
    fold = view_of().fold(0)
    fold.refuse_groups(["t1", "t2"], ["b", "other"], "training on pseudo-labels")
    with pytest.raises(LeakInputError, match=r"fold 0: .* 1 image whose group .*: t2"):
        fold.refuse_groups(["t1", "t2"], ["b", "a"], "training on pseudo-labels")


def test_models_of_another_fold_are_refused():
    view_of().fold(0).refuse_models([0, 0], "pseudo-labelling")
    with pytest.raises(LeakError, match=r"models of fold 1, .* holds out: a1, a2, d1"):
        view_of().fold(0).refuse_models([0, 1], "pseudo-labelling")


def test_stores_with_images_of_another_fold_are_refused():
    view_of().require_out_of_fold([("zero", 0, ["a1", "a2", "d1"]), ("one", 1, ["b1"])])
    with pytest.raises(InputError, match=r"one: 2 images are not held out .* such as a1"):
        view_of().require_out_of_fold([("one", 1, ["b1", "a2", "a1"])])
    with pytest.raises(InputError, match="zero: 1 image is not held out"):
        view_of().require_out_of_fold([("zero", 0, ["x"])])


def test_stores_with_images_whose_group_was_trained_on_are_refused():
    with pytest.raises(LeakInputError) as caught:
        SPLIT.require_out_of_fold([("zero", 0, ["a1", "d1"]), ("one", 1, ["c1"])])
    assert "zero: 1 image has a group that its models were trained on, such as a1 (a)" in str(
        caught.value
    )
    assert "one: 1 image has a group" in str(caught.value)


def test_what_was_chosen_on_an_image_does_not_judge_it():
    refuse_judging("thresholds", 1, ["a", "b"], ["c"])
    with pytest.raises(LeakError, match=r"part 1: thresholds .* 2 images on which .*: a, b"):
        refuse_judging("thresholds", 1, ["b", "a"], ["c", "a", "b"])


ORDERED = FoldView(
    pd.DataFrame(
        [("a", 0, "p"), ("b", 1, "q"), ("c", 1, ""), ("d", 2, "r"), ("e", 2, "r")],
        columns=["image_id", "fold", "group"],
    ),
    ordered=True,
)


def test_models_of_ordered_folds_see_earlier_folds_alone():
    assert [ORDERED.training(fold) for fold in range(3)] == [[], ["a"], ["a", "b", "c"]]
    assert ORDERED.held_out(1) == ["b", "c"]
    ORDERED.fold(2).refuse_held_out(["a", "b", "c"], "training")
    ORDERED.fold(1).require_held_out(["b", "c"], "validation")
    ORDERED.require_out_of_fold([("store", 1, ["b", "c"])])


def test_later_images_are_kept_from_models_of_ordered_folds():
    with pytest.raises(LeakError, match=r"1 image that .* come after those it holds out: d"):
        ORDERED.fold(1).refuse_held_out(["a", "d"], "training")
    with pytest.raises(LeakError, match=r"validation was about to judge 1 image .*: d"):
        ORDERED.fold(1).require_held_out(["b", "d"], "validation")
    with pytest.raises(LeakInputError, match="whose group the fold holds out: x"):
        ORDERED.fold(1).refuse_groups(["x"], ["r"], "training on pseudo-labels")
    ORDERED.fold(1).refuse_groups(["x"], ["p"], "training on pseudo-labels")


def test_an_ordered_fold_is_another_one_if_its_models_see_other_images():
    rows = pd.DataFrame({"image_id": list("abc"), "fold": [0, 1, 2], "group": ""})
    moved = rows.assign(fold=[1, 1, 2])
    held_out_alike = [FoldView(table).fingerprint(2) for table in (rows, moved)]
    assert held_out_alike[0] == held_out_alike[1]
    dropped = rows[rows["image_id"] != "a"]
    assert FoldView(rows, ordered=True).fingerprint(2) != FoldView(
        dropped, ordered=True
    ).fingerprint(2)
