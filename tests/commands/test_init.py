"""`goldfold init`."""

import tomllib

import pytest

from goldfold.competitions.preset import load_settings, preset_names, recipe_names


def test_it_says_what_it_found_and_what_comes_next(data, invoke, tmp_path):
    run = tmp_path / "my runs" / "first"
    done = invoke("init", "siim-acr-pneumothorax", "--data", data, "-o", run)
    assert done.code == 0
    assert done.out.splitlines() == [
        "SIIM-ACR Pneumothorax Segmentation",
        "  training images: 24",
        "  test images: 8",
        "  labels: train-rle.csv, 27 rows of 25 images, 72.0% empty",
        "  sample submission: stage_2_sample_submission.csv",
        "  nih_id.csv (patient): not there",
        f"wrote {run / 'goldfold.toml'}",
        f"next: goldfold check '{run}'",
    ]
    assert [path.name for path in run.iterdir()] == ["goldfold.toml"]


@pytest.mark.parametrize("recipe", recipe_names("siim-acr-pneumothorax"))
def test_the_recipe_is_written_with_its_comments(data, invoke, tmp_path, recipe):
    words = ["--data", data, "-o", tmp_path / "run", "--recipe", recipe]
    assert invoke("init", "siim-acr-pneumothorax", *words).code == 0
    text = (tmp_path / "run" / "goldfold.toml").read_text()
    assert text.count("#") >= 2
    settings = load_settings(tmp_path / "run" / "goldfold.toml")
    assert settings.competition.title == "SIIM-ACR Pneumothorax Segmentation"
    assert settings.competition.data.resolve() == data


def test_assignments_are_written(data, invoke, tmp_path):
    words = ["--data", data, "-o", tmp_path / "run", "--set", "folds.count=7"]
    done = invoke("init", "siim-acr-pneumothorax", *words, "--set", "models.0.encoder=resnet50")
    assert done.code == 0
    content = tomllib.loads((tmp_path / "run" / "goldfold.toml").read_text())
    assert content["folds"]["count"] == 7
    assert content["models"][0]["encoder"] == "resnet50"


def test_a_relative_data_folder_counts_from_goldfold_toml(data, invoke, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert invoke("init", "siim-acr-pneumothorax", "--data", "data", "-o", "runs/first").code == 0
    content = tomllib.loads((tmp_path / "runs/first/goldfold.toml").read_text())
    assert content["competition"]["data"] == "../../data"
    monkeypatch.chdir(tmp_path / "runs")
    assert invoke("check", "first").code == 0


def test_the_same_again_changes_nothing(fresh, data, invoke, init_run):
    path = fresh / "goldfold.toml"
    before = path.read_bytes()
    init_run(data, fresh)
    assert path.read_bytes() == before


def test_the_presets_are_listed(invoke):
    listed = invoke("config", "schema", "--presets")
    assert listed.code == 0
    for name in preset_names():
        assert name in listed.out
        for recipe in recipe_names(name):
            assert recipe in listed.out
