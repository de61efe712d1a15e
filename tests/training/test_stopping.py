import os
import signal
import threading

import pytest

from goldfold.errors import InputError
from goldfold.training import stopping
from goldfold.training.stopping import StopRequest, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8h30m", 30600), ("45m", 2700), ("90s", 90), ("1d", 86400), ("90", 90), ("1.5H", 5400)],
)
def test_durations_by_hand(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "8", "0", "0m", "8 h", "8h30", "soon", "-5m", "5w", "h"])
def test_what_is_no_duration(text):
    if text == "8":
        assert parse_duration(text) == 8
        return
    with pytest.raises(InputError, match=r"expected a duration such as 8h30m, 45m or 90s, found"):
        parse_duration(text)


def test_nothing_asks_unless_asked(monkeypatch):
    assert StopRequest.after(None).exit_code == 0


def test_the_deadline_comes_with_a_margin_for_what_cannot_be_broken_off(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(stopping, "monotonic", lambda: now[0])
    stop = StopRequest.after(60)
    assert stop.exit_code == 0
    now[0] = 149.9
    assert stop.exit_code == 0
    now[0] = 150.1  # ten seconds before
    assert stop.exit_code == 75
    assert stop.reason == "stopped because the time is up"
    now[0] = 100.0
    stop.observe(40.0)  # a step takes 40 seconds
    assert stop.exit_code == 75


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_a_request(number, code):
    stop = StopRequest()
    before = signal.getsignal(number)
    with stop.listening():
        os.kill(os.getpid(), number)
        assert stop.exit_code == code
        assert stop.reason == f"stopped by {signal.Signals(number).name}"
    assert signal.getsignal(number) is before


def test_a_second_interrupt_does_not_wait():
    stop = StopRequest()
    with pytest.raises(KeyboardInterrupt), stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_thread_listens_to_nothing():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def listen():
        with StopRequest().listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before]
