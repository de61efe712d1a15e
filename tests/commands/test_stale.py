"""An image changed in place, size and time kept: nothing answers from what was made before."""

import os

import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.image import read_image
from goldfold.competitions.resize import resize_image
from goldfold.training.cache import ImageCache

TRAINED = "images changed since it was trained"


def first_image(run, split):
    """Return id and path of the first labelled training image, or of the first test image."""
    images = pd.read_csv(run / "images.csv", dtype=str, keep_default_na=False)
    chosen = images[(images["split"] == split) & (images["labelled"] == str(split == "train"))]
    return chosen.iloc[0]["image_id"], chosen.iloc[0]["path"]


def test_a_changed_training_image_leaves_nothing_up_to_date(
    copied, data, invoke, contents, change_in_place
):
    image_id, path = first_image(copied, "train")
    assert invoke("run", copied).err.count("up to date") >= 2 + 4  # trainings, predictions
    before = contents(copied)
    change_in_place(data / path)

    reason = f"{TRAINED}: {image_id}"
    planned = invoke("run", copied, "--dry-run")
    named = f"images changed since images.csv was written: {path}\n"
    assert (planned.code, planned.err.count(reason), named in planned.err) == (2, 2, True)
    assert contents(copied) == before
    assert named in invoke("folds", "build", copied).err

    for verb in ("run", "train run", "predict run", "ensemble run", "submit write"):
        done = invoke(*verb.split(), copied)
        assert (done.code, done.err.count(reason)) == (2, 2), (verb, done.err)
        assert "2 trainings are out of date:" in done.err
        assert f"`goldfold run {copied} --overwrite`" in done.err

    done = invoke("run", copied, "--overwrite")
    assert done.code == 0, done.err
    assert "image cache train-64-gray: building" in done.err
    said = [line for line in done.err.splitlines() if line.endswith("up to date")]
    # The fold that holds the image out learns nothing else, so its maps of other images stand.
    assert [line for line in said if not line.endswith("test: up to date")] == ["folds: up to date"]
    cache = ImageCache(copied / "cache", "train-64-gray")
    pixels = resize_image(read_image(data / path), 64, 64)
    np.testing.assert_array_equal(cache.pixels[cache.rows([image_id])[0]], pixels)
    for fold in (0, 1):
        name = f"predictions/tiny/seed-0/fold-{fold}/out-of-fold.maps"
        assert (copied / name).read_bytes() != before[name]


def test_a_changed_test_image_makes_predictions_and_submission_again(
    copied, data, invoke, change_in_place
):
    image_id, path = first_image(copied, "test")
    assert invoke("run", copied).code == 0
    change_in_place(data / path)
    for verb in (["submit", "write", copied], ["submit", "explain", copied, image_id]):
        done = invoke(*verb)
        assert (done.code, "test.maps was made from other images." in done.err) == (2, True), verb
    done = invoke("run", copied)
    assert done.code == 0, done.err
    assert done.err.count("predicting anew, because images changed") == 2
    assert done.err.count("up to date") == 1 + 2 + 2 + 1  # folds, trainings, out of fold, ensemble
    assert invoke("submit", "explain", copied, image_id).code == 0


def test_a_new_time_alone_changes_nothing(copied, data, invoke):
    assert invoke("run", copied).code == 0
    _, path = first_image(copied, "train")
    os.utime(data / path, ns=(1, 1))
    (data / path).chmod(0o600)
    done = invoke("run", copied)
    assert done.code == 0
    assert done.err.count("up to date") == 1 + 2 + 4 + 2
    assert "changed" not in done.err


def test_what_answers_from_the_ensemble_refuses_a_stale_one(copied, invoke, tmp_path):
    """`ensemble run` was forgotten after the predictions were made with other views."""
    image_id, _ = first_image(copied, "test")
    words = ["--set", "inference.views=none"]
    assert invoke("predict", "run", copied, *words).code == 0
    refused = {}
    for name, verb in {
        "write": ["submit", "write", copied],
        "explain": ["submit", "explain", copied, image_id],
        "export": ["export", copied, "-o", tmp_path / "model"],
    }.items():
        done = invoke(*verb, *words)
        assert done.code == 2, (name, done.out, done.err)
        refused[name] = done.err
    assert "ensemble.json was made from other out-of-fold predictions" in refused["write"]
    assert refused["explain"] == refused["write"] == refused["export"]
    assert invoke("ensemble", "run", copied, *words).code == 0
    assert invoke("submit", "explain", copied, image_id, *words).code == 0


def test_a_stale_submission_is_not_selected(copied, finished, data, invoke, change_in_place):
    assert invoke("submit", "select", copied, finished, "--tolerance", "1").code == 0
    change_in_place(data / first_image(copied, "test")[1])
    done = invoke("submit", "select", copied, finished, "--tolerance", "1")
    assert (done.code, "test.maps was made from other images." in done.err) == (2, True), done.err


def test_a_run_without_hashes_has_to_be_made_again(copied, invoke):
    """As an earlier version left it."""
    from goldfold.files import read_json, write_json

    record = copied / "stages" / "images.json"
    write_json(record, {"fingerprint": "0", "made_from": {"inputs": "1"}})
    for path in copied.glob("models/*/*/*/*/**/*.json"):
        content = read_json(path)
        if isinstance(content, dict) and "made_from" in content:
            content["made_from"]["data"] = "of ids, masks and sizes"
            del content["made_from"]["images"]
            write_json(path, content)
    done = invoke("train", "run", copied)
    earlier = "an earlier version of goldfold trained it"
    assert (done.code, done.err.count(earlier)) == (2, 2)
    assert invoke("run", copied).code == 2
    assert invoke("run", copied, "--overwrite").code == 0


@pytest.fixture(autouse=True)
def _settled(monkeypatch):
    """Remember the hashes of files that have just been written, as of older ones."""
    monkeypatch.setattr("goldfold.file_hashes.SETTLED_NS", 0)


def test_an_ensemble_that_is_not_whole_is_made_again(copied, invoke, tmp_path):
    before = (copied / "ensemble.json").read_text()
    (copied / "ensemble.json").write_text("{}")
    done = invoke("export", copied, "-o", tmp_path / "model")
    assert done.code == 2
    assert "holds no honest score" in done.err
    assert invoke("ensemble", "run", copied).code == 0
    assert (copied / "ensemble.json").read_text() == before
