"""Networks that are shown neighbouring slices, from the files to a submission and an export."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.image import read_image, reading_of
from goldfold.competitions.resize import resize_image
from goldfold.competitions.synthetic.hemorrhage import synthesize_hemorrhage
from goldfold.inference.reader import MapReader
from goldfold.pipeline import read_model
from goldfold.pipeline.image_caches import training_cache, unlabelled_cache
from goldfold.pipeline.open_run import OpenRun
from goldfold.settings import ModelSettings

CLASSES = ("large_bowel", "small_bowel", "stomach")
MODEL = (
    'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]}, '
    "neighbours=[-1,0,1], stages=[{epochs=1, image_size=64, batch_size=8, learning_rate=5e-3}]}]"
)
SETTINGS = [
    MODEL, "folds.count=2", "inference.checkpoints=1", "ensemble.bootstrap_samples=100",
    "workers=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory, invoke):
    """Return the run directory of a whole run on slices; nobody changes it."""
    folder = tmp_path_factory.mktemp("slices")
    data, run = folder / "data", folder / "run"
    made = invoke("competition", "synthesize", data, "--like", "uw-madison", "--train", 32,
                  "--test", 8, "--size", 80)  # fmt: skip
    assert made.code == 0, made.err
    words = [word for one in SETTINGS for word in ("--set", one)]
    begun = invoke("init", "uw-madison", "--data", data, "-o", run, "--recipe", "slices", *words)
    assert begun.code == 0, begun.err
    done = invoke("run", run)
    assert done.code == 0, done.err
    return run


def images_of(run):
    return pd.read_csv(run / "images.csv", dtype=str, keep_default_na=False)


def test_the_run_ends_with_a_correct_submission_and_is_up_to_date(run, invoke):
    sample = run.parent / "data" / "sample_submission.csv"
    words = ["--sample", sample, "--competition", run]
    checked = invoke("submit", "check", run / "submission.csv", *words)
    assert (checked.code, "correct" in checked.out) == (0, True), checked.out
    again = invoke("run", run)
    assert again.code == 0
    assert "train tiny seed-0 fold-0: up to date" in again.err
    assert "building" not in again.err
    facts = json.loads(next(run.glob("models/**/checkpoints/*.json")).read_text())
    assert facts["channels"] == 3


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_networks_of_a_run_see_the_slices_of_their_day_in_order(run, split):
    opened = OpenRun.open(run)
    model = opened.settings.models[0]
    cache = (training_cache if split == "train" else unlabelled_cache)(opened, 64, model)
    table = images_of(run)
    table = table[(table["split"] == split) & ((table["labelled"] == "True") | (split == "test"))]
    reading, data = reading_of(opened.settings.competition.images), run.parent / "data"

    def alone(path):
        return resize_image(read_image(data / path, 1, reading=reading), 64, 64)

    seen = 0
    for _, day in table.groupby(["patient", "day"]):
        slices = day.assign(number=day["slice"].astype(int)).sort_values("number")
        paths = list(slices["path"])
        for place, image_id in enumerate(slices["image_id"]):
            around = [paths[max(place - 1, 0)], paths[place], paths[min(place + 1, len(paths) - 1)]]
            image = cache.image(int(cache.rows([image_id])[0]))
            assert (image == np.stack([alone(path) for path in around], axis=-1)).all()
            seen += 1
    assert seen == len(cache)


def test_the_windows_of_neighbouring_slices_are_nine_channels(tmp_path, invoke):
    preset = "rsna-intracranial-hemorrhage"
    synthesize_hemorrhage(tmp_path / "data", train=14, test=6, size=64, seed=0)
    words = ["--data", tmp_path / "data", "-o", tmp_path / "run", "--recipe", "slices"]
    assert invoke("init", preset, *words).code == 0
    opened = OpenRun.open(tmp_path / "run")
    (model,) = opened.settings.models
    assert (model.inputs, model.own_channels) == (9, slice(3, 6))
    cache = training_cache(opened, 32, model)
    table = images_of(tmp_path / "run").query("split == 'train'")
    reading = reading_of(opened.settings.competition.images)
    for _, series in table.groupby("series"):
        order = series.assign(z=series["position_mm"].astype(float)).sort_values("z")
        paths = [tmp_path / "data" / path for path in order["path"]]
        for place, image_id in enumerate(order["image_id"]):
            near = [max(place - 1, 0), place, min(place + 1, len(paths) - 1)]
            parts = [resize_image(read_image(paths[n], 3, reading=reading), 32, 32) for n in near]
            image = cache.image(int(cache.rows([image_id])[0]))
            assert (image == np.concatenate(parts, axis=-1)).all()


# --- single images -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(run, invoke, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    done = invoke("export", run, "-o", folder)
    assert done.code == 0, done.err
    return folder


def test_a_folder_is_predicted_as_the_run_predicts_its_slices(run, exported, invoke):
    (member,) = json.loads((exported / "model.json").read_text())["members"]
    assert (member["channels"], member["neighbours"]) == (1, [-1, 0, 1])
    table = images_of(run).query("split == 'test'")
    scans = {str((run.parent / "data" / path).parent) for path in table["path"]}
    assert len(scans) == 1
    done = invoke("predict", "image", exported, *scans, "--json")
    assert done.code == 0, done.err
    assert "8 images, by name" in done.err
    by_file = {Path(one["file"]).name: one["masks"] for one in done.json["images"]}
    assert len(by_file) == len(table) == 8
    stores = list(run.glob("predictions/tiny/seed-0/fold-*/test.maps"))
    differing = 0
    for name in CLASSES:
        readers = [MapReader(store, name) for store in stores]
        for image_id, path in zip(table["image_id"], table["path"], strict=True):
            highest = by_file[Path(path).name][name]["highest_probability"]
            maps = np.stack([reader.read(image_id) for reader in readers]).astype(int)
            assert abs(highest - (maps.sum(axis=0).max() / 2 + 0.5) / 256) <= 2 / 256
            differing += int(np.ptp([reader.read(image_id).max() for reader in readers]) > 0)
    assert differing  # the folds are different networks


def test_a_single_image_stands_in_for_its_neighbours_and_the_user_is_told(exported, run, invoke):
    path = run.parent / "data" / images_of(run).query("split == 'test'")["path"].iloc[3]
    done = invoke("predict", "image", exported, path, "--json")
    assert done.code == 0, done.err
    assert f"{path}: alone, so it stands in for its neighbours" in done.err
    model = read_model(exported)
    alone = model.predict(path).masks["stomach"].levels
    thrice = list(model.predict_sequence([path] * 3))[1].masks["stomach"].levels
    assert (alone == thrice).all()
    other = path.with_name(sorted(p.name for p in path.parent.iterdir())[0])
    between = list(model.predict_sequence([other, path, other]))[1].masks["stomach"].levels
    assert (between != alone).any()


def test_an_unreadable_slice_and_its_neighbours_are_problems_the_others_are_predicted(
    exported, run, invoke, tmp_path
):
    source = (run.parent / "data" / images_of(run).query("split == 'test'")["path"].iloc[0]).parent
    shutil.copytree(source, tmp_path / "scan")
    paths = sorted((tmp_path / "scan").iterdir())
    paths[0].write_bytes(b"nothing")
    done = invoke("predict", "image", exported, *paths, "--json")
    assert done.code == 2
    assert [Path(one["file"]) for one in done.json["images"]] == paths[2:]
    own, neighbour = done.json["problems"]
    assert own.startswith(f"cannot read {paths[0]}")
    assert neighbour.startswith(f"{paths[1]} cannot be predicted with its neighbours: cannot read")


# --- what is refused, what is stale --------------------------------------------------------------


def test_folds_that_split_a_day_are_refused_with_the_way_out(run, invoke, tmp_path):
    shutil.copy(run / "goldfold.toml", tmp_path)
    loose = ["--set", "folds.group=none", "--set", 'folds.not_groups=["patient", "day", "case"]',
             "--set", f'competition.data="{run.parent / "data"}"']  # fmt: skip
    for command in (["folds", "build"], ["run"]):
        done = invoke(*command, tmp_path, *loose)
        assert done.code == 2
        assert "neighbouring images lie in several folds" in done.err
        assert " day0: 8 images in folds 0, 1" in done.err
        assert "Set folds.group" in done.err
    # Folds that were built for other models are refused when a model with neighbours is trained.
    plain = ["--set", "models.0.neighbours=[]"]
    assert invoke("folds", "build", tmp_path, *loose, *plain).code == 0
    done = invoke("train", "run", tmp_path, *loose)
    assert (done.code, "neighbouring images lie in several folds" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["models.0.neighbours=[0,0,0]"], "neighbours"),
        (["models.0.neighbours=[]"], "neighbours"),
        (['competition.images.sequence={group=["patient"], order="path"}'],
         "images have other neighbours than when it was trained"),
    ],
)  # fmt: skip
def test_trainings_with_other_neighbours_are_not_taken(run, invoke, tmp_path, changes, words):
    shutil.copytree(run, tmp_path / "run")
    words_of = [word for one in changes for word in ("--set", one)]
    data = f'competition.data="{run.parent / "data"}"'
    done = invoke("predict", "run", tmp_path / "run", *words_of, "--set", data)
    assert (done.code, words in done.err) == (2, True), done.err


def test_without_neighbours_nothing_is_recorded_of_them(run):
    from goldfold.pipeline.sequences import sequence_facts

    opened = OpenRun.open(run)
    assert sequence_facts(opened, ModelSettings(), "train") == {}
    assert {*sequence_facts(opened, opened.settings.models[0], "test")} == {
        "neighbours", "test_sequences",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("models.0.neighbours=[-1,1]", "neighbours must contain 0, the image itself"),
        ("models.0.neighbours=[0,1000]", "expected at most 100"),
        ("competition.images.sequence.order=slce", "names slce"),
    ],
)
def test_settings_that_make_no_sense(run, invoke, tmp_path, change, words):
    shutil.copy(run / "goldfold.toml", tmp_path)
    data = f'competition.data="{run.parent / "data"}"'
    done = invoke("folds", "build", tmp_path, "--set", change, "--set", data)
    assert (done.code, words in done.err) == (2, True), done.err
