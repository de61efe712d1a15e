"""Label cells that leave something open: blanks, -1, shares, lists, spellings, several rows."""

import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.class_labels import read_class_labels, share_targets
from goldfold.competitions.data_report import DataReport
from goldfold.competitions.images_table import CLASSES, SHARES
from goldfold.competitions.label_notes import note_constant_labels
from goldfold.competitions.number_labels import read_number_labels
from goldfold.settings import CompetitionSettings
from goldfold.tasks.class_training import taught_targets

A, B = "Mass", "Edema"


def form(exclusive=False, **labels):
    return CompetitionSettings(
        task="classification", metric="auroc", classes=[A, B], exclusive=exclusive,
        labels={"files": ["t.csv"], "id_column": "id", **labels},
    )  # fmt: skip


def read(tmp_path, text, settings):
    (tmp_path / "t.csv").write_text(text)
    return read_class_labels(pd.DataFrame(), tmp_path, settings)


def by_image(labels, column=CLASSES):
    return dict(zip(labels.table["image_id"], labels.table[column], strict=True))


CHEXPERT = f"id,{A},{B}\na,1.0,\nb,-1.0,0.0\nc,0.0,-1\nd,,1\n"


def test_blank_and_uncertain_cells_are_asked_about_once(tmp_path):
    problems = read(tmp_path, CHEXPERT, form(kind="wide")).problems
    assert problems == [
        '2 cells of t.csv are empty (1 of Mass, 1 of Edema; row 2, 5): set blank = "zeros" if '
        "they mean that the class is absent, in [competition.labels] of goldfold.toml",
        '2 cells of t.csv are -1 (1 of Mass, 1 of Edema; row 3, 4): set uncertain = "ones", '
        '"zeros" or a share such as 0.5, for all or for each class, in [competition.labels] of '
        "goldfold.toml",
    ]


def test_blank_and_uncertain_cells_as_settings_say(tmp_path):
    settings = form(kind="wide", blank="zeros", uncertain={A: "ones", B: 0.3})
    labels = read(tmp_path, CHEXPERT, settings)
    assert labels.problems == []
    assert by_image(labels) == {"a": A, "b": A, "c": "", "d": B}
    assert by_image(labels, SHARES) == {"a": "1;0", "b": "1;0", "c": "0;0.3", "d": "0;1"}
    text = f"id,v\na_{A},\na_{B},-1\n"
    labels = read(tmp_path, text, form(kind="long", value_column="v", blank=0.25, uncertain="ones"))
    assert by_image(labels, SHARES) == {"a": "0.25;1"}


def test_shares_are_targets_only_where_they_are_declared(tmp_path):
    text = f"id,{A},{B}\na,0.2,1\nb,0.5,0\nc,2,0\n"
    labels = read(tmp_path, text, form(kind="wide"))
    assert labels.problems[0] == f"t.csv row 4: {A} is '2'; expected 0 or 1"
    assert (
        "2 cells of t.csv are between 0 and 1 (2 of Mass; row 2, 3): set soft = true"
        in (labels.problems[1])
    )
    labels = read(tmp_path, text.replace("c,2", "c,1"), form(kind="wide", soft=True))
    assert by_image(labels) == {"a": B, "b": A, "c": A}
    train = labels.table
    taught = taught_targets(form(kind="wide", soft=True), train)
    assert taught.dtype == np.float32
    assert taught.tolist() == pytest.approx(np.float32([[0.2, 1], [0.5, 0], [1, 0]]))
    assert taught_targets(form(kind="wide"), train.drop(columns=SHARES)).dtype == np.uint8
    assert share_targets(["", "1;0.5"], 2).tolist() == [[0, 0], [1, 0.5]]


def test_exclusive_shares_must_add_up(tmp_path):
    settings = form(kind="wide", soft=True, exclusive=True)
    labels = read(tmp_path, f"id,{A},{B}\na,0.3,0.7\nb,0.3,0.3\n", settings)
    assert by_image(labels)["a"] == B
    assert labels.problems == ["1 image has not exactly one class: b"]


LISTS = {"kind": "lists", "class_column": "f"}


@pytest.mark.parametrize(
    ("cells", "more", "classes", "problem"),
    [
        (["Mass|Edema", "No Finding"], {"none_name": "No Finding"}, ["Mass;Edema", ""], ""),
        ([" Edema | Mass |", "Mass"], {}, ["Mass;Edema", "Mass"], ""),
        (["Mass;Edema", "Mass"], {"list_separator": ";"}, ["Mass;Edema", "Mass"], ""),
        (["Edema  Mass", ""], {"list_separator": " ", "blank": "zeros"}, ["Mass;Edema", ""], ""),
        (
            ["Mass;Edema", "Mass"],
            {},
            None,
            "'Mass;Edema' is not a class; .* list_separator = \";\"",
        ),
        (["Mass", ""], {}, None, 'names no class in t.csv .row 3.: set blank = "zeros"'),
        (
            ["No|Mass", "No"],
            {"none_name": "No"},
            None,
            "1 row of t.csv with No beside classes: row 2",
        ),
        (
            ["mass", "Mass"],
            {},
            None,
            "'mass' .1 row, first row 2. differs from the class 'Mass' in",
        ),
        (["mass", "Mass"], {"class_spelling": "loose"}, ["Mass", "Mass"], ""),
        (["mass", "Mass"], {"class_spelling": "exact"}, None, "row 2: 'mass' is not a class"),
    ],
)
def test_lists_of_names(tmp_path, cells, more, classes, problem):
    text = "id,f\n" + "".join(f'{name},"{cell}"\n' for name, cell in zip("ab", cells, strict=True))
    labels = read(tmp_path, text, form(**LISTS, **more))
    if classes is None:
        (line,) = labels.problems
        assert pd.Series(line).str.contains(problem).all()
    else:
        assert labels.problems == []
        assert labels.table[CLASSES].tolist() == classes


ROWS = f"id,k\na,{A}\na,{B}\na,{B}\nb,{A}\n"


@pytest.mark.parametrize(
    ("kind", "how", "classes", "shares"),
    [
        ("column", "majority", B, None),
        ("column", "mean", B, "0.333333;0.666667"),
        ("lists", "any", f"{A};{B}", None),
        ("lists", "majority", B, None),
        ("lists", "mean", B, "0.333333;0.666667"),
    ],
)
def test_rows_that_disagree_are_combined(tmp_path, kind, how, classes, shares):
    settings = form(kind == "column", kind=kind, class_column="k", combine=how)
    labels = read(tmp_path, ROWS, settings)
    assert labels.problems == []
    assert labels.notices[0] == f"1 image has different classes in t.csv, combined by {how}: a"
    assert by_image(labels) == {"a": classes, "b": A}
    assert (SHARES in labels.table) == (shares is not None)
    assert shares is None or by_image(labels, SHARES)["a"] == shares


def test_rows_that_disagree_without_a_rule_or_a_majority(tmp_path):
    unset = read(tmp_path, ROWS, form(True, kind="column", class_column="k"))
    assert unset.problems[0].startswith("1 image has different classes in t.csv: a. Set combine = ")
    tie = ROWS.replace(f"a,{B}\na,{B}", f"a,{B}")
    labels = read(tmp_path, tie, form(True, kind="column", class_column="k", combine="majority"))
    assert labels.problems == ["1 image has no majority among the rows in t.csv (combine): a"]
    long = f"id,v\na_{A},1\na_{A},0\na_{B},0\n"
    settings = {"kind": "long", "value_column": "v"}
    assert "Set combine" in read(tmp_path, long, form(**settings)).problems[0]
    assert by_image(read(tmp_path, long, form(**settings, combine="any"))) == {"a": A}
    assert read(tmp_path, long, form(**settings, combine="majority")).problems == [
        f"1 image and class has no majority in t.csv (combine): a ({A})"
    ]
    assert by_image(read(tmp_path, long, form(**settings, combine="mean")), SHARES) == {
        "a": "0.5;0"
    }


def test_numbers_of_several_rows_are_averaged(tmp_path):
    (tmp_path / "t.csv").write_text('id,n\na,1\na,2\nb,"0,5"\n')
    settings = CompetitionSettings(
        task="regression", metric="mae", number_range=(0, 5),
        labels={"kind": "column", "files": ["t.csv"], "id_column": "id", "class_column": "n",
                "combine": "mean"},
    )  # fmt: skip
    table, problems, notices = read_number_labels(tmp_path, settings)
    assert table["number"].tolist() == ["1.5"]
    assert problems == ["t.csv row 4: n is '0,5'; expected a number: write it with a point"]
    assert notices == ["1 image has different numbers in t.csv: a; each is their mean"]


def test_whole_numbers_with_a_point_are_the_same_class(tmp_path):
    settings = CompetitionSettings(
        task="grades", metric="mae", classes=["0", "1", "2"],
        labels={"kind": "column", "files": ["t.csv"], "id_column": "id", "class_column": "k"},
    )  # fmt: skip
    labels = read(tmp_path, "id,k\na,0.0\nb,2\nc,1.00\nd,0.5\n", settings)
    assert by_image(labels) == {"a": "0", "b": "2", "c": "1"}
    assert labels.problems == ["t.csv row 5: '0.5' is not a class; the classes are 0, 1, 2."]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "wide", "uncertain": "ignore"}, "cannot be left out of loss and metric"),
        ({"kind": "wide", "blank": {A: "ignore"}}, "cannot be left out of loss and metric"),
        ({"kind": "wide", "blank": {"x": "zeros"}}, "labels.blank names 'x', which is no class"),
        ({"kind": "wide", "none_name": "x"}, 'none_name needs labels.kind "lists"'),
        ({**LISTS, "soft": True}, 'labels.soft needs labels.kind "wide" or "long"'),
        ({**LISTS, "none_name": A}, "means no class, but classes names it"),
        ({"kind": "lists"}, 'kind = "lists" needs class_column'),
        ({"kind": "folders", "exclusive": True, "combine": "mean"}, "labels.combine is for tables"),
        ({"kind": "wide", "exclusive": True, "combine": "any"}, "which are exclusive"),
        ({**LISTS, "exclusive": True}, "names any number of classes"),
    ],
)
def test_rules_that_do_not_fit(changes, words):
    with pytest.raises(ValueError, match=words):
        form(**changes)


@pytest.mark.parametrize(
    ("classes", "exclusive", "problems", "notices"),
    [
        ([A, A, A], True, ["every training image has the class Mass", "no training"], []),
        ([A, A, ""], False, [], ["no training image has the class Edema"]),
        (["", "", ""], False, ["no training image has the class Mass", "no training"], []),
        ([A, B, B], True, [], ["1 class has one training image only: Mass"]),
        ([A, B, f"{A};{B}"], False, [], []),
    ],
)
def test_labels_without_contrast(classes, exclusive, problems, notices):
    settings, report = form(exclusive, kind="wide"), DataReport()
    note_constant_labels(pd.DataFrame({CLASSES: classes}), settings, report)
    for lines, expected in ((report.problems, problems), (report.notices, notices)):
        assert len(lines) == len(expected)
        assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))
    declared = form(exclusive, kind="wide", allow_constant=True)
    report = DataReport()
    note_constant_labels(pd.DataFrame({CLASSES: classes}), declared, report)
    assert report.problems == []
