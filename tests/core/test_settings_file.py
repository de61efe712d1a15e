import pytest

from goldfold.errors import SettingsError
from goldfold.schema_errors import _PATTERNS
from goldfold.settings import Settings
from goldfold.settings_file import merge, override, read_toml, validate_settings


def problems(content):
    """Return the lines between the title and the remedy."""
    with pytest.raises(SettingsError) as caught:
        validate_settings(content, "a.toml")
    lines = str(caught.value).splitlines()
    count = len(lines) - 2
    assert lines[0] == f"a.toml has {count} problem{'s' if count != 1 else ''}:"
    assert lines[-1] == "`goldfold config schema` lists every setting."
    return [line.strip() for line in lines[1:-1]]


# --- reading -------------------------------------------------------------------------------------


def test_a_file(tmp_path):
    (tmp_path / "a.toml").write_text('[folds]\ncount = 3\n[[models]]\nname = "ä"\n', "utf-8")
    content = read_toml(tmp_path / "a.toml")
    assert content == {"folds": {"count": 3}, "models": [{"name": "ä"}]}


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SettingsError, match=r"no\.toml does not exist\. `goldfold init PRESET"):
        read_toml(tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("[folds]\ncount = = 3\n")
    with pytest.raises(SettingsError, match=r"bad\.toml is not valid TOML: .*line 2, column 9"):
        read_toml(tmp_path / "bad.toml")
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe4"')
    with pytest.raises(SettingsError, match=r"cannot read .*latin\.toml"):
        read_toml(tmp_path / "latin.toml")
    with pytest.raises(SettingsError, match="cannot read"):
        read_toml(tmp_path)


# --- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"fold": {}}, "fold: unknown setting. Did you mean 'folds'?"),
        ({"folds": {"cuont": 3}}, "folds.cuont: unknown setting. Did you mean 'count'?"),
        (
            {"models": [{}, {"name": "b", "stages": [{"sampling": {"shedule": 1}}]}]},
            "models.1.stages.0.sampling.shedule: unknown setting. Did you mean 'schedule'?",
        ),
        (
            {"submission": {"qqq": 1}},
            "submission.qqq: unknown setting. Known: file.",
        ),
        ({"folds": 5}, "folds: expected a table (found 5)"),
        ({"folds": {"count": "5"}}, 'folds.count: expected a whole number (found "5")'),
        ({"folds": {"count": True}}, "folds.count: expected a whole number (found true)"),
        (
            {"models": [{"stages": [{"sampling": {"start": "natrual"}}]}]},
            "models.0.stages.0.sampling.start: expected a number or 'natural' (found \"natrual\")",
        ),
        (
            {"models": [{"options": {"a": {"b": 1}}}]},
            "models.0.options.a: expected text, a number, true or false or a list (found a table)",
        ),
        (
            {"models": [{"options": {"a": [1.5]}}]},
            "models.0.options.a: expected text, a number, true or false or a list whose items are "
            "each a whole number (found a list of 1)",
        ),
        ({"folds": {"train": 3}}, "folds.train: expected a list (found 3)"),
        ({"folds": {"count": 1}}, "folds.count: expected at least 2 (found 1)"),
        ({"folds": {"count": 21}}, "folds.count: expected at most 20 (found 21)"),
        ({"models": {}}, "models: expected a list (found a table)"),
        ({"models": [3]}, "models.0: expected a table (found 3)"),
        ({"models": []}, "models: expected at least 1 item (found a list of 0)"),
        (
            {"models": [{"name": "my net"}]},
            "models.0.name: expected text of letters, digits, '.', '_' and '-' that begins with a "
            'letter or digit (found "my net")',
        ),
        (
            {"submission": {"file": "a/b.csv"}},
            "submission.file: expected text of letters, digits, '.', '_' and '-' that begins with "
            'a letter or digit and ends with .csv (found "a/b.csv")',
        ),
        ({"models": [{"channels": 2}]}, "models.0.channels: expected 1 or 3 (found 2)"),
        (
            {"models": [{"stages": [{"image_size": 50}]}]},
            "models.0.stages.0.image_size: expected a multiple of 32 from 32 to 4096, or [height, "
            "width] of such (found 50)",
        ),
        (
            {"models": [{"stages": [{"learning_rate": 0}]}]},
            "models.0.stages.0.learning_rate: expected more than 0 (found 0)",
        ),
        (
            {"models": [{"stages": [{"sampling": {"start": 2.0}}]}]},
            "models.0.stages.0.sampling.start: expected at most 1 or 'natural' (found 2.0)",
        ),
        (
            {"models": [{"stages": [{"loss": {"bce": 0, "dice": 0}}]}]},
            "models.0.stages.0.loss: at least one weight of a loss over pixels or classes must be "
            "above 0",
        ),
        (
            {"competition": {"images": {"shape": [5]}}},
            "competition.images.shape.1: is missing",
        ),
        (
            {"competition": {"images": {"shape": [5, 6, 7]}}},
            "competition.images.shape: expected at most 2 items (found a list of 3)",
        ),
        (
            {"competition": {"images": {"metadata": "x" * 80}}},
            "competition.images.metadata: expected 'none' or 'dicom' (found \"" + "x" * 59 + "...)",
        ),
        (
            {"inference": {"allow_missing_folds": "yes"}},
            'inference.allow_missing_folds: expected true or false (found "yes")',
        ),
        ({"competition": {"data": 3}}, "competition.data: expected text (found 3)"),
        (
            {"competition": {"labels": {"kind": "masks", "masks": [["{id}"]], "values": ["red"]}}},
            'competition.labels.values: a value is a level 1, a range "128..255" or a colour '
            '"#ff0000", found "red"',
        ),
        (
            {"submission": {"file": "folds.csv"}},
            'submission.file: the run directory has another file of that name (found "folds.csv")',
        ),
        (
            {"models": [{"name": "a"}, {"name": "a"}]},
            "models: model names must be different, found ['a', 'a']",
        ),
        (
            {"competition": {"tables": [{"file": "a", "columns": {}}]}},
            "competition.tables.0.id_column: is missing",
        ),
        (
            {"ensemble": {"members": ["x"]}},
            "ensemble.members names 'x', but the models are unet-resnet34.",
        ),
    ],
)
def test_a_problem_is_one_line_with_its_place(content, line):
    assert problems(content) == [line]


def test_every_pattern_of_the_settings_has_words():
    def patterns(part):
        if isinstance(part, dict):
            found = {part["pattern"]} if isinstance(part.get("pattern"), str) else set()
            return found.union(*(patterns(one) for one in part.values()))
        return set().union(*(patterns(one) for one in part)) if isinstance(part, list) else set()

    assert patterns(Settings.model_json_schema()) == set(_PATTERNS)


def test_all_problems_are_shown_at_once():
    content = {
        "folds": {"cuont": 3, "count": 30},
        "models": [{"nme": "x", "stages": [{"epochs": 0}]}],
        "workers": -1,
    }
    assert [line.split(":")[0] for line in problems(content)] == [
        "folds.count", "folds.cuont", "models.0.stages.0.epochs", "models.0.nme", "workers",
    ]  # fmt: skip


def test_good_settings_come_typed():
    settings = validate_settings(
        {
            "competition": {
                "data": "x/y",
                "images": {"shape": [5, 6]},
                "labels": {"size": [7, 8]},
                "submission": {"size": [9, 10]},
            },
            "models": [
                {"architecture": "FPN", "options": {"decoder_dropout": 0.5, "upsampling": 4}},
                {"name": "b", "options": {"decoder_channels": [2, 1], "decoder_use_norm": True}},
            ],
        },
        "a.toml",
    )
    assert settings.competition.data.as_posix() == "x/y"
    assert settings.competition.images.shape == (5, 6)
    assert settings.competition.labels.size == (7, 8)
    assert settings.competition.submission.size == (9, 10)
    assert settings.models[0].options == {"decoder_dropout": 0.5, "upsampling": 4}
    assert settings.models[1].options == {"decoder_channels": [2, 1], "decoder_use_norm": True}
    assert settings.models[1].options["decoder_use_norm"] is True


# --- --set and presets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("a.b=3", 3),
        ("a.b=1e-3", 1e-3),
        ("a.b=true", True),
        ("a.b=[0, 1]", [0, 1]),
        ("a.b={ x = 1 }", {"x": 1}),
        ("a.b='quoted'", "quoted"),
        ("a.b=plain text", "plain text"),
        ("a.b=a=b", "a=b"),
        (" a.b = 3 ", 3),
        ("a.b=", ""),
    ],
)
def test_values_are_written_as_in_toml_or_plainly(assignment, value):
    assert override({}, [assignment]) == {"a": {"b": value}}


def test_lists_are_reached_by_number_and_the_last_assignment_counts():
    content = {"models": [{"name": "a"}, {"name": "b"}]}
    changed = override(content, ["models.1.name=c", "models.1.stages.x=1", "models.1.name=d"])
    assert changed == {"models": [{"name": "a"}, {"name": "d", "stages": {"x": 1}}]}
    assert content == {"models": [{"name": "a"}, {"name": "b"}]}


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("folds.count", r"'folds\.count': expected KEY=VALUE, for example folds\.count=5"),
        ("=5", "expected KEY=VALUE"),
        ("models.2.name=x", r"no item '2' \(there are 0 to 1\)"),
        ("models.-1.name=x", r"no item '-1'"),
        ("models.\N{SUPERSCRIPT TWO}.name=x", "no item"),
        ("models.name=x", r"no item 'name' \(there are 0 to 1\)"),
        ("empty.0=x", r"no item '0' \(there are none: the list is empty\)"),
        ("workers.count=2", "workers is a value, not a table"),
    ],
)
def test_assignments_that_make_no_sense(assignment, words):
    content = {"models": [{}, {}], "empty": [], "workers": 2}
    with pytest.raises(SettingsError, match=words):
        override(content, [assignment])


def test_tables_are_merged_key_by_key_and_all_else_is_replaced():
    beneath = {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2], "c": {"x": 1}}
    above = {"a": {"y": {"w": 3}}, "b": [3], "c": 5}
    merged = {"a": {"x": 1, "y": {"z": 2, "w": 3}}, "b": [3], "c": 5}
    assert merge(beneath, above) == merged
    assert beneath["a"] == {"x": 1, "y": {"z": 2}}
