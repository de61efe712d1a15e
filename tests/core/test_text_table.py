"""Tables for people, and how many threads there are."""

import pytest

from goldfold import workers
from goldfold.text_table import Table


def test_numbers_are_to_the_right_and_words_to_the_left():
    table = Table(["name", "score", "share"], [["a", "0.5", "12%"], ["long name", -1, "n/a"]])
    assert str(table).splitlines() == [
        "name       score  share",
        "a            0.5    12%",
        "long name     -1    n/a",
    ]


def test_a_column_with_a_word_among_numbers_is_one_of_words():
    assert str(Table(["n"], [["1,234"], ["none"]])).splitlines() == ["n", "1,234", "none"]


def test_without_rows_the_headers_stand_alone():
    assert str(Table(["fold", "images"], [])) == "fold  images"


@pytest.mark.parametrize(("cores", "used"), [(1, 1), (8, 8), (64, 8)])
def test_threads_are_the_cores_but_no_more_than_help(monkeypatch, cores, used):
    monkeypatch.setattr(workers, "cores", lambda: cores)
    assert workers.default_workers() == used
    assert workers.cores() == cores
