"""The thread that writes: order, errors, and what is waited for."""

import threading

import pytest

from goldfold.training.background import Background


@pytest.fixture
def background():
    made = Background("test")
    yield made
    made.close()


def test_jobs_are_done_in_order_by_another_thread(background):
    done = []
    for number in range(50):
        background.submit(lambda number=number: done.append((number, threading.get_ident())))
    background.settle()
    assert [number for number, _ in done] == list(range(50))
    assert {thread for _, thread in done} - {threading.get_ident()}
    assert len({thread for _, thread in done}) == 1


def test_the_caller_goes_on_meanwhile(background):
    may_end, done = threading.Event(), []
    first = background.submit(lambda: done.append("first"))
    background.submit(may_end.wait)
    background.submit(lambda: done.append("last"))
    background.settle(first)
    assert done == ["first"]
    may_end.set()
    background.settle()
    assert done == ["first", "last"]


class FullError(Exception):
    pass


@pytest.mark.parametrize("ask", ["settle", "check", "submit"])
def test_an_error_is_raised_by_what_comes_next_and_ends_it_all(background, ask):
    done, may_fail = [], threading.Event()

    def full():
        may_fail.wait()
        raise FullError("disk")

    failing = background.submit(full)
    background.submit(lambda: done.append("after"))
    may_fail.set()
    with pytest.raises(FullError):
        background.settle(failing)
    asked = {
        "settle": background.settle,
        "check": background.check,
        "submit": lambda: background.submit(lambda: done.append("later")),
    }
    for _ in range(2):
        with pytest.raises(FullError, match="disk"):
            asked[ask]()
    background.close()
    assert done == []


def test_an_interrupt_in_the_thread_is_not_lost(background):
    def interrupted():
        raise KeyboardInterrupt

    background.submit(interrupted)
    with pytest.raises(KeyboardInterrupt):
        background.settle()


def test_without_a_job_there_is_nothing_to_wait_for(background):
    background.settle()
    background.check()
