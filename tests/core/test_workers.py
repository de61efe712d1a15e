"""Threads that several processes share."""

import pytest

from goldfold import workers
from goldfold.workers import default_workers, processes_here, workers_each


@pytest.mark.parametrize(
    ("given", "processes", "each"),
    [
        (8, 1, 8),
        (8, 2, 4),
        (8, 3, 2),
        (1, 4, 1),
        (0, 4, 0),
        (None, 1, 8),
        (None, 4, 8),
        (None, 16, 4),
    ],
)
def test_threads_that_are_given_are_of_all_processes_together(monkeypatch, given, processes, each):
    monkeypatch.setattr(workers, "cores", lambda: 64)
    assert workers_each(given, processes) == each


def test_a_process_has_at_least_one(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 2)
    assert default_workers(5) == 1


def test_torchrun_tells_how_many_processes_there_are():
    assert processes_here({}) == 1
    assert processes_here({"LOCAL_WORLD_SIZE": "4"}) == 4
