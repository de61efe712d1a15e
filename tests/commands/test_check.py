"""`goldfold check`."""


def test_a_competition_without_problems(fresh, invoke):
    done = invoke("check", fresh)
    assert done.code == 0
    lines = done.out.splitlines()
    assert "training images: 23" in lines
    assert "test images: 8" in lines
    assert "patients: 10" in lines
    assert lines[-2:] == ["no problems", f"next: goldfold folds build {fresh}"]
    notices = [line for line in lines if line.startswith("notice: ")]
    assert any("no label row" in line for line in notices)
    assert any("no image" in line for line in notices)
    assert any("several label rows" in line for line in notices)
    assert {"images.csv", "run.json"} <= {path.name for path in fresh.iterdir()}


def test_json(fresh, invoke):
    report = invoke("check", fresh, "--json").json
    assert report["problems"] == []
    assert report["facts"]["training images"] == 23
    assert report["facts"]["non-empty masks"] == 6


def test_headers_only_decodes_nothing(fresh, invoke, monkeypatch):
    monkeypatch.setattr("goldfold.competitions.image.read_image", None)
    assert invoke("check", fresh, "--headers-only").code == 0


def test_what_a_setting_calls_an_error_is_one(fresh, invoke):
    words = ["competition.unlabelled=error", "competition.imageless=error"]
    done = invoke("check", fresh, *(word for assignment in words for word in ("--set", assignment)))
    assert done.code == 2
    assert "2 problems" in done.out
    assert not (fresh / "images.csv").exists()


def test_what_a_setting_takes_as_empty_is_trained_on(fresh, invoke):
    facts = invoke("check", fresh, "--json", "--set", "competition.unlabelled=empty").json["facts"]
    assert facts["training images"] == 24


def test_folds_that_cannot_be_are_a_problem(fresh, invoke):
    done = invoke("check", fresh, "--set", "folds.count=15")
    assert done.code == 2
    lines = done.out.splitlines()
    assert any(line.startswith("PROBLEM: 15 folds need at least 15 groups") for line in lines)
    assert lines[-1] == "1 problem"
    report = invoke("check", fresh, "--json", "--set", "folds.group=hospital").json
    assert len(report["problems"]) == 1
    assert "'hospital'" in report["problems"][0]


def test_the_next_command_keeps_the_assignments(fresh, invoke):
    done = invoke("check", fresh, "--set", "folds.seed=3", "--set", "competition.title=My own")
    assert done.out.splitlines()[-1] == (
        f"next: goldfold folds build {fresh} --set folds.seed=3 --set 'competition.title=My own'"
    )


def without_patients(run, every):
    """Empty the PatientID of every image whose place is a multiple of `every`."""
    import pydicom

    folder = run.parents[1] / "data" / "dicom-images-train"
    for place, path in enumerate(sorted(folder.rglob("*.dcm"))):
        if place % every == 0:
            header = pydicom.dcmread(path)
            header.PatientID = ""
            header.save_as(path)


def test_a_group_column_without_values_is_a_problem(fresh, invoke):
    without_patients(fresh, every=1)
    done = invoke("check", fresh, "--headers-only")
    assert done.code == 2
    assert 'PROBLEM: folds.group = "patient", but 23 of 23 training images have no' in done.out
    done = invoke("folds", "build", fresh)
    assert (done.code, "cannot be split before its groups are settled" in done.err) == (2, True)
    assert invoke("folds", "build", fresh, "--set", "folds.group=none").code == 0


def test_some_images_without_a_group_are_said(fresh, invoke):
    without_patients(fresh, every=4)
    done = invoke("check", fresh, "--headers-only")
    assert done.code == 2
    assert 'Set ungrouped = "single" in [folds] of goldfold.toml' in done.out
    done = invoke("check", fresh, "--headers-only", "--set", "folds.ungrouped=single")
    assert done.code == 0
    assert "have no value in the column patient (folds.group); each of them" in done.out


def test_patients_of_headers_are_asked_about_without_metadata(fresh, invoke):
    words = ["--set", "competition.images.metadata=none", "--set", "folds.group=none"]
    done = invoke("check", fresh, "--headers-only", *words)
    assert done.code == 2
    assert 'PROBLEM: column "patient" of images.csv looks like a group: 10 values' in done.out
