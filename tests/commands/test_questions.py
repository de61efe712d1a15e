"""Open questions of goldfold.toml: nothing is made while there are any."""

import pytest

from goldfold.competitions.preset import load_settings
from goldfold.errors import SettingsError
from goldfold.open_questions import answer, unanswered

QUESTIONS = (
    '\n[questions]\n"competition.labels.dialect" = "Down or along?"\n"folds.group" = "Who?"\n'
)


@pytest.fixture
def asked(fresh):
    path = fresh / "goldfold.toml"
    path.write_text(path.read_text() + QUESTIONS)
    return fresh


@pytest.mark.parametrize(
    "words", [["folds", "build"], ["train", "run"], ["run"], ["run", "--dry-run"]]
)
def test_questions_stop_what_makes_something(asked, invoke, words):
    done = invoke(*words, asked)
    assert done.code == 2
    assert "2 open questions" in done.err
    assert 'competition.labels.dialect = "siim": Down or along?' in done.err
    assert f"goldfold config answer {asked} competition.labels.dialect=VALUE" in done.err
    assert not (asked / "folds.csv").exists()


def test_questions_stop_a_check_which_reads_everything_all_the_same(asked, invoke):
    done = invoke("check", asked, "--headers-only")
    assert done.code == 2
    assert "training images: 23" in done.out
    assert 'PROBLEM: open question: folds.group = "patient": Who?' in done.out
    assert "2 problems" in done.out
    # An assignment answers for this command alone.
    said = ["--set", "competition.labels.dialect=siim", "--set", "folds.group=patient"]
    assert invoke("check", asked, "--headers-only", *said).code == 0
    assert invoke("check", asked, "--headers-only", *said[:2]).code == 2


def test_answers_are_written_and_what_is_made_forgets_the_questions(asked, invoke):
    done = invoke("config", "answer", asked, "competition.labels.dialect=siim")
    assert done.code == 0
    assert "open: folds.group: Who?" in done.out
    done = invoke("config", "answer", asked, "folds.group")
    assert done.out.splitlines() == [
        "answered: folds.group", "no open questions", f"next: goldfold check {asked}",
    ]  # fmt: skip
    assert "[questions]" not in (asked / "goldfold.toml").read_text()
    assert "questions" not in load_settings(asked / "goldfold.toml").model_dump(mode="json")
    assert invoke("check", asked, "--headers-only").code == 0


def test_answers_that_cannot_be_leave_the_file_alone(asked, invoke):
    before = (asked / "goldfold.toml").read_bytes()
    done = invoke("config", "answer", asked, "folds.gruop")
    assert (done.code, "Did you mean 'folds.group'?" in done.err) == (2, True)
    done = invoke("config", "answer", asked, "folds.count=1")
    assert (done.code, "folds.count: expected at least 2" in done.err) == (2, True)
    assert (asked / "goldfold.toml").read_bytes() == before


def test_a_table_that_is_set_answers_for_the_settings_in_it():
    questions = {"folds.group": "Who?", "folds.groups": "What?", "a.b.c": "Why?"}
    assert unanswered(questions, ["folds.group=x"]) == {"folds.groups": "What?", "a.b.c": "Why?"}
    assert unanswered(questions, ["folds={count=2}", "a.b=1"]) == {}
    text, answered = answer('[a]\nb = 1  # kept\n[questions]\n"a.b" = "?"\n', ["a={b=2}"], "it")
    assert (text, answered) == ("[a]\nb = 2  # kept\n", ["a.b"])
    with pytest.raises(SettingsError, match="open: none"):
        answer("[a]\nb = 1\n", ["a.b"], "it")


def test_the_dialect_of_labels_is_that_of_the_submission_unless_it_is_said_otherwise():
    asked = "".join(f'"competition.{part}.dialect" = "?"\n' for part in ("labels", "submission"))
    parts = "".join(f'[competition.{part}]\ndialect = "a"\n' for part in ("labels", "submission"))
    text = f"{parts}[questions]\n{asked}"
    both, answered = answer(text, ["competition.labels.dialect=b"], "it")
    assert (both.count('"b"'), len(answered)) == (2, 2)
    once = text.replace('"competition.submission.dialect" = "?"\n', "")
    assert answer(once, ["competition.labels.dialect=b"], "it")[0].count('"b"') == 2
    other = once.replace('submission]\ndialect = "a"', 'submission]\ndialect = "c"')
    assert answer(other, ["competition.labels.dialect=b"], "it")[0].count('"b"') == 1
    decided = once.partition("[questions]")[0]
    assert answer(decided, ["competition.labels.dialect=b"], "it")[0].count('"b"') == 1
    words = ["competition.labels.dialect=b", "competition.submission.dialect=c"]
    assert answer(text, words, "it")[0].count('"c"') == 1
    assert answer(text, ["competition.labels.dialect"], "it")[0].count('"a"') == 2
