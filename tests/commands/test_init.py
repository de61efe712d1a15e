"""`goldfold init`."""

import tomllib

import pytest

from goldfold.competitions.preset import load_settings, preset_names, read_recipe, recipe_names


def test_it_says_what_it_found_and_what_comes_next(data, invoke, tmp_path):
    run = tmp_path / "my runs" / "first"
    done = invoke("init", "siim-acr-pneumothorax", "--data", data, "-o", run)
    assert done.code == 0
    assert done.out.splitlines() == [
        "SIIM-ACR Pneumothorax Segmentation",
        "  recipe: default (A first serious run on one GPU)",
        "  other recipes:",
        "    demo (What `goldfold demo` trains)",
        "    double-unet (DoubleU-Net, a second U-Net that is fed the image times the first one's "
        "mask)",
        "    modern (What we would enter the competition with today, on one GPU of 24 GB or more)",
        "    quick (For a CPU, to try the whole pipeline before a long run)",
        "    siim-1st-place (The 1st place of 2019, three networks)",
        "    siim-4th-place (The 4th place of 2019, one resnet34 U-Net with a classification "
        "branch on its encoder)",
        "    unet-plus-plus (UNet++ with an efficientnet-b4 encoder at 512 px)",
        "    uxception (UXception, a U-Net on an Xception encoder at 256 px with SWA)",
        "    vanilla-unet (The plain U-Net from scratch that most public notebooks of the "
        "competition begin with)",
        "  training images: 24",
        "  test images: 8",
        "  labels: train-rle.csv, 27 rows of 25 images, 72.0% empty",
        "  sample submission: stage_2_sample_submission.csv",
        "  nih_id.csv (patient): not found; without it images of one patient may be split over "
        "folds, unless the DICOM headers tell",
        f"wrote {run / 'goldfold.toml'}",
        f"next: goldfold check '{run}'",
    ]
    assert [path.name for path in run.iterdir()] == ["goldfold.toml"]


def test_it_says_how_long_training_takes_here(data, invoke, tmp_path, monkeypatch):
    monkeypatch.setattr("goldfold.pipeline.time_process.MOST_SECONDS", 250.0)  # busy machines
    words = ["siim-acr-pneumothorax", "--data", data, "-o", tmp_path / "run", "--recipe", "demo"]
    done = invoke("init", *words, "--measure")
    (line,) = [line for line in done.out.splitlines() if line.startswith("training: ")]
    assert " for 5 folds, 280 images seen in each; measured on CPU, 1 thread, float32" in line
    assert "goldfold train plan" in line
    assert "training: " not in invoke("init", *words).out


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
    text = (tmp_path / "run" / "goldfold.toml").read_text()
    content = tomllib.loads(text)
    assert content["folds"]["count"] == 7
    assert content["models"][0]["encoder"] == "resnet50"
    recipe = read_recipe("siim-acr-pneumothorax", "default").splitlines()
    changed = {"count = 5", 'encoder = "resnet34"'}
    kept = [line for line in recipe if line and line not in changed]
    assert changed < set(recipe)
    assert [line for line in text.splitlines() if line in kept] == kept  # comments and order, too


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


def test_assignments_change_what_the_preset_says_and_are_read_again(data, invoke, tmp_path):
    words = ["init", "siim-acr-pneumothorax", "--data", data, "-o", tmp_path / "run"]
    for one in (
        "competition.tables.0.required=false",
        "competition.images.shape=[96, 96]",
        'competition.labels.files=["train-rle.csv"]',
    ):
        words += ["--set", one]
    assert invoke(*words).code == 0
    content = tomllib.loads((tmp_path / "run" / "goldfold.toml").read_text())["competition"]
    assert content["images"] == {"shape": [96, 96]}  # the rest is the preset's
    assert content["tables"][0]["columns"] == {"patient": "NIH_ID"}
    settings = load_settings(tmp_path / "run" / "goldfold.toml")
    assert settings.competition.images.shape == (96, 96)
    assert settings.competition.images.metadata == "dicom"
    assert settings.competition.tables[0].required is False


def test_a_table_that_an_assignment_replaces_loses_what_the_preset_has(data, invoke, tmp_path):
    words = ["init", "siim-acr-pneumothorax", "--data", data, "-o", tmp_path / "run", "--set"]
    assert invoke(*words, 'competition.images={train=["dicom-images-train/**/*.dcm"]}').code == 0
    images = load_settings(tmp_path / "run" / "goldfold.toml").competition.images
    assert (images.test, images.metadata, len(images.train)) == ([], "none", 1)


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("competition.data=elsewhere", "use --data"),
        ("competition.preset=tgs-salt", "use the first argument"),
        ("competition={}", "use --data"),
        ("competition.tables.1.required=true", "no item '1'"),
        ("competition.tables.0.file=5", "competition.tables.0.file"),
    ],
)
def test_an_assignment_that_init_cannot_write(data, invoke, tmp_path, assignment, words):
    run = tmp_path / "run"
    done = invoke("init", "siim-acr-pneumothorax", "--data", data, "-o", run, "--set", assignment)
    assert (done.code, words in done.err) == (2, True), done.err
    assert not run.exists()


def test_a_data_folder_far_away_is_written_absolutely(data, invoke, tmp_path):
    for run, expected in (
        (tmp_path / "a" / "b" / "c", "../../../data"),
        (tmp_path / "a" / "b" / "c" / "d", data.as_posix()),
    ):
        assert invoke("init", "siim-acr-pneumothorax", "--data", data, "-o", run).code == 0
        content = tomllib.loads((run / "goldfold.toml").read_text())
        assert content["competition"]["data"] == expected
        assert load_settings(run / "goldfold.toml").competition.data.resolve() == data


def test_no_training_images_are_warned_of(data, invoke, tmp_path):
    words = ["--set", 'competition.images.train=["no/*.dcm", "none/*.png"]']
    done = invoke("init", "siim-acr-pneumothorax", "--data", data, "-o", tmp_path / "run", *words)
    assert done.code == 0
    assert "  training images: 0" in done.out.splitlines()
    assert f"warning: no training images in {data}" in done.err
    assert "no/*.dcm or none/*.png" in done.err
