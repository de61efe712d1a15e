"""`goldfold train` beyond one stage: parts, extensions, plan, range test, preview, labels."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest

TWO_STAGES = (
    'models=[{name="tiny", encoder="tu-test_resnet", presence_head=true,'
    " options={decoder_channels=[16,8,8,8,8]}, stages=["
    "{epochs=2, image_size=64, batch_size=8, ema=0.9, loss={presence=0.1},"
    ' sampling={schedule="steps", steps=[[1, 0.8], [2, 0.5]]}},'
    '{epochs=1, image_size=96, crop_size=64, batch_size=4, accumulation=2, start="averaged",'
    ' optimizer="sgd", frozen=["batchnorm"], loss={lovasz=1.0, presence=0.1}}]}]'
)
FOLD = "models/tiny/seed-0/fold-0"


@pytest.fixture(scope="module")
def staged(synthetic, init_run, invoke, tmp_path_factory):
    """Return a run of two stages with a presence head that has gone all the way."""
    run = init_run(synthetic / "data", tmp_path_factory.mktemp("staged") / "run", TWO_STAGES)
    done = invoke("run", run, "--set", "inference.checkpoints=1")
    assert done.code == 0, done.err
    return run


def test_the_whole_is_the_sum_of_its_parts(staged, synthetic, init_run, invoke, contents, tmp_path):
    run = init_run(synthetic / "data", tmp_path / "run", TWO_STAGES)
    assert invoke("folds", "build", run).code == 0
    early = invoke("train", "run", run, "--fold", "0", "--stage", "2")
    assert early.code == 2
    assert "stage-1 is not finished, and the next stage begins with its weights" in early.err
    for stage in (1, 2):
        done = invoke("train", "run", run, "--model", "tiny", "--fold", "0", "--stage", stage)
        assert done.code == 0, done.err
        assert done.out.splitlines()[0].split()[:4] == ["model", "seed", "fold", "stage"]
    for stage in (1, 2):
        pattern = f"{FOLD}/stage-{stage}/checkpoints/*"
        assert contents(run, pattern) == contents(staged, pattern)
        assert contents(run, pattern)


def test_a_stage_that_there_is_not(staged, invoke):
    done = invoke("train", "run", staged, "--stage", "3")
    assert done.code == 2
    assert "there is no stage 3: stages count from 1 to 2." in done.err


def test_the_presence_head_reaches_the_ensemble(staged, invoke):
    report = json.loads((staged / "ensemble.json").read_text())
    assert report["honest_without_presence_gate"] is not None
    assert report["honest"]["score"] >= report["honest_without_presence_gate"]
    from goldfold.inference.reader import MapReader

    with MapReader(staged / "predictions/tiny/seed-0/fold-0/test.maps") as reader:
        told = [reader.presence(image_id) for image_id in reader.image_ids]
        assert all(0 < one < 1 for one in told)
    words = ["--set", "inference.checkpoints=1", "--set", "ensemble.presence_gate=off"]
    plain = invoke("ensemble", "run", staged, "--json", *words)
    assert plain.json["honest_without_presence_gate"] is None
    assert plain.json["rule"]["presence_gate"]["level"] == 0


def test_a_finished_stage_is_extended_and_the_next_one_notices(copied, invoke):
    before = pd.read_csv(copied / FOLD / "stage-1/history.csv")
    done = invoke("train", "run", copied, "--fold", "0", "--extend-epochs", "1")
    assert done.code == 0, done.err
    assert "resuming after epoch 2 of 3" in done.err
    after = pd.read_csv(copied / FOLD / "stage-1/history.csv")
    assert after["epoch"].tolist() == [1, 2, 3]
    assert after["draw"].tolist()[:2] == before["draw"].tolist()
    again = invoke("run", copied)
    assert again.code == 0, again.err
    assert "fold-0 out-of-fold: predicting anew, because checkpoints changed" in again.err


def test_a_training_that_ends_in_time(fresh, invoke):
    assert invoke("folds", "build", fresh).code == 0
    done = invoke("train", "run", fresh, "--fold", "0", "--stop-after", "5s")
    assert done.code == 75
    assert "stopped because the time is up; tiny fold-0 stage-1 is saved after epoch 0" in done.err
    planned = invoke("train", "run", fresh, "--fold", "0", "--dry-run")
    assert planned.out == f"{fresh / FOLD}/stage-1: would resume after epoch 0 of 2\n"
    assert invoke("train", "run", fresh, "--fold", "0").code == 0


@pytest.mark.parametrize("words", [["train", "run"], ["run"]])
def test_a_duration_that_is_none(fresh, invoke, words):
    invoke("folds", "build", fresh)
    done = invoke(*words, fresh, "--stop-after", "soon")
    assert done.code == 2
    assert "expected a duration such as 8h30m, 45m or 90s, found 'soon'" in done.err


# --- plan, lr-range, preview --------------------------------------------------------------------


def test_the_plan_as_a_table_and_a_picture(staged, invoke, tmp_path):
    done = invoke("train", "plan", staged, "--plot", tmp_path / "plan.png", "--no-measure")
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines()[1:5]]
    assert rows[0][:6] == ["stage", "epochs", "non-empty", "images", "with", "mask"]
    history = pd.read_csv(staged / FOLD / "stage-1/history.csv")
    planned = [[int(row[3]), int(row[4]), int(row[5])] for row in rows[1:3]]
    assert planned == history[["images", "non_empty", "empty"]].to_numpy().tolist()
    assert [row[-1] for row in rows[1:]] == ["-", "-", "-"]
    picture = cv2.imread(str(tmp_path / "plan.png"))
    assert picture.std() > 10
    measured = invoke("train", "plan", staged)
    assert "expected: " in measured.out and " h for 2 trainings" in measured.out
    assert (staged / "train-plan-tiny.png").is_file()


def test_the_range_test_writes_its_curve_and_a_suggestion(staged, invoke, contents):
    before = contents(staged, "models/**/*")
    done = invoke(
        "train", "lr-range", staged, "--steps", "40", "--lowest", "1e-5", "--highest", "10"
    )
    assert done.code == 0, done.err
    table = pd.read_csv(staged / "lr-range-tiny.csv")
    assert table.columns.tolist() == ["learning_rate", "loss", "smoothed_loss"]
    assert table["learning_rate"].is_monotonic_increasing
    suggested = float(done.out.split("learning_rate = ")[1].split()[0])
    assert 1e-5 < suggested < 10
    assert "the rate at which the smoothed loss falls fastest" in done.out
    assert f"--set models.0.stages.0.learning_rate={suggested:.2g}" in done.out
    assert cv2.imread(str(staged / "lr-range-tiny.png")).std() > 10
    assert contents(staged, "models/**/*") == before


def test_a_range_that_is_none(staged, invoke):
    done = invoke("train", "lr-range", staged, "--lowest", "1", "--highest", "0.1")
    assert done.code == 2
    assert "expected 0 < lowest < highest" in done.err


def test_the_preview_is_a_sheet_of_images(staged, invoke, tmp_path):
    path = tmp_path / "sheet.png"
    done = invoke("train", "preview", staged, "-o", path, "--images", "3", "--draws", "2")
    assert done.code == 0, done.err
    sheet = cv2.imread(str(path))
    height, width, _ = sheet.shape
    assert height == width
    tile = width // 3
    first, changed = sheet[:tile, :tile], sheet[:tile, tile + 4 : 2 * tile + 4]
    assert np.abs(first[:380, :380].astype(int) - changed[:380, :380]).mean() > 1


# --- pseudo-labels -------------------------------------------------------------------------------


@pytest.fixture
def pupil(copied, data, init_run, tmp_path):
    """Return a second run with the same folds that wants pseudo-labels."""
    wanted = 'models.0.stages.0.pseudo_labels={name="from-first", share=0.3}'
    return init_run(data, tmp_path / "runs" / "second", wanted)


def test_pseudo_labels_of_each_folds_own_models_are_mixed_in(copied, pupil, invoke):
    assert invoke("folds", "build", pupil).code == 0
    refused = invoke("train", "run", pupil, "--fold", "0")
    assert refused.code == 2
    assert "there are no pseudo-labels 'from-first' for fold 0" in refused.err
    words = ["--into", pupil, "--name", "from-first", "--confidence", "0.0"]
    done = invoke("train", "pseudo-label", copied, *words)
    assert done.code == 0, done.err
    table = pd.read_csv(pupil / "pseudo-labels/from-first/pseudo-labels.csv")
    assert sorted(table["fold"].unique().tolist()) == [0, 1]
    assert table["kept"].all()
    trained = invoke("train", "run", pupil, "--fold", "0")
    assert trained.code == 0, trained.err
    history = pd.read_csv(pupil / FOLD / "stage-1/history.csv")
    share = history["pseudo_labelled"] / history["images"]
    assert share.tolist() == pytest.approx([0.3, 0.3], abs=0.05)
    # Other labels are another training.
    again = invoke("train", "pseudo-label", copied, *words[:4], "--confidence", "0.1")
    assert again.code == 2
    assert "holds other pseudo-labels. Use --overwrite, or another --name." in again.err
    assert (
        invoke("train", "pseudo-label", copied, *words, "--labels", "hard", "--overwrite").code == 0
    )
    other = invoke("train", "run", pupil, "--fold", "0")
    assert other.code == 2
    assert "pseudo_labels: it was" in other.err


def test_each_fold_is_taught_by_its_own_models_alone(copied, pupil, invoke):
    """Changing the predictions of fold 1's models changes nothing of fold 0's labels."""
    invoke("folds", "build", pupil)
    words = ["--into", pupil, "--name", "from-first", "--confidence", "0.0"]
    assert invoke("train", "pseudo-label", copied, *words).code == 0
    first = (pupil / "pseudo-labels/from-first/fold-0.maps").read_bytes()
    assert invoke("train", "run", copied, "--fold", "1", "--extend-epochs", "1").code == 0
    assert invoke("predict", "run", copied).code == 0
    assert invoke("train", "pseudo-label", copied, *words, "--overwrite").code == 0
    assert (pupil / "pseudo-labels/from-first/fold-0.maps").read_bytes() == first


def test_labels_of_test_images_that_changed_are_refused(
    copied, pupil, data, invoke, change_in_place
):
    invoke("folds", "build", pupil)
    words = ["--into", pupil, "--name", "from-first", "--confidence", "0.0"]
    assert invoke("train", "pseudo-label", copied, *words).code == 0
    images = pd.read_csv(pupil / "images.csv")
    change_in_place(data / images.loc[images["split"] == "test", "path"].iloc[0])
    done = invoke("train", "run", pupil, "--fold", "0")
    labels = pupil / "pseudo-labels/from-first/fold-0.maps"
    assert (done.code, f"the test images changed since {labels} was" in done.err) == (2, True)
    assert not (pupil / FOLD / "stage-1" / "checkpoints").exists()
    assert invoke("predict", "run", copied, "--test").code == 0
    assert invoke("train", "pseudo-label", copied, *words, "--overwrite").code == 0
    assert invoke("train", "run", pupil, "--fold", "0", "--dry-run").code == 0


def test_labels_of_models_that_have_seen_the_fold_are_refused(copied, pupil, invoke):
    settings = pupil / "goldfold.toml"
    settings.write_text(settings.read_text().replace("seed = 0\ngroup", "seed = 5\ngroup"))
    assert invoke("folds", "build", pupil).code == 0
    done = invoke("train", "pseudo-label", copied, "--into", pupil, "--name", "from-first")
    assert done.code == 2
    assert "into different folds, so models of one have seen what the other holds out" in done.err
    # Labels that were carried over by hand are looked at again.
    invoke("train", "pseudo-label", copied, "--name", "from-first", "--confidence", "0.0")
    target = pupil / "pseudo-labels"
    (copied / "pseudo-labels").rename(target)
    done = invoke("train", "run", pupil, "--fold", "0")
    assert done.code == 2
    assert "they have seen some of its labels" in done.err


def test_nothing_is_confident_enough(copied, pupil, invoke):
    invoke("folds", "build", pupil)
    words = ["--into", pupil, "--name", "from-first", "--confidence", "1.0"]
    assert invoke("train", "pseudo-label", copied, *words).code == 0
    done = invoke("train", "run", pupil, "--fold", "0")
    assert done.code == 2
    assert "have no image for this fold. Write them again with a lower --confidence" in done.err


def test_what_the_machine_is_asked_for(fresh, invoke):
    invoke("folds", "build", fresh)
    done = invoke("train", "run", fresh, "--fold", "0", "--set", "training.precision=float32",
                  "--set", "training.channels_last=false")  # fmt: skip
    assert done.code == 0, done.err
    assert "float32\n" in done.err


def test_tensorboard_is_an_extra(fresh, invoke, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    invoke("folds", "build", fresh)
    done = invoke("train", "run", fresh, "--fold", "0", "--set", "training.tensorboard=true")
    assert done.code == 2
    assert 'needs the package tensorboard: pip install "goldfold[tensorboard]"' in done.err


def test_a_training_is_not_deleted_and_extended_at_once(copied, invoke, contents):
    before = contents(copied / "models")
    done = invoke("train", "run", copied, "--overwrite", "--extend-epochs", 1)
    assert (done.code, "choose one" in done.err) == (2, True)
    assert contents(copied / "models") == before
