"""Which jobs can begin, whatever ends first."""

import random
from dataclasses import replace

import pytest

from goldfold.pipeline.job import Job
from goldfold.pipeline.job_graph import JobGraph


def train(fold, stage, model="m"):
    return Job("run", "train", model, 0, fold, str(stage))


def predict(fold, split="test", model="m"):
    return Job("run", "predict", model, 0, fold, split)


ENGINE = Job("run", "engine", "m", 0, 0, "any")


def everything(graph):
    """Return all jobs that can begin now."""
    jobs = []
    while job := graph.take():
        jobs.append(job)
    return jobs


def test_stages_wait_for_each_other_and_predictions_for_all():
    graph = JobGraph(
        [train(0, 1), train(0, 2), train(1, 1), train(1, 2), ENGINE, predict(0), predict(1)]
    )
    assert everything(graph) == [train(0, 1), train(1, 1)]
    graph.finish(train(1, 1))
    assert everything(graph) == [train(1, 2)]
    graph.finish(train(1, 2))
    engine = replace(ENGINE, fold=1)  # chosen on the networks of the first fold that has some
    assert everything(graph) == [engine]
    graph.finish(train(0, 1))
    assert everything(graph) == [train(0, 2)]
    graph.finish(engine)
    assert everything(graph) == [predict(1)]
    graph.finish(train(0, 2))
    assert everything(graph) == [predict(0)]
    assert graph.left() == []
    graph.finish(predict(0))
    graph.finish(predict(1))
    assert (graph.done, len(graph)) == (7, 7)


def test_what_is_not_in_the_graph_is_done():
    graph = JobGraph([train(0, 2), predict(1)])
    assert everything(graph) == [train(0, 2), predict(1)]


def test_what_needs_a_failed_job_is_given_up_and_nothing_else():
    jobs = [train(0, 1), train(0, 2), train(1, 1), ENGINE, predict(0), predict(1)]
    graph = JobGraph(jobs, lambda job: 7.0)
    assert graph.take() == train(0, 1)
    graph.fail(train(0, 1))
    assert set(graph.dropped) == {train(0, 2), predict(0)}
    assert everything(graph) == [train(1, 1)]
    graph.finish(train(1, 1))
    engine = replace(ENGINE, fold=1)  # any fold that is trained will do
    assert everything(graph) == [engine]
    assert graph.cost[engine] == 7.0
    graph.put_back(engine)
    assert everything(graph) == [engine]
    graph.finish(engine)
    assert everything(graph) == [predict(1)]
    graph.finish(predict(1))
    assert (graph.done, graph.left(), len(graph)) == (3, [], 6)


def test_the_engine_is_given_up_with_the_last_fold_that_it_could_be_chosen_on():
    graph = JobGraph([train(0, 1), train(1, 1), ENGINE, predict(0), predict(1)])
    assert everything(graph) == [train(0, 1), train(1, 1)]
    graph.fail(train(1, 1))
    assert graph.dropped == [predict(1)]
    graph.fail(train(0, 1))
    assert set(graph.dropped) == {ENGINE, predict(0), predict(1)}
    assert graph.left() == []


def test_an_engine_that_cannot_be_chosen_takes_all_predictions_with_it():
    graph = JobGraph([ENGINE, predict(0), predict(1), train(2, 1)])
    assert graph.take() == ENGINE
    graph.fail(ENGINE)
    assert graph.dropped == [predict(0), predict(1)]
    assert everything(graph) == [train(2, 1)]


def test_a_stopped_job_is_left():
    graph = JobGraph([train(0, 1), train(1, 1)])
    graph.take()
    graph.put_back(train(0, 1))
    assert graph.left() == [train(0, 1), train(1, 1)]


@pytest.mark.parametrize(
    ("jobs", "most"),
    [
        ([], 0),
        ([train(0, 1), train(0, 2)], 1),
        ([train(0, 1), train(0, 2), train(1, 1)], 2),
        ([train(0, 1), ENGINE, predict(0), predict(0, "out-of-fold")], 2),
        ([ENGINE, predict(0)], 1),
    ],
)
def test_no_more_devices_are_started_than_jobs_can_use(jobs, most):
    assert JobGraph(jobs).most_at_once == most


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_every_job_is_done_once_and_after_what_it_needs(seed):
    draw = random.Random(seed)
    folds = range(3)
    jobs = [train(fold, stage) for fold in folds for stage in (1, 2, 3)]
    jobs += [ENGINE, *[predict(fold, split) for fold in folds for split in ("test", "out-of-fold")]]
    draw.shuffle(jobs)
    graph, running, ended = JobGraph(jobs), [], []
    while graph.done < len(graph):
        running += [job for job in [graph.take() for _ in range(2 - len(running))] if job]
        ended.append(running.pop(draw.randrange(len(running))))
        graph.finish(ended[-1])
    engine = next(job for job in ended if job.kind == "engine")
    wanted = [engine if job == ENGINE else job for job in jobs]
    assert sorted(ended, key=repr) == sorted(wanted, key=repr)
    place = {job: number for number, job in enumerate(ended)}
    assert place[engine] > place[train(engine.fold, 3)]
    for fold in folds:
        stages = [place[train(fold, stage)] for stage in (1, 2, 3)]
        assert stages == sorted(stages)
        assert place[predict(fold)] > max(stages[-1], place[engine])


def test_one_progress_adds_up_to_the_whole_whatever_the_jobs_cost():
    from goldfold.pipeline.overall_progress import STEPS, OverallProgress

    class Task:
        steps = 0

        def advance(self, steps, **fields):
            self.steps += steps
            self.fields = fields

    jobs = [train(fold, 1) for fold in range(7)]
    graph, task = JobGraph(jobs, lambda job: 0.1 + job.fold / 3), Task()
    overall = OverallProgress(graph, task)
    for job in everything(graph):
        overall.report(job, "GPU 0", {"done": 3, "total": 6, "epoch": "2/4"})
        overall.report(job, "GPU 0", {"done": 0, "total": 5, "epoch": ""})  # another piece of it
        assert task.fields["GPU 0"] == f"{job.name} 0%"
    assert STEPS / 2 - 1 <= task.steps <= STEPS / 2
    for job in jobs[:-1]:
        graph.finish(job)
        overall.end(job, "GPU 0")
    overall.drop(jobs[-1])
    assert task.steps == STEPS
    assert task.fields["jobs"] == "6/7"


def test_the_engine_may_report_as_the_job_that_it_became():
    from goldfold.pipeline.overall_progress import OverallProgress

    class Task:
        def advance(self, steps, **fields):
            self.fields = fields

    graph, task = JobGraph([train(0, 1), train(1, 1), ENGINE, predict(1)]), Task()
    overall = OverallProgress(graph, task)
    everything(graph)
    graph.finish(train(1, 1))
    (engine,) = everything(graph)
    overall.report(engine, "GPU 0", {"done": 1, "total": 2})
    assert task.fields["GPU 0"] == "engine 50%"
