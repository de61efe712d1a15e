"""Averages, blends, views and what submissions are compared by, through the command line."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from goldfold.competitions.rle import decode, get_dialect
from goldfold.files import read_json

MODEL = (
    '{name="%s", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]},'
    " seeds=[%d], stages=[{epochs=2, image_size=64, batch_size=8, learning_rate=1e-3}]}"
)
TWO = f"models=[{MODEL % ('one', 0)}, {MODEL % ('two', 1)}]"


@pytest.fixture(scope="module")
def two_models(synthetic, invoke, init_run, tmp_path_factory):
    """Return the run directory of a finished run of two models; nobody changes it."""
    folder = init_run(synthetic / "data", tmp_path_factory.mktemp("two") / "run", TWO)
    done = invoke("run", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def two(two_models, tmp_path):
    """Return a copy of it that a test may change."""
    shutil.copytree(two_models, tmp_path / "run")
    return tmp_path / "run"


def test_ways_to_blend_are_compared(two, invoke, monkeypatch):
    done = invoke("ensemble", "blend", two, "--json")
    assert done.code == 0, done.err
    report = done.json
    assert report["members"] == ["one", "two"]
    ways = {(one["merge"], one["weights_by"]) for one in report["blends"]}
    assert len(ways) == 14
    assert {("logit", "logistic"), ("mean", "ridge")} < ways
    assert [one["calibration"] for one in report["blends"]].count("platt") == 4
    assert report["blends"][0]["gain"]["mean"] == 0
    for one in report["blends"]:
        assert one["honest"] <= one["optimistic"] + 1e-9
        assert one["gain"]["low"] <= one["gain"]["mean"] <= one["gain"]["high"]
    assert [one["member"] for one in report["without_member"]] == ["one", "two"]
    assert json.loads((two / "blends.json").read_text()) == report
    monkeypatch.setattr("goldfold.pipeline.blend_stage.compare_blends", lambda _: report)
    plain = invoke("ensemble", "blend", two)
    assert "better without: " in plain.out
    assert "next: goldfold ensemble run" in plain.out


@pytest.mark.parametrize(
    ("weights", "merge"),
    [("equal", "geometric"), ("equal", "logit"), ("hill-climb", "mean"), ("hill-climb", "rank")],
)
def test_a_blend_goes_into_the_submission(two, invoke, merge, weights):
    words = ["--set", f"ensemble.merge={merge}", "--set", f"ensemble.weights={weights}"]
    done = invoke("ensemble", "run", two, *words, "--json")
    assert done.code == 0, done.err
    assert done.json["merge"] == merge
    assert done.json["weights"] == weights
    assert sum(member["weight"] for member in done.json["members"]) > 0
    written = invoke("submit", "write", two, *words)
    assert written.code == 0, written.err
    again = invoke("submit", "write", two, *words)
    assert "submission: up to date" in again.err


@pytest.mark.parametrize(
    ("merge", "weights", "calibration"),
    [("logit", "logistic", "isotonic"), ("mean", "ridge", "platt")],
)
def test_a_stacked_blend_is_submitted_explained_and_exported_alike(
    two, synthetic, invoke, tmp_path, merge, weights, calibration
):
    given = {"merge": merge, "weights": weights, "calibration": calibration}
    words = [word for key, value in given.items() for word in ("--set", f"ensemble.{key}={value}")]
    shown = invoke("ensemble", "run", two, *words)
    assert shown.code == 0, shown.err
    assert f"stacking: {weights}; weights one " in shown.out
    assert f"calibration: {calibration}, by member" in shown.out
    report = read_json(two / "ensemble.json")
    assert sum(member["weight"] for member in report["members"]) == 100
    tables = report["calibration"]["members"]
    assert {name: len(table) for name, table in tables.items()} == {"one": 256, "two": 256}
    assert "up to date" in invoke("ensemble", "run", two, *words).err
    assert invoke("submit", "write", two, *words).code == 0
    assert invoke("export", two, "-o", tmp_path / "model", *words).code == 0
    submitted = pd.read_csv(two / "submission.csv", dtype=str, keep_default_na=False)
    cells = dict(zip(submitted["ImageId"], submitted["EncodedPixels"], strict=True))
    images = pd.read_csv(two / "images.csv", dtype=str).set_index("image_id")["path"]
    chosen = list(cells)[:4]
    files = [synthetic / "data" / images[image_id] for image_id in chosen]
    done = invoke("predict", "image", tmp_path / "model", *files, "--json")
    assert done.code == 0, done.err
    siim = get_dialect("siim")
    for image_id, found in zip(chosen, done.json["images"], strict=True):
        ours, theirs = (
            decode(text, 96, 96, siim).astype(bool) if text != "-1" else np.zeros((96, 96), bool)
            for text in (found["rle"], cells[image_id])
        )
        assert (ours ^ theirs).sum() <= 0.02 * max(theirs.sum(), 100)  # batches round otherwise
        explained = invoke("submit", "explain", two, image_id, "--json", *words)
        assert explained.json["mask_px"] == theirs.sum()


def test_stackings_and_calibrations_that_make_no_sense(two, finished, invoke):
    for words, told in [
        (["weights=logistic"], 'set merge = "logit"'),
        (["weights=ridge", "merge=logit"], 'set merge = "mean"'),
        (["merge=rank", "calibration=platt"], "keeps the order of what a member says"),
        (["calibration=beta"], "calibration"),
    ]:
        given = [word for one in words for word in ("--set", f"ensemble.{one}")]
        done = invoke("ensemble", "run", two, *given)
        assert (done.code, told in done.err) == (2, True), done.err
    given = ["--set", "ensemble.weights=ridge"]
    alone = invoke("ensemble", "run", finished, *given)
    assert (alone.code, "there is only tiny. Add a model or a run" in alone.err) == (2, True)


def test_weights_must_fit_the_members(two, invoke):
    done = invoke("ensemble", "run", two, "--set", "ensemble.weights=[1, 2, 3]")
    assert done.code == 2
    assert "3 values for 2 members" in done.err


def test_other_runs_are_blended_if_their_folds_agree(
    two, finished, synthetic, init_run, invoke, tmp_path
):
    done = invoke("ensemble", "run", two, "--with", finished, "--json")
    assert done.code == 0, done.err
    names = [member["name"] for member in done.json["members"]]
    assert names == ["one", "two", f"{finished.name}/tiny"]
    written = invoke("submit", "write", two, "--set", f'ensemble.runs=["{finished}"]')
    assert written.code == 0, written.err

    other = init_run(synthetic / "data", tmp_path / "other", "folds.seed=5")
    assert invoke("folds", "build", other).code == 0
    refused = invoke("ensemble", "run", two, "--with", other)
    assert refused.code == 2
    assert "held out in different folds" in refused.err
    missing = invoke("ensemble", "run", two, "--set", 'ensemble.runs=["nowhere"]')
    assert missing.code == 2
    assert "there is no folder" in missing.err


def test_averages_are_compared_and_used(two, invoke):
    refused = invoke("predict", "run", two, "--set", "inference.average=auto")
    assert refused.code == 2
    assert "ensemble average" in refused.err
    done = invoke("ensemble", "average", two, "--json")
    assert done.code == 0, done.err
    for model in ("one", "two"):
        found = done.json[model]
        assert set(found["honest"]) == {"best", "predictions", "uniform", "greedy"}
        assert found["best"] in found["honest"]
        assert found["difference"]["predictions"] == [0, 0, 0]
        assert all(1 <= taken <= 3 for taken in found["taken"])
    for way in ("uniform", "auto"):
        words = ["--set", f"inference.average={way}"]
        assert invoke("predict", "run", two, *words).code == 0
        assert invoke("ensemble", "run", two, *words).code == 0
    assert "checkpoints in the greedy average" in invoke("ensemble", "average", two).out
    other = ["--set", "inference.average=auto", "--set", "inference.checkpoints=1"]
    stale = invoke("predict", "run", two, *other)
    assert (stale.code, "averages.json compares other checkpoints of one." in stale.err) == (
        2,
        True,
    )


def test_the_gain_of_each_view_is_shown(two, invoke):
    words = ["--view", "none", "--view", "hflip", "--view", "scale-0.5"]
    done = invoke("predict", "views", two, *words, "--json")
    assert done.code == 0, done.err
    assert [one["model"] for one in done.json] == ["one", "two"]
    sets = done.json[0]["sets"]
    assert [one["views"] for one in sets] == [
        "none alone", "hflip alone", "scale-0.5 alone", "all 3",
        "all but none", "all but hflip", "all but scale-0.5",
    ]  # fmt: skip
    assert sets[0]["gain"] == {"mean": 0, "low": 0, "high": 0}
    assert all(one["milliseconds_an_image"] > 0 for one in sets)
    assert "ms per image" in invoke("predict", "views", two, *words[:2]).out
    refused = invoke("predict", "views", two, "--view", "upside")
    assert refused.code == 2
    assert "unknown part 'upside'" in refused.err


def test_predictions_made_otherwise_are_predicted_anew(two, invoke):
    given = {
        "views": '["none", "hflip+scale-1.5"]', "merge": "logit", "tile": "32", "image_size": "96",
    }  # fmt: skip
    words = [
        word for name, value in given.items() for word in ("--set", f"inference.{name}={value}")
    ]
    done = invoke("predict", "run", two, *words)
    assert done.code == 0, done.err
    assert "because views and merge and image_size and tile changed" in done.err
    assert invoke("ensemble", "run", two, *words).code == 0


def test_shares_are_predicted_by_several_processes(two, invoke):
    shutil.rmtree(two / "predictions")
    first = invoke("predict", "run", two, "--share", "1/2", "--set", "inference.batch_size=2")
    assert first.code == 0, first.err
    assert "other processes predict the rest" in first.err
    unfinished = invoke("ensemble", "run", two, "--set", "inference.batch_size=2")
    assert unfinished.code == 2
    second = invoke("predict", "run", two, "--share", "2/2", "--set", "inference.batch_size=2")
    assert second.code == 0, second.err
    assert invoke("ensemble", "run", two, "--set", "inference.batch_size=2").code == 0
    wrong = invoke("predict", "run", two, "--share", "3/2")
    assert wrong.code == 2
    assert "expected K/N" in wrong.err


def test_the_plateau_and_its_picture(two, invoke):
    done = invoke("ensemble", "run", two, "--set", "ensemble.rule=centre", "--json")
    report = done.json
    assert report["plateau"]["within"] == 0.001
    assert report["peak"]["score"] >= report["optimistic"] - 1e-12
    assert (two / "ensemble.png").read_bytes()[:4] == b"\x89PNG"
    peak = invoke("ensemble", "run", two, "--set", "ensemble.rule=peak", "--json").json
    assert peak["plateau"] is None
    assert peak["rule"] == peak["peak"]["rule"]


def test_given_thresholds_are_taken_at_the_original_size(two, invoke):
    given = "ensemble.thresholds={top=0.75, min_area=2000, bottom=0.3, at_size=1024}"
    done = invoke("ensemble", "run", two, "--set", given, "--json")
    assert done.code == 0, done.err
    assert done.json["rule"]["min_area_px"] == 18  # 2000 x 96 x 96 / 1024 / 1024
    assert "min_area 2,000 px at 1024 x 1024 is 18 px at the original size" in done.err
    assert done.json["honest"]["score"] == pytest.approx(done.json["optimistic"])


def test_post_processing_is_searched_and_applied(two, invoke):
    words = ["--set", "ensemble.post_processing=auto"]
    done = invoke("ensemble", "run", two, *words)
    assert done.code == 0, done.err
    report = json.loads((two / "ensemble.json").read_text())
    assert [one["step"] for one in report["post_processing_tried"]] == [
        "min_part_px", "largest", "fill_holes", "dilate_px",
    ]  # fmt: skip
    assert "post-processing fill_holes: honest gain" in done.out
    assert invoke("submit", "write", two, *words).code == 0


def test_two_submissions_side_by_side(two, finished, invoke):
    first, second = two / "submission.csv", finished / "submission.csv"
    done = invoke("submit", "compare", first, second, "--competition", finished, "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["shared_images"] == sum(found["empty"].values())
    assert 0 <= found["dice"] <= 1
    assert found["identical"] + len(found["differing"]) == found["shared_images"]
    plain = invoke("submit", "compare", first, second, "--competition", finished)
    assert "mean Dice" in plain.out


def test_two_submissions_are_selected(two, finished, invoke):
    done = invoke("submit", "select", two, finished, "--tolerance", "1", "--json")
    assert done.code == 0, done.err
    chosen = {done.json["best"], done.json["other"]}
    assert chosen == {str(two / "submission.csv"), str(finished / "submission.csv")}
    tight = invoke("submit", "select", two, finished, "--tolerance", "0")
    assert tight.code == 0
    alone = invoke("submit", "select", two)
    assert alone.code == 2
    assert "at least two submissions" in alone.err


def test_an_image_is_explained(two, invoke):
    sample = (two / "submission.csv").read_text().splitlines()[1].split(",")[0]
    done = invoke("submit", "explain", two, sample, "--json")
    assert done.code == 0, done.err
    assert [one["member"] for one in done.json["members"]] == ["one", "two"]
    assert done.json["verdict"].startswith(("empty: ", "a mask: "))
    assert "score" not in done.json
    trained = (two / "folds.csv").read_text().splitlines()[1].split(",")[0]
    known = invoke("submit", "explain", two, trained, "-o", two / "look.png")
    assert known.code == 0, known.err
    assert "true mask: " in known.out
    assert (two / "look.png").read_bytes()[:4] == b"\x89PNG"
    unknown = invoke("submit", "explain", two, "nobody")
    assert unknown.code == 2
    assert "has no image 'nobody'" in unknown.err
