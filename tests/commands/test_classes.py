"""Competitions with classes, from synthetic files to a checked submission, by the command line."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, f1_score, log_loss, roc_auc_score

from goldfold.inference.row_table import read_rows

TINY = (
    'models=[{name="tiny", architecture="Classifier", encoder="test_resnet", channels=CHANNELS,'
    " stages=[{epochs=1, image_size=64, batch_size=8, learning_rate=1e-3, LOSS}]}]"
)
PNEUMONIA, HEMORRHAGE = "chest-xray-pneumonia", "rsna-intracranial-hemorrhage"


def tiny(channels, loss):
    text = TINY.replace("CHANNELS", str(channels)).replace("LOSS", loss)
    return ["--set", text, "--set", "folds.count=2", "--set", "inference.checkpoints=1",
            "--set", "ensemble.bootstrap_samples=100", "--set", "workers=1"]  # fmt: skip


def make(invoke, folder, preset, train, test, channels, loss, *more):
    made = invoke(
        "competition", "synthesize", folder / "data", "--like", preset, "--train", train,
        "--test", test, "--size", 96, *more,
    )  # fmt: skip
    assert made.code == 0, made.err
    done = invoke(
        "init", preset, "--data", folder / "data", "--recipe", "quick", "-o", folder / "run",
        *tiny(channels, loss),
    )  # fmt: skip
    assert done.code == 0, done.err
    return made


@pytest.fixture(scope="module")
def chests(tmp_path_factory, invoke):
    folder = tmp_path_factory.mktemp("chests")
    loss = (
        "loss={bce=0, dice=0, cross_entropy=1, smoothing=0.1, class_weights='balanced'}, mixup=0.2"
    )
    make(invoke, folder, PNEUMONIA, 30, 12, 1, loss)
    done = invoke("run", folder / "run")
    assert done.code == 0, done.err
    return folder, done


@pytest.fixture(scope="module")
def heads(tmp_path_factory, invoke):
    folder = tmp_path_factory.mktemp("heads")
    make(invoke, folder, HEMORRHAGE, 40, 12, 3, "loss={bce=1, dice=0, class_weights={any=2.0}}")
    done = invoke("run", folder / "run")
    assert done.code == 0, done.err
    return folder, done


def test_pneumonia_from_folders_to_the_judgement_of_the_test_images(chests, invoke):
    folder, done = chests
    images = pd.read_csv(folder / "run/images.csv", dtype=str, keep_default_na=False)
    folds = pd.read_csv(folder / "run/folds.csv")
    train = images[images["split"] == "train"]
    assert train["path"].str.startswith("val/").any()  # merged with train
    assert not train["path"].str.startswith("test/").any()
    assert (train["classes"] == train["path"].str.split("/").str[1]).all()
    assert set(train["patient"]) == set(folds["group"])
    assert (folds.groupby("group")["fold"].nunique() == 1).all()
    for _, part in folds.groupby("fold"):
        assert set(part["stratum"]) == {"NORMAL", "PNEUMONIA"}
    assert "test images, kept apart until now: f1" in done.out

    written = pd.read_csv(folder / "run/submission.csv")
    test = images[images["split"] == "test"].set_index("image_id")
    truth = test.loc[written["image_id"], "classes"] == "PNEUMONIA"
    said = written["predicted"] == "PNEUMONIA"
    found = pd.read_csv(folder / "run/test-metrics.csv").iloc[0]
    counts = [
        found[name]
        for name in ("true_negative", "false_positive", "false_negative", "true_positive")
    ]
    assert counts == confusion_matrix(truth, said).ravel().tolist()
    assert found["f1"] == pytest.approx(f1_score(truth, said), abs=1e-5)
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, written["PNEUMONIA"]), abs=1e-4)
    assert written[["NORMAL", "PNEUMONIA"]].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)


def test_the_honest_score_is_that_of_the_out_of_fold_table(chests):
    folder, _ = chests
    report = json.loads((folder / "run/ensemble.json").read_text())
    images = pd.read_csv(folder / "run/images.csv", dtype=str, keep_default_na=False)
    classes = images.set_index("image_id")["classes"]
    stores = sorted((folder / "run/predictions").glob("tiny/seed-0/fold-*/out-of-fold.maps"))
    table = pd.concat(read_rows(path).reset_index() for path in stores)
    truth = (classes.loc[table["image_id"]] == "PNEUMONIA").to_numpy()
    measured = {one["class"]: one for one in report["measures"]}["PNEUMONIA"]
    assert measured["auroc"] == pytest.approx(roc_auc_score(truth, table["PNEUMONIA"]))
    said = (table["PNEUMONIA"] >= report["thresholds"]["PNEUMONIA"]).to_numpy()
    assert report["optimistic"] == pytest.approx(f1_score(truth, said))
    assert report["honest"]["score"] == pytest.approx(measured["f1"])
    interval = report["honest"]["interval"]
    assert interval["low"] <= report["honest"]["score"] <= interval["high"]


def test_hemorrhage_from_dicom_to_a_checked_submission(heads, invoke):
    folder, done = heads
    assert "consistency: in " in done.err
    sample = folder / "data/stage_2_sample_submission.csv"
    checked = invoke(
        "submit", "check", folder / "run/submission.csv", "--sample", sample, "--competition",
        folder / "run",
    )  # fmt: skip
    assert checked.code == 0, checked.out
    written, wanted = pd.read_csv(folder / "run/submission.csv"), pd.read_csv(sample)
    assert written["ID"].tolist() == wanted["ID"].tolist()
    assert written["Label"].between(1e-6, 1 - 1e-6).all()
    assert len(written) == 12 * 6


def test_the_weighted_loss_is_the_organisers(heads):
    folder, _ = heads
    report = json.loads((folder / "run/ensemble.json").read_text())
    images = pd.read_csv(folder / "run/images.csv", dtype=str, keep_default_na=False)
    classes = images.set_index("image_id")["classes"]
    stores = sorted((folder / "run/predictions").glob("tiny/seed-0/fold-*/out-of-fold.maps"))
    table = pd.concat(read_rows(path).reset_index() for path in stores)
    losses = []
    for name in report["classes"]:
        truth = classes.loc[table["image_id"]].str.split(";").map(lambda names, n=name: n in names)
        losses += [log_loss(truth, table[name], labels=[False, True])] * (1 + (name == "any"))
    assert report["honest"]["score"] == pytest.approx(-np.mean(losses), rel=1e-6)


def test_everything_is_up_to_date_then(heads, invoke):
    folder, _ = heads
    again = invoke("run", folder / "run")
    assert again.code == 0
    for words in ("folds: up to date", "train tiny seed-0 fold-0: up to date", "test: up to date",
                  "ensemble: up to date", "submission: up to date"):  # fmt: skip
        assert words in again.err
    plan = invoke("run", folder / "run", "--dry-run")
    assert plan.code == 0
    assert all(line.endswith(("up to date", "finished")) for line in plan.out.splitlines())


def test_the_planted_quirks_are_found(tmp_path, invoke):
    made = make(invoke, tmp_path, HEMORRHAGE, 20, 8, 3, "loss={bce=1, dice=0}", "--quirks")
    planted = dict(
        line.removeprefix("planted: ").split(": ")
        for line in made.out.splitlines()
        if line.startswith("planted")
    )
    done = invoke("check", tmp_path / "run")
    assert done.code == 2
    assert f"{planted['broken file']}.dcm: it is truncated" in done.out
    assert (
        f'no label row, dropped (unlabelled = "drop"): {planted["file without rows"]}' in done.out
    )
    assert f'no image, dropped (imageless = "drop"): {planted["rows without a file"]}' in done.out
    assert "6 rows of stage_2_train.csv repeat an image and class; each counts once" in done.out
    excluded = f"competition.images.exclude=['{planted['broken file']}']"
    assert invoke("check", tmp_path / "run", "--set", excluded).code == 0


def test_pneumonia_quirks(tmp_path, invoke):
    make(invoke, tmp_path, PNEUMONIA, 20, 8, 1, "loss={bce=0, dice=0, cross_entropy=1}", "--quirks")
    done = invoke("check", tmp_path / "run")
    assert done.code == 2
    assert "the JPEG is truncated" in done.out
    assert "of 1 patient with training images" in done.out


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("models.0.architecture=Unet", "Classifier or PlainCnn are what classification needs"),
        ("models.0.stages.0.loss.dice=1.0", "loss.dice needs masks; set it to 0"),
        ("models.0.stages.0.loss.class_weights={C=2.0}", "loss.class_weights names 'C'"),
        ("inference.tile=64", "inference.tile cannot be set where no masks are predicted"),
        ("inference.tile_overlap=0.25", "inference.tile_overlap cannot be set where no masks"),
        ("folds.area_bins=2", "folds.area_bins cannot be set where no masks"),
        ("ensemble.rule=peak", "ensemble.rule cannot be set where no masks"),
        ("ensemble.min_area_candidates=9", "ensemble.min_area_candidates cannot be set where"),
        ("ensemble.presence_gate=off", "ensemble.presence_gate cannot be set where no masks"),
    ],
)
def test_settings_that_do_not_fit(chests, invoke, setting, words):
    done = invoke("config", "show", chests[0] / "run", "--set", setting)
    assert (done.code, words in done.err) == (2, True)


def test_two_models_blended_by_rank_with_searched_weights(chests, invoke, tmp_path):
    folder, _ = chests
    second = TINY.replace("CHANNELS", "1").replace("LOSS", "loss={bce=1, dice=0}, cutmix=1.0")
    second = second.removeprefix("models=[").removesuffix("]").replace('"tiny"', '"other"')
    first = TINY.replace("CHANNELS", "1").replace("LOSS", "loss={bce=0, dice=0, cross_entropy=1}")
    both = f"{first.removesuffix(']')}, {second}]"
    words = ["--set", both, "--set", "folds.count=2", "--set", "inference.checkpoints=1",
             "--set", "ensemble.weights=hill-climb", "--set", "ensemble.merge=rank",
             "--set", "ensemble.bootstrap_samples=100"]  # fmt: skip
    run = tmp_path / "run"
    done = invoke(
        "init", PNEUMONIA, "--data", folder / "data", "-o", run, "--recipe", "quick", *words
    )
    assert done.code == 0, done.err
    done = invoke("run", run)
    assert done.code == 0, done.err
    report = json.loads((run / "ensemble.json").read_text())
    assert [one["name"] for one in report["members"]] == ["tiny", "other"]
    assert sum(one["weight"] for one in report["members"]) >= 1
    assert report["merge"] == "rank"


def test_the_plan_and_the_preview_of_classes(heads, invoke):
    folder, _ = heads
    done = invoke("train", "plan", folder / "run")
    assert done.code == 0, done.err
    assert "expected: " in done.out
    assert invoke("train", "preview", folder / "run", "--images", 2, "--draws", 1).code == 0
    assert invoke("train", "lr-range", folder / "run", "--steps", 12).code == 0


def test_a_share_of_pixels_in_the_window(heads, invoke):
    folder, _ = heads
    done = invoke("check", folder / "run", "--set", "competition.images.least_in_window=0.9")
    assert done.code == 2
    assert "less than 0.9 of their pixels in the window brain, left out" in done.out


@pytest.mark.parametrize("which", ["chests", "heads"])
def test_an_export_of_classes_predicts_what_is_submitted(which, invoke, request, tmp_path):
    folder, _ = request.getfixturevalue(which)
    done = invoke("export", folder / "run", "-o", tmp_path / "model", "--onnx")
    assert done.code == 0, done.err
    assert (tmp_path / "model" / "tiny.onnx").is_file()
    images = pd.read_csv(folder / "run/images.csv", dtype=str, keep_default_na=False)
    test = images[images["split"] == "test"].head(3)
    files = [folder / "data" / path for path in test["path"]]
    done = invoke("predict", "image", tmp_path / "model", *files, "--json")
    assert done.code == 0, done.err
    written = pd.read_csv(folder / "run/submission.csv").set_index(
        "image_id" if which == "chests" else "ID"
    )
    for image_id, found in zip(test["image_id"], done.json["images"], strict=True):
        for name, probability in found["classes"].items():
            known = (
                written.loc[image_id, name]
                if which == "chests"
                else written.loc[f"{image_id}_{name}", "Label"]
            )
            assert probability == pytest.approx(known, abs=0.02)  # bf16, batches of one
    shown = invoke("predict", "image", tmp_path / "model", files[0])
    assert f"{files[0]}: " in shown.out
    assert "| class |" in (tmp_path / "model" / "README.md").read_text()


def test_a_submission_of_classes_is_scored(heads, invoke, tmp_path):
    folder, _ = heads
    given = ["--solution", folder / "data/solution.csv", "--competition", folder / "run"]
    done = invoke("submit", "score", folder / "run/submission.csv", *given, "--json")
    assert done.code == 0, done.err
    truth = pd.read_csv(folder / "data/solution.csv").set_index("ID")["Label"]
    said = pd.read_csv(folder / "run/submission.csv").set_index("ID")["Label"].loc[truth.index]
    weights = np.where(truth.index.str.endswith("_any"), 2.0, 1.0)
    expected = -log_loss(truth, said, sample_weight=weights, labels=[0, 1])
    assert done.json["score"] == pytest.approx(expected, rel=1e-5)
    assert done.json["images"] == 12
    assert done.json["constant"] > -1
    shown = invoke("submit", "score", folder / "run/submission.csv", *given)
    assert "frequencies alone" in shown.out
    text = (folder / "run/submission.csv").read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join(text[:-6]) + "\n")
    done = invoke("submit", "score", short, *given)
    assert (done.code, "lacks 1 of the 12 images" in done.err) == (2, True)
    done = invoke("submit", "score", short, *given, "--only-submitted", "--json")
    assert (done.code, done.json["images"]) == (0, 11)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("\n".join([*text[:3], text[3].split(",")[0] + ",2"]) + "\n")
    done = invoke("submit", "score", wrong, *given)
    assert "row 4: found 2; expected a probability from 0 to 1" in done.err
