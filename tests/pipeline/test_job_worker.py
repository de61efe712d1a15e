"""What a worker says, and what becomes of it."""

import io
import json

import pytest

from goldfold.pipeline import job_reports
from goldfold.pipeline.job_reports import ReportingProgress, Reports, read_report
from goldfold.progress import SILENT
from goldfold.progress_lines import LineProgress


@pytest.fixture
def told(monkeypatch):
    """Return a progress that reports every step, and a function that reads what it said."""
    monkeypatch.setattr(job_reports, "_SECONDS", 0.0)
    stream, log = io.StringIO(), io.StringIO()
    progress = ReportingProgress(Reports(stream), LineProgress(log))
    return progress, lambda: [read_report(line) for line in stream.getvalue().splitlines()], log


def test_what_is_said_goes_to_the_starter_and_into_the_log(told):
    progress, read, log = told
    progress.say("first\nsecond")
    progress.warn("third")
    with progress.task("work", 3) as task:
        task.advance(epoch="1/2", loss=0.25)
        task.advance(2)
    assert read()[:2] == [
        {"kind": "say", "text": "first\nsecond"},
        {"kind": "warn", "text": "third"},
    ]
    parts = [(part["done"], part["total"], part["epoch"]) for part in read()[2:]]
    assert parts == [(1, 3, "1/2"), (3, 3, "1/2"), (3, 3, "1/2")]
    assert "first\nsecond\nwarning: third\nwork: 0/3" in log.getvalue()


def test_steps_are_reported_a_few_times_a_second_at_most():
    stream = io.StringIO()
    with ReportingProgress(Reports(stream), SILENT).task("work", 1000) as task:
        for _ in range(1000):
            task.advance()
    lines = stream.getvalue().splitlines()
    assert len(lines) < 20
    assert json.loads(lines[-1])["done"] == 1000


def test_a_starter_that_has_ended_does_not_disturb():
    class Broken(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    Reports(Broken()).send("say", text="nobody hears")


@pytest.mark.parametrize("line", ["a library's own line\n", "[1]\n", "{}\n", '{"kind": 3}\n'])
def test_a_line_that_is_no_report_is_passed_on(line):
    assert read_report(line) == {"kind": "say", "text": line.rstrip("\n")}
