"""The lungs' preset from files to the table of measures, through the command line."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

MODEL = (
    'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]},'
    " stages=[{epochs=1, image_size=32, batch_size=8, learning_rate=1e-2,"
    ' sampling={schedule="linear", start=0.8}}]}]'
)


@pytest.fixture(scope="module")
def lungs(tmp_path_factory, invoke):
    folder = tmp_path_factory.mktemp("lungs")
    made = invoke(
        "competition", "synthesize", folder / "data", "--like", "montgomery-lungs",
        "--train", 15, "--size", 96, "--quirks",
    )  # fmt: skip
    assert made.code == 0, made.err
    assert "15 images, 27 mask files" in made.out
    assert "goldfold init montgomery-lungs" in made.out
    words = ["--set", MODEL, "--set", "folds.count=3", "--set", "inference.checkpoints=1"]
    done = invoke(
        "init", "montgomery-lungs", "--data", folder / "data", "--recipe", "quick",
        "-o", folder / "run", *words,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "labels: 27 mask files" in done.out
    return folder


def test_check_finds_the_planted_quirks(lungs, invoke):
    done = invoke("check", lungs / "run")
    assert done.code == 0, done.out
    assert "mask files: 26" in done.out  # one has no image
    assert "training images: 14" in done.out
    assert "1 training image has no mask file, dropped" in done.out
    assert "1 mask has no image: CHNCXR_9999_0" in done.out
    assert "no problems" in done.out


def test_the_whole_road_ends_with_the_measures(lungs, invoke):
    done = invoke("run", lungs / "run")
    assert done.code == 0, done.err
    assert "no training mask is empty, so sampling schedule linear is off" in done.err
    assert "the rule has no minimum area and no presence gate" in done.out
    assert "no test images, so there is no submission to write" in done.err
    table = pd.read_csv(lungs / "run" / "metrics.csv", dtype={"fold": str})
    assert table["fold"].tolist() == ["0", "0", "1", "1", "2", "2", "all", "all"]
    report = json.loads((lungs / "run" / "ensemble.json").read_text())
    everything = table[(table["fold"] == "all") & (table["over"] == "images")].iloc[0]
    assert everything["dice"] == pytest.approx(report["honest"]["score"])
    assert everything["images"] == 14
    assert report["rule"]["min_area_px"] == 0
    shown = f"over images  {everything['dice']:.4f}"
    assert " ".join(shown.split()) in " ".join(done.out.split())


def test_a_missing_half_and_a_mask_of_another_size_are_problems(lungs, invoke, tmp_path):
    import shutil

    data = tmp_path / "data"
    shutil.copytree(lungs / "data", data)
    names = sorted(path.name for path in (data / "ManualMask/leftMask").iterdir())
    (data / "ManualMask/rightMask" / names[0]).unlink()
    cv2.imwrite(str(data / "ManualMask/leftMask" / names[1]), np.zeros((5, 7), np.uint8))
    done = invoke("check", lungs / "run", "--set", f"competition.data={data}")
    assert done.code == 2
    assert f"has ManualMask/leftMask/{names[0]}, but no ManualMask/rightMask/{names[0]}" in done.out
    assert f"ManualMask/leftMask/{names[1]} is 5 x 7, its image" in done.out
    assert "2 problems" in done.out


def test_masks_need_their_files(invoke, lungs):
    wrong = ["--set", "competition.labels.masks=[['masks/x.png']]"]
    done = invoke("check", lungs / "run", *wrong)
    assert done.code == 2
    assert "a path with {id} for the image's name, once" in done.err
    done = invoke("check", lungs / "run", "--set", "competition.labels.masks=[]")
    assert 'masks belong to kind = "masks", and that needs them' in done.err


def test_like_what(invoke, tmp_path):
    done = invoke("competition", "synthesize", tmp_path / "x", "--like", "montgomery")
    assert done.code == 2
    assert "Did you mean 'montgomery-lungs'?" in done.err
