import tomllib

import pytest

from goldfold.competitions.preset import (
    load_preset,
    load_settings,
    preset_names,
    read_recipe,
    recipe_description,
    recipe_names,
)
from goldfold.errors import InputError, SettingsError


def write(tmp_path, text):
    path = tmp_path / "goldfold.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_shipped_presets():
    assert {"siim-acr-pneumothorax", "tgs-salt"} <= set(preset_names())
    assert load_preset("tgs-salt")["metric"] == "mean-iou-thresholds"
    assert recipe_names("siim-acr-pneumothorax")[0] == "default"
    assert tomllib.loads(read_recipe("tgs-salt", "default"))["models"]


@pytest.mark.parametrize("preset", preset_names())
def test_every_recipe_is_read_from_a_file_as_it_stands(tmp_path, preset):
    for recipe in recipe_names(preset):
        head = f'[competition]\npreset = "{preset}"\n\n'
        settings = load_settings(write(tmp_path, head + read_recipe(preset, recipe)))
        assert settings.competition.title
        assert settings.competition.preset == preset


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(
        InputError, match=r"no preset 'tgs_salt'; the presets are .*Did you mean 'tgs-salt"
    ):
        load_preset("tgs_salt")
    with pytest.raises(
        InputError, match=r"no recipe 'quik'; it has default, .*Did you mean 'quick'"
    ):
        read_recipe("tgs-salt", "quik")
    with pytest.raises(InputError, match="no recipe 'competition'"):
        read_recipe("tgs-salt", "competition")


def test_the_preset_lies_beneath_the_file_and_the_assignments_above(tmp_path):
    path = write(tmp_path, '[competition]\npreset = "tgs-salt"\nlabels.id_column = "name"\n')
    settings = load_settings(path, ["competition.labels.rle_column=rle", "folds.count=3"])
    assert settings.competition.labels.id_column == "name"
    assert settings.competition.labels.rle_column == "rle"
    assert settings.competition.labels.dialect == "kaggle"
    assert settings.folds.count == 3


def test_the_preset_may_be_set_by_assignment(tmp_path):
    settings = load_settings(write(tmp_path, ""), ["competition.preset=tgs-salt"])
    assert settings.competition.metric == "mean-iou-thresholds"


@pytest.mark.parametrize(
    ("text", "data"),
    [("", "data"), ('[competition]\ndata = "../x"\n', "../x"), ('[competition]\ndata="/y"', "/y")],
)
def test_the_data_folder_counts_from_the_file(tmp_path, text, data):
    assert load_settings(write(tmp_path, text)).competition.data == tmp_path / data


def test_problems_name_the_file_and_come_all_at_once(tmp_path):
    path = write(
        tmp_path, '[competition]\npreset = "tgs-salt"\nmetrik = "dice"\n[folds]\ncount = 1\n'
    )
    with pytest.raises(SettingsError) as caught:
        load_settings(path, ["workers=-1"])
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path} has 3 problems:"
    assert lines[1].strip() == "competition.metrik: unknown setting. Did you mean 'metric'?"
    assert [line.split(":")[0].strip() for line in lines[2:4]] == ["folds.count", "workers"]


@pytest.mark.parametrize("text", ["competition = 5\n", "[competition]\npreset = 5\ndata = 3\n"])
def test_wrong_types_are_problems_not_crashes(tmp_path, text):
    with pytest.raises(SettingsError, match="competition"):
        load_settings(write(tmp_path, text))


def test_an_unknown_preset_in_the_file(tmp_path):
    with pytest.raises(InputError, match="there is no preset 'x'"):
        load_settings(write(tmp_path, '[competition]\npreset = "x"\n'))


def test_assignments_change_single_values_of_the_preset(tmp_path):
    path = write(tmp_path, '[competition]\npreset = "tgs-salt"\n')
    settings = load_settings(path, ["competition.tables.0.required=true"])
    assert settings.competition.tables[0].required is True
    assert settings.competition.tables[0].file == "depths.csv"


def test_a_preset_by_assignment_lies_beneath_the_other_assignments(tmp_path):
    words = ["competition.tables.0.file=deep.csv", "competition.preset=tgs-salt"]
    assert load_settings(write(tmp_path, ""), words).competition.tables[0].file == "deep.csv"


def test_a_recipe_is_described_by_its_first_comment():
    described = {
        (preset, recipe): recipe_description(preset, recipe)
        for preset in preset_names()
        for recipe in recipe_names(preset)
    }
    assert described["tgs-salt", "default"] == "One GPU"
    assert all(described.values())
