"""Which column names the images, and how."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.competitions.data_folder import image_id_of
from goldfold.competitions.id_forms import FORMS, ask_for_ignores, plain_id, same_ids
from goldfold.competitions.table_ids import match_columns

DATA = Path("/data")


def best(paths, **columns):
    return match_columns(pd.DataFrame(columns, dtype=str), [DATA / path for path in paths], DATA)


@pytest.mark.parametrize(
    ("paths", "columns", "settings", "image_id"),
    [
        (["t/a.png", "t/b.png"], {"i": ["0", "1"], "k": ["a", "b"]}, {"id_column": "k"}, "a"),
        (["t/a.png", "t/b.png"], {"k": [" a ", "b"]}, {"id_column": "k"}, "a"),
        (["t/a.png"], {"k": ["a.png"]}, {"id_column": "k"}, "a.png"),
        (["u/t/a.png", "u/t/b.png"], {"k": ["t/a.png", "t/b.png"]}, {"id_column": "k"}, "t/a.png"),
        (["u/t/a.png", "u/t/b.png"], {"k": ["t/a", "t/b"]}, {"id_column": "k"}, "t/a"),
        (["1/x.png", "2/x.png"], {"k": ["1/x", "2/x"]}, {"id_column": "k"}, "1/x"),
        (
            ["t/p1/v1.jpg", "t/p1/v2.jpg", "t/p2/v1.jpg"],
            {"k": ["C/t/p1/v1.jpg", "C/t/p1/v2.jpg", "C/t/p2/v1.jpg"]},
            {"id_column": "k", "id_ignores": ["root"]},
            "t/p1/v1.jpg",
        ),
        (
            ["a_1.jpg", "b_1.jpg"],
            {"k": ["a_1.jpg_Fish", "a_1.jpg_Sugar", "b_1.jpg_Fish"]},
            {"id_column": "k", "class_separator": "_"},
            "a_1.jpg",
        ),
        (["12.png"], {"k": ["12.0"]}, {"id_column": "k", "id_ignores": ["decimals"]}, "12"),
        (["A1.png"], {"k": ["a1"]}, {"id_column": "k", "id_ignores": ["case"]}, "A1"),
        (
            ["007.png", "107.png"],
            {"k": ["7", "107"]},
            {"id_column": "k", "id_ignores": ["zeros"]},
            "007",
        ),
        (["007.png"], {"k": ["7"]}, {"id_column": "k", "id_ignores": ["zeros"]}, "007"),
        (
            ["5/100.dcm", "5/101.dcm", "6/200.dcm"],
            {"site": ["1", "1", "1"], "who": ["5", "5", "6"], "im": ["100", "101", "200"]},
            {"id_column": "im"},
            "100",
        ),
    ],
)
def test_the_column_that_names_most_images_is_the_best(paths, columns, settings, image_id):
    match = best(paths, **columns)[0]
    assert match.settings() == settings
    assert (match.images, match.share) == (len(paths), 1)
    assert image_id_of(DATA, DATA / paths[0], match.pattern) == image_id


def test_what_a_match_says():
    match = best(["a.png", "b.png", "c.png"], k=["a", "x", "b"])[0]
    assert match.evidence == (
        "column `k` matches 2 of 3 files; without a file: x; without a row: c"
    )
    assert match.share == pytest.approx(2 / 3)
    assert best(["a.png"], k=["z"]) == []
    assert best([], k=["z"]) == []
    assert best(["a.png"], k=[""]) == []


def test_ids_of_folders_are_no_ids_of_images():
    patients = best(["p1/1.png", "p1/2.png", "p2/3.png"], k=["p1", "p2"])[0]
    assert patients.folders
    assert patients.evidence == "column `k` names 3 files, several by one id"
    images = best(["p1/1.png", "p1/2.png", "p2/3.png"], who=["p1", "p1", "p2"], k=["1", "2", "3"])
    assert [match.column for match in images] == ["k", "who"]


def test_an_ambiguous_form_is_not_matched():
    assert same_ids(["7", "07"], ["007"]) == ({}, ())
    assert same_ids(["7"], ["07", "007"]) == ({}, ())
    assert same_ids(["7", "007"], ["007", "07"])[0] == {}
    assert same_ids(["7"], ["007"]) == ({"7": "007"}, ("zeros",))
    assert same_ids(["7"], ["007"], ["case"]) == ({}, ("case",))


def test_the_question_about_ids_that_differ_in_form():
    (line,) = ask_for_ignores(["7", "8", "x"], ["007", "008", "009"], None, "t.csv")
    assert line.startswith(
        "2 ids of t.csv would name an image if leading zeros did not matter: 7 ="
    )
    assert 'Set id_ignores = ["zeros"] in [competition.labels]' in line
    assert ask_for_ignores(["7"], ["007"], [], "t.csv") == []
    assert ask_for_ignores(["7"], ["008"], None, "t.csv") == []


@given(st.lists(st.text("aB01./", min_size=1, max_size=4), max_size=6, unique=True), st.data())
def test_matched_ids_are_one_to_one_and_equal_in_plain_form(known, data):
    ids = data.draw(st.lists(st.text("aB01./", min_size=1, max_size=4), max_size=6))
    forms = data.draw(st.sets(st.sampled_from(sorted({*FORMS} - {"root"}))))
    same, _ = same_ids(ids, known, sorted(forms))
    assert len(set(same.values())) == len(same)
    assert not set(same.values()) & set(ids)
    assert all(plain_id(name, forms) == plain_id(image, forms) for name, image in same.items())
