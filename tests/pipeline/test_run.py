"""A run from Python: stages know whether they are current, jobs are plain data."""

import json
import shutil

import cv2
import numpy as np
import pytest

import goldfold as gf
from goldfold.competitions import read_image
from goldfold.errors import InputError
from goldfold.pipeline import Job
from goldfold.progress import SILENT
from goldfold.progress_lines import WARNINGS_ONLY


class Heard:
    """A progress that keeps what it is told."""

    def __init__(self):
        self.said, self.warned = [], []

    def task(self, *words):
        return SILENT.task(*words)

    def say(self, text):
        self.said.append(text)

    def warn(self, text):
        self.warned.append(text)


def contents_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_created_as_by_init(data, tmp_path, invoke):
    invoke("init", "siim-acr-pneumothorax", "--data", data, "-o", tmp_path / "runs/one",
           "--recipe", "quick", "--set", "folds.count=3")  # fmt: skip
    run = gf.Run.create(
        "siim-acr-pneumothorax", data=data, folder=tmp_path / "runs/two", recipe="quick",
        settings=["folds.count=3"],
    )  # fmt: skip
    first, second = (tmp_path / f"runs/{name}/goldfold.toml" for name in ("one", "two"))
    assert first.read_text() == second.read_text()
    assert run.settings.folds.count == 3
    assert run.settings.competition.data == data.resolve()
    with pytest.raises(InputError, match="already exists with other content"):
        gf.Run.create("siim-acr-pneumothorax", data=data, folder=tmp_path / "runs/two")


def test_everything_is_current_after_a_run_and_making_it_again_changes_nothing(copied):
    run = gf.Run.open(copied)
    stages = run.stages()
    assert [stage.name for stage in stages] == [
        "images", "folds", "train", "predict", "ensemble", "submission",
    ]  # fmt: skip
    assert [stage.is_current() for stage in stages] == [True] * 6
    before = contents_of(copied)
    report = run.make()
    assert report == json.loads((copied / "ensemble.json").read_text())
    assert contents_of(copied) == before


@pytest.mark.parametrize(
    ("setting", "stale"),
    [
        ("ensemble.seed=7", ["ensemble"]),
        ("inference.views=none", ["predict", "ensemble"]),
        ("submission.file=other.csv", ["submission"]),
    ],
)
def test_a_changed_setting_makes_the_stages_behind_it_stale(copied, setting, stale):
    stages = gf.Run.open(copied, [setting]).stages()
    found = []
    for stage in stages:
        try:
            current = stage.is_current()
        except InputError:  # what it stands on is out of date
            break
        found += [] if current else [stage.name]
    assert found == stale[: len(found)]
    assert found


def test_jobs_are_plain_data_and_done_jobs_do_nothing(copied):
    run = gf.Run.open(copied)
    jobs = run.jobs()
    assert [(job.kind, job.fold, job.part) for job in jobs] == [
        ("train", 0, "1"), ("train", 1, "1"),
        ("predict", 0, "out-of-fold"), ("predict", 0, "test"),
        ("predict", 1, "out-of-fold"), ("predict", 1, "test"),
    ]  # fmt: skip
    again = [Job.from_json(json.loads(json.dumps(job.to_json()))) for job in jobs]
    assert again == jobs
    assert all(job.is_done() for job in again)
    before = contents_of(copied)
    progress = Heard()
    for job in again:
        job.perform(progress)
    assert contents_of(copied) == before
    assert sum("up to date" in line for line in progress.said) == len(jobs)


def test_a_job_makes_again_what_was_lost_with_the_same_bytes(copied):
    run = gf.Run.open(copied)
    job = next(job for job in run.jobs() if job.part == "test" and job.fold == 1)
    folder = copied / "predictions/tiny/seed-0/fold-1"
    before = (folder / "test.maps").read_bytes()
    (folder / "test.maps").unlink()
    assert not job.is_done()
    job.perform()
    assert job.is_done()
    assert (folder / "test.maps").read_bytes() == before


def test_a_job_of_what_there_is_not_says_so(copied):
    for job, words in (
        (Job(str(copied), "train", "huge", 0, 0, "1"), "there is no model 'huge'"),
        (Job(str(copied), "train", "tiny", 3, 0, "1"), "model tiny has no seed 3"),
        (Job(str(copied), "train", "tiny", 0, 9, "1"), "there is no fold 9"),
        (Job(str(copied), "train", "tiny", 0, 0, "4"), "there is no stage 4"),
        (Job(str(copied), "predict", "tiny", 0, 0, "all"), "found 'all'"),
    ):
        with pytest.raises(InputError, match=words):
            job.perform()


def test_a_run_scores_and_explains_itself(copied, data, invoke):
    run = gf.Run.open(copied)
    scores = run.score(data / "solution.csv")
    done = invoke("submit", "score", copied / "submission.csv", "--solution",
                  data / "solution.csv", "--competition", copied, "--json")  # fmt: skip
    assert scores.to_json() == done.json
    image = run.images["image_id"].iloc[0]
    (explanation,) = run.explain(image)
    assert explanation.facts["image_id"] == image
    assert image in str(explanation.lines[1])


def test_masks_are_not_written_as_a_plain_table(copied):
    run = gf.Run.open(copied)
    with pytest.raises(InputError, match=r"set competition\.submission\.sample"):
        run.task.plain_table(run, None)


def test_training_from_python_builds_the_folds_first(data, tmp_path, finished):
    folder = tmp_path / "runs/python"
    folder.mkdir(parents=True)
    shutil.copy(finished / "goldfold.toml", folder)
    run = gf.Run.open(folder, [f"competition.data={data}"])
    (result,) = run.train(fold=0)
    assert (folder / "folds.csv").is_file()
    assert result["checkpoints"][0]["epoch"] >= 1
    weights = "models/tiny/seed-0/fold-0/stage-1/checkpoints"
    names = {path.name for path in (folder / weights).glob("*.safetensors")}
    assert names
    for name in names:  # the same training as through the command line
        assert (folder / weights / name).read_bytes() == (finished / weights / name).read_bytes()


def test_a_run_says_how_it_is_opened_again(copied):
    run = gf.Run.open(str(copied), ["ensemble.seed=7"])
    again = eval(repr(run), {"Run": gf.Run})
    assert again.directory.root == copied
    assert again.settings.ensemble.seed == 7
    assert repr(gf.Run.open(copied)) == f"Run.open({str(copied)!r})"


def test_the_history_has_a_row_for_each_epoch_of_each_fold(copied):
    history = gf.Run.open(copied).history()
    assert list(history.columns[:5]) == ["model", "seed", "fold", "stage", "epoch"]
    assert history[["fold", "stage", "epoch"]].values.tolist() == [
        [0, 1, 1], [0, 1, 2], [1, 1, 1], [1, 1, 2],
    ]  # fmt: skip
    shutil.rmtree(copied / "models")
    with pytest.raises(InputError, match=r"no history yet. Train first: `goldfold train run"):
        gf.Run.open(copied).history()


def test_an_image_is_read_by_its_id(copied, data):
    run = gf.Run.open(copied)
    row = run.images.iloc[0]
    pixels = run.read_image(row["image_id"])
    assert pixels.shape == (row["height"], row["width"])
    assert np.array_equal(pixels, read_image(data / row["path"]))
    with pytest.raises(InputError, match="has no image 'nobody'"):
        run.read_image("nobody")
    colour = gf.Run.open(copied, ["models.0.channels=3"]).read_image(row["image_id"])
    assert np.array_equal(colour, np.stack([pixels] * 3, axis=2))


def test_a_notebook_shows_an_explanation_as_its_picture(copied):
    run = gf.Run.open(copied)
    (explanation,) = run.explain(run.images["image_id"].iloc[0])
    shown = cv2.imdecode(np.frombuffer(explanation._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(shown, explanation.panels)


def test_warnings_are_printed_unless_a_progress_is_given(copied, capsys):
    assert gf.Run.open(copied).progress is WARNINGS_ONLY
    gf.Run.open(copied).progress.warn("careful")
    gf.Run.open(copied).progress.say("nothing")
    assert capsys.readouterr() == ("", "warning: careful\n")
