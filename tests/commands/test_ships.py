"""A competition of objects, a row each, from files to the score of the submission (Airbus)."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.rle import encode, get_dialect

SIDE = 64
KAGGLE = get_dialect("kaggle")
TOML = """
workers = 1

[competition]
title = "Ships"
data = "../data"
metric = "f2-iou-thresholds"
images = { train = ["train_v2/*.jpg"], test = ["test_v2/*.jpg"], id_pattern = "([^/]+)$" }

[competition.labels]
files = ["train_ship_segmentations_v2.csv"]
dialect = "kaggle"

[competition.submission]
sample = ["sample_submission_v2.csv"]
dialect = "kaggle"
objects = true

[folds]
count = 2
group = "none"

[[models]]
name = "tiny"
encoder = "tu-test_resnet"
options = { decoder_channels = [16, 8, 8, 8, 8] }
stages = [{ epochs = 6, image_size = 64, batch_size = 8, learning_rate = 1e-2 }]

[inference]
checkpoints = 1

[ensemble]
bootstrap_samples = 100
post_processing = "auto"
"""


def scene(rng, ships):
    """Return an image (H, W, 3) and the masks of its ships, which do not touch."""
    picture = rng.integers(30, 60, (SIDE, SIDE, 3), dtype=np.uint8)
    masks = []
    for place in rng.permutation(4)[:ships]:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        top, left = 32 * (place // 2) + 6, 32 * (place % 2) + 6
        height, width = rng.integers(10, 20, 2)
        mask[top : top + height, left : left + width] = 1
        picture[mask > 0] = 220
        masks.append(mask)
    return picture, masks


def write_split(folder, rng, names):
    """Write images and return the rows of their table."""
    folder.mkdir(parents=True)
    rows = []
    for number, name in enumerate(names):
        picture, masks = scene(rng, number % 4)
        cv2.imwrite(str(folder / name), picture)
        rows += [(name, encode(one, KAGGLE)) for one in masks] or [(name, "")]
    return rows


def as_table(rows):
    return pd.DataFrame(rows, columns=["ImageId", "EncodedPixels"])


@pytest.fixture(scope="module")
def ships(tmp_path_factory, invoke):
    folder = tmp_path_factory.mktemp("ships")
    data, rng = folder / "data", np.random.default_rng(0)
    train = [f"{number:05x}.jpg" for number in range(24)]
    test = [f"t{number:04x}.jpg" for number in range(8)]
    rows = write_split(data / "train_v2", rng, train)
    as_table([*rows, rows[1]]).to_csv(data / "train_ship_segmentations_v2.csv", index=False)
    as_table(write_split(data / "test_v2", rng, test)).to_csv(folder / "truth.csv", index=False)
    sample = as_table([(name, "1 2") for name in test])
    sample.to_csv(data / "sample_submission_v2.csv", index=False)
    (folder / "run").mkdir()
    (folder / "run" / "goldfold.toml").write_text(TOML)
    done = invoke("run", folder / "run")
    assert done.code == 0, done.err
    return folder


def test_images_know_their_objects(ships, invoke):
    table = pd.read_csv(ships / "run/images.csv", dtype=str, keep_default_na=False)
    train = table[table["split"] == "train"].set_index("image_id")
    assert train["objects"].map(lambda cell: len(cell.split("|")) if cell else 0).tolist() == [
        number % 4 for number in range(24)
    ]
    assert (table.loc[table["split"] == "test", "objects"] == "").all()
    done = invoke("check", ships / "run")
    assert (
        "1 label row repeats an object of the same image; each counts once (in 1 image)" in done.out
    )


def test_the_score_of_the_run_is_one_of_objects(ships):
    report = json.loads((ships / "run/ensemble.json").read_text())
    assert report["metric"] == "f2-iou-thresholds"
    assert report["all_empty"] == pytest.approx(6 / 24)
    assert report["honest"]["score"] > 0.5
    assert (report["rule"]["bottom"]["level"] + 1) % 8 == 0
    facts = [json.loads(path.read_text()) for path in ships.glob("run/**/checkpoints/*.json")]
    assert max(one["score"] for one in facts) > 0.5


def test_the_submission_has_a_row_an_object(ships, invoke):
    run = ships / "run"
    words = ["--sample", ships / "data/sample_submission_v2.csv", "--competition", run]
    done = invoke("submit", "check", run / "submission.csv", *words)
    assert (done.code, "correct" in done.out) == (0, True), done.out
    rows = pd.read_csv(run / "submission.csv")
    assert rows["ImageId"].duplicated().any()
    words = ["--solution", ships / "truth.csv", "--competition", run]
    scores = invoke("submit", "score", run / "submission.csv", *words, "--json").json
    assert scores["metric"] == "f2-iou-thresholds"
    assert scores["overall"]["score"] > 0.5
    assert scores["overall"]["all_empty"] == pytest.approx(2 / 8)
    perfect = invoke("submit", "score", ships / "truth.csv", *words, "--json").json
    assert perfect["overall"]["score"] == 1


def test_objects_of_a_submission_may_not_overlap(ships, invoke, tmp_path):
    truth = pd.read_csv(ships / "truth.csv", keep_default_na=False)
    doubled = pd.concat([truth, truth[truth["EncodedPixels"] != ""].head(1)])
    doubled.to_csv(tmp_path / "doubled.csv", index=False)
    words = ["--solution", ships / "truth.csv", "--competition", ships / "run"]
    done = invoke("submit", "score", tmp_path / "doubled.csv", *words)
    assert (done.code, "1 image has objects that overlap" in done.err) == (2, True)
    words[1] = tmp_path / "doubled.csv"
    done = invoke("submit", "score", ships / "truth.csv", *words)
    assert (done.code, "1 image has repeated objects; each counts once" in done.err) == (0, True)


def test_compare_explain_and_select(ships, invoke, tmp_path):
    run = ships / "run"
    words = [run / "submission.csv", ships / "truth.csv", "--competition", run]
    found = invoke("submit", "compare", *words, "--json").json
    assert found["shared_images"] == 8
    assert 0 < found["dice"] <= 1
    table = pd.read_csv(run / "images.csv", keep_default_na=False)
    picture = tmp_path / "why.png"
    for image_id in ("00003.jpg", "00000.jpg", "t0001.jpg"):
        done = invoke("submit", "explain", run, image_id, "-o", picture, "--json")
        assert done.code == 0, done.err
        assert ("score" in done.json) == (image_id in set(table.loc[table["labelled"], "image_id"]))
    shutil.copytree(run, ships / "other")
    chosen = invoke("submit", "select", run, ships / "other", "--json")
    assert chosen.code == 0, chosen.err


def test_averages_and_views_score_objects(ships, invoke):
    done = invoke("ensemble", "average", ships / "run")
    assert done.code == 0, done.err
    done = invoke("predict", "views", ships / "run", "--view", "hflip")
    assert done.code == 0, done.err


def test_given_thresholds_need_no_judged_level(ships, invoke):
    given = "ensemble.thresholds={top=0.9, min_area=4, bottom=0.41}"
    done = invoke("ensemble", "run", ships / "run", "--set", given, "--json")
    assert done.code == 0, done.err
    assert done.json["rule"]["bottom"]["level"] == 104
    assert 0 < done.json["honest"]["score"] <= 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('ensemble.weights="simplex"', 'set ensemble.weights = "equal" or "logistic"'),
        ("competition.submission.objects=false", "set submission.objects = true"),
        (
            'competition.classes=["a", "b"]',
            "choose another metric: dice or mean-iou or mean-iou-thresholds",
        ),
        (
            'competition.labels={kind="masks", masks=[["{id}.png"]]}',
            '(labels.kind = "rle"), one mask file per object',
        ),
        ('competition.images.facts={objects="(a)"}', "give the column of facts another name"),
    ],
)
def test_what_does_not_go_together_is_said(ships, invoke, setting, message):
    done = invoke("check", ships / "run", "--set", setting)
    assert (done.code, message in " ".join(done.err.split())) == (2, True), done.err


def test_blends_are_not_compared_on_single_pixels(ships, invoke):
    done = invoke("ensemble", "blend", ships / "run")
    assert (done.code, "compare the honest scores" in " ".join(done.err.split())) == (2, True)
