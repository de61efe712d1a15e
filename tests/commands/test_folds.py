"""`goldfold folds`."""

import pytest

from goldfold.pipeline import folds_audit


@pytest.fixture
def built(fresh, invoke):
    assert invoke("folds", "build", fresh).code == 0
    return fresh


def test_build_prints_the_folds(fresh, invoke):
    done = invoke("folds", "build", fresh)
    lines = done.out.splitlines()
    assert lines[0].split()[:5] == ["fold", "images", "groups", "non-empty", "share"]
    assert [line.split()[0] for line in lines[1:3]] == ["0", "1"]
    assert sum(int(line.split()[1]) for line in lines[1:3]) == 23
    assert lines[-1] == f"next: goldfold train run {fresh}"


def test_build_as_json(built, invoke, contents):
    def all_but_hashes():
        """Leave out which hashes are remembered: that depends on how old the files are."""
        return {name: kept for name, kept in contents(built).items() if "file-hashes" not in name}

    before = all_but_hashes()
    rows = invoke("folds", "build", built, "--json").json
    assert sum(row["images"] for row in rows) == 23
    assert sum(row["non_empty"] for row in rows) == 6
    assert "groups" in rows[0]
    assert all_but_hashes() == before


def test_a_changed_setting_builds_anew(built, invoke):
    before = (built / "folds.csv").read_bytes()
    rows = invoke("folds", "build", built, "--json", "--set", "folds.count=3").json
    assert len(rows) == 3
    assert (built / "folds.csv").read_bytes() != before
    assert invoke("folds", "build", built).code == 0
    assert (built / "folds.csv").read_bytes() == before


def test_a_foreign_fold_table_is_not_overwritten(fresh, invoke):
    (fresh / "folds.csv").write_text("image_id,fold\na,0\n")
    done = invoke("folds", "build", fresh)
    assert (done.code, "not the table that goldfold wrote" in done.err) == (2, True)
    assert (fresh / "folds.csv").read_text() == "image_id,fold\na,0\n"
    assert invoke("folds", "build", fresh, "--overwrite").code == 0


def test_the_audit_of_our_own_folds_is_clean(built, invoke):
    done = invoke("folds", "audit", built)
    assert (done.code, done.out.splitlines()[-1]) == (0, "no leakage found")
    report = invoke("folds", "audit", built, "--json").json
    assert (report["leaking"], report["ok"], report["pixels_compared"]) == (False, True, True)


def leaking_table(built, path):
    """Write a table, with other column names, whose images alternate between the folds."""
    ids = [row.split(",")[0] for row in (built / "folds.csv").read_text().splitlines()[1:]]
    rows = [f"{image_id}.png,{number % 2}" for number, image_id in enumerate(ids)]
    path.write_text("\n".join(["picture,part", *rows]) + "\n")
    return ["--table", path, "--id-column", "picture", "--fold-column", "part"]


def test_the_audit_of_a_table_that_leaks_ends_with_1(built, invoke, tmp_path):
    words = leaking_table(built, tmp_path / "other.csv")
    done = invoke("folds", "audit", built, *words)
    assert done.code == 1
    assert "LEAK" in done.out
    assert "same patient" in done.out
    assert invoke("folds", "audit", built, *words, "--json").json["leaking"] is True


def test_the_audit_of_a_table_that_does_not_fit_ends_with_2(built, invoke, tmp_path):
    rows = (built / "folds.csv").read_text().splitlines()
    (tmp_path / "other.csv").write_text("\n".join(rows[:-2]) + "\n")
    done = invoke("folds", "audit", built, "--table", tmp_path / "other.csv")
    assert done.code == 2
    assert "PROBLEM" in done.out
    assert done.out.splitlines()[-1].startswith("no leakage found, 1 kind of problem")


def test_the_audit_names_the_columns_it_cannot_tell(built, invoke, tmp_path):
    (tmp_path / "other.csv").write_text("x,y\na,0\n")
    done = invoke("folds", "audit", built, "--table", tmp_path / "other.csv")
    assert done.code == 2
    assert "--id-column" in done.err
    assert invoke("folds", "audit", built, "--table", tmp_path / "none.csv").code == 2


def test_many_images_are_decoded_only_on_request(built, invoke, monkeypatch):
    monkeypatch.setattr(folds_audit, "PIXELS_UP_TO", 10_000)
    done = invoke("folds", "audit", built)
    assert done.code == 0
    assert "the pixels of 23 images (0.0 GB) were not compared; --pixels does it" in done.err
    assert done.out.splitlines()[-1] == "no leakage found; pixels not compared"
    asked = invoke("folds", "audit", built, "--pixels", "--json")
    assert asked.json["pixels_compared"] is True
    monkeypatch.undo()
    assert invoke("folds", "audit", built, "--json").json["pixels_compared"] is True
    assert invoke("folds", "audit", built, "--no-pixels", "--json").json["pixels_compared"] is False


def test_labels_without_images_are_split_and_audited_but_not_trained_on(
    data, init_run, invoke, tmp_path
):
    for path in (data / "dicom-images-train").rglob("*.dcm"):
        path.unlink()
    # Without headers nobody knows the patients, which has to be said.
    run = init_run(data, tmp_path / "run", "competition.imageless=keep", "folds.group=none")
    assert sum(row["images"] for row in invoke("folds", "build", run, "--json").json) == 25
    done = invoke("folds", "audit", run)
    assert (done.code, "no pixels were compared" in done.err) == (0, True)
    done = invoke("train", "run", run)
    assert done.code == 2
    assert "25 of 25 training images have no image file" in done.err
    assert "competition.imageless" in done.err


def test_the_audit_of_a_table_of_other_images_cannot_judge(built, invoke, tmp_path):
    (tmp_path / "other.csv").write_text("image_id,fold\na,0\nb,1\n")
    done = invoke("folds", "audit", built, "--table", tmp_path / "other.csv")
    assert done.code == 2
    assert "none of the 2 ids in the table belongs to one of the 23 images" in done.out
    verdict = "cannot be judged: none of its ids is an image of this run"
    assert done.out.splitlines()[-1] == verdict


def test_the_audit_asks_whether_it_is_the_fold_column(built, invoke, tmp_path):
    rows = [f"i{number},{number}" for number in range(60)]
    (tmp_path / "other.csv").write_text("\n".join(["image_id,fold", *rows]) + "\n")
    done = invoke("folds", "audit", built, "--table", tmp_path / "other.csv")
    assert done.code == 2
    assert "60 different folds: is this the fold column? Name it with --fold-column." in done.out
    assert "... and 40 more folds" in done.out


@pytest.mark.parametrize("stage", [["train"], ["predict"], ["ensemble"]])
def test_the_other_stages_require_a_fold_table(fresh, invoke, stage):
    done = invoke(*stage, "run", fresh)
    assert done.code == 2
    assert f"folds.csv does not exist yet. Run `goldfold folds build {fresh}` first." in done.err
    assert not (fresh / "folds.csv").exists()


def test_the_other_stages_never_replace_a_fold_table(copied, invoke, contents):
    before = contents(copied)
    words = ["--set", "folds.seed=5"]
    for stage in (["train", "run"], ["predict", "run"], ["ensemble", "run"], ["submit", "write"]):
        done = invoke(*stage, copied, *words)
        assert done.code == 2, stage
        assert "not the split of the present images and settings" in done.err
        assert "folds.seed: it was 0, now 5" in done.err
        assert f"`goldfold folds build {copied} --set folds.seed=5`" in done.err
    after = contents(copied)
    changed = {name for name in after if after[name] != before.get(name)}
    # The data lies elsewhere.
    tables = {"images.csv", "run.json", "stages/images.json", "stages/file-hashes.txt"}
    assert changed <= tables


def test_a_fold_table_with_trainings_is_replaced_only_on_request(copied, invoke):
    before = (copied / "folds.csv").read_bytes()
    words = ["--set", "folds.seed=5"]
    for stage in (["folds", "build"], ["run"], ["run", "--dry-run"]):
        done = invoke(*stage, copied, *words)
        assert done.code == 2, stage
        assert "2 fold trainings were made with the present one" in done.err
        assert "folds.seed: it was 0, now 5" in done.err
        assert "use another run directory, or add --overwrite" in done.err
        assert (copied / "folds.csv").read_bytes() == before
    assert invoke("folds", "build", copied, *words, "--overwrite").code == 0
    assert (copied / "folds.csv").read_bytes() != before
    for stage in (["train", "run"], ["predict", "run"], ["ensemble", "run"]):
        done = invoke(*stage, copied, *words)
        assert (done.code, "held_out_images" in done.err) == (2, True), stage
    done = invoke("submit", "write", copied, *words)
    assert (done.code, "ensemble.json was made from other folds" in done.err) == (2, True)
    # No training used the table that is there now, so going back needs no --overwrite.
    assert invoke("folds", "build", copied).code == 0
    assert (copied / "folds.csv").read_bytes() == before
    assert invoke("submit", "write", copied).code == 0
