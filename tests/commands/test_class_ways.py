"""Averages, blends, views, comparisons and explanations of runs that predict classes."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import log_loss, roc_auc_score

from goldfold.inference.row_table import read_rows

MODEL = (
    '{name="NAME", architecture="Classifier", encoder="test_resnet", channels=CHANNELS,'
    " seeds=[SEED], stages=[{epochs=3, image_size=64, batch_size=8, learning_rate=1e-3, LOSS}]}"
)
PNEUMONIA, HEMORRHAGE = "chest-xray-pneumonia", "rsna-intracranial-hemorrhage"
SOFTMAX, SIGMOID = "loss={bce=0, dice=0, cross_entropy=1}", "loss={bce=1, dice=0}"


def models(channels, loss, names):
    made = [
        MODEL.replace("NAME", name)
        .replace("SEED", str(seed))
        .replace("CHANNELS", str(channels))
        .replace("LOSS", loss)
        for seed, name in enumerate(names)
    ]
    return f"models=[{', '.join(made)}]"


def synthetic(invoke, data, preset, train, test):
    made = invoke(
        "competition", "synthesize", data, "--like", preset, "--train", train, "--test", test,
        "--size", 96,
    )  # fmt: skip
    assert made.code == 0, made.err
    return data


def finished_run(invoke, data, run, preset, channels, loss, names, *more):
    """Return the run directory of a finished run."""
    settings = [models(channels, loss, names), "folds.count=2", "inference.checkpoints=2",
                "ensemble.bootstrap_samples=100", "workers=1", *more]  # fmt: skip
    words = [word for assignment in settings for word in ("--set", assignment)]
    done = invoke("init", preset, "--data", data, "--recipe", "quick", "-o", run, *words)
    assert done.code == 0, done.err
    done = invoke("run", run)
    assert done.code == 0, done.err
    return run


@pytest.fixture(scope="module")
def chests_made(tmp_path_factory, invoke):
    """Return a finished run of two models on two exclusive classes; nobody changes it."""
    folder = tmp_path_factory.mktemp("chests")
    data = synthetic(invoke, folder / "data", PNEUMONIA, 30, 12)
    return finished_run(
        invoke, data, folder / "run", PNEUMONIA, 1, SOFTMAX, ["one", "two"],
        "competition.metric=auroc",
    )  # fmt: skip


@pytest.fixture(scope="module")
def heads_made(tmp_path_factory, invoke):
    """Return a finished run of one model on six classes that may be together."""
    folder = tmp_path_factory.mktemp("heads")
    data = synthetic(invoke, folder / "data", HEMORRHAGE, 40, 12)
    return finished_run(invoke, data, folder / "run", HEMORRHAGE, 3, SIGMOID, ["one"])


@pytest.fixture(scope="module")
def other_heads(heads_made, invoke):
    """Return another finished run on the same images and folds; nobody changes it."""
    data, run = heads_made.parent / "data", heads_made.parent / "other"
    return finished_run(invoke, data, run, HEMORRHAGE, 3, SIGMOID, ["two", "three"])


@pytest.fixture
def chests(chests_made, tmp_path):
    """Return a copy of the run that a test may change."""
    return shutil.copytree(chests_made, chests_made.parent / tmp_path.name)  # beside its data


@pytest.fixture
def heads(heads_made, tmp_path):
    return shutil.copytree(heads_made, heads_made.parent / tmp_path.name)


def out_of_fold(run, model="one", split="out-of-fold"):
    """Return the table of a model's probabilities, by image, sorted."""
    paths = sorted((run / "predictions").glob(f"{model}/seed-*/fold-*/{split}.maps"))
    table = pd.concat(read_rows(path) for path in paths)
    return table.groupby("image_id").mean().sort_index()


def truth_of(run, table, classes):
    """Return 0 and 1 (N, C) for the images of a table."""
    images = pd.read_csv(run / "images.csv", dtype=str, keep_default_na=False)
    named = images.set_index("image_id").loc[table.index, "classes"].str.split(";")
    return np.array([[name in one for name in classes] for one in named], int)


def weighted_loss(truth, table, classes):
    """Return the organisers' score: minus the mean loss over classes, `any` twice."""
    losses = []
    for place, name in enumerate(classes):
        one = log_loss(truth[:, place], table[name], labels=[0, 1])
        losses += [one] * (1 + (name == "any"))
    return -np.mean(losses)


def test_views_are_scored_as_the_metric_does(chests, invoke):
    done = invoke("predict", "views", chests, "--view", "none", "--view", "hflip", "--json")
    assert done.code == 0, done.err
    assert [one["model"] for one in done.json] == ["one", "two"]
    assert json.loads((chests / "views.json").read_text()) == done.json
    for one in done.json:
        sets = {row["views"]: row for row in one["sets"]}
        assert list(sets) == ["none alone", "hflip alone", "all 2"]
        assert sets["none alone"]["gain"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
        for row in one["sets"]:
            gain = row["gain"]
            assert gain["low"] <= gain["mean"] <= gain["high"]
            assert gain["mean"] == pytest.approx(row["honest"] - sets["none alone"]["honest"])
            assert row["milliseconds_an_image"] > 0
        # inference.views = "hflip" is what was predicted: the same numbers, scored by scikit-learn
        table = out_of_fold(chests, one["model"])
        truth = truth_of(chests, table, ["NORMAL", "PNEUMONIA"])[:, 1]
        assert sets["all 2"]["honest"] == pytest.approx(roc_auc_score(truth, table["PNEUMONIA"]))


def test_views_of_a_loss(heads, invoke):
    done = invoke("predict", "views", heads, "--view", "none", "--view", "hflip", "--json")
    assert done.code == 0, done.err
    (one,) = done.json
    report = json.loads((heads / "ensemble.json").read_text())
    table = out_of_fold(heads)
    score = weighted_loss(truth_of(heads, table, report["classes"]), table, report["classes"])
    assert one["metric"] == "neg-log-loss"
    assert {row["views"]: row["honest"] for row in one["sets"]}["all 2"] == pytest.approx(score)
    shown = invoke("predict", "views", heads, "--view", "none", "--view", "hflip")
    assert "honest neg-log-loss of 40 held-out images" in shown.out


def test_averages_of_weights_are_compared_and_predict(chests, invoke):
    early = invoke("predict", "run", chests, "--set", "inference.average=greedy")
    assert (early.code, "goldfold ensemble average" in early.err) == (2, True)
    done = invoke("ensemble", "average", chests, "--json")
    assert done.code == 0, done.err
    for name in ("one", "two"):
        one = done.json[name]
        assert set(one["honest"]) == {"best", "predictions", "uniform", "greedy"}
        assert one["difference"]["predictions"] == [0.0, 0.0, 0.0]
        for way, (mean, low, high) in one["difference"].items():
            assert mean == pytest.approx(one["honest"][way] - one["honest"]["predictions"])
            assert low <= mean <= high
        assert one["best"] == max(one["honest"], key=one["honest"].get)
        assert all(1 <= count <= 2 for count in one["taken"])
    # What the averages are said to score is what they predict with.
    table = out_of_fold(chests)
    truth = truth_of(chests, table, ["NORMAL", "PNEUMONIA"])[:, 1]
    assert done.json["one"]["honest"]["predictions"] == pytest.approx(
        roc_auc_score(truth, table["PNEUMONIA"]), abs=0.02
    )
    made = invoke("predict", "run", chests, "--set", "inference.average=uniform")
    assert made.code == 0, made.err
    assert "1 checkpoint, torch on" in made.err
    averaged = out_of_fold(chests)
    assert not np.allclose(averaged["PNEUMONIA"], table["PNEUMONIA"])
    assert done.json["one"]["honest"]["uniform"] == pytest.approx(
        roc_auc_score(truth, averaged["PNEUMONIA"]), abs=0.02
    )
    automatic = invoke("run", chests, "--set", "inference.average=auto")
    assert automatic.code == 0, automatic.err
    shown = invoke("ensemble", "average", chests)
    assert "checkpoints in the greedy average, by fold: " in shown.out


def test_ways_to_blend_are_compared(chests, invoke):
    done = invoke("ensemble", "blend", chests, "--json")
    assert done.code == 0, done.err
    report = done.json
    assert json.loads((chests / "blends.json").read_text()) == report
    assert report["members"] == ["one", "two"]
    plain = [one for one in report["blends"] if one["calibration"] == "none"]
    assert len(report["blends"]) == len(plain) + 8
    ways = {(one["merge"], one["weights_by"]): one for one in plain}
    assert len(ways) == 14
    first, second = out_of_fold(chests, "one"), out_of_fold(chests, "two")
    truth = truth_of(chests, first, ["NORMAL", "PNEUMONIA"])[:, 1]
    one, two = first["PNEUMONIA"].to_numpy(), second["PNEUMONIA"].to_numpy()
    roots = np.sqrt(one * two), np.sqrt((1 - one) * (1 - two))
    odds = np.sqrt(one * two / (1 - one) / (1 - two))
    expected = {
        "mean": one + two,
        "geometric": roots[0] / sum(roots),
        "logit": odds,
        "rank": pd.Series(one).rank() + pd.Series(two).rank(),
    }
    for merge, blend in expected.items():
        found = ways[merge, "equal"]
        assert found["honest"] == pytest.approx(roc_auc_score(truth, blend))
        assert found["optimistic"] == pytest.approx(found["honest"])  # nothing is chosen
        gain = found["gain"]
        assert gain["mean"] == pytest.approx(found["honest"] - ways["mean", "equal"]["honest"])
        assert gain["low"] <= gain["mean"] <= gain["high"]
    without = {row["member"]: row for row in report["without_member"]}
    assert without["one"]["honest"] == pytest.approx(roc_auc_score(truth, two))
    assert without["two"]["gain"] == pytest.approx(
        roc_auc_score(truth, one) - roc_auc_score(truth, one + two)
    )
    shown = invoke("ensemble", "blend", chests)
    assert "better without: " in shown.out
    assert "next: goldfold ensemble run" in shown.out


def files_of(run):
    """Return the file of each test image."""
    images = pd.read_csv(run / "images.csv", dtype=str, keep_default_na=False)
    test = images[images["split"] == "test"].sort_values("image_id")
    data = run.parent / "data"
    return dict(zip(test["image_id"], (data / path for path in test["path"]), strict=True))


def set_ensemble(**given):
    return [word for key, one in given.items() for word in ("--set", f"ensemble.{key}={one}")]


def test_stacked_exclusive_classes_are_submitted_and_exported_alike(chests, invoke, tmp_path):
    words = set_ensemble(merge="logit", weights="logistic", calibration="platt")
    shown = invoke("ensemble", "run", chests, *words)
    assert shown.code == 0, shown.err
    assert "stacking: logistic; members count one " in shown.out
    assert "calibration: platt; out of fold Brier score " in shown.out
    report = json.loads((chests / "ensemble.json").read_text())
    row = report["stacking"]["classes"]["PNEUMONIA"]
    said = []
    for name in ("one", "two"):
        table, curves = out_of_fold(chests, name, "test"), report["calibration"]["members"][name]
        told = np.stack(
            [
                1 / (1 + np.exp(-curve["slope"] * np.log(p / (1 - p)) - curve["intercept"]))
                for curve, p in ((curves[label], table[label].to_numpy()) for label in table)
            ]
        )
        told = np.log(told / told.sum(axis=0))  # rows sum to one, so logits are differences
        odds = dict(zip(table, (told[0] - told[1], told[1] - told[0]), strict=True))
        said.append(sum(row["members"][name][label] * odds[label] for label in table))
    expected = 1 / (1 + np.exp(-row["bias"] - sum(said)))
    assert invoke("submit", "write", chests, *words).code == 0
    submitted = pd.read_csv(chests / "submission.csv").set_index("image_id")["PNEUMONIA"]
    assert submitted[table.index].to_numpy() == pytest.approx(expected, abs=1e-5)
    assert invoke("export", chests, "-o", tmp_path / "model", *words).code == 0
    files = dict(list(files_of(chests).items())[:4])
    done = invoke("predict", "image", tmp_path / "model", *files.values(), "--json")
    assert done.code == 0, done.err
    for image_id, found in zip(files, done.json["images"], strict=True):
        assert found["classes"]["PNEUMONIA"] == pytest.approx(submitted[image_id], abs=1e-4)
    explained = invoke("submit", "explain", chests, next(iter(files)), "--json", *words).json
    assert explained["merge"] == "logistic on logit of calibrated members"
    assert explained["blend"]["PNEUMONIA"] == pytest.approx(submitted[next(iter(files))], abs=1e-5)


def test_a_calibrated_member_is_submitted_and_exported_alike(heads, invoke, tmp_path):
    words = set_ensemble(calibration="isotonic")
    done = invoke("ensemble", "run", heads, *words, "--json")
    assert done.code == 0, done.err
    assert done.json["honest"]["score"] < 0
    table, told = out_of_fold(heads, "one", "test"), done.json["calibration"]
    assert told["out_of_fold"]["before"].keys() == told["out_of_fold"]["after"].keys()
    assert invoke("submit", "write", heads, *words).code == 0
    submitted = pd.read_csv(heads / "submission.csv").set_index("ID")["Label"]
    for name, curve in told["members"]["one"].items():
        expected = np.interp(table[name], curve["probability"], curve["calibrated"])
        found = submitted[[f"{image_id}_{name}" for image_id in table.index]]
        assert found.to_numpy() == pytest.approx(expected, rel=1e-5)
    assert invoke("export", heads, "-o", tmp_path / "model", *words).code == 0
    image_id, path = next(iter(files_of(heads).items()))
    found = invoke("predict", "image", tmp_path / "model", path, "--json").json["images"][0]
    for name, value in found["classes"].items():
        # A step of the curve lies between probabilities that differ by rounding at most.
        assert value == pytest.approx(submitted[f"{image_id}_{name}"], abs=0.02)


def test_models_of_another_run_are_blended(heads, other_heads, invoke):
    compared = invoke("ensemble", "blend", heads, "--with", other_heads, "--json")
    assert compared.code == 0, compared.err
    assert compared.json["members"] == ["one", "other/two", "other/three"]
    given = ["--set", f'ensemble.runs=["{other_heads}"]', "--set", "ensemble.weights=[2, 1, 1]"]
    done = invoke("ensemble", "run", heads, *given, "--json")
    assert done.code == 0, done.err
    classes = done.json["classes"]
    assert {one["name"]: one["weight"] for one in done.json["members"]} == {
        "one": 2, "other/two": 1, "other/three": 1,
    }  # fmt: skip
    tables = [
        out_of_fold(heads),
        out_of_fold(other_heads, "two"),
        out_of_fold(other_heads, "three"),
    ]
    blend = (2 * tables[0] + tables[1] + tables[2]) / 4
    score = weighted_loss(truth_of(heads, blend, classes), blend, classes)
    assert done.json["honest"]["score"] == pytest.approx(score)
    written = invoke("submit", "write", heads, *given)
    assert written.code == 0, written.err
    tests = [out_of_fold(heads, "one", "test"), out_of_fold(other_heads, "two", "test"),
             out_of_fold(other_heads, "three", "test")]  # fmt: skip
    blend = (2 * tests[0] + tests[1] + tests[2]) / 4
    submitted = pd.read_csv(heads / "submission.csv").set_index("ID")["Label"]
    for image_id, row in blend.iterrows():
        for name in classes:
            assert submitted[f"{image_id}_{name}"] == pytest.approx(row[name], rel=1e-5)


def test_runs_that_do_not_fit_are_not_blended(heads, other_heads, chests, invoke):
    weights = ["--set", f'ensemble.runs=["{other_heads}"]', "--set", "ensemble.weights=[2, 1]"]
    done = invoke("ensemble", "run", heads, *weights)
    assert (done.code, "2 values for 3 members: one, other/two" in done.err) == (2, True)
    done = invoke("ensemble", "blend", heads, "--with", chests)
    assert (done.code, "it predicts the classes NORMAL, PNEUMONIA" in done.err) == (2, True)


def test_other_classes_are_not_blended(heads_made, chests_made):
    from goldfold.errors import InputError
    from goldfold.pipeline.open_run import OpenRun
    from goldfold.pipeline.same_classes import require_same_classes

    with pytest.raises(
        InputError, match="it predicts the classes NORMAL, PNEUMONIA, one per image"
    ):
        require_same_classes(OpenRun.open(heads_made), OpenRun.open(chests_made))


def test_two_tables_of_classes_side_by_side(chests, chests_made, invoke):
    changed = invoke("submit", "write", chests, "--set", "ensemble.weights=[1, 0]")
    assert changed.code == 2  # the ensemble is of other weights
    for words in (["ensemble", "run"], ["submit", "write"]):
        assert invoke(*words, chests, "--set", "ensemble.weights=[1, 0]").code == 0
    first, second = chests / "submission.csv", chests_made / "submission.csv"
    done = invoke("submit", "compare", first, second, "--competition", chests, "--json")
    assert done.code == 0, done.err
    ours, theirs = (pd.read_csv(one).set_index("image_id") for one in (first, second))
    gap = (ours["PNEUMONIA"] - theirs["PNEUMONIA"]).abs()
    found = done.json
    assert found["shared_images"] == len(ours) == 12
    assert found["mean_difference"] == pytest.approx(gap.mean(), abs=2e-6)
    assert found["same_labels"] == pytest.approx((ours["predicted"] == theirs["predicted"]).mean())
    assert found["labels_from"] == "the files"
    assert found["agreement_by"] == "rank correlation"  # the metric is AUROC
    correlation = spearmanr(ours["PNEUMONIA"], theirs["PNEUMONIA"]).statistic
    assert found["agreement"] == pytest.approx(correlation)
    by_class = {one["name"]: one for one in found["classes"]}
    assert by_class["PNEUMONIA"]["rank_correlation"] == pytest.approx(correlation)
    assert by_class["PNEUMONIA"]["named_first"] == (ours["predicted"] == "PNEUMONIA").sum()
    assert found["differing"][0]["image_id"] == gap.idxmax()
    shown = invoke("submit", "compare", first, second, "--competition", chests, "--images", "3")
    assert shown.code == 0, shown.err
    assert "(rank correlation)" in shown.out
    same = invoke("submit", "compare", second, second, "--competition", chests, "--json").json
    assert (same["agreement"], same["identical"], same["differing"]) == (pytest.approx(1), 12, [])


def test_two_submissions_of_probabilities_side_by_side(heads, other_heads, invoke, tmp_path):
    first, second = heads / "submission.csv", other_heads / "submission.csv"
    done = invoke("submit", "compare", first, second, "--json")  # the preset has these columns
    assert done.code == 0, done.err
    ours, theirs = (pd.read_csv(one).set_index("ID")["Label"] for one in (first, second))
    assert done.json["shared_images"] == 12
    assert done.json["agreement"] == pytest.approx(1 - (ours - theirs).abs().mean())
    assert done.json["labels_from"] == "one half"
    short = tmp_path / "short.csv"
    short.write_text("\n".join(first.read_text().splitlines()[:-1]) + "\n")
    done = invoke("submit", "compare", short, second)
    assert (done.code, "1 image lacks a row" in done.err) == (2, True)


def test_two_runs_of_classes_are_selected(heads, other_heads, invoke):
    done = invoke("submit", "select", heads, other_heads, "--tolerance", "9", "--json")
    assert done.code == 0, done.err
    files = [heads / "submission.csv", other_heads / "submission.csv"]
    assert {done.json["best"], done.json["other"]} == {str(one) for one in files}
    assert done.json["agreement_by"] == "1 - mean difference"
    honest = [one["honest"] for one in done.json["candidates"]]
    assert honest == sorted(honest, reverse=True)
    assert honest[0] < 0  # minus a loss
    shown = invoke("submit", "select", heads, other_heads, "--tolerance", "0")
    assert "agrees with the best, 1 - mean difference" in shown.out


def test_a_training_image_is_explained_out_of_fold(chests, invoke, tmp_path):
    report = json.loads((chests / "ensemble.json").read_text())
    one, two = out_of_fold(chests, "one"), out_of_fold(chests, "two")
    image_id = one.index[3]
    done = invoke("submit", "explain", chests, image_id, "-o", tmp_path / "look.png", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert [one["member"] for one in found["members"]] == ["one", "two"]
    assert found["members"][1]["probability"]["PNEUMONIA"] == pytest.approx(
        two.loc[image_id, "PNEUMONIA"]
    )
    blend = (one.loc[image_id, "PNEUMONIA"] + two.loc[image_id, "PNEUMONIA"]) / 2
    assert found["blend"]["PNEUMONIA"] == pytest.approx(blend)
    assert sum(found["blend"].values()) == pytest.approx(1)
    limit = report["thresholds"]["PNEUMONIA"]
    assert found["thresholds"] == {"PNEUMONIA": limit}
    assert found["predicted"] == ["PNEUMONIA" if blend >= limit else "NORMAL"]
    is_ill = truth_of(chests, one.loc[[image_id]], ["PNEUMONIA"])[0, 0] == 1
    assert found["true"] == ["PNEUMONIA" if is_ill else "NORMAL"]
    assert found["right"] == (found["true"] == found["predicted"])
    assert found["log_loss"] == pytest.approx(-np.log(blend if is_ill else 1 - blend))
    assert (tmp_path / "look.png").read_bytes()[:4] == b"\x89PNG"
    shown = invoke("submit", "explain", chests, image_id)
    assert "true classes: " in shown.out
    assert (chests / "explained").is_dir()


def test_a_test_image_is_explained_as_submitted(heads, invoke):
    submitted = pd.read_csv(heads / "submission.csv").set_index("ID")["Label"]
    image_id = submitted.index[0].rsplit("_", 1)[0]
    done = invoke("submit", "explain", heads, image_id, "--json")
    assert done.code == 0, done.err
    assert "true" not in done.json
    for name, value in done.json["blend"].items():
        assert value == pytest.approx(submitted[f"{image_id}_{name}"], rel=1e-5)
    expected = {n for n, p in done.json["blend"].items() if p >= done.json["thresholds"][n]}
    assert set(done.json["predicted"]) == expected  # in the order of the classes
    assert done.json["verdict"].startswith(", ".join(done.json["predicted"]) or "no class")
    unknown = invoke("submit", "explain", heads, "nobody")
    assert (unknown.code, "has no image 'nobody'" in unknown.err) == (2, True)


@pytest.mark.parametrize("labels", ["soft", "hard"])
def test_a_student_learns_from_pseudo_labels(heads, invoke, labels):
    student = heads.parent / f"student-{labels}"
    taught = ', pseudo_labels={name="taught", share=0.4}'
    settings = [models(3, SIGMOID + taught, ["student"]), "folds.count=2", "workers=1",
                "inference.checkpoints=1", "ensemble.bootstrap_samples=100"]  # fmt: skip
    words = [word for assignment in settings for word in ("--set", assignment)]
    data = heads.parent / "data"
    made = invoke("init", HEMORRHAGE, "--data", data, "--recipe", "quick", "-o", student, *words)
    assert made.code == 0, made.err
    assert invoke("folds", "build", student).code == 0
    early = invoke("train", "run", student)
    assert (early.code, "there are no pseudo-labels 'taught' for fold 0" in early.err) == (2, True)
    given = ["--into", student, "--name", "taught", "--labels", labels]
    least = 0.52  # of a network that hardly knows anything
    done = invoke("train", "pseudo-label", heads, *given, "--confidence", least)
    assert done.code == 0, done.err
    folder = student / "pseudo-labels" / "taught"
    rows = pd.read_csv(folder / "pseudo-labels.csv", keep_default_na=False)
    for fold in (0, 1):
        path = heads / "predictions" / "one" / "seed-0" / f"fold-{fold}" / "test.maps"
        said = read_rows(path)
        certain = np.maximum(said, 1 - said).min(axis=1)
        told = rows[rows["fold"] == fold].set_index("image_id")
        assert told["confidence"].to_numpy() == pytest.approx(certain[told.index], abs=1e-4)
        assert (told["kept"] == (certain[told.index] >= least)).all()
        labelled = read_rows(folder / f"fold-{fold}.maps")
        expected = said.loc[labelled.index]
        expected = (expected >= 0.5).astype(float) if labels == "hard" else expected
        assert labelled.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-6)
        assert list(labelled.index) == list(told.index[told["kept"]])
    other = invoke("train", "pseudo-label", heads, *given, "--confidence", "0")
    assert (other.code, "holds other pseudo-labels" in other.err) == (2, True)
    again = invoke("train", "pseudo-label", heads, *given, "--confidence", "0", "--overwrite")
    assert again.code == 0, again.err
    planned = invoke("train", "plan", student)
    assert planned.code == 0, planned.err
    trained = invoke("run", student)
    assert trained.code == 0, trained.err
    history = pd.read_csv(student / "models/student/seed-0/fold-0/stage-1/history.csv")
    assert (history["pseudo_labelled"] > 0).all()
