"""Jobs in processes of their own: how they end, what is said, who is stopped."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from goldfold.errors import GoldfoldError, InputError, Stopped
from goldfold.pipeline import worker_process
from goldfold.pipeline.job import Job
from goldfold.pipeline.job_graph import JobGraph
from goldfold.pipeline.job_worker import Opening
from goldfold.pipeline.local_executor import JobOptions, LocalExecutor, Slot
from goldfold.pipeline.side_by_side import failures_as_error

WORKER = Path(__file__).with_name("stand_in_worker.py")
COMMAND = (sys.executable, str(WORKER))


class Heard:
    """A progress that remembers."""

    def __init__(self):
        from goldfold.progress import SILENT

        self.said, self.warned, self.steps, self.fields = [], [], 0, []
        self._silent = SILENT

    def task(self, description, total):
        from contextlib import contextmanager

        heard = self

        class Task:
            def advance(self, steps=1, **fields):
                heard.steps += steps
                heard.fields.append(fields)

        @contextmanager
        def manager():
            heard.description, heard.total = description, total
            yield Task()

        return manager()

    def say(self, text):
        self.said.append(text)

    def warn(self, text):
        self.warned.append(text)


def train(root, model, fold=0, stage=1):
    return Job(str(root), "train", model, 0, fold, str(stage))


def slots(root, count, *, required=True):
    return [
        Slot(
            f"GPU {number}",
            Opening(str(root), (), "0", 3),
            {**os.environ, "CUDA_VISIBLE_DEVICES": str(number)},
            required,
        )
        for number in range(count)
    ]


@pytest.fixture
def here(tmp_path):
    """Return a function (jobs, devices, ...) that does jobs by stand-ins -> (executor, graph)."""

    def perform(jobs, devices=2, *, required=True, deadline=None):
        heard, graph = Heard(), JobGraph(jobs)
        executor = LocalExecutor(
            slots(tmp_path, devices, required=required),
            JobOptions(tmp_path / "logs", deadline),
            heard,
            COMMAND,
        )
        executor.heard = heard
        try:
            executor.perform(graph, "train")
        except Stopped as stopped:
            return executor, graph, stopped
        return executor, graph, None

    return perform


def names(folder, ending):
    return sorted(path.name.removesuffix(f".{ending}") for path in folder.glob(f"*.{ending}"))


def test_all_jobs_are_done_and_each_process_has_one_device(here, tmp_path):
    jobs = [train(tmp_path, "meets", fold, stage) for fold in range(3) for stage in (1, 2)]
    executor, graph, stopped = here(jobs)
    assert (stopped, executor.failures, graph.done) == (None, [], 6)
    assert len(names(tmp_path, "done")) == 6
    workers = [path.read_text() for path in tmp_path.glob("worker-*")]
    assert sorted(workers) == ["0 0 3", "0 1 3"]  # one process for each device, not for each job
    heard = executor.heard
    assert "GPU 0: a stand-in" in heard.said
    assert "train meets seed-0 fold-2 stage-2: said" in heard.said
    assert not any("told already" in line for line in heard.said)
    assert len(heard.warned) == 1  # what all say is passed on once
    assert sum("out of memory" in line for line in heard.said) == 6  # which happened to each
    assert (heard.steps, heard.total) == (1000, 1000)
    assert any("epoch 1/2" in str(fields) for fields in heard.fields)
    assert heard.fields[-1]["jobs"] == "6/6"
    log = (tmp_path / "logs/train-meets-seed-0-fold-0-stage-1.log").read_text()
    assert "printed by train-meets-0-1" in log
    assert "meets fold-0 stage-1: said" in log


def test_a_failing_job_stops_no_other_and_all_failures_are_told_together(here, tmp_path):
    jobs = [train(tmp_path, model) for model in ("fails", "mistake", "dies")]
    jobs += [train(tmp_path, "fails", stage=2), train(tmp_path, "ok", 0), train(tmp_path, "ok", 1)]
    executor, graph, _ = here(jobs)
    assert (graph.done, len(executor.failures)) == (2, 3)
    assert len(names(tmp_path, "done")) == 2
    error = failures_as_error(executor.failures, graph)
    assert type(error) is GoldfoldError
    told = str(error)
    assert told.startswith("3 of 6 jobs failed, and 1 that depend on them were not started:")
    assert "train fails seed-0 fold-0 stage-1: ValueError: a fault" in told
    assert "train mistake seed-0 fold-0 stage-1: a mistake" in told
    assert "was killed (SIGKILL), possibly because the machine ran out of memory" in told
    logs = [Path(line) for line in re.findall(r"log: (.*)", told)]
    assert len(logs) == 3
    assert all(log.is_file() for log in logs)
    failed = next(log for log in logs if "fails" in log.name)
    assert "in two lines" in failed.read_text()
    assert "Traceback" in failed.read_text()


def test_mistakes_alone_are_the_users(here, tmp_path):
    executor, graph, _ = here([train(tmp_path, "mistake"), train(tmp_path, "ok")])
    assert type(failures_as_error(executor.failures, graph)) is InputError


def test_a_device_that_cannot_be_used_is_left_out_unless_it_was_named(here, tmp_path):
    (tmp_path / "refuse-1").touch()
    jobs = [train(tmp_path, "meets", fold) for fold in range(3)]
    executor, graph, _ = here(jobs, required=False)
    assert graph.done == 3
    assert executor.refusals == ["GPU 1: this device is broken"]
    (tmp_path / "refuse-0").touch()
    executor, graph, _ = here(jobs, required=False)
    assert (graph.done, len(executor.refusals)) == (0, 2)


def test_a_worker_that_is_needed_no_more_is_not_a_broken_device(here, tmp_path):
    executor, graph, _ = here([train(tmp_path, "ok")])  # done before the second process is there
    assert (graph.done, executor.refusals) == (1, [])


def test_a_device_that_was_named_ends_the_others_and_they_save(here, tmp_path):
    (tmp_path / "refuse-1").touch()
    jobs = [train(tmp_path, "waits", fold) for fold in range(2)]
    executor, graph, _ = here(jobs)
    assert executor.refusals == ["GPU 1: this device is broken"]
    assert len(graph.left()) == 2
    assert executor.failures == []


def wait_for(folder, pattern, count):
    until = time.monotonic() + 20
    while len(found := list(folder.glob(pattern))) < count:
        assert time.monotonic() < until, f"no {pattern}"
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_reaches_all_and_they_save(here, tmp_path, number, code):
    def stop():
        wait_for(tmp_path, "*.waiting", 2)
        os.kill(os.getpid(), number)

    threading.Thread(target=stop, daemon=True).start()
    before = signal.getsignal(number)
    executor, _, stopped = here([train(tmp_path, "waits", fold) for fold in range(4)])
    assert stopped.exit_code == code
    assert f"stopped by {number.name}; 0 of 4 jobs are done" in str(stopped)
    assert "The same command resumes" in str(stopped)
    saved = [path.read_text() for path in tmp_path.glob("*.saved")]
    assert saved == [str(int(number))] * 2
    assert executor.failures == []
    assert signal.getsignal(number) is before


def test_when_the_time_is_up_nothing_else_begins(here, tmp_path):
    jobs = [train(tmp_path, "late"), *[train(tmp_path, "ok", fold) for fold in range(3)]]
    executor, graph, stopped = here(jobs, devices=1, deadline=time.monotonic() + 100)
    assert (stopped.exit_code, graph.done, executor.failures) == (75, 0, [])
    assert any(re.search(r"saved with \d+ s left", line) for line in executor.heard.said)
    _, graph, stopped = here(jobs[1:], deadline=time.monotonic() + 5)  # less than a step may take
    assert (stopped.exit_code, graph.done) == (75, 0)


def test_a_killed_worker_costs_its_job_alone(here, tmp_path):
    def kill():
        (waiting,) = wait_for(tmp_path, "*.waiting", 1)
        wait_for(tmp_path, "*.done", 3)
        os.kill(int(waiting.read_text()), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    jobs = [train(tmp_path, "waits"), *[train(tmp_path, "ok", fold) for fold in range(3)]]
    executor, graph, _ = here(jobs)
    assert graph.done == 3
    (failure,) = executor.failures
    assert (failure.job, failure.exit_code) == ("train waits seed-0 fold-0 stage-1", 1)


@pytest.mark.parametrize("model", ["lingers", "deaf", "mute"])
def test_a_process_that_does_not_end_is_killed_before_the_next_begins(
    here, tmp_path, monkeypatch, model
):
    """`lingers` said that it failed, `deaf` gets no more jobs, `mute` closed its reports."""
    monkeypatch.setattr(worker_process, "GRACE", 0.2, raising=False)
    executor, graph, _ = here([train(tmp_path, model), train(tmp_path, "ok")], devices=1)
    failed = model != "deaf"
    assert (graph.done, len(executor.failures)) == (2 - failed, failed)
    assert [name for name in ("outlived", "side-by-side") if (tmp_path / name).exists()] == []


PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_local_executor import COMMAND, Heard, slots, train
from goldfold.pipeline.local_executor import LocalExecutor, JobOptions
from goldfold.pipeline.job_graph import JobGraph
root = Path({root!r})
graph = JobGraph([train(root, "waits", fold) for fold in range(2)])
LocalExecutor(slots(root, 2), JobOptions(root / "logs"), Heard(), COMMAND).perform(graph, "train")
"""


def is_alive(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process_id}/stat")
    return not state.is_file() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_when_their_starter_is_killed_the_workers_save_and_end(tmp_path):
    code = textwrap.dedent(PARENT).format(tests=str(WORKER.parent), root=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        waiting = wait_for(tmp_path, "*.waiting", 2)
    finally:
        parent.kill()
        parent.wait()
    workers = [int(path.read_text()) for path in waiting]
    saved = wait_for(tmp_path, "*.saved", 2)
    assert [path.read_text() for path in saved] == [str(int(signal.SIGTERM))] * 2
    until = time.monotonic() + 10
    while any(map(is_alive, workers)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(is_alive, workers))
