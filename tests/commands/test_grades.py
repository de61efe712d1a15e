"""A competition of grades by the command line: one number, steps, and both blended."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

PRESET = "aptos-2019-blindness"
MODEL = (
    'models=[{name="NAME", architecture="Classifier", encoder="test_resnet", channels=3,'
    " stages=[{epochs=1, image_size=64, batch_size=8, learning_rate=1e-3, loss=LOSS}]}]"
)
SQUARED, STEPS = "{bce=0, dice=0, mse=1}", "{bce=1, dice=0}"


def run_of(invoke, data, run, name, loss, *more):
    model = MODEL.replace("NAME", name).replace("LOSS", loss)
    settings = [model, "folds.count=2", "inference.checkpoints=1", "workers=1",
                "ensemble.bootstrap_samples=100", *more]  # fmt: skip
    words = [word for one in settings for word in ("--set", one)]
    done = invoke("init", PRESET, "--data", data, "--recipe", "quick", "-o", run, *words)
    assert done.code == 0, done.err
    done = invoke("run", run)
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory, invoke):
    """Return a folder with data and two finished runs, `one` and `steps`."""
    folder = tmp_path_factory.mktemp("grades")
    made = invoke("competition", "synthesize", folder / "data", "--like", PRESET,
                  "--train", 24, "--test", 8, "--size", 64)  # fmt: skip
    assert made.code == 0, made.err
    done = run_of(invoke, folder / "data", folder / "one", "one", SQUARED)
    run_of(invoke, folder / "data", folder / "steps", "steps", STEPS, "competition.output=ordinal")
    return folder, done


def truth_of(folder, file="train.csv"):
    return pd.read_csv(folder / "data" / file, dtype={"id_code": str}).set_index("id_code")


def test_the_run_says_the_honest_kappa_beside_the_best_constant(made):
    folder, done = made
    assert "quadratic weighted kappa" in done.out
    report = json.loads((folder / "one/ensemble.json").read_text())
    assert report["constant"] == 0
    assert report["optimistic"] >= report["honest"]["score"]
    confusion = np.array(report["confusion"])
    truth = truth_of(folder)["diagnosis"]
    assert confusion.sum(axis=1).tolist() == np.bincount(truth, minlength=5).tolist()
    grid = [(t, p) for t in range(5) for p in range(5) for _ in range(confusion[t, p])]
    kappa = cohen_kappa_score(*zip(*grid, strict=True), weights="quadratic")
    assert report["honest"]["score"] == pytest.approx(kappa)


def test_folds_spread_the_grades(made):
    folder, _ = made
    folds = pd.read_csv(folder / "one/folds.csv", dtype={"image_id": str, "stratum": str})
    counts = folds.groupby(["stratum", "fold"]).size().unstack()
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()


def test_the_submission_holds_grades_and_is_scored(made, invoke):
    folder, _ = made
    file, data = folder / "one/submission.csv", folder / "data"
    checked = invoke("submit", "check", file, "--sample", data / "sample_submission.csv")
    assert checked.code == 0, checked.out
    scored = invoke("submit", "score", file, "--solution", data / "solution.csv", "--json")
    said = pd.read_csv(file, dtype={"id_code": str}).set_index("id_code")["diagnosis"]
    truth = truth_of(folder, "solution.csv").loc[said.index, "diagnosis"]
    expected = cohen_kappa_score(truth, said, weights="quadratic")
    assert scored.json["score"] == pytest.approx(0 if np.isnan(expected) else expected)
    assert scored.json["constant"] == 0


def test_runs_of_different_outputs_are_blended_compared_and_selected(made, invoke, tmp_path):
    folder, _ = made
    shutil.copytree(folder / "one", folder / tmp_path.name)
    run = folder / tmp_path.name
    blends = invoke("ensemble", "blend", run, "--with", folder / "steps", "--json").json
    assert len(blends["blends"]) == 12
    assert blends["members"] == ["one", "steps/steps"]
    done = invoke("ensemble", "run", run, "--with", folder / "steps", "--set",
                  "ensemble.merge=rank")  # fmt: skip
    assert done.code == 0, done.err
    files = [folder / name / "submission.csv" for name in ("one", "steps")]
    compared = invoke("submit", "compare", *files, "--json").json
    assert compared["agreement_by"] == "quadratic weighted kappa of both"
    chosen = invoke(
        "submit", "select", folder / "one", folder / "steps", "--tolerance", 2, "--json"
    )
    assert {chosen.json["best"], chosen.json["other"]} == {str(file) for file in files}


def test_an_exported_model_predicts_what_the_run_submits(made, invoke, tmp_path):
    folder, _ = made
    done = invoke("export", folder / "steps", "-o", tmp_path / "model")
    assert done.code == 0, done.err
    said = pd.read_csv(folder / "steps/submission.csv", dtype=str)
    for image_id, grade in said.head(3).itertuples(index=False):
        image = folder / f"data/test_images/{image_id}.png"
        found = invoke("predict", "image", tmp_path / "model", image, "--json").json["images"][0]
        assert found["grade"] == grade
        explained = invoke("submit", "explain", folder / "steps", image_id, "--json").json
        assert explained["predicted"] == grade
        assert explained["number"] == pytest.approx(found["number"], abs=0.02)


def test_an_ensemble_of_other_members_is_refused_until_it_is_made_anew(made, invoke, tmp_path):
    folder, _ = made
    run = shutil.copytree(folder / "one", folder / f"{tmp_path.name}-edited")
    ensemble = run / "ensemble.json"
    whole = ensemble.read_text()
    ensemble.write_text(whole.replace('"name": "one"', '"name": "other"'))
    for words in (("submit", "write", run), ("export", run, "-o", tmp_path / "model")):
        refused = invoke(*words)
        assert refused.code == 2, refused.err
        assert "'other'" in refused.err
    done = invoke("ensemble", "run", run)  # what the message says to do
    assert done.code == 0, done.err
    assert ensemble.read_text() == whole
    assert "up to date" in invoke("ensemble", "run", run).err


def test_views_averages_and_pseudo_labels(made, invoke, tmp_path):
    folder, _ = made
    run = shutil.copytree(folder / "one", folder / f"{tmp_path.name}-ways")
    views = invoke("predict", "views", run, "--view", "none", "--view", "hflip", "--json")
    assert views.code == 0, views.err
    averages = invoke("ensemble", "average", run, "--json")
    assert averages.code == 0, averages.err
    labels = invoke("train", "pseudo-label", run, "--into", folder / "steps", "--confidence", 0)
    assert labels.code == 0, labels.err
    table = pd.read_csv(folder / "steps/pseudo-labels/pseudo-labels/pseudo-labels.csv")
    assert table["kept"].all()
    assert set(table["grade"].astype(str)) <= set("01234")


def test_check_names_every_bad_grade(invoke, tmp_path):
    made = invoke("competition", "synthesize", tmp_path / "data", "--like", PRESET, "--train", 12,
                  "--test", 8, "--size", 64, "--quirks")  # fmt: skip
    assert made.code == 0, made.err
    run = tmp_path / "run"
    assert invoke("init", PRESET, "--data", tmp_path / "data", "-o", run).code == 0
    done = invoke("check", run)
    assert done.code == 2
    assert "train.csv row 3: '5' is not a class" in done.out + done.err
    assert "train.csv row 4: 'mild' is not a class" in done.out + done.err
