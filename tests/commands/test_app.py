"""The tree itself: exit codes, and what becomes of errors that no command expects."""

import errno
import os
import subprocess
import sys

import pytest

from goldfold import __version__
from goldfold.commands import config
from goldfold.errors import GoldfoldError, OutputError, SettingsError


@pytest.fixture
def failing(monkeypatch, invoke):
    """Return a function that runs a command in which an error is raised."""

    def run(error):
        def fail(*_):
            raise error

        monkeypatch.setattr("goldfold.settings.Settings.model_json_schema", fail)
        return invoke("config", "schema")

    return run


def test_version_and_help(invoke):
    assert invoke("--version").out == f"goldfold {__version__}\n"
    for words in (["--help"], ["-h"], ["folds", "--help"], ["submit", "check", "-h"]):
        shown = invoke(*words)
        assert shown.code == 0
        assert "Usage: goldfold" in shown.out
    assert "goldfold init siim-acr-pneumothorax --data DATA" in invoke("--help").out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (SettingsError("it is wrong."), 2, "error: it is wrong.\n"),
        (GoldfoldError("it failed."), 1, "error: it failed.\n"),
        (OutputError("it is full."), 1, "error: it is full.\n"),
        (KeyboardInterrupt(), 130, "error: interrupted.\n"),
        (MemoryError(), 1, "error: out of memory. Lower batch_size"),
        (RuntimeError("CUDA out of memory. Tried"), 1, "error: out of memory. Lower batch_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "error: out of memory."),
        (OSError(errno.EIO, "Input/output error", "/x/y.dcm"), 1, "error: /x/y.dcm: Input/output"),
        (OSError("gone"), 1, "error: a file: gone."),
    ],
)
def test_an_error_becomes_a_message_and_an_exit_code(failing, error, code, words):
    ended = failing(error)
    assert ended.code == code
    assert ended.err.startswith(words)


def test_our_own_bugs_say_so_and_show_where_when_asked(failing, monkeypatch):
    ended = failing(RuntimeError("a bug"))
    assert ended.code == 1
    assert ended.err.startswith("error: RuntimeError: a bug\nThis is a fault of goldfold")
    assert "GOLDFOLD_TRACEBACK=1" in ended.err
    assert "Traceback" not in ended.err
    monkeypatch.setenv("GOLDFOLD_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in failing(RuntimeError("a bug")).err


@pytest.mark.parametrize("words", [["fold"], ["folds", "bild"], ["run"], ["init", "--recipes"]])
def test_wrong_use_ends_with_2_and_the_usage(invoke, words):
    ended = invoke(*words)
    assert ended.code == 2
    assert "Usage: goldfold" in ended.err


def test_a_reader_that_leaves_is_no_error():
    """`goldfold config schema | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    code = "from goldfold.commands.app import app; app(['config', 'schema'])"
    ended = subprocess.run(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert "Traceback" not in ended.stderr


def test_config_is_a_group():
    names = [command.name for command in config.app.registered_commands]
    assert names == ["show", "answer", "schema"]
