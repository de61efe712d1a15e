"""Steel, abdomens, ships and salt by the command line: made, described, checked, split."""

import re

import cv2
import numpy as np
import pandas as pd
import pytest

STEEL, ABDOMEN, SHIPS = "severstal-steel", "uw-madison", "airbus-ship"
SALT = "tgs-salt"
SIZES = {STEEL: 320, ABDOMEN: 90, SHIPS: 128, SALT: 101}


@pytest.fixture(scope="module")
def competitions(tmp_path_factory, invoke):
    """Return (folder, what was planted) by preset; a line `what: where` is an item."""
    by_preset = {}
    for preset, size in SIZES.items():
        folder = tmp_path_factory.mktemp(preset)
        made = invoke(
            "competition", "synthesize", folder / "data", "--like", preset, "--train", 48,
            "--test", 8, "--size", size, "--quirks",
        )  # fmt: skip
        assert made.code == 0, made.err
        lines = [line.removeprefix("planted: ") for line in made.out.splitlines()]
        planted = dict(line.split(": ") for line in lines[1:-1])
        assert lines[-1].startswith(f"next: goldfold init {preset} ")
        done = invoke("init", preset, "--data", folder / "data", "-o", folder / "run",
                      "--recipe", "quick", *shape_of(lines[-1]))  # fmt: skip
        assert done.code == 0, done.err
        by_preset[preset] = (folder, planted, done.out)
    return by_preset


def shape_of(line):
    """Return the --set words that the next step names."""
    words = line.replace("'", "").split()
    return words[words.index("--set") : words.index("--set") + 2] if "--set" in words else []


def test_the_shape_goes_into_the_next_step(competitions, invoke, tmp_path):
    text = (competitions[STEEL][0] / "run/goldfold.toml").read_text()
    assert "shape = [51, 320]" in text
    assert "shape" not in (competitions[ABDOMEN][0] / "run/goldfold.toml").read_text()
    made = invoke("competition", "synthesize", tmp_path / "x", "--like", STEEL, "--train", 4,
                  "--test", 4)  # fmt: skip
    assert "--set" not in made.out  # 1600 px, as the preset expects
    assert cv2.imread(str(next((tmp_path / "x/test_images").iterdir()))).shape == (256, 1600, 3)
    made = invoke("competition", "synthesize", tmp_path / "y", "--like", SALT, "--train", 4,
                  "--test", 4, "--size", 80)  # fmt: skip
    assert "--set 'competition.images.shape=[80,80]'" in made.out


def test_init_says_what_is_there(competitions):
    assert re.search(
        r"masks of 48 images: 1 \(\d+\), 2 \(\d+\), 3 \(\d+\), 4 \(\d+\)", competitions[STEEL][2]
    )
    assert "images: large_bowel (" in competitions[ABDOMEN][2]
    assert "labels: train_ship_segmentations_v2.csv, " in competitions[SHIPS][2]


def test_check_names_what_is_planted_in_the_steel(competitions, invoke):
    folder, planted, _ = competitions[STEEL]
    done = invoke("check", folder / "run")
    assert done.code == 0, done.out
    assert f"a mask without a row is empty: {planted['no row of class 2']}\n" in done.out
    assert f'(unlabelled = "drop"): {planted["image without rows"]}\n' in done.out
    assert f'(imageless = "drop"): {planted["rows without an image"]}\n' in done.out
    image_id, _, name = planted["row that is there twice"].rpartition("_")
    assert f"several rows in train.csv; they are merged: {image_id} ({name})\n" in done.out
    assert f"rows of one class that overlap; they are merged: {image_id}\n" in done.out
    assert "training images: 47\n" in done.out
    assert "no problems" in done.out


def test_check_names_what_is_planted_in_the_abdomens(competitions, invoke):
    folder, planted, _ = competitions[ABDOMEN]
    done = invoke("check", folder / "run")
    assert done.code == 0, done.out
    assert f'(unlabelled = "drop"): {planted["slice without rows"]}\n' in done.out
    assert f'(imageless = "drop"): {planted["rows without a slice"]}\n' in done.out
    image_id, name = planted["row that is there twice"].split()
    assert f"they are merged: {image_id} ({name})\n" in done.out
    over = planted["large_bowel lies over stomach"]
    assert f"1 image has masks of different classes that overlap: {over}\n" in done.out
    assert "patients: " in done.out
    assert "no problems" in done.out


def test_check_names_what_is_planted_in_the_sea(competitions, invoke):
    folder, planted, _ = competitions[SHIPS]
    done = invoke("check", folder / "run")
    assert done.code == 2
    assert f"cannot read {planted['truncated']}: the JPEG is truncated" in done.out
    assert (
        "1 label row repeats an object of the same image; each counts once (in 1 image)" in done.out
    )
    assert f'(imageless = "drop"): {planted["rows without an image"]}\n' in done.out
    assert "1 entry of competition.images.exclude matching no image: 6384c3e78.jpg" in done.out
    name = planted["truncated"].rpartition("/")[2]
    excluded = f"competition.images.exclude=['{name}']"
    assert invoke("check", folder / "run", "--set", excluded).code == 0


def test_check_names_what_is_planted_in_the_salt(competitions, invoke):
    folder, planted, _ = competitions[SALT]
    done = invoke("check", folder / "run")
    assert done.code == 2
    assert f'(unlabelled = "error"): {planted["image without a row"]}\n' in done.out
    assert f'(imageless = "error"): {planted["row without an image"]}\n' in done.out
    twice = planted["row that is there twice"]
    assert f"(in 1 of them the rows overlap: {twice})\n" in done.out
    assert (
        f"the same level in all pixels, so nothing can be seen: {planted['all black']}\n"
        in done.out
    )
    handled = ["competition.unlabelled=drop", "competition.imageless=drop"]
    words = [word for assignment in handled for word in ("--set", assignment)]
    assert invoke("check", folder / "run", *words).code == 0
    done = invoke("folds", "build", folder / "run", *words)
    assert done.code == 0, done.err
    images = pd.read_csv(folder / "run/images.csv", keep_default_na=False, dtype={"image_id": str})
    depths = pd.read_csv(folder / "data/depths.csv", index_col="id", dtype={"id": str})["z"]
    assert (images["depth"].astype(int) == images["image_id"].map(depths)).all()


def test_the_days_of_a_case_stay_in_one_fold(competitions, invoke):
    folder, _, _ = competitions[ABDOMEN]
    done = invoke("folds", "build", folder / "run", "--set", "folds.count=3")
    assert done.code == 0, done.err
    folds = pd.read_csv(folder / "run/folds.csv")
    assert set(folds["group"]) == {one.partition("_")[0] for one in folds["image_id"]}
    assert (folds.groupby("group")["fold"].nunique() == 1).all()
    images = pd.read_csv(folder / "run/images.csv", keep_default_na=False)
    assert (images["path"].str.split("/").str[1] == images["patient"]).all()
    assert images["day"].str.fullmatch(r"day\d+").all()


@pytest.mark.parametrize("preset", [STEEL, SHIPS])
def test_strips_and_scenes_are_split(competitions, invoke, preset):
    folder, planted, _ = competitions[preset]
    name = planted.get("truncated", "").rpartition("/")[2]
    words = ["--set", f"competition.images.exclude=['{name}']"] if name else []
    done = invoke("folds", "build", folder / "run", "--set", "folds.count=2", *words)
    assert done.code == 0, done.err
    assert pd.read_csv(folder / "run/folds.csv")["image_id"].str.endswith(".jpg").all()


def test_the_later_table_of_steel_has_a_row_a_defect(competitions, invoke, tmp_path):
    """What the page of the preset says of the table that was released later."""
    folder, _, _ = competitions[STEEL]
    rows = pd.read_csv(folder / "data/train.csv", keep_default_na=False)
    parts = rows["ImageId_ClassId"].str.rsplit("_", n=1)
    later = pd.DataFrame(
        {"ImageId": parts.str[0], "ClassId": parts.str[1], "EncodedPixels": rows["EncodedPixels"]}
    )
    later[later["EncodedPixels"] != ""].to_csv(tmp_path / "later.csv", index=False)
    words = [
        f"competition.labels.files=['{tmp_path / 'later.csv'}']",
        "competition.labels.id_column=ImageId", "competition.labels.class_column=ClassId",
        "competition.unlabelled=empty",
    ]  # fmt: skip
    given = [word for assignment in words for word in ("--set", assignment)]
    done = invoke("check", folder / "run", *given, "--json")
    assert done.code == 0, done.out
    plain = invoke("check", folder / "run", "--json").json["facts"]
    assert done.json["facts"]["training images"] == 48
    assert done.json["facts"]["non-empty masks"] == plain["non-empty masks"]
    assert done.json["facts"]["of class 3"] == plain["of class 3"]


@pytest.mark.parametrize("preset", SIZES)
def test_the_sample_tells_its_competition(competitions, invoke, preset):
    folder, _, _ = competitions[preset]
    name = "sample_submission_v2.csv" if preset == SHIPS else "sample_submission.csv"
    sample = folder / "data" / name
    done = invoke("submit", "check", sample, "--sample", sample)
    assert done.code == 0, done.out + done.err


def test_the_audit_tells_dark_slices_apart(competitions, invoke):
    folder, _, _ = competitions[ABDOMEN]
    done = invoke("folds", "build", folder / "run", "--set", "folds.count=2", "--overwrite")
    assert done.code == 0, done.err
    audit = invoke("folds", "audit", folder / "run", "--pixels")
    assert "no leakage found" in audit.out, audit.out
    pixels = cv2.imread(str(next((folder / "data").glob("train/*/*/scans/*.png"))), -1)
    assert np.unique(pixels // 257).size < 40  # what 8 bits would leave without stretch = "image"


def test_a_name_that_is_nearly_right(invoke, tmp_path):
    done = invoke("competition", "synthesize", tmp_path / "x", "--like", "severstal")
    assert (done.code, "Did you mean 'severstal-steel'?" in done.err) == (2, True)
