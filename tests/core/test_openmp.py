"""Threads of two processes that share the cores sleep while they wait, unless the user chose."""

import os
import subprocess
import sys

import pytest

from goldfold.openmp import CHOICES, let_waiting_threads_sleep


def test_waiting_threads_sleep_unless_chosen_otherwise():
    environment = {"PATH": "/bin"}
    assert let_waiting_threads_sleep(environment, imported=())
    assert environment == {"PATH": "/bin", "OMP_WAIT_POLICY": "passive"}
    assert not let_waiting_threads_sleep(environment, imported=())


@pytest.mark.parametrize("name", CHOICES)
def test_what_the_user_chose_stays(name):
    environment = {name: "1"}
    assert not let_waiting_threads_sleep(environment, imported=())
    assert environment == {name: "1"}


def test_too_late_nothing_is_set():
    environment = {}
    assert not let_waiting_threads_sleep(environment, imported=("torch",))
    assert environment == {}


def display(code, **chosen):
    """Return what the OpenMP library of a new process says that it goes by."""
    inherited = {name: value for name, value in os.environ.items() if name not in CHOICES}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, "OMP_DISPLAY_ENV": "TRUE", **chosen},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU's OpenMP tells on Linux")
def test_the_openmp_library_of_pytorch_hears_of_it():
    code = "import goldfold.training.device, torch; torch.ones(1)"
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in display(code)
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in display(code, OMP_WAIT_POLICY="active")
