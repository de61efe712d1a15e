"""What is left to do of a run as jobs, with what each costs."""

from typing import ClassVar

import pytest

from goldfold.errors import InputError
from goldfold.pipeline import side_by_side
from goldfold.pipeline.fold_trainings import choose_trainings
from goldfold.pipeline.job_list import Wanted, graph_of, waiting_stages
from goldfold.pipeline.side_by_side import made_side_by_side, train_all


@pytest.fixture
def caches(monkeypatch):
    """Return what caches were built: no image is there to be decoded."""
    built = []
    for module in ("job_list",):
        monkeypatch.setattr(
            f"goldfold.pipeline.{module}.training_cache",
            lambda run, size, model: built.append(("train", size)),
        )
        monkeypatch.setattr(
            f"goldfold.pipeline.{module}.unlabelled_cache",
            lambda run, size, model: built.append(("test", size)),
        )
    return built


def wanted_of(run, **how):
    return Wanted(choose_trainings(run), splits=("out-of-fold", "test"), **how)


def test_trainings_come_first_then_the_engine_then_predictions(tabled):
    run = tabled()
    wanted = wanted_of(run)
    graph = graph_of(run, wanted, waiting_stages(run, wanted))
    kinds = [job.kind for job in graph.left()]
    assert kinds == ["train"] * 4 + ["engine"] + ["predict"] * 8
    assert graph.most_at_once == 8
    by_kind = {job.kind: cost for job, cost in graph.cost.items()}
    # 2 epochs of 2 images, forward and backward; 3 checkpoints look at 2 images.
    assert by_kind == {"train": 3 * 2 * 2 * 64**2, "engine": 0, "predict": 3 * 2 * 64**2}


def test_an_engine_that_is_set_needs_no_choice(tabled):
    run = tabled("inference.engine=torch")
    wanted = wanted_of(run)
    graph = graph_of(run, wanted, waiting_stages(run, wanted))
    assert "engine" not in [job.kind for job in graph.left()]


class Executor:
    """Remembers what it was to do."""

    def __init__(self, slots, options, progress):
        self.slots, self.options = slots, options
        self.failures, self.refusals = [], []
        type(self).last = self

    def perform(self, graph, description):
        self.description, self.order = description, self.options.order(graph.left()[0])
        while job := graph.take():
            graph.finish(job)


@pytest.fixture
def executor(monkeypatch, caches):
    monkeypatch.setattr(side_by_side, "LocalExecutor", Executor)
    monkeypatch.setattr(side_by_side, "prepare_trainings", lambda run, *_, **how: waiting_stages(
        run, Wanted(choose_trainings(run))))  # fmt: skip
    return Executor


def test_jobs_are_shared_out_with_the_cores_and_the_loaders_threads(tabled, executor, caches):
    run = tabled("workers=5")
    run.devices = ("cpu", "cpu")
    assert made_side_by_side(run, wanted_of(run, stop_after="8h", extend_epochs=3))
    here = executor.last
    assert here.description == "train and predict on 2 devices"
    assert [slot.label for slot in here.slots] == ["CPU 1", "CPU 2"]
    assert {slot.opening.workers for slot in here.slots} == {2}
    assert {slot.opening.device for slot in here.slots} == {"cpu"}
    assert 28_000 < here.order.stop_after <= 28_800
    assert here.order.extend_epochs == 3
    assert sorted(caches) == [("test", (64, 64)), ("train", (64, 64))]  # once for all processes


def test_gpus_that_nobody_named_may_be_left_out(tabled, executor, monkeypatch):
    from types import SimpleNamespace

    kind = SimpleNamespace(variable="CUDA_VISIBLE_DEVICES", count=lambda: 3)
    monkeypatch.setattr("goldfold.training.accelerators.usable_accelerator", lambda: kind)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    run = tabled()
    assert made_side_by_side(run, wanted_of(run))
    slots = executor.last.slots
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["0", "1", "2"]
    assert {slot.opening.device for slot in slots} == {"0"}  # the only one that it sees
    assert {slot.required for slot in slots} == {False}
    run.devices = ("2", "1")
    assert made_side_by_side(run, wanted_of(run))
    slots = executor.last.slots
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["2", "1"]
    assert {slot.required for slot in slots} == {True}


def test_devices_that_cannot_be_used_are_named(tabled, executor, monkeypatch):
    def refuse(self, graph, description):
        self.refusals = ["CPU 1: broken"]

    monkeypatch.setattr(Executor, "perform", refuse)
    run = tabled()
    run.devices = ("cpu", "cpu")
    with pytest.raises(InputError, match="devices cannot be used:\n  CPU 1: broken"):
        made_side_by_side(run, wanted_of(run))


@pytest.mark.parametrize("devices", [(), ("cpu",), ("cpu", "cpu")])
def test_one_device_or_one_job_is_done_in_this_process(tabled, executor, monkeypatch, devices):
    asked = []
    monkeypatch.setattr(
        side_by_side, "train_jobs", lambda run, jobs, **how: asked.append((len(jobs), how))
    )
    run = tabled()
    run.devices = devices
    one = Wanted(choose_trainings(run, fold=0, seed=1), overwrite=True, extend_epochs=1)
    machine = object()
    train_all(run, one, machine)
    how = {"stage": None, "overwrite": True, "extend_epochs": 1, "machine": machine}
    assert asked == [(1, how)]


def test_processes_of_torchrun_share_the_loaders_threads(tabled, monkeypatch):
    from goldfold.pipeline.training_stage import choose_machine

    assert choose_machine(tabled("workers=7")).workers == 7
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert choose_machine(tabled("workers=7")).workers == 2
    assert choose_machine(tabled("workers=0")).workers == 0


def test_what_a_device_leaves_to_be_desired_is_said_before_training(tabled, monkeypatch):
    import torch

    from goldfold.pipeline import training_stage
    from goldfold.training.device import Device
    from goldfold.training.runtime import Machine

    class Heard:
        lines: ClassVar = []

        def say(self, text):
            self.lines.append(text)

        warn = say

    run = tabled("training.deterministic=true", "models.0.architecture=PSPNet")
    run.progress = Heard()
    gpu = Device(torch.device("xpu"), None, "a GPU", note="computing slowly: no reason")
    machine = Machine(gpu, settings=run.settings.training)
    training_stage._say_device(run, waiting_stages(run, wanted_of(run)), machine)
    first, note, unsettled = Heard.lines
    assert (first, note) == ("device: a GPU", "computing slowly: no reason")
    assert "architecture PSPNet" in unsettled
    assert "no deterministic algorithm on a GPU" in unsettled
