"""How busy other programs keep the cores, from a made-up /proc."""

import os
from pathlib import Path

import pytest

from goldfold.processor_load import ForeignLoad

TICKS = os.sysconf("SC_CLK_TCK")


class Proc:
    """A folder like /proc with two cores and some processes, whose seconds can be added to."""

    def __init__(self, folder):
        self.folder, self.now = folder, 100.0
        self.busy, self.spent, self.stolen = [0.0, 0.0], {}, 0.0
        self.write()

    def go_on(self, seconds, busy, spent, stolen=0.0):
        self.now += seconds
        self.busy = [before + more for before, more in zip(self.busy, busy, strict=True)]
        self.stolen += stolen
        for process, more in spent.items():
            self.spent[process] = self.spent.get(process, 0.0) + more
        self.write()

    def write(self):
        lines = ["cpu  9 9 9 9 9 9 9 9 0 0"]
        for number, seconds in enumerate(self.busy):
            user, stolen = int(seconds * TICKS), int(self.stolen * TICKS)
            lines.append(f"cpu{number} {user} 0 0 5 7 0 0 {stolen} 0 0")
        (self.folder / "stat").write_text("\n".join([*lines, "intr 1 2 3"]))
        for process, seconds in self.spent.items():
            (self.folder / str(process)).mkdir(exist_ok=True)
            half = int(seconds * TICKS / 2)
            text = f"{process} (a (b) c) R 1 1 1 0 -1 4194560 0 0 0 0 {half} {half} 0 0 20 0 1"
            (self.folder / str(process) / "stat").write_text(text)


@pytest.fixture
def proc(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    return Proc(tmp_path)


def test_what_known_processes_use_is_not_foreign(proc):
    proc.go_on(0, [0, 0], {7: 1.0, 8: 1.0})
    load = ForeignLoad(proc.folder, lambda: proc.now)
    assert load.measure([7, 8]) is None  # nothing to compare with
    proc.go_on(2, [2.0, 1.5], {7: 1.6, 8: 0.4})
    assert load.measure([7, 8]) == pytest.approx(0.75, abs=0.03)
    proc.go_on(2, [1.0, 1.0], {7: 1.0, 8: 1.0})
    assert load.measure([7, 8]) == pytest.approx(0.0, abs=0.03)


def test_another_set_of_processes_begins_anew(proc):
    proc.go_on(0, [0, 0], {7: 1.0})
    load = ForeignLoad(proc.folder, lambda: proc.now)
    load.measure([7])
    proc.go_on(2, [2.0, 2.0], {7: 2.0, 8: 2.0})
    assert load.measure([7, 8]) is None
    assert load.measure([7, 8]) is None  # no time has passed


def test_time_that_a_hypervisor_takes_is_not_busy(proc):
    load = ForeignLoad(proc.folder, lambda: proc.now)
    load.measure([])
    proc.go_on(2, [0, 0], {}, stolen=1.0)
    assert load.measure([]) == 0


def test_only_cores_that_this_process_may_use_count(proc, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1})
    load = ForeignLoad(proc.folder, lambda: proc.now)
    load.measure([])
    proc.go_on(2, [2.0, 1.0], {})
    assert load.measure([]) == pytest.approx(0.5, abs=0.03)


def test_a_system_that_does_not_tell_has_no_load(tmp_path):
    load = ForeignLoad(tmp_path)
    assert load.measure([]) is None
    assert load.measure([]) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_this_system_tells():
    now = iter([0.0, 1.0])
    load = ForeignLoad(clock=lambda: next(now))
    load.measure([os.getpid()])
    assert load.measure([os.getpid()]) >= 0
