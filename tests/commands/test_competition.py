"""`goldfold competition synthesize` and `goldfold demo`."""

from pathlib import Path

import pytest


def test_it_says_what_it_made_and_offers_an_init_that_works(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["competition", "synthesize", "my data", "--train", 40, "--test", 4, "--size", 64]
    done = invoke(*words)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("my data: 64 x 64 px, ")
    assert [line.split()[:2] for line in lines[2:4]] == [["training", "40"], ["test", "4"]]
    assert lines[-1] == (
        "next: goldfold init siim-acr-pneumothorax --data 'my data' --recipe demo "
        "--set 'competition.images.shape=[64,64]' -o runs/synthetic"
    )
    offered = ["init", "siim-acr-pneumothorax", "--data", "my data", "-o", "runs/synthetic"]
    offered += ["--recipe", "demo", "--set", "competition.images.shape=[64,64]"]
    assert invoke(*offered).code == 0
    assert invoke("check", "runs/synthetic").code == 0


def test_another_competition_is_not_overwritten_and_other_files_never(invoke, tmp_path, contents):
    words = ["competition", "synthesize", tmp_path / "data", "--train", 8, "--test", 4]
    words += ["--size", 64]
    assert invoke(*words).code == 0
    before = contents(tmp_path / "data")
    assert invoke(*words).code == 0
    done = invoke(*words, "--seed", 1)
    assert (done.code, "--overwrite" in done.err) == (2, True)
    assert contents(tmp_path / "data") == before
    assert invoke(*words, "--seed", 1, "--overwrite").code == 0
    assert contents(tmp_path / "data") != before

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
    words[2] = tmp_path / "thesis"
    assert invoke(*words, "--overwrite").code == 2
    assert (tmp_path / "thesis" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("option", [["--train", "2"], ["--test", "1"], ["--size", "32"]])
def test_numbers_out_of_range(invoke, tmp_path, option):
    assert invoke("competition", "synthesize", tmp_path / "data", *option).code == 2
    assert not (tmp_path / "data").exists()


def test_the_demo_goes_the_whole_road_and_goes_on(invoke, tmp_path, contents, monkeypatch):
    # Hashes of files that have just been written are otherwise remembered by the second run only.
    monkeypatch.setattr("goldfold.file_hashes.SETTLED_NS", 0)
    words = ["demo", tmp_path / "demo", "--train", 20, "--test", 8, "--size", 64]
    for one in (
        'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]},'
        " stages=[{epochs=1, image_size=64}]}]",
        "folds.count=2",
        "ensemble.bootstrap_samples=100",
    ):
        words += ["--set", one]
    done = invoke(*words)
    assert done.code == 0, done.err
    for shown in ("fold  images", "honest", "all-empty", "public", "private", "s in all"):
        assert shown in done.out
    # The command that is offered next is one that works.
    offered = done.out.splitlines()[-1]
    assert offered.startswith("next: goldfold submit check ")
    assert invoke(*offered.split()[2:]).code == 0
    before = contents(tmp_path / "demo")
    assert invoke(*words).code == 0
    assert contents(tmp_path / "demo") == before

    other = invoke(*words, "--seed", 1)
    assert (other.code, "--overwrite" in other.err) == (2, True)
    other = invoke(*words, "--set", "folds.count=3")
    assert (other.code, "--overwrite" in other.err) == (2, True)
    assert contents(tmp_path / "demo") == before
    assert Path(tmp_path / "demo" / "run" / "submission.csv").is_file()
