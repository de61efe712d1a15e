"""A job opens the run as it was, and does one piece of it."""

import json
from pathlib import Path

import pytest

from goldfold.errors import InputError
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.job import Job
from goldfold.pipeline.stages import Predictions, Trainings

CHANGED = ("models.0.stages.0.epochs=7", "inference.views=none")


def sent(job):
    """Return the job as it arrives in another process."""
    return Job.from_json(json.loads(json.dumps(job.to_json())))


@pytest.fixture
def jobs(tabled):
    run = tabled(*CHANGED)
    return run, [*Trainings(run).jobs(), *Predictions(run).jobs()]


def test_there_is_a_job_for_each_training_and_each_store(jobs):
    _, made = jobs
    names = [job.name for job in made]
    assert names[:2] == ["train tiny seed-0 fold-0 stage-1", "train tiny seed-0 fold-1 stage-1"]
    assert len(set(names)) == len(names) == 4 + 8
    assert all(sent(job) == job for job in made)


def test_a_job_opens_the_run_with_the_changes_of_its_settings(jobs):
    run, made = jobs
    for job in map(sent, made):
        opened = job.open()
        assert opened.settings == run.settings
        assert opened.assignments == CHANGED
        assert opened.directory.root == run.directory.root


def test_a_job_does_its_own_part_alone(jobs, monkeypatch):
    run, made = jobs
    asked = []
    monkeypatch.setattr(
        "goldfold.pipeline.job.train_jobs",
        lambda run, jobs, stage, **how: asked.append((run.settings.inference.views, jobs, stage)),
    )
    monkeypatch.setattr(
        "goldfold.pipeline.job.predict_jobs",
        lambda run, jobs, splits, share: asked.append((run.settings.inference.views, jobs, splits)),
    )
    sent(made[1]).perform()
    sent(made[-1]).perform()
    trainings = choose_trainings(run)
    assert asked == [("none", [trainings[1]], 1), ("none", [trainings[-1]], ["test"])]


def test_a_job_of_a_run_that_is_gone_says_so(jobs):
    _, made = jobs
    lost = Job(**{**vars(made[0]), "run": str(Path(made[0].run) / "gone")})
    with pytest.raises(InputError, match=r"goldfold\.toml"):
        lost.perform()
