"""`module:object`: found, bound to content without running, resolved, and its errors in words."""

import re
import sys

import pytest

from goldfold.errors import InputError, SettingsError
from goldfold.own_code import Role, bind, is_reference, parse, resolve, running
from goldfold.settings_file import validate_settings
from goldfold.settings_own_code import own_objects

ROLE = Role("loss", "loss(logits, targets)", "a scalar", positional=2)


def write(folder, text, name="mine.py"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("text", ["a:b", "_a1:B_2", "a:b@0123456789ab"])
def test_what_is_a_reference(text):
    assert is_reference(text)


@pytest.mark.parametrize(
    "text", ["a", "a.b:c", "../a:b", "a:b:c", "a:b@0", "1a:b", "a:b c", "a:b\n", "C:\\a", ""]
)
def test_what_is_none(text):
    assert not is_reference(text)


def test_binding_runs_nothing_and_resolving_runs_what_was_bound(tmp_path):
    marker = tmp_path / "ran"
    text = f"from pathlib import Path\nPath({str(marker)!r}).touch()\ndef f(a, b): return 1\n"
    reference = bind("mine:f", write(tmp_path, text))
    assert re.fullmatch(r"mine:f@[0-9a-f]{12}", reference)
    assert not marker.exists()
    write(tmp_path, "def f(a, b): return 2\n")
    assert resolve(reference, ROLE)(0, 0) == 1
    assert marker.exists()
    again = bind("mine:f", tmp_path)
    assert again != reference
    assert resolve(again, ROLE)(0, 0) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.py", "ran"]  # no bytecode
    assert "mine" not in sys.modules


def test_a_pinned_reference_refuses_other_content(tmp_path):
    reference = bind("mine:f", write(tmp_path, "f = len\n"))
    assert bind(reference, tmp_path) == reference
    write(tmp_path, "f = max\n")
    with pytest.raises(InputError, match=r"mine\.py has changed: mine:f@\w+ was meant"):
        bind(reference, tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            None,
            r"mine:loss needs the file .*mine\.py, which does not exist; modules are looked",
        ),
        ("def los(a, b): ...\n", r"mine\.py does not define 'loss'; it defines los\. Did you mean"),
        ("x = 1\nif x:\n    y = 2\n", r"does not define 'loss'; it defines x, y\."),
        ("def loss(:\n", r"mine\.py, line 1: invalid syntax"),
        ("\0", r"mine\.py"),
    ],
)
def test_what_cannot_be_bound(tmp_path, text, words):
    if text is not None:
        write(tmp_path, text)
    with pytest.raises(InputError, match=words):
        bind("mine:loss", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "from os.path import join as loss\n",
        "try:\n    import torch as loss\nexcept ImportError:\n    loss = None\n",
        "loss: object = print\n",
        "(loss, other) = (print, 1)\n",
        "class loss: ...\n",
        "from os.path import *\n",
        "try:\n    pass\nexcept OSError:\n    def loss(): ...\n",
    ],
)
def test_ways_to_define_a_name(tmp_path, text):
    assert bind("mine:loss", write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "def loss(a): ...\n",
            r"loss: mine:loss \(mine\.py\) has the arguments \(a\); expected",
        ),
        ("loss = 3\n", r"loss: mine:loss of .*mine\.py is 3; expected a function loss\(logits"),
        ("import nothing_like_it\nloss = 1\n", "No module named.*A module is one file"),
        ("1 / 0\ndef loss(a, b): ...\n", r"raised ZeroDivisionError in .*mine\.py, line 1"),
    ],
)
def test_what_cannot_be_resolved(tmp_path, text, words):
    reference = bind("mine:loss", write(tmp_path, text))
    with pytest.raises(InputError, match=words) as raised:
        resolve(reference, ROLE)
    assert raised.value.exit_code == 2


def test_references_that_nobody_bound():
    with pytest.raises(InputError, match="is not bound to a file"):
        resolve("mine:loss", ROLE)
    with pytest.raises(
        InputError, match=r"needs the content of mine\.py whose SHA-256 begins with"
    ):
        resolve("mine:loss@000000000000", ROLE)
    with pytest.raises(InputError, match="is no reference"):
        parse("mine")


def test_an_error_of_the_users_code_names_its_line(tmp_path):
    reference = bind("mine:loss", write(tmp_path, "def loss(a, b):\n    return a[b]\n"))
    function = resolve(reference, ROLE)
    with (
        pytest.raises(InputError, match=r"loss: mine:loss raised KeyError in .*mine\.py, line 2"),
        running(reference, ROLE),
    ):
        function({}, 1)
    with pytest.raises(KeyError), running(reference, ROLE, lambda _: True):
        function({}, 1)


CONTENT = {
    "competition": {"metric": "mine:score"},
    "models": [
        {
            "architecture": "mine:build",
            "options": {"anything": [1, 2]},
            "stages": [
                {
                    "loss": {"mine:loss": 1.0, "dice": 0.5},
                    "sampling": {"schedule": "mine:fraction"},
                    "augmentation": {"base": "light", "steps": ["mine:step"]},
                }
            ],
        }
    ],
}


def test_settings_bind_what_they_name(tmp_path):
    write(tmp_path, "score = build = loss = fraction = step = print\n")
    settings = validate_settings(CONTENT, "goldfold.toml", tmp_path)
    named = own_objects(settings)
    assert [parse(one).name for one in named.values()] == [
        "score", "build", "fraction", "loss", "step",
    ]  # fmt: skip
    assert all(parse(one).digest for one in named.values())
    stage = settings.models[0].stages[0]
    assert (stage.loss.dice, *stage.loss.own.values()) == (0.5, 1.0)
    again = validate_settings(settings.model_dump(mode="json"), "run.json", tmp_path)
    assert again == settings
    write(tmp_path, "score = build = loss = fraction = step = len\n")
    assert validate_settings(CONTENT, "goldfold.toml", tmp_path) != settings


def test_all_modules_that_lack_are_named_at_once(tmp_path):
    with pytest.raises(SettingsError) as raised:
        validate_settings(CONTENT, "goldfold.toml", tmp_path)
    text = str(raised.value)
    places = ["competition.metric", "architecture", "sampling.schedule", "loss.own", "steps"]
    assert all(place in text for place in places)
    assert text.count("does not exist; modules are looked for beside goldfold.toml") == 5


def test_settings_without_own_code_dump_as_before():
    settings = validate_settings({}, "goldfold.toml")
    stage = settings.models[0].stages[0].model_dump(mode="json")
    assert "own" not in stage["loss"]
    assert stage["augmentation"] == "light"
