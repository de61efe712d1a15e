"""Steel, abdomens, ships and salt from the synthetic files to a checked submission."""

import json
import re
import shutil
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from goldfold.competitions.rle import decode, encode, get_dialect
from goldfold.inference.reader import MapReader

STEEL, ABDOMEN, SHIPS = "severstal-steel", "uw-madison", "airbus-ship"
SALT = "tgs-salt"
ONE_CLASS = (SHIPS, SALT)
SAMPLES = {STEEL: "sample_submission.csv", ABDOMEN: "sample_submission.csv",
           SHIPS: "sample_submission_v2.csv", SALT: "sample_submission.csv"}  # fmt: skip
SIZES = {STEEL: 320, ABDOMEN: 80, SHIPS: 96, SALT: 101}
MODEL = (
    'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]},'
    " channels=CHANNELS, stages=[{epochs=3, image_size=SIZE, batch_size=8, learning_rate=5e-3}]}]"
)
STAGE_SIZES = {STEEL: "[32, 160], crop_size=[32, 96]", ABDOMEN: "64", SHIPS: "64", SALT: "64"}


@dataclass(frozen=True)
class FinishedRun:
    """A competition that was run from its files to its submission."""

    preset: str
    data: Path
    run: Path
    out: str
    check: list[str]

    @property
    def submission(self):
        return pd.read_csv(self.run / "submission.csv", dtype=str, keep_default_na=False)

    @property
    def images(self):
        table = pd.read_csv(self.run / "images.csv", dtype=str, keep_default_na=False)
        return table.set_index("image_id")


@pytest.fixture(scope="module", params=SAMPLES)
def finished_run(request, tmp_path_factory, invoke):
    preset = request.param
    folder = tmp_path_factory.mktemp(preset)
    data, run = folder / "data", folder / "run"
    made = invoke("competition", "synthesize", data, "--like", preset, "--train", 32, "--test", 8,
                  "--size", SIZES[preset])  # fmt: skip
    assert made.code == 0, made.err
    settings = [
        MODEL.replace("CHANNELS", "3" if preset == SHIPS else "1").replace(
            "SIZE", STAGE_SIZES[preset]
        ),
        "folds.count=2", "folds.train=[0,1]",
        "inference.checkpoints=1", "ensemble.bootstrap_samples=100", "workers=1",
        *shape_of(data),
    ]  # fmt: skip
    words = [word for assignment in settings for word in ("--set", assignment)]
    begun = invoke("init", preset, "--data", data, "-o", run, "--recipe", "quick", *words)
    assert begun.code == 0, begun.err
    done = invoke("run", run)
    assert done.code == 0, done.err
    check = ["--sample", data / SAMPLES[preset], "--competition", run]
    return FinishedRun(preset, data, run, done.out, check)


def shape_of(data):
    """Return the setting of the shape where all images have one: of the JPEGs."""
    paths = list(data.rglob("*.jpg"))
    height, width = cv2.imread(str(paths[0])).shape[:2] if paths else (0, 0)
    return [f"competition.images.shape=[{height},{width}]"] if paths else []


def test_the_submission_is_correct_and_scored(finished_run, invoke):
    done = invoke("submit", "check", finished_run.run / "submission.csv", *finished_run.check)
    assert (done.code, "correct" in done.out) == (0, True), done.out
    words = [
        "--solution",
        finished_run.data / "solution.csv",
        "--competition",
        finished_run.run,
        "--json",
    ]
    scores = invoke("submit", "score", finished_run.run / "submission.csv", *words)
    assert scores.code == 0, scores.err
    assert {"overall", "public"} <= set(scores.json)  # eight slices may be of one case
    report = json.loads((finished_run.run / "ensemble.json").read_text())
    assert scores.json["metric"] == report["metric"]
    solution = pd.read_csv(finished_run.data / "solution.csv", dtype=str, keep_default_na=False)
    truth = finished_run.run / "truth.csv"
    solution.drop(columns="Usage").to_csv(truth, index=False)
    assert invoke("submit", "score", truth, *words).json["overall"]["score"] == 1
    same = invoke("submit", "compare", truth, truth, "--competition", finished_run.run, "--json")
    assert same.json["dice"] == 1


# Objects have their own brute force: tests/competitions/test_objects.py.
@pytest.mark.parametrize("finished_run", [STEEL, ABDOMEN, SALT], indirect=True, scope="module")
def test_the_score_is_that_of_brute_force_over_pixels(finished_run, invoke):
    keys, column, dialect = keys_of(finished_run)
    solution = pd.read_csv(finished_run.data / "solution.csv", dtype=str, keep_default_na=False)
    truth = dict(zip(keys(solution), solution[column], strict=True))
    scores = []
    for key, text in zip(
        keys(finished_run.submission), finished_run.submission[column], strict=True
    ):
        height, width = finished_run.images.loc[key[0], ["height", "width"]].astype(int)
        one, two = (decode(cell, height, width, dialect) for cell in (text, truth[key]))
        scores.append(score_of(one, two, finished_run.preset))
    words = [
        "--solution",
        finished_run.data / "solution.csv",
        "--competition",
        finished_run.run,
        "--json",
    ]
    found = invoke("submit", "score", finished_run.run / "submission.csv", *words).json
    assert found["overall"]["score"] == pytest.approx(np.mean(scores), abs=1e-12)


def score_of(one, two, preset):
    """Return Dice, or for salt the share of the thresholds that the IoU exceeds."""
    total, both = int(one.sum()) + int(two.sum()), int((one & two).sum())
    if not total:
        return 1.0
    if preset != SALT:
        return 2 * both / total
    thresholds = [Fraction(50 + 5 * step, 100) for step in range(10)]
    return np.mean([Fraction(both, total - both) > one for one in thresholds])


def keys_of(finished_run):
    """Return a function table -> (image, class) of each row, the masks' column, their dialect."""
    if finished_run.preset == STEEL:
        joined = "ImageId_ClassId"
        return (
            lambda table: [tuple(key.rsplit("_", 1)) for key in table[joined]],
            "EncodedPixels",
            get_dialect("kaggle"),
        )
    if finished_run.preset == SALT:
        return lambda table: [(key, "") for key in table["id"]], "rle_mask", get_dialect("kaggle")
    return (
        lambda table: list(zip(table["id"], table["class"], strict=True)),
        "predicted",
        get_dialect("row-major"),
    )


def test_every_mask_follows_from_its_maps_and_its_class_s_rule(finished_run):
    """The rule written out: the mean of both folds' maps, whole numbers, and two thresholds."""
    report = json.loads((finished_run.run / "ensemble.json").read_text())
    stores = sorted(finished_run.run.glob("predictions/*/seed-0/fold-*/test.maps"))
    assert len(stores) == 2
    dialect = get_dialect("row-major" if finished_run.preset == ABDOMEN else "kaggle")
    written = rows_by_key(finished_run)
    assert len(written) == 8 * {STEEL: 4, ABDOMEN: 3, SHIPS: 1, SALT: 1}[finished_run.preset]
    for (image_id, name), texts in written.items():
        one = report["classes"][name] if name else report
        rule, members = one["rule"], [MapReader(path, name) for path in stores]
        levels = np.mean([reader.read(image_id).astype(float) for reader in members], axis=0)
        for reader in members:
            reader.close()
        levels = np.floor(levels + 0.5)
        enough = (levels > rule["top"]["level"]).sum() >= rule["min_area_px"]
        mask = (levels > rule["bottom"]["level"]).astype(np.uint8) * enough
        if finished_run.preset == SHIPS:
            parts, count = ndimage.label(mask, np.ones((3, 3)))
            expected = {encode((parts == n).astype(np.uint8), dialect) for n in range(1, 1 + count)}
            assert set(texts) - {""} == expected
        else:
            assert texts == [encode(mask, dialect) if mask.any() else ""]


def rows_by_key(finished_run):
    """Return the cells of a submission by image and class, "" where rows have no class."""
    table = finished_run.submission
    if finished_run.preset == SHIPS:
        keys, column = [(image_id, "") for image_id in table["ImageId"]], "EncodedPixels"
    else:
        read, column, _ = keys_of(finished_run)
        keys = read(table)
    found = {}
    for key, text in zip(keys, table[column], strict=True):
        found.setdefault(key, []).append(text)
    return found


def test_a_single_image_gets_the_masks_of_the_submission(finished_run, invoke, tmp_path):
    done = invoke("export", finished_run.run, "-o", tmp_path / "model")
    assert done.code == 0, done.err
    tests = finished_run.images[finished_run.images["split"] == "test"]
    files = [finished_run.data / path for path in tests["path"]]
    seen = invoke("predict", "image", tmp_path / "model", *files, "--json")
    assert seen.code == 0, seen.err
    written = rows_by_key(finished_run)
    dialect = get_dialect("row-major" if finished_run.preset == ABDOMEN else "kaggle")
    for image_id, found in zip(tests.index, seen.json["images"], strict=True):
        for name, one in found.get("masks", {"": found}).items():
            shape = (one["height"], one["width"])
            merged = sum(decode(text, *shape, dialect) for text in written[image_id, name])
            assert (decode(one["rle"], *shape, dialect) == merged).all()


def test_the_run_says_what_each_class_scores(finished_run):
    report = json.loads((finished_run.run / "ensemble.json").read_text())
    if finished_run.preset in ONE_CLASS:
        metrics = {SHIPS: "f2-iou-thresholds", SALT: "mean-iou-thresholds"}
        assert report["metric"] == metrics[finished_run.preset]
        return
    honest = [one["honest"]["score"] for one in report["classes"].values()]
    assert report["honest"]["score"] == pytest.approx(np.mean(honest))
    for name in report["classes"]:
        assert f"rule of {name}: " in finished_run.out
    folds = pd.read_csv(finished_run.run / "folds.csv", keep_default_na=False)
    frequent = folds["stratum"].value_counts().index[0]
    assert re.search(rf"^{frequent} +[1-9]", finished_run.out, re.MULTILINE)
    assert set(folds["stratum"]) - {"none", "rare"}
    assert (folds.groupby("group")["fold"].nunique() == 1).all()


def test_a_class_can_be_left_empty(finished_run, invoke, tmp_path):
    if finished_run.preset in ONE_CLASS:
        wrong = invoke("ensemble", "run", finished_run.run, "--set", 'ensemble.leave_empty=["1"]')
        assert (wrong.code, "the competition's masks are one per image" in wrong.err) == (2, True)
        return
    run = tmp_path / "run"
    shutil.copytree(finished_run.run, run)
    before = json.loads((run / "ensemble.json").read_text())["classes"]
    name = next(iter(before))
    words = [
        "--set",
        f'ensemble.leave_empty=["{name}"]',
        "--set",
        f"competition.data={finished_run.data}",
    ]
    done = invoke("ensemble", "run", run, *words, "--json")
    assert done.code == 0, done.err
    after = done.json["classes"]
    assert after[name]["honest"]["score"] == before[name]["all_empty"]
    others = [other for other in before if other != name]
    assert all(after[one]["honest"] == before[one]["honest"] for one in others)
    assert invoke("submit", "write", run, *words).code == 0
    rows = rows_by_key(replace(finished_run, run=run))
    assert all(texts == [""] for (_, one), texts in rows.items() if one == name)
    bad = [one for one, it in before.items() if it["honest"]["score"] < it["all_empty"]]
    advised = f"masks of {', '.join(bad)} lower the score; leave them empty: --set "
    assert (advised in finished_run.out) == bool(bad)
    assert ("lower the score" in finished_run.out) == bool(bad)


def test_the_folds_of_the_run_pass_their_audit(finished_run, invoke):
    done = invoke("folds", "audit", finished_run.run, "--pixels")
    assert (done.code, "no leakage found" in done.out) == (0, True), done.out


@pytest.mark.parametrize("finished_run", [STEEL, SHIPS], indirect=True, scope="module")
def test_a_second_run_does_nothing_and_another_has_the_same_bytes(finished_run, invoke, tmp_path):
    before = (finished_run.run / "submission.csv").read_bytes()
    again = invoke("run", finished_run.run)
    assert again.code == 0, again.err
    assert "submission: up to date" in again.err
    assert (finished_run.run / "submission.csv").read_bytes() == before
    other = tmp_path / "other"
    other.mkdir()
    text = (finished_run.run / "goldfold.toml").read_text()
    (other / "goldfold.toml").write_text(
        text.replace('data = "../data"', f'data = "{finished_run.data}"')
    )
    done = invoke("run", other, "--set", "workers=3")
    assert done.code == 0, done.err
    assert (other / "submission.csv").read_bytes() == before


@pytest.mark.parametrize("finished_run", [STEEL, ABDOMEN], indirect=True, scope="module")
def test_an_unknown_class_in_the_sample_is_named(finished_run, invoke, tmp_path):
    text = (finished_run.data / SAMPLES[finished_run.preset]).read_text()
    wrong = tmp_path / "sample.csv"
    wrong.write_text(text.replace("_4,", "_7,").replace(",stomach,", ",spleen,"))
    other = f"competition.submission.sample=['{wrong}']"
    for command in (["submit", "write"], ["check", "--headers-only"]):
        done = invoke(*command, finished_run.run, "--set", other)
        assert done.code == 2
        words = done.out + done.err
        assert "are of no class of the competition" in words
        assert "_7" in words or "spleen" in words
