"""Whatever is wrong with the input: words that name it and the way out, the documented exit code,
nothing half-written, never a traceback (which `invoke` would let through)."""

import json
import resource
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pydicom
import pytest

from goldfold.training.runtime import Machine

ONE, TWO = 1, 2  # 1 failed, 2 wrong use or bad input


def files_of(folder):
    """Return the files of a run; hashes are remembered or not, depending on the files' age."""
    paths = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return sorted(paths - {"stages/file-hashes.txt"})


def first_dicom(data, split="train"):
    return min((data / f"dicom-images-{split}").rglob("*.dcm"))


def refused(outcome, code, *words):
    """Check code and words; the message stands on stderr, as the only `error:`."""
    assert outcome.code == code, outcome
    for word in words:
        assert str(word).lower() in outcome.err.lower(), outcome.err
    assert [line[:6].lower() for line in outcome.err.splitlines()].count("error:") == 1
    assert "Traceback" not in outcome.err
    return outcome


# --- images --------------------------------------------------------------------------------------


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return "truncated"


def put_text(path):
    path.write_text("This is no image.\n")
    return "DICOM"


def claim_too_much(path):
    dataset = pydicom.dcmread(path)
    dataset.Rows = dataset.Columns = 60_000
    dataset.save_as(path)
    return "60000"


def empty(path):
    path.write_bytes(b"")
    return "empty"


@pytest.mark.parametrize("spoil", [truncate, put_text, claim_too_much, empty])
def test_a_bad_image_stops_the_run_before_anything_is_written(fresh, data, invoke, spoil):
    bad = first_dicom(data)
    word = spoil(bad)
    before = files_of(fresh)
    checked = invoke("check", fresh)
    assert checked.code == TWO
    assert "1 problem" in checked.out
    (line,) = [line for line in checked.out.splitlines() if line.startswith("PROBLEM: ")]
    assert f"cannot read {bad.relative_to(data)}: " in line
    assert word in line
    for words in (["run"], ["train", "run"], ["folds", "build"], ["predict", "run"]):
        refused(invoke(*words, fresh), TWO, f"{data} has 1 problem", bad.relative_to(data), word)
    assert files_of(fresh) == sorted([*before, "check.png"])


def test_every_bad_image_is_named_at_once(fresh, data, invoke):
    bad = sorted((data / "dicom-images-train").rglob("*.dcm"))[:3]
    for path, spoil in zip(bad, (truncate, put_text, claim_too_much), strict=True):
        spoil(path)
    problems = invoke("check", fresh, "--json").json["problems"]
    assert len(problems) == 3
    names = [str(path.relative_to(data)) for path in bad]
    assert all(any(name in problem for problem in problems) for name in names)


def test_pixels_that_cannot_be_decoded_are_found_by_check_and_by_the_cache(fresh, data, invoke):
    bad = first_dicom(data)
    dataset = pydicom.dcmread(bad)
    frame = bytearray(dataset.PixelData)
    start = frame.index(b"\xff\xda")  # a JPEG's scan, after its tables
    frame[start:-64] = bytes(len(frame) - 64 - start)
    dataset.PixelData = bytes(frame)
    dataset.save_as(bad)
    assert invoke("check", fresh, "--headers-only").code == 0
    checked = invoke("check", fresh)
    assert checked.code == TWO
    assert f"PROBLEM: cannot read {bad.relative_to(data)}" in checked.out
    stopped = refused(invoke("run", fresh), TWO, "1 of 23 images cannot be cached", bad, "check")
    assert "goldfold check" in stopped.err
    assert not list(fresh.glob("cache/*")) + list(fresh.glob("models/*"))


def test_damaged_images_of_a_folder_that_cannot_be_changed_are_left_out(copied, data, invoke):
    bad = [first_dicom(data, "train"), first_dicom(data, "test")]
    for path in bad:
        truncate(path)
    stopped = refused(invoke("run", copied), TWO, "has 3 problems", "competition.images.exclude")
    assert all(str(path.relative_to(data)) in stopped.err for path in bad)
    words = ["--set", f"competition.images.exclude={json.dumps([path.stem for path in bad])}"]
    checked = invoke("check", copied, *words)
    assert checked.code == 0, checked
    for path in bad:
        assert f"is left out (competition.images.exclude): {path.stem}" in checked.out
    assert f"submitted as an empty mask: {bad[1].stem}" in checked.out
    done = invoke("run", copied, "--overwrite", *words)
    assert done.code == 0, done.err
    assert f"{bad[1].stem},-1" in (copied / "submission.csv").read_text().splitlines()


def test_many_bad_labels_ask_for_the_dialect(fresh, invoke):
    words = ["--set", "competition.labels.dialect=kaggle"]
    checked = invoke("check", fresh, *words)
    assert checked.code == TWO
    question = 'is competition.labels.dialect = "kaggle" right? '
    assert [line.startswith(f"PROBLEM: {question}") for line in checked.out.splitlines()].count(
        True
    ) == 1
    assert "--json lists them all" in checked.out
    problems = invoke("check", fresh, "--json", *words).json["problems"]
    assert len(problems) >= 5
    assert not any(question in problem for problem in problems)
    refused(invoke("run", fresh, *words), TWO, f"has {len(problems)} problems:\n  {question}")


def test_an_image_that_vanished(copied, data, invoke):
    bad = first_dicom(data, "test")
    bad.unlink()
    refused(invoke("run", copied), TWO, bad.stem, "stage_2_sample_submission.csv", "test image")


# --- labels and tables ---------------------------------------------------------------------------


def add_label(data, text):
    table = data / "train-rle.csv"
    image_id = first_dicom(data).stem
    rows = [row for row in table.read_text().splitlines() if not row.startswith(image_id)]
    table.write_text("\n".join([*rows, f"{image_id},{text}"]) + "\n")
    return image_id


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9000 900", "ends at pixel 9,900, but the image has 96 x 96 = 9,216"),
        ("5 2 7", "odd count"),
        ("5 0", "length"),
        ("5 -3", "-3"),
        ("5 x", "'x'"),
        ("1.5 3", "1.5"),
    ],
)
def test_a_bad_label_is_named_with_its_row(fresh, data, invoke, text, words):
    image_id = add_label(data, text)
    before = files_of(fresh)
    stopped = refused(invoke("run", fresh), TWO, "train-rle.csv", image_id, words)
    assert "has 1 problem:" in stopped.err
    checked = invoke("check", fresh)
    assert (checked.code, image_id in checked.out, words in checked.out) == (TWO, True, True)
    assert files_of(fresh) == sorted([*before, "check.png"])


def test_tables_with_windows_line_ends_and_a_byte_order_mark_are_read(
    data, init_run, invoke, finished, tmp_path
):
    for name in ("train-rle.csv", "stage_2_sample_submission.csv", "solution.csv"):
        text = (data / name).read_bytes().replace(b"\n", b"\r\n")
        (data / name).write_bytes(b"\xef\xbb\xbf" + text)
    run = init_run(data, tmp_path / "run")
    assert invoke("check", run).code == 0
    assert invoke("folds", "build", run).code == 0
    assert (run / "images.csv").read_bytes() == (finished / "images.csv").read_bytes()
    assert (run / "folds.csv").read_bytes() == (finished / "folds.csv").read_bytes()
    words = ["--sample", data / "stage_2_sample_submission.csv"]
    assert invoke("submit", "check", finished / "submission.csv", *words).code == 0
    words = ["--solution", data / "solution.csv"]
    assert invoke("submit", "score", finished / "submission.csv", *words).code == 0


def test_a_submission_is_written_from_a_sample_with_windows_line_ends(copied, data, invoke):
    before = (copied / "submission.csv").read_bytes()
    sample = data / "stage_2_sample_submission.csv"
    sample.write_bytes(sample.read_bytes().replace(b"\n", b"\r\n"))
    assert invoke("submit", "write", copied).code == 0
    assert (copied / "submission.csv").read_bytes() == before


def test_no_label_table(fresh, data, invoke):
    (data / "train-rle.csv").unlink()
    refused(invoke("check", fresh), TWO, data, "label table", "train-rle.csv or stage_2_train.csv")


def test_a_label_table_without_its_column(fresh, data, invoke):
    table = data / "train-rle.csv"
    table.write_text(table.read_text().replace("EncodedPixels", "rle"))
    refused(invoke("check", fresh), TWO, table, "no column EncodedPixels", "ImageId, rle")


def test_no_sample_submission(copied, data, invoke):
    (data / "stage_2_sample_submission.csv").unlink()
    refused(invoke("submit", "write", copied), TWO, "sample submission", "competition.submission")


# --- settings ------------------------------------------------------------------------------------


def test_unknown_settings_are_named_all_at_once_with_the_nearest(fresh, invoke):
    path = fresh / "goldfold.toml"
    text = path.read_text().replace("[folds]\n", "[folds]\ncuont = 3\n")
    path.write_text(text.replace("epochs =", "epoch =").replace("size = 8", "size = 0"))
    stopped = refused(invoke("run", fresh), TWO, path, "folds.cuont", "did you mean 'count'?")
    assert "did you mean 'epochs'?" in stopped.err.lower()
    assert "batch_size" in stopped.err


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("folds.cuont=3", ["folds.cuont: unknown setting", "did you mean 'count'?"]),
        ("folds.count", ["--set 'folds.count'", "KEY=VALUE"]),
        ("folds.count=many", ["folds.count", 'found "many"']),
        ("folds.count=21", ["folds.count", "20"]),
        ("models.1.name=b", ["models.1.name=b", "no item '1'"]),
        ("models.0.stages.0.image_size=50", ["image_size", "32"]),
    ],
)
def test_a_wrong_set(fresh, invoke, assignment, words):
    before = files_of(fresh)
    refused(invoke("run", fresh, "--set", assignment), TWO, *words)
    assert files_of(fresh) == before


def test_settings_that_are_no_toml(fresh, invoke):
    (fresh / "goldfold.toml").write_text("[folds\ncount = 3\n")
    refused(invoke("run", fresh), TWO, fresh / "goldfold.toml", "not valid TOML", "line 1")


@pytest.mark.parametrize(
    "words",
    [["check"], ["run"], ["folds", "build"], ["folds", "audit"], ["train", "run"],
     ["predict", "run"], ["ensemble", "run"], ["submit", "write"], ["config", "show"]],
)  # fmt: skip
def test_a_missing_run_directory(tmp_path, invoke, words):
    stopped = invoke(*words, tmp_path / "nowhere")
    refused(stopped, TWO, tmp_path / "nowhere" / "goldfold.toml", "does not exist", "goldfold init")
    assert not (tmp_path / "nowhere").exists()


def test_an_unknown_preset_or_recipe(data, invoke, tmp_path):
    words = ["--data", data, "-o", tmp_path / "run"]
    stopped = invoke("init", "siim-acr-pneumotorax", *words)
    refused(stopped, TWO, "siim-acr-pneumotorax", "did you mean 'siim-acr-pneumothorax'?")
    stopped = invoke("init", "tgs-salt", "--recipe", "fast", *words)
    refused(stopped, TWO, "'fast'", "default, hour, quick")
    assert not (tmp_path / "run").exists()


def test_a_missing_data_folder(copied, data, invoke, tmp_path):
    words = ["siim-acr-pneumothorax", "--data", tmp_path / "nowhere", "-o", tmp_path / "run"]
    refused(invoke("init", *words), TWO, tmp_path / "nowhere", "does not exist", "--data")
    assert not (tmp_path / "run").exists()
    shutil.rmtree(data)
    refused(invoke("run", copied), TWO, data, "does not exist", "competition.data")


def test_a_data_folder_that_is_a_file(data, invoke, tmp_path):
    words = ["siim-acr-pneumothorax", "--data", data / "train-rle.csv", "-o", tmp_path / "run"]
    refused(invoke("init", *words), TWO, data / "train-rle.csv", "is a file")


def test_another_goldfold_toml_is_not_overwritten(fresh, data, invoke):
    path = fresh / "goldfold.toml"
    before = path.read_bytes()
    words = ["siim-acr-pneumothorax", "--data", data, "-o", fresh]
    refused(invoke("init", *words), TWO, path, "already exists", "--overwrite")
    assert path.read_bytes() == before
    assert invoke("init", *words, "--overwrite").code == 0
    assert path.read_bytes() != before


def test_an_unknown_model_fold_or_encoder(fresh, invoke):
    refused(invoke("train", "run", fresh, "--model", "tony"), TWO, "'tony'", "tiny")
    refused(invoke("train", "run", fresh, "--fold", "2"), TWO, "no fold 2", "folds.count = 2")
    words = ["--fold", "1", "--set", "folds.train=[0]"]
    refused(invoke("train", "run", fresh, *words), TWO, "fold 1", "folds.train = [0]")
    assert invoke("folds", "build", fresh).code == 0
    stopped = invoke("train", "run", fresh, "--set", "models.0.encoder=resnet19")
    refused(stopped, TWO, "resnet19", "resnet18")
    assert not list(fresh.glob("models/**/*.*"))


def test_impossible_folds(fresh, invoke):
    stopped = invoke("folds", "build", fresh, "--set", "folds.count=15")
    refused(stopped, TWO, "15", "10")
    stopped = invoke("folds", "build", fresh, "--set", "folds.group=hospital")
    refused(stopped, TWO, "'hospital'", "patient", "none")
    assert not (fresh / "folds.csv").exists()


def test_a_column_without_values_that_should_be_an_option(invoke, tmp_path):
    assert invoke("folds", "build").code == TWO
    assert invoke("folds", "bild", tmp_path).code == TWO
    assert invoke("run", tmp_path, "--overwritten").code == TWO


# --- results that do not fit ---------------------------------------------------------------------


def test_the_stages_ask_for_what_comes_before_them(fresh, invoke):
    refused(invoke("folds", "audit", fresh), TWO, "folds.csv", f"goldfold folds build {fresh}")
    for stage in (["train", "run"], ["predict", "run"], ["ensemble", "run"], ["submit", "write"]):
        refused(invoke(*stage, fresh), TWO, "folds.csv", f"goldfold folds build {fresh}")
    assert invoke("folds", "build", fresh).code == 0
    refused(invoke("predict", "run", fresh), TWO, "2 of 2 fold trainings", "goldfold train run")
    refused(invoke("ensemble", "run", fresh), TWO, "2 of 2 fold trainings", "goldfold train run")
    refused(invoke("submit", "write", fresh), TWO, "ensemble.json", "goldfold ensemble run")
    assert not (fresh / "submission.csv").exists()


def test_missing_predictions(copied, invoke):
    (copied / "predictions/tiny/seed-0/fold-1/test.json").unlink()
    (copied / "submission.csv").unlink()
    stopped = invoke("submit", "write", copied)
    refused(stopped, TWO, "fold-1/test.maps is not finished", f"predict run {copied} --test")
    assert not (copied / "submission.csv").exists()


def test_a_damaged_store_and_a_damaged_checkpoint(copied, invoke):
    maps = copied / "predictions/tiny/seed-0/fold-0/test.maps"
    maps.write_bytes(maps.read_bytes()[:-10])
    refused(invoke("submit", "write", copied), TWO, maps, "is damaged")
    checkpoint = min(copied.glob("models/tiny/seed-0/fold-0/stage-1/checkpoints/*.safetensors"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:-4] + b"\0\0\0\1")
    shutil.rmtree(copied / "predictions")
    refused(invoke("predict", "run", copied), ONE, checkpoint, "is not the file that was written")


def test_a_training_from_other_settings_is_neither_continued_nor_predicted_with(copied, invoke):
    words = ["--set", "models.0.stages.0.learning_rate=0.5"]
    for stage in (["train", "run"], ["predict", "run"], ["run"]):
        stopped = invoke(*stage, copied, *words)
        refused(stopped, TWO, copied / "models/tiny/seed-0/fold-0", "0.001", "0.5", "--overwrite")


def test_predictions_of_an_older_training_are_not_blended(copied, invoke):
    words = ["--set", "models.0.stages.0.learning_rate=0.002"]
    assert invoke("train", "run", copied, "--overwrite", *words).code == 0
    before = (copied / "submission.csv").read_bytes()
    again = f"predict run {copied} --set models.0.stages.0.learning_rate=0.002"
    for stage, found in (
        (["ensemble", "run"], "fold-0/out-of-fold.maps was made from other checkpoints."),
        (["submit", "write"], "ensemble.json was made from other out-of-fold predictions."),
    ):
        stopped = invoke(*stage, copied, *words)
        refused(stopped, TWO, found, again)
        # With the settings of the older training, the newer one is refused.
        refused(invoke(*stage, copied), TWO, "holds a training made from other input", "0.002")
    assert (copied / "submission.csv").read_bytes() == before


def change_labels(data, change):
    table = data / "train-rle.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *change(rows)]) + "\n")


def with_one_pixel_moved(rows):
    """Return the rows, the first mask begun a pixel later: the area stays as it was."""
    place = next(n for n, row in enumerate(rows) if len(row.split(",")[1].split()) > 2)
    image_id, text = rows[place].split(",")
    start, length, gap, *rest = text.split()
    moved = [str(int(start) + 1), length, str(int(gap) - 1), *rest]
    return [*rows[:place], f"{image_id},{' '.join(moved)}", *rows[place + 1 :]]


def without_the_first_mask(rows):
    place = next(n for n, row in enumerate(rows) if len(row.split(",")[1].split()) > 2)
    return [*rows[:place], *rows[place + 1 :]]


def without_an_empty_image(rows):
    place = next(n for n, row in enumerate(rows) if row.split(",")[1].strip() == "-1")
    return [*rows[:place], *rows[place + 1 :]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_one_pixel_moved, "ids, masks or classes of training images changed since"),
        (without_the_first_mask, "ids, groups or mask areas of the images changed"),
        (without_an_empty_image, "ids, groups or mask areas of the images changed"),
    ],
)
def test_predictions_of_other_labels_are_not_blended(copied, data, invoke, change, words):
    change_labels(data, change)
    before = [(copied / name).read_bytes() for name in ("folds.csv", "submission.csv")]
    refused(invoke("ensemble", "run", copied), TWO, words)
    refused(invoke("predict", "run", copied), TWO, words)
    refused(invoke("train", "run", copied), TWO, words)
    assert invoke("submit", "write", copied).code == TWO
    assert invoke("run", copied).code == TWO
    assert [(copied / name).read_bytes() for name in ("folds.csv", "submission.csv")] == before


def test_a_submission_altered_by_hand_is_not_overwritten(copied, invoke):
    path = copied / "submission.csv"
    path.write_text(path.read_text().replace("ImageId", "ImageID"))
    for stage in (["submit", "write"], ["run"]):
        refused(invoke(*stage, copied), TWO, path, "not the file that goldfold wrote")
    assert "ImageID" in path.read_text()
    assert invoke("submit", "write", copied, "--overwrite").code == 0
    assert "ImageID" not in path.read_text()


def test_a_fold_table_altered_by_hand_is_not_overwritten(copied, invoke):
    path = copied / "folds.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    for stage in (["folds", "build"], ["run"], ["ensemble", "run"]):
        refused(invoke(*stage, copied), TWO, path, "not the table that goldfold wrote")
    assert path.read_text() == "".join(lines[:-1])
    assert invoke("folds", "build", copied, "--overwrite").code == 0
    assert path.read_text() == "".join(lines)


@pytest.mark.parametrize("text", ["{", "[]", "{}", ""])
def test_a_damaged_record_counts_for_nothing(copied, invoke, text):
    records = sorted((copied / "stages").glob("*.json"))
    assert len(records) == 4
    for record in records:
        record.write_text(text)
    again = invoke("run", copied)
    assert again.code == 0, again.err
    assert again.err.count("up to date") == 2 + 4  # the trainings and the predictions


# --- folders that cannot be written --------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocked", "words"),
    [("stages", ["run"]), ("cache", ["run"]), ("models", ["run"]), ("predictions", ["run"])],
)
def test_an_output_folder_that_cannot_be_written(copied, invoke, blocked, words):
    """A file in the folder's place refuses writing to root, too."""
    shutil.rmtree(copied / blocked)
    if blocked == "cache":
        shutil.rmtree(copied / "models")
    (copied / blocked).write_text("in the way")
    stopped = refused(invoke(*words, copied), ONE, copied / blocked)
    assert "cannot" in stopped.err or "Not a directory" in stopped.err
    assert (copied / blocked).read_text() == "in the way"
    assert not list(copied.rglob(".*.tmp"))


def test_an_init_that_cannot_write(data, invoke, tmp_path):
    (tmp_path / "file").write_text("")
    words = ["siim-acr-pneumothorax", "--data", data, "-o", tmp_path / "file" / "run"]
    refused(invoke("init", *words), ONE, tmp_path / "file" / "run", "cannot write")


@contextmanager
def file_limit(size):
    """Let no file grow beyond a number of bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("removed", "limit", "named"),
    [
        (["images.csv", "stages"], 1_000, "images.csv"),
        (["folds.csv", "stages/folds.json"], 1_000, "folds.csv"),
        (["cache", "models"], 50_000, "cache/train-64-gray"),
        (["models"], 400_000, "checkpoints/epoch-0001.safetensors"),
        (["models"], 3_000_000, "state/epoch-0001-step-000000.safetensors"),
        (["predictions"], 5_000, "predictions/tiny/seed-0/fold-0/out-of-fold.maps"),
        (["ensemble.json"], 500, "ensemble.png"),
        (["submission.csv"], 100, "submission.csv"),
    ],
)
def test_a_full_disk(copied, invoke, removed, limit, named, contents, monkeypatch):
    # A state after every epoch, or there would be none to write.
    choose = Machine.choose
    monkeypatch.setattr(
        Machine, "choose", lambda *words: replace(choose(*words), state_seconds=0.0)
    )
    invoke("run", copied)
    for name in removed:
        path = copied / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if removed == ["predictions"]:  # the cache goes by the folder of the images, which is another
        invoke("predict", "run", copied, "--out-of-fold")
        shutil.rmtree(copied / "predictions")
    with file_limit(limit):
        stopped = invoke("run", copied)
    refused(stopped, ONE, "cannot write", named, "Free some space")
    assert not list(copied.rglob(".*.tmp"))
    # With space again, the same command resumes.
    again = invoke("run", copied)
    assert again.code == 0, again.err
    for name in ("submission.csv", "ensemble.json", "folds.csv"):
        assert (copied / name).stat().st_size > 0
    json.loads((copied / "submission.json").read_text())
