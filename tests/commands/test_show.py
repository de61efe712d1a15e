"""What is printed, and where."""

import json

import numpy as np
import pytest

from goldfold.commands import show


def test_a_table_puts_numbers_to_the_right_and_words_to_the_left():
    text = show.table(["fold", "who", "share"], [[0, "ann", "5.0%"], [10, "bob", "25.0%"]])
    assert text.splitlines() == [
        "fold  who  share",
        "   0  ann   5.0%",
        "  10  bob  25.0%",
    ]
    assert show.table(["a", "bc"], []) == "a  bc"


def test_json_knows_no_nan(capsys):
    show.out_json({"a": float("nan"), "b": [1, (2.5, float("inf"))], 3: {"c": None}})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": None, "b": [1, [2.5, None]], "3": {"c": None}}


def test_json_keeps_the_numbers_of_numpy(capsys):
    show.out_json({"i": np.int64(3), "f": np.float64(0.5), "n": np.float64("nan"), "b": np.True_})
    assert json.loads(capsys.readouterr().out) == {"i": 3, "f": 0.5, "n": None, "b": True}


def test_results_go_to_stdout_and_everything_else_to_stderr(capsys):
    progress = show.terminal_progress()
    assert isinstance(progress, show.LineProgress)
    show.out("a result")
    show.error("an error")
    progress.say("a line")
    progress.warn("a warning")
    with progress.task("work", 2) as task:
        task.advance(loss=0.25, lr=0.001)
        task.advance(images_per_s=12.34)
    captured = capsys.readouterr()
    assert captured.out == "a result\n"
    lines = captured.err.splitlines()
    assert lines[:3] == ["error: an error", "a line", "warning: a warning"]
    assert lines[3].startswith("work: 2/2 in ")
    assert lines[3].endswith("s  loss 0.2500  learning rate 1.0e-03  images/s 12.3")


def test_nothing_to_do_prints_nothing(capsys):
    with show.LineProgress().task("work", 0):
        pass
    assert capsys.readouterr().err == ""


def test_work_that_fails_does_not_claim_to_have_ended(capsys):
    with pytest.raises(ValueError, match="x"), show.LineProgress().task("work", 2):
        raise ValueError("x")
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(capsys):
    progress = show.TerminalProgress()
    with progress.task("work [1]", 2) as task:
        task.advance(2, loss=0.5)
    progress.say("[not markup]")
    progress.warn("careful")
    text = capsys.readouterr().err
    assert "work [1]" in text
    assert "2/2" in text
    assert "loss 0.5000" in text
    assert "[not markup]" in text
    assert "warning: careful" in text
