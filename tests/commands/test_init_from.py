"""`goldfold init --from DATA`: files that no preset knows, recognised and run."""

import io
import tomllib

import cv2
import numpy as np
import pytest

from goldfold.competitions.rle import encode, get_dialect


def write_images(folder, names, ending="png", size=(40, 50)):
    rng = np.random.default_rng(0)
    for name in names:
        pixels = rng.integers(0, 255, size).astype(np.uint8)
        path = folder / f"{name}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)


def made(invoke, data, run):
    done = invoke("init", "--from", data, "-o", run)
    assert done.code == 0, done.err
    text = (run / "goldfold.toml").read_text()
    return done, tomllib.loads(text)["competition"], text


def settled(invoke, run, done):
    """Confirm every open question; return whether none is left."""
    asked = [line.split(":")[0].strip() for line in done.out.split("open: ")[1:]]
    return not asked or "no open questions" in invoke("config", "answer", run, *asked).out


@pytest.fixture
def one_class(tmp_path):
    data = tmp_path / "data"
    names = [f"i{n:02d}" for n in range(12)]
    write_images(data / "train_images", names)
    write_images(data / "test_images", ["t1", "t2"])
    rng = np.random.default_rng(1)
    rows = ["id,rle"]
    for number, name in enumerate(names):
        mask = np.zeros((40, 50), np.uint8)
        if number % 3:
            mask[5 : 10 + number, rng.integers(3, 9) : 30] = 1
        rows.append(f"{name},{encode(mask, get_dialect('kaggle'))}")
    (data / "train.csv").write_text("\n".join(rows) + "\n")
    (data / "sample_submission.csv").write_text("id,rle\nt1,1 1\nt2,1 1\n")
    return data


def test_a_table_of_masks_runs_as_it_was_recognised(one_class, invoke, tmp_path):
    done, competition, text = made(invoke, one_class, tmp_path / "run")
    assert competition["images"] == {"train": ["train_images/*.png"], "test": ["test_images/*.png"]}
    assert competition["labels"]["rle_column"] == "rle"
    assert competition["labels"]["dialect"] == "kaggle"
    assert competition["submission"]["sample"] == ["sample_submission.csv"]
    assert "column `id` matches 12 of 12 files" in text
    assert 'group = "none"' in text
    assert settled(invoke, tmp_path / "run", done)
    tiny = (
        'models=[{name="tiny", encoder="tu-test_resnet", options={decoder_channels=[16,8,8,8,8]},'
        " stages=[{epochs=1, image_size=32, batch_size=4, learning_rate=1e-3}]}]"
    )
    change = ["--set", tiny, "--set", "folds.count=2", "--set", "inference.checkpoints=1"]
    ran = invoke("run", tmp_path / "run", *change)
    assert ran.code == 0, ran.err
    checked = invoke(
        "submit", "check", tmp_path / "run/submission.csv", "--sample",
        one_class / "sample_submission.csv", "--competition", tmp_path / "run",
    )  # fmt: skip
    assert checked.code == 0, checked.out


def write_masks(folder, names):
    for number, name in enumerate(names):
        pixels = np.zeros((40, 50), np.uint8)
        pixels[4:9, 4 : 9 + number] = 255
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)


def test_mask_files_pass_the_check_that_follows(tmp_path, invoke):
    data, names = tmp_path / "data", [f"x{n}" for n in range(6)]
    write_images(data / "images", names)
    write_masks(data / "masks", [f"{name}_mask" for name in names])
    _, competition, _ = made(invoke, data, tmp_path / "run")
    assert competition["labels"] == {"kind": "masks", "masks": [["masks/{id}_mask.png"]]}
    assert competition["images"]["train"] == ["images/*.png"]
    assert invoke("check", tmp_path / "run").code == 0


@pytest.mark.parametrize(
    ("tails", "pattern", "asked"),
    [
        (["_left", "_right"], "masks/{id}_*.png", True),
        (["", "_2"], "masks/{id}*.png", False),
        (["-1", "-2"], "masks/{id}-*.png", False),
        (["/m1", "/m2", "/m3", "/m4"], "masks/{id}/*.png", False),
    ],
)
def test_several_mask_files_of_an_image_are_no_class(tmp_path, invoke, tails, pattern, asked):
    data, run, names = tmp_path / "data", tmp_path / "run", [f"x{n}" for n in range(6)]
    write_images(data / "images", names)
    write_masks(data / "masks", [f"{name}{tail}" for name in names for tail in tails])
    done, competition, _ = made(invoke, data, run)
    assert competition["labels"] == {"kind": "masks", "masks": [[pattern]]}
    assert competition["images"]["train"] == ["images/*.png"]
    assert ("open: competition.labels.masks: " in done.out) == asked
    assert invoke("check", run).code == (2 if asked else 0)
    assert invoke("config", "answer", run, "competition.labels.masks").code == (0 if asked else 2)
    assert invoke("check", run).code == 0


def test_masks_of_test_images_alone_are_refused(tmp_path, invoke):
    data = tmp_path / "data"
    write_images(data / "train", [f"x{n}" for n in range(6)])
    write_images(data / "test", [f"y{n}" for n in range(6)])
    write_masks(data / "masks", [f"y{n}_mask" for n in range(6)])
    done = invoke("init", "--from", data, "-o", tmp_path / "run")
    assert done.code == 2
    assert "their names are not those of training images" in done.err


def test_signs_of_a_glob_in_names_of_folders(tmp_path, invoke):
    data, names = tmp_path / "data", [f"x{n}" for n in range(6)]
    write_images(data / "set [1]" / "images", names)
    masks = data / "set [1]" / "masks*"
    masks.mkdir()
    for name in names:
        mask = np.zeros((40, 50), np.uint8)
        mask[4:9, 4:9] = 1
        cv2.imwrite(str(masks / f"{name}_mask.png"), mask)
    _, competition, _ = made(invoke, data, tmp_path / "run")
    assert competition["labels"]["masks"] == [["set [[]1]/masks[*]/{id}_mask.png"]]
    done = invoke("check", tmp_path / "run", "--headers-only")
    assert "non-empty masks: 6\n" in done.out


def test_class_folders(tmp_path, invoke):
    data = tmp_path / "data"
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            write_images(data / split / name, [f"{split}{name}{n}" for n in range(4)], "jpg")
    done, competition, text = made(invoke, data, tmp_path / "run")
    assert competition["classes"] == ["cat", "dog"]
    assert competition["images"] == {"train": ["train/*/*.jpg"], "test": ["test/*/*.jpg"]}
    assert competition["labels"] == {"kind": "folders"}
    assert 'architecture = "Classifier"' in text
    assert invoke("check", tmp_path / "run", "--set", "folds.count=2").code == 0
    assert "no sample submission" in done.out


def test_tables_of_classes(tmp_path, invoke):
    data, names = tmp_path / "data", [f"a{n}" for n in range(9)]
    write_images(data / "pictures", names)
    rows = [f"{name},{n % 2},{(n + 1) % 2}" for n, name in enumerate(names)]
    (data / "labels.csv").write_text("\n".join(["image,red,blue", *rows]) + "\n")
    _, competition, _ = made(invoke, data, tmp_path / "wide")
    assert competition["classes"] == ["red", "blue"]
    assert competition["labels"]["kind"] == "wide"
    assert competition["exclusive"] is True
    rows = [f"{name},{'red' if n % 2 else 'blue'}" for n, name in enumerate(names)]
    (data / "labels.csv").write_text("\n".join(["image,colour", *rows]) + "\n")
    _, competition, _ = made(invoke, data, tmp_path / "column")
    assert competition["labels"]["class_column"] == "colour"
    assert competition["classes"] == ["blue", "red"]
    rows = [f"{name}_{k},{n % 2}" for n, name in enumerate(names) for k in ("red", "any")]
    (data / "labels.csv").write_text("\n".join(["ID,Label", *rows]) + "\n")
    (data / "sample.csv").write_text("ID,Label\na0_red,0.5\na0_any,0.5\n")
    _, competition, _ = made(invoke, data, tmp_path / "long")
    assert competition["labels"]["kind"] == "long"
    assert competition["submission"]["class_separator"] == "_"


KAGGLE = get_dialect("kaggle")
KINDS = ("dent", "hole", "scratch")


def of_classes(folder, row, header):
    """Write images of three kinds of masks, and their table with a row made by `row`."""
    names = [f"i{n:02d}" for n in range(12)]
    write_images(folder / "train_images", names, "jpg")
    write_images(folder / "test_images", ["t1", "t2"], "jpg")
    lines = [header]
    for number, name in enumerate(names):
        for place, kind in enumerate(KINDS):
            mask = np.zeros((40, 50), np.uint8)
            if (number + place) % 3:
                mask[5 : 20 + number, 4 + 9 * place : 20 + 9 * place] = 1
            lines.append(row(name, kind, encode(mask, KAGGLE)))
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    asked = [row(name, kind, "1 1") for name in ("t1", "t2") for kind in KINDS]
    (folder / "sample_submission.csv").write_text("\n".join([header, *asked]) + "\n")


@pytest.mark.parametrize(
    ("row", "header", "labels", "submission"),
    [
        (lambda name, kind, text: f"{name}.jpg_{kind},{text}", "ImageId_ClassId,EncodedPixels",
         {}, {"class_separator": "_"}),
        (lambda name, kind, text: f"{name}.jpg,{kind},{text}", "id,class,segmentation",
         {"class_column": "class"}, {"class_column": "class"}),
        (lambda name, kind, text: f"{name}.jpg,{text},{kind}", "id,rle,defect",
         {"class_column": "defect"}, {"class_column": "defect"}),
    ],
)  # fmt: skip
def test_a_mask_of_each_class_passes_the_check_that_follows(
    row, header, labels, submission, invoke, tmp_path
):
    data, run = tmp_path / "data", tmp_path / "run"
    of_classes(data, row, header)
    done, competition, text = made(invoke, data, run)
    assert competition["classes"] == list(KINDS)
    assert competition["images"]["id_pattern"] == "([^/]+)$"
    assert labels.items() <= competition["labels"].items()
    assert submission.items() <= competition["submission"].items()
    assert "one mask for each of 3 classes" in text
    assert settled(invoke, run, done)
    assert invoke("check", run).code == 0


def test_a_sample_of_a_header_alone_tells_its_columns(invoke, tmp_path):
    data = tmp_path / "data"
    of_classes(data, lambda *cells: ",".join(cells), "id,class,segmentation")
    (data / "sample_submission.csv").write_text("id,class,predicted\n")
    _, competition, _ = made(invoke, data, tmp_path / "run")
    assert competition["submission"]["class_column"] == "class"
    assert competition["submission"]["rle_column"] == "predicted"
    assert "class_separator" not in competition["submission"]


def test_rows_that_are_objects_are_asked_about(one_class, invoke, tmp_path):
    table = one_class / "train.csv"
    table.write_text(table.read_text() + "i01,1991 3\n")
    done, competition, _ = made(invoke, one_class, tmp_path / "run")
    assert "classes" not in competition
    assert "open: competition.submission.objects: images have several masks" in done.out


@pytest.mark.parametrize("dialect", ["siim", "kaggle"])
def test_the_dialect_is_told_from_the_numbers(one_class, invoke, tmp_path, dialect):
    rows = ["ImageId,EncodedPixels"]
    for number in range(12):
        mask = np.zeros((40, 50), np.uint8)
        if number % 3:
            mask[30:, 10 : 20 + 2 * number] = 1
        rows.append(f"i{number:02d},{encode(mask, get_dialect(dialect))}")
    (one_class / "train.csv").write_text("\n".join(rows) + "\n")
    _, competition, _ = made(invoke, one_class, tmp_path / "run")
    assert competition["labels"]["dialect"] == dialect


def answered(invoke, monkeypatch, answers, *words):
    """Return the outcome of `init --interactive`, and how many answers were left."""
    stdin = io.StringIO("".join(f"{answer}\n" for answer in answers))
    monkeypatch.setattr("sys.stdin", stdin)
    done = invoke("init", *words, "--interactive")
    assert done.code == 0, done.err
    return done, len(stdin.read())


def test_every_choice_is_asked_about_and_can_be_changed(one_class, invoke, tmp_path, monkeypatch):
    # Title, task, table, ids, test images, metric (misspelled once), dialect, patients.
    answers = ["Rocks", "", "", "", "", "mean-iuo", "mean-iou-thresholds", "row-major", "/(i\\d)"]
    run = tmp_path / "run"
    _, left = answered(invoke, monkeypatch, answers, "--from", one_class, "-o", run)
    assert left == 0
    text = (run / "goldfold.toml").read_text()
    competition = tomllib.loads(text)["competition"]
    assert competition["title"] == "Rocks"
    assert competition["metric"] == "mean-iou-thresholds"
    assert competition["labels"]["dialect"] == "row-major"
    assert competition["images"]["facts"] == {"patient": "/(i\\d)"}
    assert 'group = "patient"' in text
    assert "questions" not in tomllib.loads(text)


def test_folders_are_asked_for(one_class, invoke, tmp_path, monkeypatch):
    run = tmp_path / "run"
    answers = [one_class, run, "Rocks", "", "", "", "none", "", "", ""]
    done, _ = answered(invoke, monkeypatch, answers)
    assert "Folder with the competition's files" in done.err
    content = tomllib.loads((run / "goldfold.toml").read_text())
    assert content["competition"]["title"] == "Rocks"
    assert content["competition"]["images"] == {"train": ["train_images/*.png"], "test": []}
    assert invoke("check", run).code == 0


def test_an_assignment_changes_what_is_looked_for_and_answers(tmp_path, invoke):
    data, run = tmp_path / "data", tmp_path / "run"
    with_people(data, "image,kind,sort", lambda n, name: f"{name},{'ab'[n % 2]},{'cd'[n // 2 % 2]}")
    done, _, _ = made(invoke, data, run)
    assert "open: competition.labels.class_column: which column is the label" in done.out
    words = [
        "--set",
        "competition.labels.class_column=sort",
        "--set",
        "folds.count=2",
        "--overwrite",
    ]
    done = invoke("init", "--from", data, "-o", run, *words)
    assert (done.code, "open:" in done.out) == (0, False)
    content = tomllib.loads((run / "goldfold.toml").read_text())
    assert content["competition"]["classes"] == ["c", "d"]
    assert (content["folds"]["count"], "questions" in content) == (2, False)
    assert invoke("check", run).code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "DATA"], "Missing option '--output'"),
        (["siim-acr-pneumothorax", "--data", "DATA"], "Missing option '--output'"),
        (["-o", "RUN"], "name a preset and its files"),
        (["siim-acr-pneumothorax", "-o", "RUN"], "name a preset and its files"),
        (["siim-acr-pneumothorax", "--from", "DATA", "-o", "RUN"], "instead of a preset"),
        (["--interactive", "--data", "DATA", "-o", "RUN"], "instead of a preset"),
        (["--from", "DATA", "-o", "RUN", "--set", "folds.count=1"], "expected at least 2"),
        (["--from", "DATA", "-o", "RUN", "--set", "competition.data=x"], "use --data"),
        (["--from", "EMPTY", "-o", "RUN"], "contain no image (.bmp"),
        (["--from", "BARE", "-o", "RUN"], "contains 2 images but no labels"),
    ],
)
def test_what_init_refuses(one_class, invoke, tmp_path, words, message):
    (tmp_path / "empty").mkdir()
    write_images(tmp_path / "bare" / "images", ["a", "b"])
    places = {"DATA": one_class, "RUN": tmp_path / "run", "EMPTY": tmp_path / "empty",
              "BARE": tmp_path / "bare"}  # fmt: skip
    done = invoke("init", *(places.get(word, word) for word in words))
    assert done.code == 2
    assert message in done.err


def with_people(folder, header, row, count=12):
    """Write images of classes 0 and 1 and a label table, two images of each patient."""
    names = [f"i{n:02d}" for n in range(count)]
    write_images(folder / "images", names, size=(16, 16))
    rows = [row(n, name) for n, name in enumerate(names)]
    (folder / "train.csv").write_text("\n".join([header, *rows]) + "\n")


def folds_of(text):
    return tomllib.loads(text)["folds"]


def test_a_patient_column_is_the_group_and_never_the_class(tmp_path, invoke):
    data, run = tmp_path / "data", tmp_path / "run"
    with_people(
        data, "Image Index,Follow-up #,Patient ID,Patient Age,Finding Labels",
        lambda n, name: f"{name}.png,0,{n // 2},{50 + n % 4},{'Mass' if n % 3 else 'No Finding'}",
    )  # fmt: skip
    done, competition, text = made(invoke, data, run)
    assert competition["labels"]["class_column"] == "Finding Labels"
    assert folds_of(text)["group"] == "Patient ID"
    assert "kept together by Patient ID: 6 values, 6 with several images" in done.out
    two = ["--set", "folds.count=2"]
    assert invoke("check", run, *two).code == 0
    assert invoke("folds", "build", run, *two).code == 0
    # The same data under settings that forget the patients: nothing goes on past the question.
    forgetful = [*two, "--set", "folds.group=none"]
    done = invoke("check", run, *forgetful, "--headers-only")
    assert done.code == 2
    assert 'PROBLEM: column "Patient ID" of images.csv looks like a group: 6 values' in done.out
    for words in (
        ["folds", "build"],
        ["folds", "build", "--overwrite"],
        ["run"],
        ["run", "--dry-run"],
    ):
        done = invoke(*words, run, *forgetful)
        assert (done.code, 'group = "Patient ID" keeps each value' in done.err) == (2, True), words
    declined = [*forgetful, "--set", 'folds.not_groups=["Patient ID"]']
    assert invoke("check", run, *declined, "--headers-only").code == 0
    assert invoke("folds", "build", run, *declined).code == 0
    # folds.csv now fits these settings, as one of an older version would.
    done = invoke("train", "run", run, *forgetful)
    assert (done.code, 'group = "Patient ID" keeps each value' in done.err) == (2, True)
    done = invoke("folds", "audit", run, *declined)
    assert done.code == 0
    assert 'notice: column "Patient ID" was declined (folds.not_groups): 6 values' in done.out
    done = invoke("folds", "audit", run, *forgetful)
    assert (done.code, 'LEAK: values of the column "Patient ID"' in done.out) == (1, True)
    misspelled = [*forgetful, "--set", 'folds.not_groups=["Patint ID"]']
    done = invoke("check", run, *misspelled, "--headers-only")
    assert done.code == 2
    assert "folds.not_groups names 'Patint ID'" in done.out
    assert "Did you mean 'Patient ID'?" in done.out


def test_columns_that_nest_need_one_answer_and_others_are_asked_about(tmp_path, invoke):
    data = tmp_path / "data"
    with_people(
        data, "image,study_id,patient_id,target",
        lambda n, name: f"{name},s{n // 2},p{n // 4},{n % 2}",
    )  # fmt: skip
    done, _, text = made(invoke, data, tmp_path / "nested")
    assert folds_of(text)["group"] == "patient_id"
    assert invoke("check", tmp_path / "nested", "--set", "folds.count=3").code == 0
    with_people(
        data, "image,lesion_id,patient_id,target",
        lambda n, name: f"{name},l{(n + 1) // 2},p{n // 2},{n % 2}",
    )  # fmt: skip
    done, _, text = made(invoke, data, tmp_path / "crossed")
    assert "open: folds.group: which column keeps images together: lesion_id or" in done.out
    done = invoke("check", tmp_path / "crossed", "--set", "folds.count=2", "--headers-only")
    assert (done.code, "PROBLEM: open question: folds.group" in done.out) == (2, True)
    lesions = ["--set", "folds.group=lesion_id", "--set", "folds.count=2"]
    done = invoke("check", tmp_path / "crossed", *lesions, "--headers-only")
    assert (done.code, done.out.splitlines()[-1]) == (2, "1 problem")


def test_a_table_beside_the_labels_tells_the_patients(tmp_path, invoke):
    data = tmp_path / "data"
    with_people(data, "image,target", lambda n, name: f"{name},{n % 2}")
    rows = [f"i{n:02d},{40 + n},p{n // 2}" for n in range(12)]
    (data / "metadata.csv").write_text("\n".join(["image,age,patient_id", *rows]) + "\n")
    _, competition, text = made(invoke, data, tmp_path / "run")
    assert competition["tables"] == [
        {"file": "metadata.csv", "id_column": "image", "columns": {"patient_id": "patient_id"}}
    ]
    assert folds_of(text)["group"] == "patient_id"
    assert invoke("check", tmp_path / "run", "--set", "folds.count=2").code == 0


@pytest.mark.parametrize(
    ("answers", "folds"),
    [
        (["patient_id", "y"], ("patient_id", ["lesion_id"])),
        (["patint", "lesion_id", "n"], ("lesion_id", None)),
        (["none"], ("none", ["lesion_id", "patient_id"])),
    ],
)
def test_groups_are_asked_for(tmp_path, invoke, monkeypatch, answers, folds):
    data = tmp_path / "data"
    with_people(
        data, "image,lesion_id,patient_id,target",
        lambda n, name: f"{name},l{(n + 1) // 2},p{n // 2},{n % 2}",
    )  # fmt: skip
    before = ["Skin", "", "", "", "", "auroc"]  # title, task, table, ids, test images, metric
    run = tmp_path / "run"
    answered(invoke, monkeypatch, [*before, *answers], "--from", data, "-o", run)
    written = folds_of((run / "goldfold.toml").read_text())
    assert (written["group"], written.get("not_groups")) == folds
