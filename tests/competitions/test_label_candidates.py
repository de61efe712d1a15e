"""Which columns of an unknown table could be the labels."""

from pathlib import Path

import pandas as pd
import pytest

from goldfold.competitions.label_candidates import label_candidates
from goldfold.competitions.label_columns import content_of
from goldfold.competitions.table_ids import match_columns

DATA = Path("/data")
IDS = list("abcdefgh")


def candidates(sample=(), groups=(), ids=IDS, **columns):
    cells = {name: list(column) for name, column in columns.items()}
    table = pd.DataFrame({"id": ids, **cells}, dtype=str)
    names = dict.fromkeys(name[:1] for name in ids)
    match = match_columns(table, [DATA / f"{name}.png" for name in names], DATA)[0]
    return label_candidates(table, match, groups, sample)


def test_the_columns_of_many_competitions():
    isic = candidates(
        sample=["target"], sex=["f", "m"] * 4, kind_of=["benign", "malign"] * 4, target="01010001"
    )
    assert [(found.kind, found.columns) for found in isic] == [
        ("wide", ("target",)), ("column", ("kind_of",)), ("column", ("sex",)),
    ]  # fmt: skip
    assert "the sample submission names the same" in isic[0].evidence

    (aptos,) = candidates(diagnosis="01234012")
    assert aptos.competition == {"task": "grades", "classes": ["0", "1", "2", "3", "4"]}
    assert aptos.questions[0][0] == "competition.task"
    assert candidates(isup_grade="01234012")[0].questions == ()

    chexpert = candidates(Edema=["1.0", "", "-1.0", "0.0"] * 2, Mass=["", "1.0"] * 4)[0]
    assert (chexpert.kind, chexpert.columns) == ("chexpert", ("Edema", "Mass"))
    assert [setting for setting, _ in chexpert.questions] == [
        "competition.labels.uncertain", "competition.labels.blank",
    ]  # fmt: skip
    assert "6 empty cells and 2 of -1" in chexpert.evidence

    cells = [
        "No Finding",
        "Mass",
        "Mass|Edema",
        "Edema",
        "No Finding",
        "Mass",
        "Edema|Mass",
        "Mass",
    ]
    (nih,) = candidates(**{"Finding Labels": cells})
    assert nih.labels == {
        "kind": "lists", "class_column": "Finding Labels", "list_separator": "|",
        "none_name": "No Finding",
    }  # fmt: skip
    assert nih.competition["classes"] == ["Edema", "Mass"]

    one_hot = candidates(MEL="10001000", NV="01110111")[0]
    assert one_hot.competition["exclusive"]
    assert (
        candidates(age_bone=["12", "30", "100", "55", "77", "120", "41", "90"])[0].kind == "number"
    )
    assert candidates(p=["0.1", "0.5"] * 4, q=["0.9", "1"] * 4)[0].labels["soft"]
    assert candidates(rle=["1 2 5 2", "", "7 1 9 1", ""] * 2)[0].kind == "rle"
    assert candidates(groups=["who"], who=["p1", "p2"] * 4) == []


def test_rows_that_are_boxes_or_pairs_of_image_and_class():
    corner = ["1", "5", "", "7"] * 3
    boxes = candidates(
        ids=list("aabbcc") * 2, class_name=["Mass", "Edema", "No finding", "Mass"] * 3,
        x_min=corner, y_min=corner, x_max=corner, y_max=corner,
    )  # fmt: skip
    assert boxes[0].kind == "boxes"
    assert boxes[0].labels["combine"] == "any"
    assert "which are not used" in boxes[0].evidence
    long = candidates(ids=["a_x", "a_y", "b_x", "b_y"], Label="0110")[0]
    assert (long.kind, long.competition["classes"]) == ("long", ["x", "y"])


def test_names_that_differ_in_case_only_are_asked_about():
    found = candidates(ids=[*"abcdefghijkl"], label=["Benign", "benign ", "ill", "ill"] * 3)
    assert found[0].questions[0][0] == "competition.labels.class_spelling"


@pytest.mark.parametrize(
    ("cells", "content"),
    [
        (["0", "1"], "flags"),
        (["True", "false"], "flags"),
        (["1", ""], "uncertain"),
        (["1", "0", "-1"], "uncertain"),
        (["1", "1"], "other"),
        (["", ""], "other"),
        (["0.0", "1.0", "2.0", "1.0", "0"], "whole"),
        (["0", "2", "4", "2", "0"], "number"),
        (["0.5", "0.25"], "shares"),
        (["0 16", "16", "0", "0 16"], "lists"),
        (["upper limb", "lower limb", "torso"] * 3, "names"),
        (["x1", "x2", "x3"], "other"),
        (["['a']", "['a', 'b']", "[]", "['b', 'a']"], "lists"),
        (["1", "2"] * 4, "names"),
        (["-1", "1"] * 4, "names"),
    ],
)
def test_what_a_column_holds(cells, content):
    assert content_of("c", cells).content == content


def test_grades_may_have_gaps_and_lists_brackets():
    assert content_of("isup_grade", list("01245") * 2).values == tuple("012345")
    assert content_of("c", ['["a", "b"]', '["a"]', '["b"]', "[]"]).values == ("a", "b")


def test_rows_of_an_image_may_be_votes_and_label_says_it_all():
    twice = [*"aabbccddee"]
    votes = candidates(ids=twice, diagnosis="xxyyxxyyxy")[0]
    assert "20% of the images" in dict(votes.questions)["competition.labels.combine"]
    same = candidates(ids=twice, diagnosis="xxyyxxyyxx")[0]
    assert (same.kind, same.questions) == ("column", ())
    assert candidates(smoker="01010101", label="00110011")[0].columns == ("label",)
