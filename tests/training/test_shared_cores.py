"""Threads of a training that shares its cores."""

import os

import pytest
import torch

from goldfold.settings import TrainingSettings
from goldfold.training import shared_cores
from goldfold.training.device import Device
from goldfold.training.ranks import Ranks
from goldfold.training.runtime import Machine
from goldfold.training.shared_cores import SharedCores, fair_threads, shares_cores

CPU = torch.device("cpu")


class Others:
    """Other processes: how many goldfolds come before and after this one, and a load."""

    def __init__(self):
        self.before, self.after, self.foreign, self.now = [], [], 0.0, 0.0
        self.joined = False

    def join(self):
        self.joined = True

    def leave(self):
        self.joined = False

    def present(self):
        return [*self.before, os.getpid(), *self.after]

    def measure(self, known):
        assert os.getpid() in known
        return self.foreign


@pytest.fixture
def others(monkeypatch):
    """Four cores and four threads, of which nothing is really set."""
    threads = [4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(shared_cores, "processors", lambda: 4)
    monkeypatch.setattr(shared_cores, "cores", lambda: 4)
    others = Others()
    others.threads = threads
    return others


def cores_among(others):
    return SharedCores(
        roll_call=others, load=others, clock=lambda: others.now, pause=lambda _: None
    )


def look(cores, others, seconds=2.5):
    others.now += seconds
    cores.look()
    return torch.get_num_threads()


def test_a_training_alone_keeps_all_threads_and_says_nothing(others):
    said = []
    cores = cores_among(others)
    with cores.active(said.append):
        assert others.joined
        assert look(cores, others) == 4
    assert (said, others.threads, others.joined) == ([], [4, 4], False)


def test_two_trainings_have_half_the_cores_each_while_there_are_two(others):
    said = []
    cores = cores_among(others)
    others.after = [1]
    with cores.active(said.append):
        assert torch.get_num_threads() == 2  # at once
        others.after = []
        assert look(cores, others) == 4
    assert said == [
        "using 2 of 4 threads: 2 goldfold processes share the cores",
        "using all 4 threads again",
    ]


def test_it_does_not_look_at_every_step(others):
    cores = cores_among(others)
    with cores.active(lambda _: None):
        others.after = [1]
        assert look(cores, others, seconds=0.5) == 4
        assert look(cores, others, seconds=1.6) == 2


def test_a_load_of_other_programs_counts_once_it_lasts(others):
    said = []
    cores = cores_among(others)
    with cores.active(said.append):
        others.foreign = 2.0
        assert look(cores, others) == 4  # it may be over soon
        assert look(cores, others) == 2
        others.foreign = 2.3
        assert [look(cores, others) for _ in range(2)] == [2, 2]
        others.foreign = 0.0
        assert [look(cores, others) for _ in range(2)] == [2, 4]
    assert said[0] == "using 2 of 4 threads: other programs keep 2.0 cores busy"


def test_a_load_that_is_there_before_counts_at_once(others):
    others.foreign = 2.0
    with cores_among(others).active(lambda _: None):
        assert torch.get_num_threads() == 2


def test_nothing_is_touched_once_it_is_over(others):
    cores = cores_among(others)
    others.after = [1]
    with pytest.raises(KeyError), cores.active(lambda _: None):
        raise KeyError
    assert others.threads == [4, 2, 4]
    assert look(cores, others) == 4


def test_one_thread_is_no_matter_of_sharing(others):
    torch.set_num_threads(1)
    with cores_among(others).active(lambda _: None):
        assert not others.joined


@pytest.mark.parametrize(
    ("most", "cores", "sharing", "place", "foreign", "expected"),
    [
        (2, 2, 2, 0, 0.0, 1),
        (2, 2, 3, 2, 0.0, 1),  # never none
        (8, 8, 3, 0, 0.0, 3),
        (8, 8, 3, 2, 0.0, 2),
        (8, 8, 1, 0, 0.4, 8),
        (8, 8, 1, 0, 3.0, 5),
        (8, 8, 2, 0, 4.0, 2),
        (8, 8, 1, 0, 8.0, 2),  # a quarter is claimed in any case
        (4, 8, 1, 0, 3.0, 4),  # threads on half of the cores find room
        (4, 16, 2, 1, 0.0, 4),  # set by the user: two times four find room as well
        (4, 16, 2, 1, 10.0, 3),
    ],
)
def test_shares(most, cores, sharing, place, foreign, expected):
    shared = {"sharing": sharing, "place": place, "foreign": foreign}
    assert fair_threads(most, cores, allowed=cores, **shared) == expected


def test_what_a_container_grants_is_shared_and_others_may_keep_the_rest_busy():
    def threads(sharing, foreign):
        return fair_threads(16, 16, allowed=4, sharing=sharing, place=0, foreign=foreign)

    assert [threads(1, 0.0), threads(2, 0.0), threads(1, 12.0), threads(1, 13.0)] == [4, 2, 4, 4]


def test_a_training_in_a_container_says_how_many_threads_it_uses(others, monkeypatch):
    monkeypatch.setattr(shared_cores, "cores", lambda: 2)
    said = []
    with cores_among(others).active(said.append):
        assert torch.get_num_threads() == 2
    assert said == ["using 2 of 4 threads"]


@pytest.mark.parametrize(
    ("device", "processes", "environment", "expected"),
    [
        ("cpu", 1, {}, True),
        ("cuda", 1, {}, False),
        ("cpu", 2, {}, False),  # of torchrun, which sets their threads
        ("cpu", 1, {"OMP_NUM_THREADS": "2"}, False),
        ("cpu", 1, {"MKL_NUM_THREADS": "2"}, False),
    ],
)
def test_what_a_user_has_chosen_stays(device, processes, environment, expected):
    assert shares_cores(torch.device(device), processes, environment) is expected


def test_a_machine_shares_its_cores_unless_told_how_many(others, monkeypatch):
    machine = Machine(Device(CPU, None, "CPU"), 1, TrainingSettings(), Ranks(),
                      cores=cores_among(others))  # fmt: skip
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    with machine.sharing_cores(lambda _: None):
        assert not others.joined
    monkeypatch.delenv("OMP_NUM_THREADS")
    with machine.sharing_cores(lambda _: None):
        assert others.joined
