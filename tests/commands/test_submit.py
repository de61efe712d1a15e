"""`goldfold submit`."""

import json

import pytest

from goldfold.files import file_hash


@pytest.fixture
def sample(synthetic):
    return synthetic / "data" / "stage_2_sample_submission.csv"


@pytest.fixture
def submission(finished, tmp_path):
    """Return a copy of the submission, to be spoilt."""
    path = tmp_path / "submission.csv"
    path.write_bytes((finished / "submission.csv").read_bytes())
    return path


def rewrite(path, change):
    rows = [row.split(",") for row in path.read_text().splitlines()]
    path.write_text("\n".join(",".join(row) for row in change(rows)) + "\n")


def test_a_correct_file_gets_one_line(submission, sample, invoke):
    done = invoke("submit", "check", submission, "--sample", sample)
    assert done.code == 0
    assert done.out.startswith(f"{submission}: correct, 8 rows, ")
    assert done.out.count("\n") == 1
    assert invoke("submit", "check", submission, "--sample", sample, "--json").json["ok"] is True


def test_the_sizes_of_a_run_find_a_mask_beyond_the_image(submission, sample, finished, invoke):
    rewrite(submission, lambda rows: [rows[0], [rows[1][0], "9210 90"], *rows[2:]])
    words = ["submit", "check", submission, "--sample", sample]
    assert invoke(*words).code == 0  # the preset knows images of 1024 x 1024
    done = invoke(*words, "--competition", finished)
    assert done.code == 2
    assert "row 2" in done.out


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda rows: rows[:-1], "missing-id"),
        (lambda rows: [*rows, ["other", "-1"]], "extra-id"),
        (lambda rows: [*rows, rows[-1]], "doubled-id"),
        (lambda rows: [["ImageId", "Pixels"], *rows[1:]], "header"),
        (lambda rows: [rows[0], [rows[1][0], "nan"], *rows[2:]], "nan"),
        (lambda rows: [rows[0], [rows[1][0], "1.0 2.0"], *rows[2:]], ""),
        (lambda rows: [rows[0], [rows[1][0], "1 2 3"], *rows[2:]], ""),
    ],
)
def test_a_fault_is_named_and_ends_with_2(submission, sample, invoke, change, kind):
    rewrite(submission, change)
    done = invoke("submit", "check", submission, "--sample", sample)
    assert done.code == 2
    assert "1 problem" in done.out
    report = invoke("submit", "check", submission, "--sample", sample, "--json")
    assert report.code == 2
    (problem,) = report.json["problems"]
    assert kind in problem["kind"]


def test_files_that_are_not_there(submission, sample, invoke, tmp_path):
    for words in (
        ["submit", "check", tmp_path / "no.csv", "--sample", sample],
        ["submit", "check", submission, "--sample", tmp_path / "no.csv"],
        ["submit", "score", submission, "--solution", tmp_path / "no.csv"],
        ["submit", "score", tmp_path / "no.csv", "--solution", sample],
    ):
        done = invoke(*words)
        assert (done.code, f"{tmp_path / 'no.csv'} does not exist" in done.err) == (2, True)


def test_a_header_that_no_preset_has(submission, invoke, tmp_path):
    (tmp_path / "sample.csv").write_text("a,b\nx,\n")
    done = invoke("submit", "check", submission, "--sample", tmp_path / "sample.csv")
    assert done.code == 2
    assert "fits 0 of the presets" in done.err
    assert "siim-acr-pneumothorax, tgs-salt" in done.err
    done = invoke("submit", "check", submission, "--sample", submission, "--competition", "siim")
    words = "tgs-salt, uw-madison) nor a run directory"
    assert (done.code, words in done.err) == (2, True)


@pytest.mark.parametrize(
    ("image_id", "fits"), [("1.2.276.0.7230010.3.1.4.8323329.5597.9", True), ("0a1.jpg", False)]
)
def test_ids_tell_competitions_with_the_same_columns_apart(invoke, tmp_path, image_id, fits):
    """Of SIIM-ACR and Airbus, only the ids of the latter are whole names of files."""
    (tmp_path / "sample.csv").write_text(f"ImageId,EncodedPixels\n{image_id},-1\n")
    file = tmp_path / "sample.csv"
    done = invoke("submit", "check", file, "--sample", file)  # -1 is an empty mask of SIIM-ACR
    assert (done.code == 0) == fits, done.out + done.err
    assert "fits 2 of the presets" not in done.err


def test_the_truth_scores_1(synthetic, invoke, submission, sample):
    """The solution itself, one row per image, is a perfect submission."""
    first = {}
    for row in (synthetic / "data" / "solution.csv").read_text().splitlines()[1:]:
        image_id, text, _ = row.split(",")
        first.setdefault(image_id, text)
    rewrite(submission, lambda rows: [rows[0], *([row[0], first[row[0]]] for row in rows[1:])])
    words = ["--solution", synthetic / "data" / "solution.csv", "--json"]
    scores = invoke("submit", "score", submission, *words).json
    several = len((synthetic / "data" / "solution.csv").read_text().splitlines()) - 1 - len(first)
    assert scores["overall"]["score"] == 1 or several
    rewrite(submission, lambda rows: [rows[0], *([row[0], "-1"] for row in rows[1:])])
    scores = invoke("submit", "score", submission, *words).json
    for part in ("overall", "public", "private"):
        assert scores[part]["score"] == scores[part]["all_empty"]


def test_write_offers_the_check_and_says_when_nothing_changed(copied, invoke):
    invoke("submit", "write", copied)
    done = invoke("submit", "write", copied)
    assert done.err == "submission: up to date\n"
    assert done.out.splitlines()[0] == f"submission: {copied / 'submission.csv'}"
    assert done.out.splitlines()[1].startswith(f"next: goldfold submit check {copied}")


def test_a_submission_says_of_which_folds_and_checkpoints_it_is(copied, invoke, contents):
    invoke("submit", "write", copied)
    made_from = json.loads((copied / "stages/submission.json").read_text())["made_from"]
    assert made_from["folds"] == file_hash(copied / "folds.csv")
    assert made_from["seeds"] == {"folds": 0, "models": {"tiny": [0]}, "ensemble": 0}
    assert set(made_from["checkpoints"]) == set(contents(copied, "**/checkpoints/*.safetensors"))


def test_thresholds_of_other_settings_or_labels_are_not_applied(copied, invoke):
    before = (copied / "submission.csv").read_bytes()
    stale = invoke("submit", "write", copied, "--set", "ensemble.weights=[2]")
    assert stale.code == 2
    assert "ensemble.json was made from other settings. Run `goldfold ensemble run" in stale.err
    (copied / "stages/ensemble.json").unlink()
    stale = invoke("submit", "write", copied)
    assert (stale.code, "no record of what it was made from" in stale.err) == (2, True)
    assert (copied / "submission.csv").read_bytes() == before


def test_a_score_of_some_images_only_is_offered(submission, synthetic, invoke):
    rewrite(submission, lambda rows: rows[:-1])
    words = ["--solution", synthetic / "data" / "solution.csv"]
    done = invoke("submit", "score", submission, *words)
    assert (done.code, "--only-submitted" in done.err) == (2, True)
    assert invoke("submit", "score", submission, *words, "--only-submitted").code == 0
