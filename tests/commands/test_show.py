"""What is printed, and where."""

import json
import sys

import numpy as np
import pytest

from goldfold.commands import show
from goldfold.commands.progress_bar import TerminalProgress
from goldfold.errors import InputError
from goldfold.progress_lines import LineProgress, QuietProgress


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
    show.out("a result")
    show.error("an error")
    progress.say("a line")
    progress.warn("a warning")
    captured = capsys.readouterr()
    assert captured.out == "a result\n"
    assert captured.err == "error: an error\na line\nwarning: a warning\n"


# --- how progress is shown -----------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch):
    """Return a function that sets these variables only, and whether stderr is a terminal."""

    def change(terminal, **variables):
        for name in (show.PROGRESS_VARIABLE, "JPY_PARENT_PID", "KAGGLE_KERNEL_RUN_TYPE", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)

    return change


@pytest.mark.parametrize(
    ("terminal", "variables", "kind"),
    [
        (True, {}, TerminalProgress),
        (False, {}, LineProgress),
        (True, {"TERM": "dumb"}, LineProgress),
        (True, {"JPY_PARENT_PID": "7"}, LineProgress),
        (True, {"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, LineProgress),
        (True, {"JPY_PARENT_PID": "7", "GOLDFOLD_PROGRESS": "bar"}, TerminalProgress),
        (True, {"GOLDFOLD_PROGRESS": "plain"}, LineProgress),
        (False, {"GOLDFOLD_PROGRESS": "bar"}, TerminalProgress),
        (True, {"GOLDFOLD_PROGRESS": "none"}, QuietProgress),
        (True, {"GOLDFOLD_PROGRESS": ""}, TerminalProgress),
    ],
)
def test_bars_stand_on_terminals_only_unless_asked_for(environment, terminal, variables, kind):
    environment(terminal, **variables)
    assert type(show.terminal_progress()) is kind


def test_an_unknown_kind_of_progress_is_an_error(environment):
    environment(True, GOLDFOLD_PROGRESS="fancy")
    with pytest.raises(
        InputError, match=r"GOLDFOLD_PROGRESS is 'fancy'; expected plain \(lines\), bar or none\."
    ):
        show.terminal_progress()
