"""Thirteen exclusive classes per pixel through every verb, from files of levels on."""

import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, jaccard_score

from goldfold.competitions.class_maps import IGNORED_NUMBER
from goldfold.competitions.rle import decode, get_dialect
from goldfold.ensemble.class_map_rule import (
    choose_areas,
    count_classes,
    count_pixels,
    decide,
    most_likely,
)
from goldfold.inference.reader import MapReader

PRESET = "cholecseg8k"
MODEL = (
    'models=[{name="tiny", encoder="tu-test_resnet", channels=3,'
    " options={decoder_channels=[16,8,8,8,8]}, stages=[{epochs=2, image_size=[64,96],"
    " batch_size=8, learning_rate=1e-3, loss={bce=0, cross_entropy=1, dice=1}}]}]"
)
SETTINGS = [
    MODEL, "folds.count=2", "inference.checkpoints=1", "ensemble.bootstrap_samples=100",
    "workers=1", 'competition.images.test=["test/*/*/frame_*_endo.png"]',
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory, invoke):
    folder = tmp_path_factory.mktemp("endoscopy") / "data"
    made = invoke(
        "competition", "synthesize", folder, "--like", PRESET, "--train", 16, "--test", 4,
        "--size", 96,
    )  # fmt: skip
    assert made.code == 0, made.err
    return folder


@pytest.fixture(scope="module")
def run(data, invoke):
    """Return a finished run; nobody changes its predictions."""
    folder = data.parent / "run"
    words = [word for one in SETTINGS for word in ("--set", one)]
    done = invoke("init", PRESET, "--data", data, "--recipe", "quick", "-o", folder, *words)
    assert done.code == 0, done.err
    assert "16 mask files" in done.out
    done = invoke("run", folder)
    assert done.code == 0, done.err
    return folder


def ok(done):
    assert done.code == 0, done.err
    return done


def test_the_run_reports_every_class_and_repeats_nothing(run, invoke):
    report = ok(invoke("ensemble", "run", run, "--json")).json
    assert len(report["least_areas"]) == len(report["measures"]) == 13
    assert report["least_areas"]["black_background"] == 0
    assert {fold["fold"] for fold in report["honest"]["folds"]} == {0, 1}
    again = ok(invoke("run", run))
    assert "submission: up to date" in again.out + again.err
    cache = np.load(run / "cache" / "train-64x96-rgb.masks.npy")
    assert set(np.unique(cache)) > {0, 12, IGNORED_NUMBER}  # one byte, the class number


def maps_of(run, fold, images):
    """Return the stored maps (13, H, W) and the painted truth (H, W) of a fold's images."""
    names = [name for name in images.columns if name.startswith("mask_rle:")]
    found = []
    with MapReader(run / f"predictions/tiny/seed-0/fold-{fold}/out-of-fold.maps") as reader:
        for image_id in reader.image_ids:
            row = images.loc[image_id]
            stack = reader.read(image_id).reshape(13, int(row["height"]), -1)
            sums = stack.astype(int).sum(axis=0)
            assert 255 - 13 <= sums.min() <= sums.max() <= 256  # a softmax, each rounded down
            true = np.zeros(stack.shape[1:], np.uint8)
            for number, name in enumerate(names, 1):
                mask = decode(row[name], *true.shape, get_dialect("kaggle"))
                true[mask > 0] = IGNORED_NUMBER if name.endswith("ignored") else number
            found.append((stack, true))
    return found


def test_the_measures_are_scikit_learns_of_maps_decided_by_the_other_fold(run):
    images = pd.read_csv(run / "images.csv", keep_default_na=False)
    images = images[images["split"] == "train"].set_index("image_id")
    folds = [maps_of(run, fold, images) for fold in (0, 1)]
    decided, true = [], []
    for own, other in (folds, folds[::-1]):
        areas = choose_areas(
            count_classes([count_pixels(*most_likely(s), t, 13) for s, t in other]), "dice"
        )
        decided += [decide(*most_likely(stack), areas).ravel() for stack, _ in own]
        true += [classes.ravel() for _, classes in own]
    decided, true = np.concatenate(decided), np.concatenate(true)
    known = true != IGNORED_NUMBER
    assert 0 < (~known).mean() < 0.1
    metrics = pd.read_csv(run / "metrics.csv")
    whole = metrics[metrics["fold"] == "all"]
    assert whole["true_px"].tolist() == np.bincount(true[known], minlength=13).tolist()
    for name, score in (("dice", f1_score), ("iou", jaccard_score)):
        there = whole["true_px"].to_numpy() > 0
        expected = score(
            true[known], decided[known], labels=range(13), average=None, zero_division=0
        )
        assert np.allclose(whole[name].to_numpy()[there], expected[there], atol=1e-5)


def test_views_averages_and_blends_are_compared(run, invoke):
    views = ok(invoke("predict", "views", run, "--view", "none", "--view", "hflip", "--json")).json
    assert [one["views"] for one in views[0]["sets"]] == ["none alone", "hflip alone", "all 2"]
    assert set(ok(invoke("ensemble", "average", run, "--json")).json["tiny"]["honest"]) == {
        "best", "predictions", "uniform", "greedy",
    }  # fmt: skip
    other = run.with_name("other")
    shutil.copytree(run, other)
    report = ok(invoke("ensemble", "blend", run, "--with", other, "--json")).json
    assert {one["merge"] for one in report["blends"]} == {"mean", "geometric", "logit"}
    assert len({round(one["honest"], 9) for one in report["blends"]}) == 1  # twice the same model
    words = ["--set", "ensemble.weights=hill-climb", "--set", "ensemble.merge=logit"]
    blended = ok(invoke("ensemble", "run", other, "--with", run, *words, "--json")).json
    assert sum(member["weight"] for member in blended["members"]) >= 1


def test_submissions_are_exclusive_scored_compared_and_selected(run, data, invoke):
    rows = pd.read_csv(run / "submission.csv", keep_default_na=False)
    assert len(rows) == 4 * 12
    for _, own in rows.groupby("id"):
        masks = [decode(text, 54, 96, get_dialect("kaggle")) for text in own["rle"]]
        assert np.sum(masks, axis=0).max() <= 1
    file, sample = run / "submission.csv", data / "sample_submission.csv"
    ok(invoke("submit", "check", file, "--sample", sample, "--competition", run))
    solution = data / "solution.csv"
    scored = ok(
        invoke("submit", "score", file, "--solution", solution, "--competition", run, "--json")
    ).json
    assert {"overall", "public", "private"} <= set(scored)
    compared = ok(invoke("submit", "compare", file, file, "--competition", run))
    assert "48 identical" in compared.out
    other = run.with_name("selected")
    shutil.copytree(run, other)
    ok(invoke("submit", "select", run, other))


def test_training_and_test_images_are_explained(run, invoke):
    images = pd.read_csv(run / "images.csv", keep_default_na=False)
    for split, told in (("train", True), ("test", False)):
        image_id = images.loc[images["split"] == split, "image_id"].iloc[0]
        facts = ok(invoke("submit", "explain", run, image_id, "--json")).json
        assert ("score" in str(facts)) is told
    assert len(list((run / "explained").glob("*.png"))) == 2


def test_pseudo_labels_teach_another_training(run, invoke):
    other = run.with_name("taught")
    shutil.copytree(run, other)
    ok(invoke("train", "pseudo-label", run, "--into", other, "--confidence", 0, "--labels", "soft"))
    with MapReader(other / "pseudo-labels" / "pseudo-labels" / "fold-0.maps") as reader:
        classes = reader.read(reader.image_ids[0])
    assert classes.shape == (54, 96)
    assert set(np.unique(classes)) <= {*range(13), IGNORED_NUMBER}
    words = ["--set", 'models.0.stages.0.pseudo_labels={name="pseudo-labels", share=0.3}']
    ok(invoke("train", "run", other, "--fold", 0, "--overwrite", *words))


def test_the_exported_model_decides_as_the_run_does(run, data, invoke, tmp_path):
    ok(invoke("export", run, "-o", tmp_path / "model"))
    image = next((data / "test").rglob("*_endo.png"))
    words = (image, "-o", tmp_path / "pictures", "--json")
    found = [
        ok(invoke("predict", "image", one, *words)).json["images"][0]["masks"]
        for one in (run, tmp_path / "model")
    ]
    assert found[0] == found[1]
    image_id = f"{image.parent.name}/{image.name.removesuffix('_endo.png')}"
    rows = pd.read_csv(run / "submission.csv", keep_default_na=False)
    submitted = rows[rows["id"] == image_id].set_index("class")["rle"].to_dict()
    assert {name: one["rle"] for name, one in found[0].items()} == submitted
    assert "the class of each pixel" in (tmp_path / "model" / "README.md").read_text()


def test_what_the_task_does_not_have_says_so(run, invoke):
    done = invoke("predict", "table", run, "-o", run / "x.csv")
    assert done.code == 2
    assert "the class of each pixel" in done.err
    assert "MapReader" in done.err
    for words in (("train", "plan", run), ("train", "preview", run)):
        ok(invoke(*words))


def test_a_changed_file_of_levels_is_noticed(run, data, invoke):
    """The last test, as images.csv is read again and the others ask the run as it was."""
    path = next(data.glob("video*/video*/*_watershed_mask.png"))
    before = path.read_bytes()
    levels = cv2.imread(str(path))
    levels[20:30, 20:30] = 21
    cv2.imwrite(str(path), levels)
    try:
        done = invoke("ensemble", "run", run)
    finally:
        path.write_bytes(before)
    assert done.code == 2
    assert f"mask files changed since images.csv was written: {path.parent.parent.name}" in done.err
