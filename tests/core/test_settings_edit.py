"""TOML edited in place: the content becomes what was asked for, the rest stays as it was."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldfold.settings_edit import edit_toml
from goldfold.settings_text import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    TEXT | st.integers(-(2**53), 2**53) | st.booleans() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["a", "b", "c d", ""])  # few, so that two tables share some
TABLES = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=3),
    lambda inner: st.dictionaries(
        KEYS, inner | st.lists(inner, min_size=1, max_size=2) | VALUES, max_size=3
    ),
    max_leaves=6,
)

WRITTEN = """\
# Ours, of March.
[competition]
preset = 'siim-acr-pneumothorax'   # the old release
data = "../data"

[folds]
seed  = 0        # never change
count = 5

# The model of the paper
[[models]]
name = "a"
encoder = "resnet18"    # or resnet34
options = { decoder_channels = [16, 8] }   # narrow

[[models.stages]]
epochs = 1_000          # long
learning_rate = 1e-3
loss = { bce = 1, class_weights = { any = 2.0 } }  # as they scored

  [[models.stages]]     # fine
  epochs = 2

[inference]
views = "hflip"
"""


def exactly(content):
    """Return content with the type of each value, since 1, 1.0 and True are equal in Python."""
    if isinstance(content, dict):
        return {key: exactly(value) for key, value in content.items()}
    if isinstance(content, list):
        return [exactly(value) for value in content]
    return type(content), content


def changed(change):
    """Return what an edit of WRITTEN gives, and which of its lines are removed and added."""
    content = tomllib.loads(WRITTEN)
    change(content)
    text = edit_toml(WRITTEN, content)
    assert exactly(tomllib.loads(text)) == exactly(content)
    before, after = WRITTEN.splitlines(), text.splitlines()
    return [line for line in before if line not in after], [
        line for line in after if line not in before
    ]


@given(TABLES, TABLES)
def test_any_content_becomes_any_other(before, after):
    text = to_toml(before)
    assert edit_toml(text, before) == text
    assert exactly(tomllib.loads(edit_toml(text, after))) == exactly(after)


def test_the_same_content_changes_no_byte():
    assert edit_toml(WRITTEN, tomllib.loads(WRITTEN)) == WRITTEN


@pytest.mark.parametrize(
    ("change", "removed", "added"),
    [
        (
            lambda c: c["folds"].update(count=7),
            ["count = 5"],
            ["count = 7"],
        ),
        (
            lambda c: c["folds"].update(seed=1),
            ["seed  = 0        # never change"],
            ["seed  = 1        # never change"],
        ),
        (
            lambda c: c["models"][0].update(encoder="resnet34"),
            ['encoder = "resnet18"    # or resnet34'],
            ['encoder = "resnet34"    # or resnet34'],
        ),
        (
            lambda c: c["models"][0]["stages"][0]["loss"].pop("class_weights"),
            ["loss = { bce = 1, class_weights = { any = 2.0 } }  # as they scored"],
            ["loss = { bce = 1 }  # as they scored"],
        ),
        (
            lambda c: c["models"][0]["stages"][1].update(learning_rate=1e-4),
            [],
            ["  learning_rate = 0.0001"],
        ),
        (
            lambda c: c["models"][0]["options"].update(decoder_dropout=0.1),
            ["options = { decoder_channels = [16, 8] }   # narrow"],
            ["options = { decoder_channels = [16, 8], decoder_dropout = 0.1 }   # narrow"],
        ),
        (
            lambda c: c["folds"].update(not_groups=["study"]),
            [],
            ['not_groups = ["study"]'],
        ),
        (
            lambda c: c.update(ensemble={"rule": "peak"}),
            [],
            ["[ensemble]", 'rule = "peak"'],
        ),
        (
            lambda c: c["models"][0]["stages"].pop(),
            ["  [[models.stages]]     # fine", "  epochs = 2"],
            [],
        ),
        (
            lambda c: c["models"][0].pop("options"),
            ["options = { decoder_channels = [16, 8] }   # narrow"],
            [],
        ),
        (
            lambda c: c["models"][0]["stages"][1].update(epochs=2.0),
            ["  epochs = 2"],
            ["  epochs = 2.0"],
        ),
    ],
)
def test_only_what_differs_is_touched(change, removed, added):
    assert changed(change) == (removed, added)


def test_more_models_come_after_the_ones_that_are_there():
    content = tomllib.loads(WRITTEN)
    content["models"].append({"name": "b", "stages": [{"epochs": 3}]})
    text = edit_toml(WRITTEN, content)
    assert tomllib.loads(text) == content
    assert all(line in text for line in WRITTEN.splitlines())
