"""The lungs' preset from files to the table of measures, through the command line."""

import json
import shutil

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
    assert "a path with {id} for the image's id, once" in done.err
    done = invoke("check", lungs / "run", "--set", "competition.labels.masks=[]")
    assert 'masks belong to kind = "masks", and that needs them' in done.err


def test_like_what(invoke, tmp_path):
    done = invoke("competition", "synthesize", tmp_path / "x", "--like", "montgomery")
    assert done.code == 2
    assert "Did you mean 'montgomery-lungs'?" in done.err


TWO_LUNGS = [
    'competition.classes=["right", "left"]',  # not in the alphabet's order
    'competition.mirrored=[["left", "right"]]',
    "competition.labels.masks=[]",
    'competition.labels.class_masks={left=["ManualMask/leftMask/{id}.png"],'
    ' right=["ManualMask/rightMask/{id}.png"]}',
]


@pytest.fixture(scope="module")
def two_lungs(lungs, invoke):
    run = lungs / "two"
    tiny = MODEL.replace("epochs=1", "epochs=2").replace("image_size=32", "image_size=64")
    changes = [tiny, "folds.count=2", "inference.checkpoints=1", "ensemble.bootstrap_samples=100",
               'inference.views="hflip"', *TWO_LUNGS]  # fmt: skip
    words = [word for assignment in changes for word in ("--set", assignment)]
    made = invoke(
        "init", "montgomery-lungs", "--data", lungs / "data", "--recipe", "quick", "-o", run, *words
    )
    assert made.code == 0, made.err
    done = invoke("run", run)
    assert done.code == 0, done.err
    return run, done


def test_each_lung_is_a_channel_with_a_rule_of_its_own(lungs, two_lungs):
    run, done = two_lungs
    report = json.loads((run / "ensemble.json").read_text())
    scores = {name: one["honest"]["score"] for name, one in report["classes"].items()}
    assert set(scores) == {"left", "right"}
    assert report["honest"]["score"] == pytest.approx(np.mean(list(scores.values())))
    for name in scores:
        assert f"rule of {name}: pixels from" in done.out
        assert (run / f"ensemble-{name}.png").is_file()
    table = pd.read_csv(run / "metrics.csv", dtype={"fold": str})
    everything = table[(table["fold"] == "all") & (table["over"] == "images")]
    assert dict(zip(everything["class"], everything["dice"], strict=True)) == pytest.approx(scores)
    images = pd.read_csv(run / "images.csv").set_index("image_id")
    for name in scores:
        for image_id, area in images[f"area_px:{name}"].items():
            file = lungs / "data" / "ManualMask" / f"{name}Mask" / f"{image_id}.png"
            assert np.count_nonzero(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)) == area


def test_a_single_x_ray_gets_both_lungs_from_an_export(lungs, two_lungs, invoke, tmp_path):
    run, _ = two_lungs
    done = invoke("export", run, "-o", tmp_path / "model")
    assert done.code == 0, done.err
    card = (tmp_path / "model/README.md").read_text()
    assert "a mask of each of right, left" in card
    assert "| left over images |" in card
    path = next((lungs / "data/CXR_png").glob("MCUCXR*.png"))
    seen = invoke("predict", "image", tmp_path / "model", path, "--json", "-o", tmp_path / "p")
    assert seen.code == 0, seen.err
    found = seen.json["images"][0]
    assert set(found["masks"]) == {"right", "left"}
    own = invoke("predict", "image", run, path, "--json").json["images"][0]
    assert own["masks"] == found["masks"]  # the run itself says the same
    height, width = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).shape
    for one in found["masks"].values():
        assert (one["height"], one["width"]) == (height, width)
    picture = cv2.imread(found["picture"])
    assert picture.shape[0] > picture.shape[1] / 3 * 1.2  # two rows of panels
    told = invoke("predict", "image", tmp_path / "model", path)
    assert "\n  left: " in told.out
    assert "\n  right: " in told.out


def test_both_lungs_are_explained_and_compared(two_lungs, invoke):
    run, _ = two_lungs
    image_id = pd.read_csv(run / "folds.csv")["image_id"][0]
    done = invoke("submit", "explain", run, image_id, "--json")
    assert done.code == 0, done.err
    assert [one["class"] for one in done.json] == ["right", "left"]
    report = json.loads((run / "ensemble.json").read_text())
    for one in done.json:
        assert one["rule"] == report["classes"][one["class"]]["rule"]
    for words in (["predict", "views"], ["ensemble", "average"], ["ensemble", "blend"]):
        done = invoke(*words, run)
        assert done.code == 0, done.err
    views = json.loads((run / "views.json").read_text())
    assert views[0]["images"] == len(pd.read_csv(run / "folds.csv"))


def test_renamed_classes_are_predicted_anew(two_lungs, invoke, tmp_path):
    """The weights are the same, byte by byte, but the maps have other names."""
    run, _ = two_lungs
    other = tmp_path / "renamed"
    shutil.copytree(run, other)
    renamed = [one.replace('right', 'dexter') if "masks" not in one or "class_masks" in one else one
               for one in TWO_LUNGS]  # fmt: skip
    renamed = [one.replace("dexterMask", "rightMask") for one in renamed]
    data = ["--set", f"competition.data={run.parent / 'data'}"]
    words = [*data, *(word for assignment in renamed for word in ("--set", assignment))]
    assert invoke("folds", "build", other, *words, "--overwrite").code == 0
    assert invoke("train", "run", other, *words, "--overwrite").code == 0
    for command in (["predict", "run"], ["ensemble", "run"]):
        done = invoke(*command, other, *words)
        assert done.code == 0, done.err
    assert "rule of dexter: " in done.out


def test_runs_of_other_masks_are_not_blended(two_lungs, invoke, tmp_path):
    run, _ = two_lungs
    other = tmp_path / "other"
    shutil.copytree(run, other)
    toml = other / "goldfold.toml"
    text = toml.read_text().replace('"right"', '"dexter"').replace("right = [", "dexter = [")
    toml.write_text(text.replace("../data", str(run.parent / "data")))
    for words in (["ensemble", "run"], ["ensemble", "blend"]):
        done = invoke(*words, run, "--with", other)
        assert done.code == 2
        assert "it predicts masks of dexter, left, not masks of right, left" in done.err
    into = invoke("train", "pseudo-label", run, "--into", other)
    assert (into.code, "does not go with" in into.err) == (2, True)


def test_a_pair_that_a_mirror_exchanges_is_noticed(lungs, two_lungs, invoke):
    run, _ = two_lungs
    assert "swapped by horizontal flips" not in invoke("check", run).out
    done = invoke("check", run, "--set", "competition.mirrored=[]")
    assert 'set competition.mirrored = [["left", "right"]]' in done.out
