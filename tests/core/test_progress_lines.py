"""Plain lines: what they say and when; the words of durations and fields."""

import io

import pytest

from goldfold import progress_lines
from goldfold.progress_lines import LineProgress, Pace, QuietProgress, field_words


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose first number is the time."""
    now = [1000.0]
    monkeypatch.setattr(progress_lines.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_at_the_beginning_every_15_seconds_and_at_the_end(clock, capsys):
    with LineProgress().task("train a fold-0", 1200) as task:
        for _ in range(4):
            clock[0] += 10
            task.advance(10, loss=0.25, lr=0.001, images_per_s=12.34, epoch="1/3")
        clock[0] += 2
    captured = capsys.readouterr()
    fields = "  epoch 1/3  loss 0.2500  learning rate 1.0e-03  12.3 images/s"
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "train a fold-0: 0/1,200",
        f"train a fold-0: 20/1,200, about 20 min left{fields}",
        f"train a fold-0: 40/1,200, about 19 min left{fields}",
        f"train a fold-0: 40/1,200 in 42 s{fields}",
    ]


def test_nothing_to_do_prints_nothing(capsys):
    with LineProgress().task("work", 0):
        pass
    assert capsys.readouterr().err == ""


def test_work_that_fails_does_not_claim_to_have_ended(capsys):
    with pytest.raises(ValueError, match="x"), LineProgress().task("work", 2):
        raise ValueError("x")
    assert capsys.readouterr().err == "work: 0/2\n"


def test_none_still_warns(capsys):
    progress = QuietProgress()
    progress.say("a line")
    progress.warn("careful")
    with progress.task("work", 2) as task:
        task.advance(2, loss=0.5)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "warning: careful\n")


# --- how long the rest will take -----------------------------------------------------------------


def test_the_rest_is_told_by_the_mean_pace_and_runs_down_between_steps(clock):
    pace = Pace(100)
    assert (pace.left(), pace.words()) == (None, "")
    clock[0] += 20
    pace.count(10)
    assert pace.left() == pytest.approx(180)
    assert pace.words() == "about 3 min left"
    clock[0] += 10
    assert pace.left() == pytest.approx(170)
    clock[0] += 1000
    assert pace.left() == 0
    assert pace.words() == "about 1 s left"


def test_what_a_resumed_command_finds_done_says_nothing_of_the_pace(clock):
    pace = Pace(1000)
    for _ in range(9):
        clock[0] += 0.01
        pace.count(100)
    assert pace.words() == ""
    clock[0] += 30
    pace.count(50)
    assert pace.words() == "about 30 s left"


# --- fields --------------------------------------------------------------------------------------


def test_fields_keep_their_order_and_are_named_for_people():
    shown = field_words(
        {
            "loss": 0.25, "lr": 9.3e-4, "images_per_s": 123.44, "epoch": "12/40",
            "non_empty": 0.2345, "mean-iou-thresholds": 0.8, "best": 0.81, "other": "x",
        }
    )  # fmt: skip
    assert shown == [
        "epoch 12/40", "loss 0.2500", "mean IoU 0.8000", "best 0.8100", "non-empty 23.4%",
        "learning rate 9.3e-04", "123.4 images/s", "other x",
    ]  # fmt: skip
    assert field_words({"dice": 0.5}) == ["Dice 0.5000"]


def test_lines_go_where_they_are_told(capsys):
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress.say("a line")
    progress.warn("careful")
    with progress.task("work", 1) as task:
        task.advance()
    assert stream.getvalue().splitlines()[:3] == ["a line", "warning: careful", "work: 0/1"]
    assert capsys.readouterr() == ("", "")
