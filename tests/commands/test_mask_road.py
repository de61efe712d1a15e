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
EXTENTS = {STEEL: "[32, 160], crop_size=[32, 96]", ABDOMEN: "64", SHIPS: "64", SALT: "64"}


@dataclass(frozen=True)
class Road:
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
def road(request, tmp_path_factory, invoke):
    preset = request.param
    folder = tmp_path_factory.mktemp(preset)
    data, run = folder / "data", folder / "run"
    made = invoke("competition", "synthesize", data, "--like", preset, "--train", 32, "--test", 8,
                  "--size", SIZES[preset])  # fmt: skip
    assert made.code == 0, made.err
    settings = [
        MODEL.replace("CHANNELS", "3" if preset == SHIPS else "1").replace(
            "SIZE", EXTENTS[preset]
        ),
        "folds.count=2", "folds.train=[0,1]",
        "inference.checkpoints=1", "ensemble.bootstrap_samples=100", "workers=1",
        *shape_of(data),
    ]  # fmt: skip
    words = [word for one in settings for word in ("--set", one)]
    begun = invoke("init", preset, "--data", data, "-o", run, "--recipe", "quick", *words)
    assert begun.code == 0, begun.err
    done = invoke("run", run)
    assert done.code == 0, done.err
    check = ["--sample", data / SAMPLES[preset], "--competition", run]
    return Road(preset, data, run, done.out, check)


def shape_of(data):
    """Return the setting of the shape where all images have one: of the JPEGs."""
    paths = list(data.rglob("*.jpg"))
    height, width = cv2.imread(str(paths[0])).shape[:2] if paths else (0, 0)
    return [f"competition.images.shape=[{height},{width}]"] if paths else []


def test_the_submission_is_correct_and_scored(road, invoke):
    done = invoke("submit", "check", road.run / "submission.csv", *road.check)
    assert (done.code, "correct" in done.out) == (0, True), done.out
    words = ["--solution", road.data / "solution.csv", "--competition", road.run, "--json"]
    scores = invoke("submit", "score", road.run / "submission.csv", *words)
    assert scores.code == 0, scores.err
    assert {"overall", "public"} <= set(scores.json)  # eight slices may be of one case
    report = json.loads((road.run / "ensemble.json").read_text())
    assert scores.json["metric"] == report["metric"]
    solution = pd.read_csv(road.data / "solution.csv", dtype=str, keep_default_na=False)
    truth = road.run / "truth.csv"
    solution.drop(columns="Usage").to_csv(truth, index=False)
    assert invoke("submit", "score", truth, *words).json["overall"]["score"] == 1
    same = invoke("submit", "compare", truth, truth, "--competition", road.run, "--json")
    assert same.json["dice"] == 1


# Objects have their own brute force: tests/competitions/test_objects.py.
@pytest.mark.parametrize("road", [STEEL, ABDOMEN, SALT], indirect=True, scope="module")
def test_the_score_is_that_of_brute_force_over_pixels(road, invoke):
    keys, column, dialect = keys_of(road)
    solution = pd.read_csv(road.data / "solution.csv", dtype=str, keep_default_na=False)
    truth = dict(zip(keys(solution), solution[column], strict=True))
    scores = []
    for key, text in zip(keys(road.submission), road.submission[column], strict=True):
        height, width = road.images.loc[key[0], ["height", "width"]].astype(int)
        one, two = (decode(cell, height, width, dialect) for cell in (text, truth[key]))
        scores.append(score_of(one, two, road.preset))
    words = ["--solution", road.data / "solution.csv", "--competition", road.run, "--json"]
    found = invoke("submit", "score", road.run / "submission.csv", *words).json
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


def keys_of(road):
    """Return a function table -> (image, class) of each row, the masks' column, their dialect."""
    if road.preset == STEEL:
        joined = "ImageId_ClassId"
        return (
            lambda table: [tuple(key.rsplit("_", 1)) for key in table[joined]],
            "EncodedPixels",
            get_dialect("kaggle"),
        )
    if road.preset == SALT:
        return lambda table: [(key, "") for key in table["id"]], "rle_mask", get_dialect("kaggle")
    return (
        lambda table: list(zip(table["id"], table["class"], strict=True)),
        "predicted",
        get_dialect("row-major"),
    )


def test_every_mask_follows_from_its_maps_and_its_class_s_rule(road):
    """The rule written out: the mean of both folds' maps, whole numbers, and two thresholds."""
    report = json.loads((road.run / "ensemble.json").read_text())
    stores = sorted(road.run.glob("predictions/*/seed-0/fold-*/test.maps"))
    assert len(stores) == 2
    dialect = get_dialect("row-major" if road.preset == ABDOMEN else "kaggle")
    written = rows_by_key(road)
    assert len(written) == 8 * {STEEL: 4, ABDOMEN: 3, SHIPS: 1, SALT: 1}[road.preset]
    for (image_id, name), texts in written.items():
        one = report["classes"][name] if name else report
        rule, members = one["rule"], [MapReader(path, name) for path in stores]
        levels = np.mean([reader.read(image_id).astype(float) for reader in members], axis=0)
        for reader in members:
            reader.close()
        levels = np.floor(levels + 0.5)
        enough = (levels > rule["top"]["level"]).sum() >= rule["min_area_px"]
        mask = (levels > rule["bottom"]["level"]).astype(np.uint8) * enough
        if road.preset == SHIPS:
            parts, count = ndimage.label(mask, np.ones((3, 3)))
            expected = {encode((parts == n).astype(np.uint8), dialect) for n in range(1, 1 + count)}
            assert set(texts) - {""} == expected
        else:
            assert texts == [encode(mask, dialect) if mask.any() else ""]


def rows_by_key(road):
    """Return the cells of a submission by image and class, "" where rows have no class."""
    table = road.submission
    if road.preset == SHIPS:
        keys, column = [(image_id, "") for image_id in table["ImageId"]], "EncodedPixels"
    else:
        read, column, _ = keys_of(road)
        keys = read(table)
    found = {}
    for key, text in zip(keys, table[column], strict=True):
        found.setdefault(key, []).append(text)
    return found


def test_a_single_image_gets_the_masks_of_the_submission(road, invoke, tmp_path):
    done = invoke("export", road.run, "-o", tmp_path / "model")
    assert done.code == 0, done.err
    tests = road.images[road.images["split"] == "test"]
    files = [road.data / path for path in tests["path"]]
    seen = invoke("predict", "image", tmp_path / "model", *files, "--json")
    assert seen.code == 0, seen.err
    written = rows_by_key(road)
    dialect = get_dialect("row-major" if road.preset == ABDOMEN else "kaggle")
    for image_id, found in zip(tests.index, seen.json["images"], strict=True):
        for name, one in found.get("masks", {"": found}).items():
            shape = (one["height"], one["width"])
            united = sum(decode(text, *shape, dialect) for text in written[image_id, name])
            assert (decode(one["rle"], *shape, dialect) == united).all()


def test_the_run_says_what_each_class_scores(road):
    report = json.loads((road.run / "ensemble.json").read_text())
    if road.preset in ONE_CLASS:
        metrics = {SHIPS: "f2-iou-thresholds", SALT: "mean-iou-thresholds"}
        assert report["metric"] == metrics[road.preset]
        return
    honest = [one["honest"]["score"] for one in report["classes"].values()]
    assert report["honest"]["score"] == pytest.approx(np.mean(honest))
    for name in report["classes"]:
        assert f"rule of {name}: " in road.out
    folds = pd.read_csv(road.run / "folds.csv", keep_default_na=False)
    frequent = folds["stratum"].value_counts().index[0]
    assert re.search(rf"fold  images  groups .*{frequent}", road.out)
    assert set(folds["stratum"]) - {"none", "rare"}
    assert (folds.groupby("group")["fold"].nunique() == 1).all()


def test_a_class_can_be_left_empty(road, invoke, tmp_path):
    if road.preset in ONE_CLASS:
        wrong = invoke("ensemble", "run", road.run, "--set", 'ensemble.leave_empty=["1"]')
        assert (wrong.code, "the competition's masks are one per image" in wrong.err) == (2, True)
        return
    run = tmp_path / "run"
    shutil.copytree(road.run, run)
    before = json.loads((run / "ensemble.json").read_text())["classes"]
    name = next(iter(before))
    words = ["--set", f'ensemble.leave_empty=["{name}"]', "--set", f"competition.data={road.data}"]
    done = invoke("ensemble", "run", run, *words, "--json")
    assert done.code == 0, done.err
    after = done.json["classes"]
    assert after[name]["honest"]["score"] == before[name]["all_empty"]
    others = [other for other in before if other != name]
    assert all(after[one]["honest"] == before[one]["honest"] for one in others)
    assert invoke("submit", "write", run, *words).code == 0
    rows = rows_by_key(replace(road, run=run))
    assert all(texts == [""] for (_, one), texts in rows.items() if one == name)
    bad = [one for one, it in before.items() if it["honest"]["score"] < it["all_empty"]]
    advised = f"masks of {', '.join(bad)} lower the score; leave them empty: --set "
    assert (advised in road.out) == bool(bad)
    assert ("lower the score" in road.out) == bool(bad)


def test_the_folds_of_the_run_pass_their_audit(road, invoke):
    done = invoke("folds", "audit", road.run, "--pixels")
    assert (done.code, "no leakage found" in done.out) == (0, True), done.out


def test_a_second_run_does_nothing_and_another_has_the_same_bytes(road, invoke, tmp_path):
    before = (road.run / "submission.csv").read_bytes()
    again = invoke("run", road.run)
    assert again.code == 0, again.err
    assert "submission: up to date" in again.err
    assert (road.run / "submission.csv").read_bytes() == before
    other = tmp_path / "other"
    other.mkdir()
    text = (road.run / "goldfold.toml").read_text()
    (other / "goldfold.toml").write_text(text.replace('data = "../data"', f'data = "{road.data}"'))
    done = invoke("run", other, "--set", "workers=3")
    assert done.code == 0, done.err
    assert (other / "submission.csv").read_bytes() == before


@pytest.mark.parametrize("road", [STEEL, ABDOMEN], indirect=True, scope="module")
def test_an_unknown_class_in_the_sample_is_named(road, invoke, tmp_path):
    text = (road.data / SAMPLES[road.preset]).read_text()
    wrong = tmp_path / "sample.csv"
    wrong.write_text(text.replace("_4,", "_7,").replace(",stomach,", ",spleen,"))
    done = invoke(
        "submit", "write", road.run, "--set", f"competition.submission.sample=['{wrong}']"
    )
    assert done.code == 2
    assert "are of no class of the competition" in done.err
    assert "_7" in done.err or "spleen" in done.err
